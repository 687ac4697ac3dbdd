"""Durations on the command line: each has bounds, and a value beyond them is a usage error before any call."""

from __future__ import annotations

from typing import Any

import pytest

from support.cli_runner import CliRunner

HUGE = "9" * 18
COMMANDS: dict[str, tuple[str, ...]] = {
    "reconcile --every": ("reconcile", "--passes", "1", "--every"),
    "create --grace": ("create", "--dry-run", "--allow-removal", "--grace"),
    "scale --grace": ("scale", "2", "--dry-run", "--grace"),
    "remove --grace": ("remove", "us-east-1", "--dry-run", "--grace"),
    "replace --grace": ("replace", "us-east-1", "--dry-run", "--grace"),
    "nuke --min-age": ("nuke", "--dry-run", "--min-age"),
    "create --ttl": ("create", "--dry-run", "--ttl"),
    "extend": ("extend",),
    "cost --since": ("cost", "--since"),
    "history --since": ("history", "--since"),
    "report --since": ("report", "--since"),
    "prices --since": ("prices", "--since"),
}
SECONDS: dict[str, tuple[str, ...]] = {
    "status --interval": ("status", "--interval"),
    "console --interval": ("console", "i-0123", "--interval"),
    "ssh --timeout": ("ssh", "--all", "--timeout"),
    "smoke-test --timeout": ("smoke-test", "--timeout"),
    "destroy --timeout": ("destroy", "--yes", "--timeout"),
    "nuke --timeout": ("nuke", "--dry-run", "--timeout"),
    "sandbox interrupt --notice-s": ("sandbox", "interrupt", "i-0123", "--notice-s"),
}
VALUES = ("99999d", f"{HUGE}d", f"{HUGE}s", "-1m", "٣d", "")


@pytest.mark.parametrize("name", COMMANDS)
def test_a_duration_beyond_its_bounds_is_refused(program: CliRunner, sandbox: Any, name: str) -> None:
    command = COMMANDS[name]
    for value in VALUES:
        result = program(*command, value)
        assert (result.code, "internal error" in result.stderr) == (2, False), (value, result.stderr)
    assert sandbox.world.calls == []


@pytest.mark.parametrize("name", SECONDS)
def test_seconds_beyond_their_bounds_are_refused(program: CliRunner, sandbox: Any, name: str) -> None:
    for value in (HUGE, "-1", "1e300", "inf", "nan"):
        result = program(*SECONDS[name], value)
        assert (result.code, "internal error" in result.stderr) == (2, False), (value, result.stderr)
    assert sandbox.world.calls == []


def test_the_refusal_names_the_bound(program: CliRunner) -> None:
    result = program("reconcile", "--every", "99999d")
    assert "--every: 99999d is too long" in result.stderr and "at most 1d" in result.stderr
    assert "--every: 5s is too short" in program("reconcile", "--every", "5s").stderr
