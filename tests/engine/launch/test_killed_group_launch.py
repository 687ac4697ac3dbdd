"""A self-healing create cut short at every call: the next one completes it, with not one node too many, nothing terminated."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from typing import Any

import pytest

from bacalhau_spot.cloud.aws import Aws
from bacalhau_spot.core.launch.create_result import CreateResult
from bacalhau_spot.core.model import ClusterSpec, RegionSpec
from bacalhau_spot.engine.launch import create
from bacalhau_spot.errors import ExitCode
from engine.launch.test_interrupted_create import SPEC, calls_of, created, destroyed, planned
from support.killed_process import Killed, fragile
from support.long_tests import sample

REGION = "us-west-1"
PLAIN = replace(SPEC, regions=(RegionSpec(REGION),), nodes=3)
HEALED = replace(PLAIN, self_heal=True)


def run(cloud: Aws, sandbox: Any, spec: ClusterSpec) -> CreateResult:
    return asyncio.run(created(calls_of(cloud, sandbox), spec))


def instances(sandbox: Any) -> dict[str, str]:
    """Id -> state of every instance that AWS lists."""
    rows = sandbox.client("ec2", REGION).describe_instances()["Reservations"]
    return {row["InstanceId"]: row["State"]["Name"] for group in rows for row in group["Instances"]}


def desired(sandbox: Any) -> list[int]:
    rows = sandbox.client("autoscaling", REGION).describe_auto_scaling_groups()["AutoScalingGroups"]
    return [row["DesiredCapacity"] for row in rows]


def die(cloud: Aws, sandbox: Any, spec: ClusterSpec, *, at: int, answered: bool) -> None:
    with fragile(cloud, at=at, answered=answered), contextlib.suppress(Killed):
        run(cloud, sandbox, spec)


@pytest.mark.parametrize("answered", [False, True], ids=["before the call", "before its answer"])
@pytest.mark.parametrize("at", sample(range(8, 16), every=8))
def test_killed_at_every_change(cloud: Aws, sandbox: Any, at: int, answered: bool) -> None:
    before = sandbox.leftovers()
    die(cloud, sandbox, HEALED, at=at, answered=answered)
    sandbox.clock.advance(30)
    result = run(cloud, sandbox, HEALED)
    assert result.exit_code is ExitCode.DONE, result.regions
    assert list(instances(sandbox).values()) == ["running"] * 3
    assert desired(sandbox) == [3]
    assert asyncio.run(destroyed(calls_of(cloud, sandbox))).exit_code is ExitCode.DONE
    sandbox.clock.advance(300)
    assert sandbox.leftovers() == before


@pytest.mark.parametrize("answered", [False, True], ids=["before the call", "before its answer"])
@pytest.mark.parametrize("at", sample(range(1, 10), every=5))
def test_a_change_killed_at_every_call_keeps_all_nodes(
    cloud: Aws, sandbox: Any, at: int, answered: bool
) -> None:
    """From plain to self-healing and back, each cut short and repeated."""
    run(cloud, sandbox, PLAIN)
    nodes = instances(sandbox)
    assert len(nodes) == 3
    # A group that was emptied and not yet deleted launches nothing, and no instance shows it any more: destroy deletes it.
    for spec, groups in ((HEALED, [[3]]), (PLAIN, [[], [0]])):
        die(cloud, sandbox, spec, at=at, answered=answered)
        sandbox.clock.advance(300)
        assert run(cloud, sandbox, spec).exit_code is ExitCode.DONE
        sandbox.clock.advance(300)
        assert instances(sandbox) == nodes
        assert desired(sandbox) in groups
    assert asyncio.run(destroyed(calls_of(cloud, sandbox))).exit_code is ExitCode.DONE
    assert desired(sandbox) == []


def test_two_creates_at_once_ask_for_one_cluster(cloud: Aws, sandbox: Any) -> None:
    async def both() -> list[CreateResult]:
        runs = [calls_of(cloud, sandbox) for _ in range(2)]
        plans = [await planned(calls, HEALED) for calls in runs]
        return list(
            await asyncio.gather(
                *(create.apply_plan(calls, *plan) for calls, plan in zip(runs, plans, strict=True))
            )
        )

    results = asyncio.run(both())
    assert [result.exit_code for result in results] == [ExitCode.DONE] * 2
    assert (list(instances(sandbox).values()), desired(sandbox)) == (["running"] * 3, [3])
