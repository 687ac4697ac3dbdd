"""Storms: a cluster in the sandbox to which things happen while `reconcile` keeps it, by a script or by a seed.

Everything runs in the sandbox's standing time. A second command runs inside a call of the first one, at a chosen moment: two
processes at once, with the same outcome on every machine.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, TypeVar
from unittest.mock import patch

import pytest

from aws_spot_sandbox.ec2 import regions
from aws_spot_sandbox.ec2.machine import PENDING, RUNNING, Machine
from bacalhau_spot.cli.runtime.context import CommandContext
from bacalhau_spot.cli.runtime.runner import Runner
from bacalhau_spot.engine.aws_calls.caller import AwsCalls
from bacalhau_spot.orchestrator.http import HttpOrchestrator, Login
from support.cli_runner import CliResult, CliRunner

T = TypeVar("T")

# Every spot instance costs the same in a region, at all times.
PRICES = {"us-east-1": "0.02", "us-west-2": "0.03", "eu-west-1": "0.05", "ap-southeast-1": "0.04"}
# A volume of 20 GiB and an address are part of a node's cost, and less than this.
BESIDE_USD = Decimal("0.01")


def ask_sandbox_orchestrator(sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands ask the sandbox's own orchestrator; the account has the regions with fixed prices alone."""

    def orchestrator(_context: CommandContext, _runner: Runner, **_options: str) -> HttpOrchestrator:
        return HttpOrchestrator(f"{sandbox.url}/_sandbox/orchestrator", login=Login(None))

    monkeypatch.setattr(CommandContext, "orchestrator", orchestrator)
    monkeypatch.setattr(regions, "ENABLED_BY_DEFAULT", tuple(PRICES))


def fixed_prices(sandbox: Any) -> None:
    sandbox.settings.prices = [{"pool": region, "at": 0, "usd": float(usd)} for region, usd in PRICES.items()]


def machines(sandbox: Any) -> list[Machine]:
    """The living instances of all regions, in the order of their launch. Costs no calls."""
    found = [
        machine
        for region in list(sandbox.server._ec2._regions.values())
        for machine in list(region.machines.values())
        if machine.state in {PENDING, RUNNING}
    ]
    return sorted(found, key=lambda machine: (machine.launched_at, machine.zone, machine.order))


def region_of(machine: Machine) -> str:
    return machine.zone[:-1]


def living(sandbox: Any) -> Counter[str]:
    """The living instances by region."""
    return Counter(map(region_of, machines(sandbox)))


@dataclass
class Watch:
    """What was seen after each call of any command. `asked`: the largest number of nodes asked for so far."""

    sandbox: Any
    budget_usd: Decimal | None = None
    most: int = 0
    dearest_usd: Decimal = Decimal(0)
    calls: int = 0
    during: dict[int, Callable[[], object]] = field(
        default_factory=dict
    )  # by the number of a call: another command

    def look(self) -> None:
        counts = living(self.sandbox)
        self.most = max(self.most, sum(counts.values()))
        usd = sum((Decimal(PRICES[region]) * count for region, count in counts.items()), Decimal(0))
        self.dearest_usd = max(self.dearest_usd, usd)

    @contextmanager
    def watching(self) -> Iterator[Watch]:
        attempt = AwsCalls._attempt

        async def watched(calls: AwsCalls, region: str, call: Any, **options: Any) -> Any:
            self.calls += 1
            other = self.during.pop(self.calls, None)
            if other is not None:
                await asyncio.to_thread(other)
            try:
                return await attempt(calls, region, call, **options)
            finally:
                self.look()

        with patch.object(AwsCalls, "_attempt", watched):
            yield self


