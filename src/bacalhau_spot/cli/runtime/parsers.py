"""Values of options: amounts, durations, moments."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

from bacalhau_spot.core.lifecycle.durations import duration_s
from bacalhau_spot.core.lifecycle.expiry import LONGEST_S, SHORTEST
from bacalhau_spot.core.model import MAX_PRICE_USD
from bacalhau_spot.errors import ExitCode, UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cyclopts import Token

_LONGEST = 24  # characters of an amount: more than any price has


def amount(text: str, *, flag: str, above: Decimal = Decimal(0)) -> Decimal | None:
    """US dollars, such as `0.05`; `none` for no limit. Raises UserError unless it is greater than `above`."""
    if text.strip().lower() == "none":
        return None
    try:
        value = Decimal(text[: _LONGEST + 1].strip().removeprefix("$"))
    except InvalidOperation:
        value = Decimal(0)
    if len(text) > _LONGEST or not value.is_finite() or not above < value <= MAX_PRICE_USD:
        raise UserError(
            f"{flag}: {text[:_LONGEST]!r} is not a valid amount of US dollars",
            hint=f"a number above {above} and up to {MAX_PRICE_USD}, such as 0.05, or `none` for no limit",
            exit_code=ExitCode.USAGE,
        )
    return value


def listed_names(_: object, tokens: Sequence[Token]) -> tuple[str, ...]:
    """The values of a list option, each once.

    Raises ValueError for an empty value, as from an unset variable: "all" would be a dangerous reading.
    """
    names = [name.strip() for token in tokens for name in token.value.split(",")]
    if not all(names):
        raise ValueError("a value is empty")
    return tuple(dict.fromkeys(names))


def whole_number(_: object, tokens: Sequence[Token]) -> int:
    """The value of an argument. Raises ValueError for a fraction, which the library would round."""
    text = tokens[0].value[:_LONGEST]
    if re.fullmatch(r"-?[0-9]+", text) is None:
        raise ValueError(f"{text!r} is not a whole number")
    return int(text)


_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


# No cluster is older.
_LONGEST_DURATION = timedelta(days=3650)


def duration(
    text: str,
    *,
    flag: str,
    shortest: timedelta = timedelta(0),
    longest: timedelta = _LONGEST_DURATION,
    why: str = "",
) -> timedelta:
    """`90s`, `30m`, `2h`, `7d`. Raises UserError, also for one that is shorter or longer; `why`: of these bounds."""
    match = re.fullmatch(r"([0-9]{1,9})\s*([smhd])", text.strip().lower())
    if match is None:
        raise UserError(
            f"{flag}: {text[:_LONGEST]!r} is not a duration",
            hint="a whole number followed by s, m, h or d, such as 30m or 7d",
            exit_code=ExitCode.USAGE,
        )
    value = timedelta(seconds=int(match[1]) * _UNITS[match[2]])
    if shortest <= value <= longest:
        return value
    short = value < shortest
    raise UserError(
        f"{flag}: {text.strip()} is too {'short' if short else 'long'}",
        why=why,
        hint=f"at least {_spelled(shortest)}" if short else f"at most {_spelled(longest)}",
        exit_code=ExitCode.USAGE,
    )


def _spelled(value: timedelta) -> str:
    """In the largest unit that gives a whole number."""
    seconds = int(value.total_seconds())
    name, size = next((name, size) for name, size in reversed(_UNITS.items()) if seconds % size == 0)
    return f"{seconds // size}{name}"


_SHORTEST_S = int(SHORTEST.total_seconds())


def lifetime(text: str, *, flag: str) -> int:
    """The seconds of `90m`, `8h`, `2d` or `1h30m`. Raises UserError for less than 15 minutes and more than 366 days."""
    seconds = duration_s(text)
    if seconds is None or not _SHORTEST_S <= seconds <= LONGEST_S:
        raise UserError(
            f"{flag}: {text[:_LONGEST]!r} is not a lifetime of a cluster",
            hint="days, hours and minutes from 15m to 366d, such as 90m, 8h, 2d or 1h30m",
            exit_code=ExitCode.USAGE,
        )
    return seconds


def end_time(text: str, *, flag: str, now: datetime) -> datetime:
    """`2026-11-28T20:00`, in UTC unless it has another offset. Raises UserError unless it is 15 minutes to 366 days from now."""
    try:
        value = datetime.fromisoformat(text.strip())
    except ValueError:
        raise UserError(
            f"{flag}: {text[:_LONGEST]!r} is not a time",
            hint="a time such as 2026-11-28T20:00 (UTC), or with an offset 2026-11-28T20:00+01:00",
            exit_code=ExitCode.USAGE,
        ) from None
    value = _in_utc(value)
    if not SHORTEST <= value - now <= timedelta(seconds=LONGEST_S):
        raise UserError(
            f"{flag}: {text} is not 15 minutes to 366 days from now",
            hint="`bacalhau-spot destroy` ends a cluster now",
            exit_code=ExitCode.USAGE,
        )
    return value


def _in_utc(value: datetime) -> datetime:
    """Unless it has another offset."""
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def moment(text: str, *, flag: str, now: datetime) -> datetime:
    """`7d` (before `now`), `2026-11-20` or `2026-11-20T08:30`, in UTC unless it has another offset. Raises UserError."""
    try:
        value = datetime.fromisoformat(text.strip())
    except ValueError:
        try:
            return now - duration(text, flag=flag)
        except UserError:
            raise UserError(
                f"{flag}: {text!r} is neither a date nor a duration",
                hint="a date such as 2026-11-20 or 2026-11-20T08:30 (UTC), or a duration such as 24h or 7d",
                exit_code=ExitCode.USAGE,
            ) from None
    value = _in_utc(value)
    if value > now:
        raise UserError(f"{flag}: {text} is in the future", exit_code=ExitCode.USAGE)
    if value < now - _LONGEST_DURATION:
        raise UserError(
            f"{flag}: {text} is too long ago",
            hint=f"at most {_spelled(_LONGEST_DURATION)}",
            exit_code=ExitCode.USAGE,
        )
    return value
