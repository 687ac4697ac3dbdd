"""Plain data -> YAML text. Whatever it writes, document.py reads back as the same data."""

from __future__ import annotations

import math
import re
from typing import Final

from bacalhau_spot.config.yaml_document import UnreadableError, parse_yaml

_PLAIN: Final = re.compile(r"[A-Za-z0-9~/][A-Za-z0-9 ._~/:@+=-]*")
_WIDTH: Final = 100


def yaml_scalar(value: object) -> str:
    """One value on one line. Takes what a configuration holds: text, numbers, booleans and nothing."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and not math.isfinite(value):
        return ".nan" if math.isnan(value) else ".inf" if value > 0 else "-.inf"
    if isinstance(value, str):
        return value if _is_plain(value) else yaml_quoted(value)
    return str(value)


def inline(value: object) -> str:
    """Any value on one line, lists and mappings in brackets and braces."""
    if isinstance(value, dict):
        return (
            "{"
            + ", ".join(f"{yaml_scalar(str(key))}: {inline(inside)}" for key, inside in value.items())
            + "}"
        )
    if isinstance(value, list | tuple):
        return "[" + ", ".join(inline(item) for item in value) + "]"
    return yaml_scalar(value)


def yaml_quoted(value: str) -> str:
    """Text in double quotes, with YAML's escapes for all that cannot be printed."""
    return '"' + "".join(_letter(letter) for letter in value) + '"'


def _letter(letter: str) -> str:
    if letter in '"\\':
        return "\\" + letter
    if letter in _ESCAPES:
        return _ESCAPES[letter]
    return letter if letter.isprintable() else f"\\U{ord(letter):08x}"


_ESCAPES: Final = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}


def _is_plain(value: str) -> bool:
    """Text that needs no quotes, also inside brackets: asked of the parser, which knows all exceptions."""
    if not _PLAIN.fullmatch(value) or value != value.strip():
        return False
    try:
        return parse_yaml(f"[{value}]").data == [value] and parse_yaml(f"k: {value}").data == {"k": value}
    except UnreadableError:
        return False


def literal(value: str, indent: str) -> str | None:
    """Text of several lines as a `|` block whose lines begin with `indent`; None when it cannot be written so."""
    body = value.removesuffix("\n")
    lines = body.split("\n")
    fits = "\n" in body and all(line.isprintable() and line == line.rstrip() for line in lines)
    if not fits or not lines[0] or lines[0].startswith(" ") or not lines[-1]:
        return None
    mark = "|" if value.endswith("\n") else "|-"
    return mark + "".join(f"\n{indent}{line}" if line else "\n" for line in lines)


def short(value: list[object]) -> bool:
    """A list that reads well on one line."""
    return all(not isinstance(item, list | dict) for item in value) and len(inline(value)) <= _WIDTH
