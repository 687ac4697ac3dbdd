"""Removes characters that a terminal obeys or hides, so that foreign text cannot change the user's screen.

Control characters (C0 but tab and new line, DEL, C1), format characters (bidirectional controls, zero-width, tags),
line and paragraph separators, and lone surrogates: Unicode's categories Cc, Cf, Zl, Zp and Cs.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_MEANT: Final = frozenset("\n\t")
_REFUSED: Final = frozenset({"Cc", "Cf", "Zl", "Zp", "Cs"})
# Escape sequences (ECMA-48): control sequences whole, of others the first two characters.
_SEQUENCE: Final = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[@-_]")
_ONE_PLANE: Final = 0x10000


def sanitized(text: str) -> str:
    """`text` without such characters. All of them have no width, so that nothing that was laid out moves."""
    if _is_plain(text):
        return text
    return "".join(letter for letter in text if not _refused(letter))


def escaped(text: str, *, yaml: bool = False) -> str:
    """JSON (or YAML's double-quoted scalars) with such characters as escapes: a reader gets the original text.

    Only strings can contain such characters: tabs and new lines belong to the document.
    """
    if _is_plain(text):
        return text
    return "".join(_escape(letter, yaml=yaml) if _refused(letter) else letter for letter in text)


def without_sequences(text: str) -> str:
    """Foreign text without escape sequences (such as colours) and with one kind of line end; then `sanitized`."""
    return sanitized(_SEQUENCE.sub("", text.replace("\r\n", "\n").replace("\r", "\n")))


def _is_plain(text: str) -> bool:
    """Most text is, and a look at each letter of a long document takes a twentieth of a command's time."""
    return text.replace("\n", "").replace("\t", "").isprintable()


def _refused(letter: str) -> bool:
    return letter not in _MEANT and unicodedata.category(letter) in _REFUSED


def _escape(letter: str, *, yaml: bool) -> str:
    number = ord(letter)
    if number < _ONE_PLANE:
        return f"\\u{number:04x}"
    if yaml:
        return f"\\U{number:08x}"
    units = letter.encode("utf-16-be")
    return f"\\u{units[0]:02x}{units[1]:02x}\\u{units[2]:02x}{units[3]:02x}"
