"""The marks in texts that are shown: where a text was cut, and where a secret was hidden.

A secret may be cut with the text around it: what is before CUT is compared with the beginnings of known secrets, too.
"""

from __future__ import annotations

from typing import Final

CUT: Final = "…"
HIDDEN: Final = "***"


def shortened(text: str, longest: int) -> str:
    """At most the first `longest` characters, and the mark if there were more."""
    return text if len(text) <= longest else f"{text[:longest]}{CUT}"


def shortened_line(text: str, longest: int) -> str:
    """As `shortened`, in one line, with single spaces."""
    return shortened(" ".join(text.split()), longest)
