"""Members that are released are not launched again; members that are reported are replaced."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from bacalhau_spot.cloud.aws import Aws
from bacalhau_spot.core.model import Instance, RegionSpec
from bacalhau_spot.engine.scaling_group.membership import own_members, release, report_unhealthy
from engine.launch.test_interrupted_create import SPEC, calls_of, created

REGION = "us-west-1"
HEALED = replace(SPEC, regions=(RegionSpec(REGION),), nodes=3, self_heal=True)


@pytest.fixture
def members(cloud: Aws, sandbox: Any) -> tuple[Instance, ...]:
    """The nodes of a self-healing cluster."""
    asyncio.run(created(calls_of(cloud, sandbox), HEALED))
    return living(cloud, sandbox)


def living(cloud: Aws, sandbox: Any) -> tuple[Instance, ...]:
    naming = HEALED.naming
    listed = asyncio.run(cloud.instances(REGION, key=naming.tag_key, value=naming.tag_value))
    return tuple(instance for instance in listed if instance.alive)


def desired(sandbox: Any) -> int:
    (row,) = sandbox.client("autoscaling", REGION).describe_auto_scaling_groups()["AutoScalingGroups"]
    return int(row["DesiredCapacity"])


def calls_made(sandbox: Any) -> list[str]:
    return [name for _, name, _ in sandbox.world.calls if name.startswith("autoscaling:")]


def test_a_released_node_runs_on_and_is_not_replaced(
    cloud: Aws, sandbox: Any, members: tuple[Instance, ...]
) -> None:
    calls = calls_of(cloud, sandbox)
    asyncio.run(release(calls, HEALED.naming, members[:2]))
    asyncio.run(release(calls, HEALED.naming, members[:2]))  # again: no members any more
    sandbox.clock.advance(300)
    assert {instance.id for instance in living(cloud, sandbox)} == {instance.id for instance in members}
    asyncio.run(cloud.terminate(REGION, [members[0].id]))
    sandbox.clock.advance(300)
    left = {instance.id for instance in living(cloud, sandbox)}
    assert (desired(sandbox), left) == (1, {instance.id for instance in members[1:]})


def test_of_a_batch_with_a_leaving_node_the_others_are_released(
    cloud: Aws, sandbox: Any, members: tuple[Instance, ...]
) -> None:
    """AWS detaches all or none."""
    asyncio.run(cloud.report_unhealthy(REGION, members[0].id))
    sandbox.clock.advance(1)
    asyncio.run(release(calls_of(cloud, sandbox), HEALED.naming, members))
    sandbox.clock.advance(300)
    new = {instance.id for instance in living(cloud, sandbox)} - {instance.id for instance in members}
    assert (desired(sandbox), len(new)) == (1, 1)  # the replacement of the one that was leaving


def test_a_reported_node_is_replaced(cloud: Aws, sandbox: Any, members: tuple[Instance, ...]) -> None:
    calls = calls_of(cloud, sandbox)
    assert asyncio.run(report_unhealthy(calls, members[:1])) == (members[0].id,)
    sandbox.clock.advance(300)
    now = {instance.id for instance in living(cloud, sandbox)}
    assert (len(now), members[0].id in now) == (3, False)
    assert asyncio.run(report_unhealthy(calls, members[:1])) == ()  # no member any more


def test_a_plain_cluster_costs_no_call(cloud: Aws, sandbox: Any) -> None:
    plain = replace(HEALED, self_heal=False)
    calls = calls_of(cloud, sandbox)
    asyncio.run(created(calls, plain))
    nodes = living(cloud, sandbox)
    asyncio.run(release(calls, HEALED.naming, nodes))
    assert own_members(plain.naming, nodes) == []
    assert calls_made(sandbox) == []
