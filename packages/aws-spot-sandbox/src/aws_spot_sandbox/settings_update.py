"""Validates changes of the switches against the dataclass before any takes effect."""

from __future__ import annotations

import types
import typing
from typing import TYPE_CHECKING, Any

from aws_spot_sandbox.iam import policy_evaluator
from aws_spot_sandbox.state import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

_MOST = 1e12  # beyond any date and any delay; JSON has no infinity
_STUCK = (
    "boot",
    "packages",
    "docker",
    "download",
    "start",
    "join",
    "token",
)  # as in aws_spot_sandbox_bacalhau/boot.py, which imports moto
_FAULT_NEEDS = {"match", "code"}
_FAULT: Mapping[str, type] = {
    "match": str,
    "code": str,
    "region": str,
    "message": str,
    "when": str,
    "status": int,
    "count": int,
    "after": int,
}


_STEP: Mapping[str, Any] = {"pool": str, "at": float, "usd": float}


class BadSwitch(ValueError):  # noqa: N818 - as in its message
    """An unknown switch or an invalid value; the text is for the user."""


def apply(settings: Settings, values: Mapping[str, Any]) -> None:
    """Apply all values, or none. Raises BadSwitch."""
    kinds = typing.get_type_hints(Settings)
    checked: dict[str, Any] = {}
    for name, value in values.items():
        if name not in kinds:
            raise BadSwitch(f"there is no switch {name!r}; there are {', '.join(Settings.names())}")
        if not _fits(value, kinds[name]):
            raise BadSwitch(f"{name} is {_spell(kinds[name])}, not {value!r}")
        checked[name] = float(value) if kinds[name] is float else value
    for fault in checked.get("faults", ()):
        _check_fault(fault)
    for step in checked.get("prices", ()):
        _check_step(step)
    for document in checked.get("policies", ()):
        _check_policy(document)
    for phase in checked.get("stuck", {}).values():
        if phase and phase not in _STUCK:
            raise BadSwitch(f"a node is stuck in one of {', '.join(_STUCK)}, not {phase!r}")
    for name, value in checked.items():
        setattr(settings, name, value)


def _check_policy(document: Mapping[str, Any]) -> None:
    try:
        policy_evaluator.check(dict(document))
    except ValueError as wrong:
        raise BadSwitch(str(wrong)) from wrong


def _check_step(step: Mapping[str, Any]) -> None:
    if set(step) != set(_STEP):
        raise BadSwitch(f"a price has a pool, at and usd, no less and no more: {step!r}")
    for name, value in step.items():
        if not _fits(value, _STEP[name]):
            raise BadSwitch(f"a price's {name} is {_spell(_STEP[name])}, not {value!r}")


def _check_fault(fault: Mapping[str, Any]) -> None:
    missing, unknown = _FAULT_NEEDS - set(fault), set(fault) - set(_FAULT)
    if missing:
        raise BadSwitch(f"a fault needs {' and '.join(sorted(missing))}: {fault!r}")
    if unknown:
        raise BadSwitch(f"a fault has no {', '.join(sorted(unknown))}: {fault!r}")
    for name, value in fault.items():
        if not _fits(value, _FAULT[name]):
            raise BadSwitch(f"a fault's {name} is {_spell(_FAULT[name])}, not {value!r}")
    if fault.get("when", "before") not in {"before", "after"}:
        raise BadSwitch(f"a fault's when is 'before' or 'after', not {fault['when']!r}")


def _fits(value: object, kind: Any) -> bool:
    if kind is Any:
        return True
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is types.UnionType:
        return any(_fits(value, one) for one in inner)
    if origin is dict:
        return isinstance(value, dict) and all(
            _fits(name, inner[0]) and _fits(one, inner[1]) for name, one in value.items()
        )
    if origin is list:
        return isinstance(value, list) and all(_fits(unknown, inner[0]) for unknown in value)
    if isinstance(value, bool) or kind is bool:  # in Python booleans are integers; switches distinguish them
        return isinstance(value, bool) and kind is bool
    if kind is float:  # comparisons with NaN are false
        return isinstance(value, int | float) and 0 <= value <= _MOST
    return isinstance(value, kind) and (kind is not int or value >= 0)


def _spell(kind: Any) -> str:
    words = {
        float: "a number, zero or more",
        int: "a whole number, zero or more",
        str: "a text",
        bool: "true or false",
        type(None): "null",
    }
    if kind in words:
        return words[kind]
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is types.UnionType:
        return " or ".join(_spell(one) for one in inner)
    if origin is list:
        return f"a list, each entry {_spell(inner[0])}"
    if origin is dict:
        return f"a mapping from a name to {_spell(inner[1])}"
    return "anything"
