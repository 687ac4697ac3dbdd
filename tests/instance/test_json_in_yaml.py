"""Whatever goes into YAML comes out of every reader the same."""

from __future__ import annotations

from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # cloud-init reads with it; it ships no types
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from bacalhau_spot.instance.json_in_yaml import json_in_yaml

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
# Where YAML's rules bite: indicators, indentation, line ends, things that look like other types.
NASTY = st.text(
    st.sampled_from([*list(" \t\n\r:-#'\"\\|>{}[]$%@`&*!?,~="), "\x85", "\u2028", "\ufeff", "a", "1"])
)
# YAML's own limit for a key on one line is 1024 characters, escapes included.
KEYS = st.text(st.characters(exclude_categories=["Cs"]), max_size=60) | NASTY.filter(
    lambda text: len(text) < 60
)
VALUES = st.recursive(
    TEXT | NASTY | st.booleans() | st.integers(),
    lambda inside: st.lists(inside, max_size=4) | st.dictionaries(KEYS, inside, max_size=4),
    max_leaves=8,
)


def _readers() -> list[Any]:
    new = YAML(typ="safe", pure=True)
    new.version = (1, 2)
    return [yaml.safe_load, new.load]


@given(st.dictionaries(KEYS, VALUES, min_size=1))
def test_a_mapping_reads_back_as_itself(value: dict[str, Any]) -> None:
    for written in (json_in_yaml(value), json_in_yaml(value, indent=2)):
        for read in _readers():
            assert read(written) == value


@pytest.mark.parametrize(
    "text",
    [
        "yes",
        "null",
        "~",
        "1e3",
        "0x10",
        "012",
        "2001-01-01",
        "- a",
        "a: b",
        "# no",
        "%TAG",
        "---",
        "...\n",
        "<<",
        "=",
    ],
)
def test_text_that_looks_like_something_else_stays_text(text: str) -> None:
    for read in _readers():
        assert read(json_in_yaml({"key": text, text: [text]})) == {"key": text, text: [text]}


def test_every_letter_reads_back_as_itself() -> None:
    """Some that JSON leaves alone end a line in YAML, some are refused; above U+FFFF JSON's pairs are two letters."""
    letters = [chr(code) for code in [*range(0x3000), *range(0xF000, 0x10400), 0x1F600, 0x10FFFF]]
    for read in _readers():
        assert read(json_in_yaml({"key": "".join(letters)}))["key"] == "".join(letters)


def test_a_value_is_one_line_unless_asked() -> None:
    assert json_in_yaml({"content": "a\nb\n", "defer": True}) == '{"content": "a\\nb\\n", "defer": true}'
    assert json_in_yaml({"a": {"b": [1]}}, indent=2) == '{\n  "a": {\n    "b": [\n      1\n    ]\n  }\n}'
