"""The next time of a cron expression (Auto Scaling user guide, "Recurring schedules"): five fields, in a time zone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

if TYPE_CHECKING:
    from datetime import tzinfo

_BOUNDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FARTHEST_DAYS = 5 * 366  # a 29th of February


@dataclass(frozen=True)
class Cron:
    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]  # 0: Sunday
    either: bool  # both days are restricted: one of them is enough

    def day_matches(self, day: datetime) -> bool:
        in_month, in_week = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return day.month in self.months and ((in_month or in_week) if self.either else (in_month and in_week))


def zone(name: str) -> tzinfo:
    """Raises ValueError."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"Invalid time zone: {name}") from None


@lru_cache(maxsize=256)
def parse(text: str) -> Cron:
    """Raises ValueError."""
    words = text.lower().split()
    if len(words) != len(_BOUNDS):
        raise ValueError(f"The recurrence '{text}' must have five fields.")
    fields = [
        _field(word, bounds, names)
        for word, bounds, names in zip(words, _BOUNDS, ((), (), (), _MONTHS, _DAYS), strict=True)
    ]
    weekdays = frozenset(day % 7 for day in fields[4])
    either = words[2] != "*" and words[4] != "*"
    return Cron(fields[0], fields[1], fields[2], fields[3], weekdays, either)


def _field(text: str, bounds: tuple[int, int], names: tuple[str, ...]) -> frozenset[int]:
    values: set[int] = set()
    for part in text.split(","):
        span, slash, step = part.partition("/")
        first, dash, last = span.partition("-")
        if span == "*":
            low, high = bounds
        else:
            low = _number(first, names)
            high = _number(last, names) if dash else (bounds[1] if slash else low)
        width = int(step) if slash and step.isdigit() else 1
        if not bounds[0] <= low <= high <= bounds[1] or width < 1 or (slash and not step.isdigit()):
            raise ValueError(f"The part '{part}' of the recurrence is not valid.")
        values.update(range(low, high + 1, width))
    return frozenset(values)


def _number(text: str, names: tuple[str, ...]) -> int:
    if text in names:
        return names.index(text) + (names is _MONTHS)
    if not text.isdigit():
        raise ValueError(f"The part '{text}' of the recurrence is not valid.")
    return int(text)


def following(cron: Cron, after: float, where: tzinfo) -> float | None:
    """The first time later than `after`, in seconds since 1970; None if there is none."""
    start = datetime.fromtimestamp(after, where).replace(second=0, microsecond=0) + timedelta(minutes=1)
    day = start
    for _ in range(_FARTHEST_DAYS):
        if cron.day_matches(day):
            for hour in sorted(cron.hours):
                for minute in sorted(cron.minutes):
                    moment = day.replace(hour=hour, minute=minute)
                    if moment >= start:
                        return moment.timestamp()
        day = (day + timedelta(days=1)).replace(hour=0, minute=0)
    return None
