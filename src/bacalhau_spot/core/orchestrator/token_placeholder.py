"""Placeholders of examples, such as `your-token-here`, in the place of a secret."""

from __future__ import annotations

import re

_PLACEHOLDER = re.compile(
    r"<.*>|(your|my|the|a)[-_ ]?(bacalhau[-_ ]?)?(secret[-_ ]?|auth[-_ ]?)?token([-_ ]?here)?"
    r"|(secret|example|sample|test)?[-_ ]?token|change[-_ ]?(me|it)|placeholder|example|x{3,}|todo|none|null",
    re.IGNORECASE,
)
_RESEMBLANCE = re.compile(r"(your|secret|example)[-_ ]?token|change[-_ ]?me|placeholder", re.IGNORECASE)


def is_placeholder(text: str) -> bool:
    """Whether the whole text is a placeholder. It is not secret, and may occur in any text."""
    return _PLACEHOLDER.fullmatch(text) is not None


def resembles_placeholder(text: str) -> bool:
    """Whether a part of the text is a placeholder; the whole may be a real secret."""
    return _RESEMBLANCE.search(text) is not None
