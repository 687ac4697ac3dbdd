"""Addresses with a login, or with a signature in their query, both of which are secrets."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from bacalhau_spot.text_marks import HIDDEN

if TYPE_CHECKING:
    from collections.abc import Iterator

_SHORTEST: Final = 16  # shorter ones are names and words
_PARTS: Final = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*://)(?:(?P<login>[^/]*)@)?(?P<place>[^?#]*)(?:\?(?P<query>[^#]*))?(?P<rest>.*)",
    re.IGNORECASE,
)


def shown_address(url: str) -> str:
    """The address without its login and its query."""
    match = _PARTS.fullmatch(url)
    if match is None:
        return url
    login = f"{HIDDEN}@" if match["login"] else ""
    query = f"?{HIDDEN}" if match["query"] else ""
    return f"{match['scheme']}{login}{match['place']}{query}{match['rest']}"


def address_secrets(url: str) -> Iterator[str]:
    """The password, and what in the query is long enough for a signature."""
    match = _PARTS.fullmatch(url)
    if match is None:
        return
    user, colon, password = (match["login"] or "").partition(":")
    query = match["query"] or ""
    values = (part.partition("=")[2] for part in query.split("&"))
    texts = [password, *(text for text in ("" if colon else user, query, *values) if len(text) >= _SHORTEST)]
    for text in filter(None, texts):
        yield from {text, unquote(text)}
