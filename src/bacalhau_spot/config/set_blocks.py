"""Writes a choice into a file, like `set_values`; the old value's other settings are kept as comments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bacalhau_spot.config.edit import set_value, set_values, unable
from bacalhau_spot.config.migrate import upgrade_text
from bacalhau_spot.config.round_trip import TextForm
from bacalhau_spot.config.yaml_document import Document, UnreadableError, parse_yaml

if TYPE_CHECKING:
    from collections.abc import Mapping


def set_block(text: str, values: Mapping[str, object], *, file: str = "config.yaml") -> str:
    """`text` with top-level keys set; None removes a key. Lost parts of old values are commented out above.

    Raises UserError (exit code 2) for an invalid result.
    """
    form = TextForm.of(text)
    text = upgrade_text(form.without(text), file=file)
    # Removals come first: some keys cannot be combined.
    for key, value in sorted(values.items(), key=lambda item: item[1] is not None):
        try:
            if _data(text).get(key) != value:
                text = _put(text, key, value, file=file)
        except UnreadableError:  # such as the alias of an anchor in a removed value
            raise unable((key,)) from None
    return form.onto(set_values(text, {}, file=file))


def regions_like(text: str, names: list[str], *, file: str = "config.yaml") -> object:
    """A value for `regions` with these names: the settings of a region that remains are kept."""
    old = _data(upgrade_text(text, file=file)).get("regions")
    if not isinstance(old, dict) or "auto" in old or not any(old.get(name) for name in names):
        return names
    return {name: old.get(name) for name in names}


def has_key(text: str, key: str, *, file: str = "config.yaml") -> bool:
    """Whether the file sets this top-level key."""
    return key in _data(upgrade_text(text, file=file))


def _data(text: str) -> dict[str, Any]:
    data = parse_yaml(text).data
    return data if isinstance(data, dict) else {}


def _put(text: str, key: str, value: object, *, file: str) -> str:
    document = parse_yaml(text)
    place = document.keys.get((key,))
    if place is None or place.column != 1:
        # Missing, or in braces on the file's only line, which has no room for a comment.
        return text if value is None else set_value(text, (key,), value, file=file)
    lines = text.split("\n")
    begin = place.line - 1
    end = _end(lines, begin, document)
    if value is None or not _plain(lines[begin:end], _data(text)[key]):
        old = [f"# {line}".rstrip() for line in lines[begin:end]]
        text = "\n".join([*lines[:begin], *old, *([] if value is None else [f"{key}:"]), *lines[end:]])
    return text if value is None else set_value(text, (key,), value, file=file, block=isinstance(value, dict))


def _end(lines: list[str], begin: int, document: Document) -> int:
    """The line after the last of a top-level key's value: comments and blanks before the next key are that key's."""
    others = [place.line - 1 for path, place in document.keys.items() if len(path) == 1]
    end = min((line for line in others if line > begin), default=len(lines))
    while end > begin + 1 and (not lines[end - 1].strip() or lines[end - 1].startswith("#")):
        end -= 1
    return end


def _plain(old: list[str], value: object) -> bool:
    """Nothing but names stood there: no comment, and no differences of a region."""
    if any("#" in line for line in old):
        return False
    return not isinstance(value, dict) or not any(
        isinstance(inside, dict) and "count" not in inside for inside in value.values()
    )
