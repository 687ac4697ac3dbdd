"""The output for programs: the same keys in success, failure and partial failure."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from io import StringIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from bacalhau_spot.errors import ExitCode, UserError
from bacalhau_spot.ui import json_output
from support.recorded_events import CREATE

ENVELOPE = ["version", "command", "endpoint", "status", "exit_code", "data", "errors", "warnings"]


@pytest.mark.parametrize(
    ("code", "data", "status"),
    [
        (ExitCode.DONE, {}, "ok"),
        (ExitCode.FAILED, {}, "partial"),
        (ExitCode.FAILED, None, "error"),
        (ExitCode.DENIED, None, "error"),
        (ExitCode.DECLINED, None, "declined"),
        (ExitCode.INCOMPLETE, {}, "partial"),
        (ExitCode.INTERRUPTED, {}, "interrupted"),
    ],
)
def test_the_envelope(code: ExitCode, data: dict[str, Any] | None, status: str) -> None:
    """Always the same keys in the same order, and a status that follows from the exit code."""
    envelope = json_output.envelope(
        command="c", data=data, exit_code=code, errors=(UserError("w", hint="h"),)
    )
    assert list(envelope) == ENVELOPE
    assert envelope["status"] == status
    assert list(envelope["errors"][0]) == [
        "what",
        "why",
        "code",
        "hint",
        "docs",
        "regions",
        "details",
    ]
    assert json.loads(json_output.envelope_text(envelope, form="json")) == envelope


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=5), plain, min_size=1, max_size=4))
def test_yaml_says_the_same_as_json(data: dict[str, Any]) -> None:
    """Whatever is in it."""
    text = json_output.envelope_text(data, form="yaml")
    assert YAML(typ="safe").load(text) == data


def test_every_name_of_the_package_exists() -> None:
    """Those of a command are looked up when they are used."""
    assert all(getattr(json_output, name) is not None for name in json_output.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        json_output.nonsense  # noqa: B018 - the lookup is the test


@pytest.mark.parametrize("version", [(1, 1), (1, 2)])
def test_yaml_strings_stay_strings_for_every_reader(version: tuple[int, int]) -> None:
    """YAML 1.1 reads more words as other types. Keys keep their order, long lines their length, values no anchors."""
    words = [
        "no",
        "on",
        "null",
        "~",
        "1.10",
        "0x1f",
        "2026-01-01",
        "- a",
        "a: b",
        " ",
        "",
        "# a",
        "word " * 80,
    ]
    data = {"z": words, "on": words, "a": [{"no": 1, "empty": {}, "none": []}, [[None, True, 1.5]]]}
    text = json_output.envelope_text(data, form="yaml")
    reader = YAML(typ="safe", pure=True)
    reader.version = version
    loaded = reader.load(text)
    assert loaded == data
    assert list(loaded) == list(data)
    assert "word " * 80 in text


def test_events_one_a_line() -> None:
    """Each with its name and time first; the result comes last, as an event of its own."""
    stream = StringIO()
    screen = json_output.Ndjson(stream, now=lambda: datetime(2026, 1, 1, tzinfo=UTC))
    for event in CREATE:
        screen.emit(event)
    rows = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert len(rows) == len(CREATE)
    assert rows[0] == {
        "event": "region-started",
        "at": "2026-01-01T00:00:00Z",
        "region": "us-east-1",
        "requested": 2,
    }
    assert rows[-1]["event"] == "instance-seen"
    assert rows[-1]["phase"] == "lost"
    last = json_output.envelope_text(
        json_output.envelope(command="c", data={}, exit_code=ExitCode.DONE), form="ndjson"
    )
    assert json.loads(last)["event"] == "result"
