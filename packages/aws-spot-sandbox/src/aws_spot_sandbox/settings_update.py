"""Validates changes of the switches against the dataclass before any takes effect."""

from __future__ import annotations

import types
import typing
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from aws_spot_sandbox.iam import policy_evaluator
from aws_spot_sandbox.state import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aws_spot_sandbox.state import World

_MOST = 1e12  # beyond any date and any delay; JSON has no infinity
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
_OUTAGE: Mapping[str, Any] = {"pool": str, "from": float, "until": float}


class BadSwitch(ValueError):  # noqa: N818 - as in its message
    """An unknown switch or an invalid value; the text is for the user."""


def switches(world: World) -> dict[str, Any]:
    """Each switch's name and the settings that have it: the sandbox's, then those of the plug-ins."""
    return {item.name: settings for settings in world.all_settings() for item in fields(settings)}


def apply(world: World, values: Mapping[str, Any]) -> None:
    """Apply all values, or none. Raises BadSwitch."""
    owners = switches(world)
    checked: dict[str, Any] = {}
    for name, value in values.items():
        if name not in owners:
            raise BadSwitch(f"unknown switch {name!r}; the switches are {', '.join(owners)}")
        kind = typing.get_type_hints(type(owners[name]))[name]
        if not _fits(value, kind):
            raise BadSwitch(f"{name} is {_spell(kind)}, not {value!r}")
        checked[name] = float(value) if kind is float else value
    for name, value in checked.items():
        _check(owners[name], name, value)
    for name, value in checked.items():
        setattr(owners[name], name, value)


def _check(settings: Any, name: str, value: Any) -> None:
    """The rules beyond the type. Raises BadSwitch."""
    if not isinstance(settings, Settings):
        problem = settings.problem(name, value)
        if problem:
            raise BadSwitch(problem)
        return
    checks = {
        "faults": _check_fault,
        "outages": lambda outage: _check_row(outage, _OUTAGE, "an outage"),
        "prices": lambda step: _check_row(step, _STEP, "a price"),
        "policies": _check_policy,
    }
    for item in value if name in checks else ():
        checks[name](item)


def _check_policy(document: Mapping[str, Any]) -> None:
    try:
        policy_evaluator.check(dict(document))
    except ValueError as wrong:
        raise BadSwitch(str(wrong)) from wrong


def _check_row(row: Mapping[str, Any], kinds: Mapping[str, Any], name: str) -> None:
    """Raises BadSwitch for an entry that has other members than `kinds`, or values of other types."""
    if set(row) != set(kinds):
        *first, last = kinds
        raise BadSwitch(f"{name} has a {', '.join(first)} and {last}, no less and no more: {row!r}")
    for member, value in row.items():
        if not _fits(value, kinds[member]):
            raise BadSwitch(f"{name}'s {member} is {_spell(kinds[member])}, not {value!r}")


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
        return any(_fits(value, option) for option in inner)
    if origin is dict:
        return isinstance(value, dict) and all(
            _fits(name, inner[0]) and _fits(inner_value, inner[1]) for name, inner_value in value.items()
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
        return " or ".join(_spell(option) for option in inner)
    if origin is list:
        return f"a list, each entry {_spell(inner[0])}"
    if origin is dict:
        return f"a mapping from a name to {_spell(inner[1])}"
    return "anything"
