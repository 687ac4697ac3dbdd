"""Renders values as YAML text that parses to exactly these values.

It uses two forms only. A text of several plain lines is a readable literal block; everything else is double-quoted with
non-ASCII characters escaped. Both are unambiguous in YAML 1.1 (cloud-init) and YAML 1.2 (Bacalhau).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Value = str | int | bool | Sequence["Value"] | Mapping[str, "Value"]

_SHORT: Final = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
_SPECIAL: Final = re.compile(r"[^ !#-\[\]-~]")
# Lines of printable ASCII. Not an empty line first nor two last, which would depend on the block's context.
_BLOCK: Final = re.compile(r"[!-~][ -~\t]*(?:\n[ -~\t]*)+(?<!\n\n)")
STEP: Final = 2


def _escape(found: re.Match[str]) -> str:
    letter = found[0]
    code = ord(letter)
    if letter in _SHORT:
        return _SHORT[letter]
    if code <= 0xFF:  # noqa: PLR2004 -- two hexadecimal digits
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"  # noqa: PLR2004 -- four digits


def double_quoted(text: str) -> str:
    return f'"{_SPECIAL.sub(_escape, text)}"'


def block_scalar(value: str | int | bool, *, indent: int) -> str:  # noqa: FBT001 -- a boolean is a value here, not a switch
    """The text after `key: ` or `- `, for a key at column `indent`."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if not _BLOCK.fullmatch(value):
        return double_quoted(value)
    margin = " " * (indent + STEP)
    lines = value.removesuffix("\n").split("\n")
    chomp = "" if value.endswith("\n") else "-"
    # The digit sets the indentation, so that lines may begin with spaces.
    return "\n".join([f"|{STEP}{chomp}", *(f"{margin}{line}" if line else "" for line in lines)])


def block(value: Value, *, indent: int = 0) -> str:
    """A mapping or list as a block with all lines at column `indent`; ends with a newline unless empty."""
    margin = " " * indent
    if isinstance(value, str | int):
        raise TypeError(value)
    if hasattr(value, "items"):
        return "".join(margin + entry(key, inside, indent=indent) for key, inside in value.items())
    return "".join(f"{margin}-{_after(inside, indent=indent)}" for inside in value)


def entry(key: str, value: Value, *, indent: int) -> str:
    """`key: value` for a mapping with keys at column `indent`; the first line without its margin."""
    return f"{_key(key)}:{_after(value, indent=indent)}"


def _key(key: str) -> str:
    plain = re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", key) and key.lower() not in _WORDS
    return key if plain else double_quoted(key)


# Words that YAML 1.1 does not read as text.
_WORDS: Final = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}


def _after(value: Value, *, indent: int) -> str:
    if isinstance(value, str | int):
        return f" {block_scalar(value, indent=indent)}\n"
    if not value:
        return " {}\n" if hasattr(value, "items") else " []\n"
    return "\n" + block(value, indent=indent + STEP)
