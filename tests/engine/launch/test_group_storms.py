"""Random storms over a self-healing cluster: interruptions, refusals, kills and creates end with exactly the asked number."""

from __future__ import annotations

import asyncio
import contextlib
import random
from dataclasses import replace
from typing import Any

import pytest

from bacalhau_spot.cloud.aws import Aws
from bacalhau_spot.core.model import RegionSpec
from bacalhau_spot.errors import ExitCode
from engine.launch.test_interrupted_create import SPEC, calls_of, created, destroyed
from support.killed_process import Killed, fragile
from support.long_tests import sample

REGIONS = ("us-west-1", "eu-west-1")
NODES = 4
HEALED = replace(SPEC, regions=tuple(RegionSpec(name) for name in REGIONS), nodes=NODES, self_heal=True)


def living(sandbox: Any) -> list[tuple[str, str]]:
    """Region and id of the nodes."""
    states = {"Name": "instance-state-name", "Values": ["pending", "running"]}
    return [
        (region, row["InstanceId"])
        for region in REGIONS
        for group in sandbox.client("ec2", region).describe_instances(Filters=[states])["Reservations"]
        for row in group["Instances"]
    ]


def desired(sandbox: Any) -> int:
    return sum(
        row["DesiredCapacity"]
        for region in REGIONS
        for row in sandbox.client("autoscaling", region).describe_auto_scaling_groups()["AutoScalingGroups"]
    )


@pytest.mark.parametrize("seed", sample(range(34), every=34))
def test_a_storm_ends_with_exactly_the_asked_number(cloud: Aws, sandbox: Any, seed: int) -> None:
    chance = random.Random(seed)
    before = sandbox.leftovers()
    asyncio.run(created(calls_of(cloud, sandbox), HEALED))
    for _ in range(8):
        move = chance.choice(("interrupt", "capacity", "create", "kill", "time"))
        nodes = living(sandbox)
        if move == "interrupt" and nodes:
            region, name = chance.choice(nodes)
            sandbox.server.interrupt(region, name, notice_s=chance.choice((0, 120)))
        elif move == "capacity":
            full = chance.choice((*REGIONS, ""))
            sandbox.settings.capacity = {full: 0} if full else {}
        elif move == "kill":
            with fragile(cloud, at=chance.randint(1, 6), answered=True), contextlib.suppress(Killed):
                asyncio.run(created(calls_of(cloud, sandbox), HEALED))
        elif move == "create":
            asyncio.run(created(calls_of(cloud, sandbox), HEALED))
        assert desired(sandbox) <= NODES
        assert len(living(sandbox)) <= NODES + len(REGIONS), (
            "AWS launches one more in a region while it rebalances"
        )
        sandbox.clock.advance(chance.choice((1, 60, 400)))
    sandbox.settings.capacity = {}
    sandbox.clock.advance(900)
    assert asyncio.run(created(calls_of(cloud, sandbox), HEALED)).exit_code is ExitCode.DONE
    sandbox.clock.advance(300)
    assert (desired(sandbox), len(living(sandbox))) == (NODES, NODES)
    assert asyncio.run(destroyed(calls_of(cloud, sandbox))).exit_code is ExitCode.DONE
    sandbox.clock.advance(300)
    assert sandbox.leftovers() == before
