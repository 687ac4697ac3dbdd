"""Races: two commands at once on one cluster, each call of them in the order of a seed.

Whatever the order: one command wins or both do the same, nothing is launched twice, there is one network, and the cluster
can be deleted. Other operators have another machine; two terminals of one operator have the same one.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from support.cli_runner import CliRunner
from support.history_account import HistoryAccount
from support.trust_figures import FULL, SEED, SHARE

Command = tuple[str, dict[str, Any]]
# Of each race, with a seed each.
ROUNDS = max(1, round(40 * SHARE)) if FULL else 1

CREATE: Command = ("create", {})
DESTROY: Command = ("destroy", {})
STANDING: tuple[Command, ...] = (("create", {"op": 0}), ("time", {"seconds": 60}))
# By name: the steps before, and the two commands.
RACES: dict[str, tuple[Sequence[Command], Command, Command]] = {
    "create||create": ((), CREATE, CREATE),
    "create||create of another number": ((("edit", {"op": 1, "nodes": 5}),), CREATE, CREATE),
    "create||destroy": ((), CREATE, DESTROY),
    "create||nuke": ((), CREATE, ("nuke", {})),
    "create||destroy on a standing cluster": (
        (*STANDING, ("edit", {"op": 0, "nodes": 5})),
        CREATE,
        DESTROY,
    ),
    "destroy||destroy": (STANDING, DESTROY, DESTROY),
    "destroy||reconcile": (
        (*STANDING, ("interrupt", {"count": 2, "notice_s": 1}), ("time", {"seconds": 200})),
        DESTROY,
        ("reconcile", {"passes": 2}),
    ),
    "destroy||replace": (STANDING, DESTROY, ("replace", {"nodes": [0, 1]})),
    "nuke||nuke": (STANDING, ("nuke", {}), ("nuke", {})),
    "nuke||reconcile": (
        (*STANDING, ("interrupt", {"count": 2, "notice_s": 1}), ("time", {"seconds": 200})),
        ("nuke", {}),
        ("reconcile", {"passes": 2}),
    ),
    "scale||scale": (STANDING, ("scale", {"nodes": 5}), ("scale", {"nodes": 1})),
    "scale||create": (STANDING, ("scale", {"nodes": 5}), CREATE),
    "replace||replace": (STANDING, ("replace", {"nodes": [0]}), ("replace", {"nodes": [0, 1]})),
    "reconcile||reconcile": (
        (*STANDING, ("interrupt", {"count": 2, "notice_s": 1}), ("time", {"seconds": 200})),
        ("reconcile", {}),
        ("reconcile", {}),
    ),
    "extend||destroy": (STANDING, ("extend", {"to": "4h"}), DESTROY),
}
IN_CI = ("create||create",)


@pytest.fixture
def account(
    sandbox: Any, program: CliRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> HistoryAccount:
    return HistoryAccount(sandbox, program, tmp_path / "account", monkeypatch)


@pytest.mark.parametrize("name", RACES if FULL else IN_CI)
def test_two_commands_at_once(account: HistoryAccount, name: str) -> None:
    with account.figures("races"):
        for number in range(SEED, SEED + ROUNDS):
            race(account, name, number)


def race(account: HistoryAccount, name: str, number: int) -> None:
    """With an even number on two machines, otherwise on one; every third one while AWS's lists lag."""
    before, first, second = RACES[name]
    history = account.new()
    for step, arguments in before:
        history.step(step, **arguments)
    if number % 3 == 0:
        history.step("lag", seconds=2.0)
    commands = [(first[0], {"op": 0, **first[1]}), (second[0], {"op": 1 - number % 2, **second[1]})]
    account.kinds[name] += 1
    history.step("race", commands=commands, seed=number)
    history.step("check_one_network")
    history.step("finish", op=number % 2)
