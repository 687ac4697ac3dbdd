"""Putting a choice into a file: as `set_values`, and what the old value held beside plain names stays as a comment."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from bacalhau_spot.config import yaml_writer
from bacalhau_spot.config.edit import set_values
from bacalhau_spot.config.migrate import upgrade_text
from bacalhau_spot.config.yaml_document import parse_yaml

if TYPE_CHECKING:
    from collections.abc import Mapping

# The lines that a top-level key's value goes on over: indented ones, list items, closing brackets, nothing, and comments.
_GOES_ON: Final = re.compile(r"[ \t\-\]}#]|$")
_OF_NEXT: Final = re.compile(r"#|$")  # … but comments and blanks before the next key are its own


def set_block(text: str, values: Mapping[str, object], *, file: str = "config.yaml") -> str:
    """`text` with top-level keys set; None takes a key out. What is lost with the old values is commented out above.

    Raises UserError (exit code 2) when the result would not be good.
    """
    text = upgrade_text(text, file=file)
    # What goes makes room for what comes: some keys cannot be combined with each other.
    for key, value in sorted(values.items(), key=lambda item: item[1] is not None):
        if _data(text).get(key) != value:
            text = _put(text, key, value, file=file)
    return set_values(text, {}, file=file)


def regions_like(text: str, names: list[str], *, file: str = "config.yaml") -> object:
    """A value for `regions` with these names: what the file says of a region that stays is kept."""
    old = _data(upgrade_text(text, file=file)).get("regions")
    if not isinstance(old, dict) or "auto" in old or not any(old.get(name) for name in names):
        return names
    return {name: old.get(name) for name in names}


def _data(text: str) -> dict[str, Any]:
    found = parse_yaml(text).data
    return found if isinstance(found, dict) else {}


def _put(text: str, key: str, value: object, *, file: str) -> str:
    place = parse_yaml(text).keys.get((key,))
    if place is None or place.column != 1:
        # Not there; or in braces on the file's only line, where no comment has room.
        return text if value is None else set_values(text, {key: value}, file=file)
    lines = text.split("\n")
    begin = place.line - 1
    end = _end(lines, begin)
    old = lines[begin:end]
    new = [] if value is None else [f"{key}:{_written(value)}"]
    kept = (
        [] if value is not None and _plain(old, _data(text)[key]) else [f"# {line}".rstrip() for line in old]
    )
    return "\n".join([*lines[:begin], *kept, *new, *lines[end:]])


def _written(value: object) -> str:
    """On one line; a mapping of regions with one line each."""
    if not isinstance(value, dict):
        return f" {yaml_writer.inline(value)}"
    return "".join(
        f"\n  {yaml_writer.yaml_scalar(name)}:" + ("" if inside is None else f" {yaml_writer.inline(inside)}")
        for name, inside in value.items()
    )


def _end(lines: list[str], begin: int) -> int:
    """The line after the last of a key's value."""
    end = begin + 1
    while end < len(lines) and _GOES_ON.match(lines[end]):
        end += 1
    while end > begin + 1 and _OF_NEXT.match(lines[end - 1]):
        end -= 1
    return end


def _plain(old: list[str], value: object) -> bool:
    """Nothing but names stood there: no comment, and no differences of a region."""
    if any("#" in line for line in old):
        return False
    return not isinstance(value, dict) or not any(
        isinstance(inside, dict) and "count" not in inside for inside in value.values()
    )
