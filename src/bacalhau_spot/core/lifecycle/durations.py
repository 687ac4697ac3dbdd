"""Durations as text: `90m`, `8h`, `2d`, `1h30m`."""

from __future__ import annotations

import re
from typing import Final

DURATION: Final = r"(?=[0-9])(?:[0-9]{1,4}d)?(?:[0-9]{1,5}h)?(?:[0-9]{1,6}m)?"
_PARTS: Final = re.compile(r"(?:(\d{1,4})d)?(?:(\d{1,5})h)?(?:(\d{1,6})m)?", re.ASCII)
_DAY_S: Final = 86400
_HOUR_S: Final = 3600
_MINUTE_S: Final = 60


def duration_s(text: str) -> int | None:
    """The seconds of days, hours and minutes in this order; None for other text."""
    match = _PARTS.fullmatch(text.strip().lower())
    if match is None or not any(match.groups()):
        return None
    days, hours, minutes = (int(part or 0) for part in match.groups())
    return days * _DAY_S + hours * _HOUR_S + minutes * _MINUTE_S


def duration_text(seconds: int) -> str:
    """The shortest text that `duration_s` reads as these seconds, in whole minutes."""
    days, rest = divmod(seconds, _DAY_S)
    hours, rest = divmod(rest, _HOUR_S)
    parts = [(days, "d"), (hours, "h"), (rest // _MINUTE_S, "m")]
    return "".join(f"{count}{unit}" for count, unit in parts if count) or "0m"
