"""A change of a self-healing cluster's end, cut short at every call: it ends at the old or the new time, as shown."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bacalhau_spot.cloud.aws import Aws
from bacalhau_spot.core.lifecycle.expiry import NEVER, cluster_expiry, group_ends, move_expiry
from bacalhau_spot.core.lifecycle.extension import ExpiryChange
from bacalhau_spot.core.model import RegionSpec
from bacalhau_spot.engine.launch import group_launch
from bacalhau_spot.engine.lifecycle.extend import LivingCluster, change_expiry, find_cluster
from engine.launch.test_interrupted_create import SPEC, calls_of, created
from support.killed_process import Killed, fragile
from support.long_tests import sample

REGION = "us-west-1"
HEALED = replace(SPEC, regions=(RegionSpec(REGION),), nodes=1, self_heal=True, ttl_s=2 * 3600)
SHORT, LONG = timedelta(hours=1), timedelta(hours=4)


def now(sandbox: Any) -> datetime:
    return datetime.fromtimestamp(sandbox.clock.now(), UTC)


def found(cloud: Aws, sandbox: Any) -> LivingCluster:
    return asyncio.run(find_cluster(calls_of(cloud, sandbox), HEALED.naming, healed=(REGION,)))


def extend(cloud: Aws, sandbox: Any, at: datetime | None) -> ExpiryChange:
    cluster = found(cloud, sandbox)
    planned = move_expiry(cluster.instances, at, now=now(sandbox), groups=cluster.groups)
    return asyncio.run(change_expiry(calls_of(cloud, sandbox), HEALED.naming, cluster, planned))


def launches(sandbox: Any) -> dict[str, str]:
    """Id -> state of every instance so far, as far as AWS lists it."""
    rows = sandbox.client("ec2", REGION).describe_instances()["Reservations"]
    return {row["InstanceId"]: row["State"]["Name"] for group in rows for row in group["Instances"]}


def advance(sandbox: Any, until: datetime) -> None:
    while now(sandbox) < until:
        sandbox.clock.advance(min(1200.0, (until - now(sandbox)).total_seconds()))
        sandbox.server.settle()


@pytest.mark.parametrize("at", [1, 2, 3])
@pytest.mark.parametrize("new", [SHORT, LONG, None], ids=["earlier", "later", "never"])
def test_the_shown_end_is_the_real_one_after_a_kill(
    cloud: Aws, sandbox: Any, new: timedelta | None, at: int
) -> None:
    """No node ends before the end that is shown, none lives on after it, and AWS launches none in its place."""
    asyncio.run(created(calls_of(cloud, sandbox), HEALED))
    first, old = now(sandbox), cluster_expiry(found(cloud, sandbox).instances).at
    assert old is not None
    target = None if new is None else (first + new).replace(second=0, microsecond=0)
    with fragile(cloud, at=at, answered=True), contextlib.suppress(Killed):
        extend(cloud, sandbox, target)
    cluster = found(cloud, sandbox)
    shown = cluster_expiry(cluster.instances, cluster.groups)
    assert shown.at in {old, target}
    ids = set(launches(sandbox))
    end = shown.at or first + timedelta(hours=6)
    advance(sandbox, end - timedelta(seconds=1))
    assert launches(sandbox) == dict.fromkeys(ids, "running")
    if shown.at is not None:
        advance(sandbox, end + timedelta(minutes=10))
        assert "running" not in launches(sandbox).values()
        assert set(launches(sandbox)) == ids


@pytest.mark.parametrize("new", [SHORT, LONG, None], ids=["earlier", "later", "never"])
def test_the_same_command_again_completes_the_change(cloud: Aws, sandbox: Any, new: timedelta | None) -> None:
    asyncio.run(created(calls_of(cloud, sandbox), HEALED))
    target = None if new is None else (now(sandbox) + new).replace(second=0, microsecond=0)
    for at in (1, 2, 3):
        with fragile(cloud, at=at, answered=False), contextlib.suppress(Killed):
            extend(cloud, sandbox, target)
    extend(cloud, sandbox, target)
    cluster = found(cloud, sandbox)
    expiry = cluster_expiry(cluster.instances, cluster.groups)
    assert (expiry.at, expiry.differing, expiry.open_groups) == (target, (), ())
    assert target is not None or expiry.value == NEVER
    (group,) = cluster.groups
    assert group_ends(group, expiry.value)
    assert extend(cloud, sandbox, target).planned.changes is False


@pytest.mark.parametrize("at", sample(range(9, 16), every=4))
def test_a_killed_create_leaves_nothing_that_lives_for_ever(cloud: Aws, sandbox: Any, at: int) -> None:
    with fragile(cloud, at=at, answered=True), contextlib.suppress(Killed):
        asyncio.run(created(calls_of(cloud, sandbox), HEALED))
    end = now(sandbox) + timedelta(hours=2, minutes=1)
    advance(sandbox, end)
    before = set(launches(sandbox))
    for _ in range(20):
        advance(sandbox, now(sandbox) + timedelta(minutes=1))
    assert "running" not in launches(sandbox).values()
    assert set(launches(sandbox)) == before


def test_a_create_that_lasts_until_the_end_launches_nothing(
    cloud: Aws, sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The scheduled action runs between the check of the group and its number."""
    asyncio.run(created(calls_of(cloud, sandbox), HEALED))
    before = launches(sandbox)
    suspend = group_launch._set_processes

    async def slowly(*args: Any) -> None:
        advance(sandbox, now(sandbox) + timedelta(hours=2.1))
        await suspend(*args)

    monkeypatch.setattr(group_launch, "_set_processes", slowly)
    asyncio.run(created(calls_of(cloud, sandbox), replace(HEALED, nodes=3)))
    advance(sandbox, now(sandbox) + timedelta(minutes=20))
    assert set(launches(sandbox)) <= set(before)
    (group,) = found(cloud, sandbox).groups
    assert (group.desired, group.maximum) == (0, 0)


def test_a_node_launched_during_the_change_gets_the_new_end(cloud: Aws, sandbox: Any) -> None:
    """AWS has replaced a node after its instances were listed, with the old tag of the group."""
    asyncio.run(created(calls_of(cloud, sandbox), HEALED))
    target = (now(sandbox) + LONG).replace(second=0, microsecond=0)
    cluster = found(cloud, sandbox)
    planned = move_expiry(cluster.instances, target, now=now(sandbox), groups=cluster.groups)
    sandbox.server.interrupt(REGION, next(iter(launches(sandbox))), notice_s=0)
    advance(sandbox, now(sandbox) + timedelta(minutes=5))
    asyncio.run(change_expiry(calls_of(cloud, sandbox), HEALED.naming, cluster, planned))
    after = found(cloud, sandbox)
    expiry = cluster_expiry(after.instances, after.groups)
    assert (expiry.at, expiry.differing, len(expiry.held_by)) == (target, (), 1)
