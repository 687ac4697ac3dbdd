"""Checks of the arguments. The functions are called without the parser of the command line, which refuses these there."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Collection, Mapping
from datetime import timedelta
from decimal import Decimal
from os import PathLike

from bacalhau_spot.api.errors import ConfigurationError
from bacalhau_spot.errors import ExitCode

_LONGEST_S = 86400  # as of `--timeout`
_WAITS = ("joined", "running", "none")

Check = Callable[[object], bool]


def check_arguments(**arguments: object) -> None:
    """Raises ConfigurationError for the first that its parameter does not accept."""
    for name, value in arguments.items():
        accepted, expected = _PARAMETERS[name]
        if not accepted(value):
            raise ConfigurationError(
                f"{name}: {value!r} is not {expected}",
                hint=f"correct `{name}`; nothing was changed",
                exit_code=ExitCode.USAGE,
            )


def _is_flag(value: object) -> bool:
    return isinstance(value, bool)  # "false" and "no" would be true


def _is_text(value: object) -> bool:
    return value is None or (isinstance(value, str) and _is_encoded(value, str.encode))


def _is_path(value: object) -> bool:
    if not isinstance(value, str | PathLike):
        return value is None
    path = os.fspath(value)
    return isinstance(path, str) and path != "" and "\0" not in path and _is_encoded(path, os.fsencode)


def _is_encoded(text: str, encode: Callable[[str], bytes]) -> bool:
    """A lone surrogate has no UTF-8 form. A path may have those that stand for the bytes of a name that is not UTF-8."""
    try:
        encode(text)
    except UnicodeEncodeError:
        return False
    return True


def _is_duration(value: object) -> bool:
    return value is None or isinstance(value, timedelta)


def _is_amount(value: object) -> bool:
    """The command checks the range, and the text of a number."""
    return value is None or (isinstance(value, Decimal | int | float | str) and not isinstance(value, bool))


def _is_timeout(value: object) -> bool:
    if value is None:
        return True
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= _LONGEST_S


def _is_wait(value: object) -> bool:
    return value is None or (isinstance(value, str) and value in _WAITS)


def _is_list_of_regions(value: object) -> bool:
    """Not one text: its letters would be the regions."""
    return (
        isinstance(value, Collection)
        and not isinstance(value, str | bytes | Mapping)
        and all(isinstance(region, str) and region != "" and _is_text(region) for region in value)
    )


def _is_callback(value: object) -> bool:
    """Nothing would await a coroutine."""
    return value is None or (callable(value) and not inspect.iscoroutinefunction(value))


_FLAG = (_is_flag, "True or False")
_AMOUNT = (_is_amount, "a Decimal")
_DURATION = (_is_duration, "a timedelta")
_TEXT = (_is_text, "a string with a UTF-8 form")
_PARAMETERS: Mapping[str, tuple[Check, str]] = {
    "config": (_is_path, "the path of a file"),
    "profile": _TEXT,
    "cluster": _TEXT,
    "sandbox": _FLAG,
    "allow_removal": _FLAG,
    "without_orchestrator": _FLAG,
    "dry_run": _FLAG,
    "disable_protection": _FLAG,
    "delete_results": _FLAG,
    "force": _FLAG,
    "max_price_usd_per_hour": _AMOUNT,
    "budget_usd_per_hour": _AMOUNT,
    "ttl": _DURATION,
    "grace": _DURATION,
    "timeout_s": (_is_timeout, f"a whole number of seconds from 1 to {_LONGEST_S}"),
    "wait": (_is_wait, "one of " + ", ".join(map(repr, _WAITS))),
    "regions": (_is_list_of_regions, "a list of names of regions"),
    "on_event": (_is_callback, "a function that is no coroutine function"),
}
