"""Storms over a cluster that `reconcile` keeps: no command typed, and it is whole again."""

from __future__ import annotations

import json
import os
from functools import partial
from typing import Any

import pytest

from aws_spot_sandbox.ec2.machine import Machine
from support.cli_runner import FOUR_REGIONS, CliRunner
from support.storms import (
    GroupStorm,
    RandomStorm,
    Watch,
    ask_sandbox_orchestrator,
    fixed_prices,
    living,
    machines,
    region_of,
)

# Seeds, first and last: `make storms` runs a thousand.
SEEDS = [int(number) for number in os.environ.get("STORMS", "1-1").split("-")]
# Of self-healing clusters: `make group-storms`.
GROUP_SEEDS = [int(number) for number in os.environ.get("GROUP_STORMS", "1-1").split("-")]


@pytest.fixture
def user(sandbox: Any, program: CliRunner, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    ask_sandbox_orchestrator(sandbox, monkeypatch)
    return program


def test_third_of_the_nodes_and_one_region_lost(sandbox: Any, user: CliRunner) -> None:
    """Twenty nodes in four regions; seven interrupted within ten minutes, one region without capacity for an hour."""
    user.configure(nodes=20, regions=FOUR_REGIONS)
    fixed_prices(sandbox)
    assert user("create", "--yes", "--wait", "running").code == 0
    sandbox.clock.advance(60)
    began = sandbox.clock.now()
    there = machines(sandbox)
    home = [machine for machine in there if region_of(machine) == "us-west-2"]
    others = [machine for machine in there if machine not in home]

    def close() -> None:
        sandbox.settings.capacity = {"us-west-2": 0}

    def interrupt(machine: Machine) -> None:
        sandbox.server.interrupt(region_of(machine), machine.id, notice_s=120)

    sandbox.clock.at(began + 30, close)
    for number, machine in enumerate([*home[:4], *others[::5]]):
        sandbox.clock.at(began + 60 + 80 * number, partial(interrupt, machine))
    sandbox.clock.at(began + 3630, lambda: setattr(sandbox.settings, "capacity", {}))
    watch = Watch(sandbox)
    with watch.watching():
        result = user("reconcile", "--every", "60s", "--passes", "20", "-o", "ndjson")
    rows = [json.loads(line)["data"] for line in result.stdout.splitlines()]
    assert len(rows) == 20, result.stderr + result.stdout[-1500:]
    assert result.code == 0, result.stdout.splitlines()[-1]
    assert sum(living(sandbox).values()) == 20
    assert living(sandbox)["us-west-2"] == 1
    assert rows[-1]["found"]["joined"] == 20
    assert sum(len(row["done"]["launched"]) for row in rows) == 7
    assert watch.most == 20
    idle = [row for row in rows if not row["changed"]]
    assert idle


@pytest.mark.parametrize("seed", range(SEEDS[0], SEEDS[1] + 1))
def test_random_storm(sandbox: Any, user: CliRunner, seed: int) -> None:
    RandomStorm(sandbox, user, seed).run()


@pytest.mark.parametrize("seed", range(GROUP_SEEDS[0], GROUP_SEEDS[1] + 1))
def test_random_storm_over_groups(sandbox: Any, user: CliRunner, seed: int) -> None:
    GroupStorm(sandbox, user, seed).run()
