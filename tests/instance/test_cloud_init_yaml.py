"""Whatever goes into YAML comes out of every reader the same."""

from __future__ import annotations

from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # cloud-init reads with it; it ships no types
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from bacalhau_spot.instance import cloud_init_yaml

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


@settings(deadline=None)  # a shared machine may pause at any place
@given(st.dictionaries(KEYS, VALUES, min_size=1))
def test_a_mapping_reads_back_as_itself(value: dict[str, Any]) -> None:
    written = cloud_init_yaml.block(value)
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
        assert read(cloud_init_yaml.block({"key": text, text: [text]})) == {"key": text, text: [text]}


def test_a_program_stays_readable() -> None:
    assert cloud_init_yaml.block({"content": "import os\n\nif True:\n    pass\n"}) == (
        "content: |2\n  import os\n\n  if True:\n      pass\n"
    )


def test_what_follows_a_block_does_not_become_part_of_it() -> None:
    for text in ("a\nb", "a\nb\n", "a\n\nb\n\n", "a\n \n", "a\n "):
        for read in _readers():
            written = cloud_init_yaml.block({"first": text}) + "\n\n# a remark\n\nlast: 1\n"
            assert read(written) == {"first": text, "last": 1}