class RandomStorm:
    """One cluster from `create` to `destroy`, and what happens to it, all from one seed."""

    def __init__(self, sandbox: Any, user: CliRunner, seed: int) -> None:
        self.sandbox, self.user = sandbox, user
        self.random = random.Random(seed)
        self.regions = self.random.sample(sorted(PRICES), 2)
        self.nodes = self.random.randint(2, 6)
        self.asked = self.nodes
        self.budget_usd = Decimal(0)
        # Another process, on another machine.
        self.other = replace(user, host="there", runs=10_000)
        self.watch = Watch(sandbox)
        self.log: list[str] = []

    def run(self) -> None:
        """Raises AssertionError with the story of the storm."""
        fixed_prices(self.sandbox)
        self._configure(self.nodes)
        # An account without other regions: nothing happens there, and half of the calls would go there.
        with self.watch.watching(), patch.object(regions, "ENABLED_BY_DEFAULT", tuple(self.regions)):
            try:
                self._command("create", "--yes", "--wait", "none")
                for _ in range(self.random.randint(4, 8)):
                    self.random.choice(self._events())()
                    self._passes(self.random.randint(1, 2))
                self._calm()
                self._end()
            except AssertionError as error:
                raise AssertionError("\n".join([str(error), *self.log])) from error

    def _configure(self, nodes: int) -> None:
        self.nodes = nodes
        self.asked = max(self.asked, nodes)
        self.user.configure(nodes=nodes, regions=f"[{', '.join(self.regions)}]", more=self._limits())
        self.log.append(f"configured {nodes} nodes in {', '.join(self.regions)}")

    def _limits(self) -> str:
        dearest = max(Decimal(PRICES[region]) for region in self.regions)
        budget = self._most_paid() * (dearest + BESIDE_USD)
        self.budget_usd = max(self.budget_usd, budget)
        return f"budget_usd_per_hour: {budget}\n"

    def _most_paid(self) -> int:
        return self.nodes

    def _most_nodes(self) -> int:
        """Those asked for, and the batch of a `replace`, whose nodes come before the old ones leave."""
        return self.asked + 1

    def _events(self) -> list[Callable[[], None]]:
        return [
            self._interrupt,
            self._interrupt,
            self._close,
            self._open,
            self._lose_answers,
            self._refuse_calls,
            self._lag,
            self._another_number,
            self._two_at_once,
            self._two_at_once,
            self._create_meanwhile,
            self._scale,
            self._scale_meanwhile,
            self._replace,
            self._destroy_meanwhile,
            self._destroy,
        ]

    # What happens

    def _interrupt(self) -> None:
        there = machines(self.sandbox)
        for machine in self.random.sample(there, min(len(there), self.random.randint(1, 3))):
            notice_s = self.random.choice([1, 120])
            self.sandbox.server.interrupt(region_of(machine), machine.id, notice_s=notice_s)
            self.log.append(f"interrupted {machine.id} in {machine.zone}")

    def _close(self) -> None:
        region = self.random.choice(self.regions)
        self.sandbox.settings.capacity = {region: self.random.choice([0, 1])}
        self.log.append(f"capacity of {region}: {self.sandbox.settings.capacity[region]}")

    def _open(self) -> None:
        self.sandbox.settings.capacity = {}
        self.log.append("capacity everywhere")

    def _lose_answers(self) -> None:
        match = self.random.choice(
            ["CreateFleet", "CreateFleet", "TerminateInstances", "CreateLaunchTemplateVersion"]
        )
        self.sandbox.settings.faults.append(
            {"match": match, "code": "ConnectionReset", "when": "after", "count": self.random.randint(1, 2)}
        )
        self.log.append(f"the answer of {match} gets lost")

    def _refuse_calls(self) -> None:
        code = self.random.choice(["RequestLimitExceeded", "InternalError", "ServiceUnavailable"])
        match = self.random.choice(["ec2:*", "DescribeInstances", "CreateFleet"])
        self.sandbox.settings.faults.append(
            {"match": match, "code": code, "count": self.random.randint(1, 6), "status": 503}
        )
        self.log.append(f"{match}: {code}")

    def _lag(self) -> None:
        self.sandbox.settings.read_lag_s = self.random.choice([0.0, 2.0, 6.0])
        self.log.append(f"reads lag by {self.sandbox.settings.read_lag_s} s")

    # What people and other processes do

    def _another_number(self) -> None:
        self._configure(self.random.randint(2, 6))

    def _two_at_once(self) -> None:
        self._meanwhile("reconcile", "-o", "ndjson")

    def _create_meanwhile(self) -> None:
        self._meanwhile("create", "--yes", "--wait", "none")

    def _scale(self) -> None:
        """The next pass undoes it."""
        self._command(*self._scaling())

    def _scale_meanwhile(self) -> None:
        self._meanwhile(*self._scaling())

    def _scaling(self) -> tuple[str, ...]:
        nodes = self.random.randint(2, 6)
        self.asked = max(self.asked, nodes)
        return ("scale", str(nodes), "--grace", self.random.choice(["0", "60s"]), "--yes")

    def _replace(self) -> None:
        there = [machine.id for machine in machines(self.sandbox)]
        chosen = self.random.sample(there, min(len(there), self.random.randint(1, 2)))
        if chosen:
            order = self.random.choice([(), ("--old-first",)])
            self._command("replace", *chosen, *order, "--grace", "0", "--no-smoke-test", "--yes")

    def _destroy_meanwhile(self) -> None:
        """The pass that it interrupts brings nothing back."""
        self._meanwhile("destroy", "--yes")
        self._passes(1)
        self.watch.during.clear()
        self._command("create", "--yes", "--wait", "none")

    def _meanwhile(self, *argv: str) -> None:
        moment = self.random.randint(1, 30)
        self.watch.during[self.watch.calls + moment] = lambda: self._command(*argv, user=self.other)
        self.log.append(f"in {moment} calls: {' '.join(argv)}")

    def _destroy(self) -> None:
        result = self._command("destroy", "--yes")
        if result.code == 0:
            self._passes(1)
            assert not living(self.sandbox), "a pass after destroy launched nodes"
        self._command("create", "--yes", "--wait", "none")

    def _passes(self, count: int) -> None:
        self._command("reconcile", "--every", "60s", "--passes", str(count), "-o", "ndjson")
        self.sandbox.clock.advance(self.random.choice([5, 60]))

    def _command(self, *argv: str, user: CliRunner | None = None) -> CliResult:
        result = (user or self.user)(*argv)
        words = result.stdout.strip().splitlines()
        said = words[-1][:600] if words else result.stderr.strip()[-600:]
        self.log.append(
            f"{self.sandbox.clock.now():.0f} {' '.join(argv)} -> {result.code}, {dict(living(self.sandbox))}: {said}"
        )
        assert "internal error" not in result.stderr + result.stdout, result.stderr + result.stdout
        return result

    # The end

    def _calm(self) -> None:
        settings = self.sandbox.settings
        settings.capacity, settings.faults, settings.read_lag_s = {}, [], 0.0
        self.watch.during.clear()
        self.sandbox.clock.advance(600)
        self.log.append("calm")
        self._command("reconcile", "--every", "60s", "--passes", "5", "-o", "ndjson")
        self.sandbox.clock.advance(120)
        last = self._command("reconcile", "-o", "ndjson")
        counts = living(self.sandbox)
        assert sum(counts.values()) == self.nodes, f"{dict(counts)} instead of {self.nodes} nodes"
        assert last.code == 0, last.stdout
        assert self.watch.dearest_usd <= self.budget_usd, f"{self.watch.dearest_usd} of {self.budget_usd} USD"
        assert self.watch.most <= self._most_nodes(), (
            f"{self.watch.most} nodes at once, {self.asked} asked for"
        )

    def _end(self) -> None:
        result = self._command("destroy", "--yes")
        assert result.code == 0, result.stdout + result.stderr
        self._passes(1)
        left = self.sandbox.leftovers()
        assert left == [], left


class GroupStorm(RandomStorm):
    """The same with Auto Scaling groups, which launch by themselves, and a replacement ahead of its termination in each."""

    def _limits(self) -> str:
        return f"{super()._limits()}self_heal: true\n"

    def _most_paid(self) -> int:
        return self.nodes + len(self.regions)

    def _most_nodes(self) -> int:
        return self.asked + len(self.regions)

    def _events(self) -> list[Callable[[], None]]:
        return [*(event for event in super()._events() if event != self._replace), self._recommend_rebalance]

    def _recommend_rebalance(self) -> None:
        for machine in self.random.sample(machines(self.sandbox), min(1, len(machines(self.sandbox)))):
            self.sandbox.server.recommend_rebalance(region_of(machine), machine.id)
            self.log.append(f"recommended to replace {machine.id}")
