"""The plan of a pass: nothing where nothing is wrong, and never more than is safe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from bacalhau_spot.core.health.cluster_status import ClusterSnapshot, ClusterStatus, cluster_status
from bacalhau_spot.core.health.observation import ApiAvailability
from bacalhau_spot.core.launch.create_result import CreateResult, PoolFailure, RegionResult
from bacalhau_spot.core.lifecycle.expiry import ExpiryKind, ExpiryReason
from bacalhau_spot.core.model import (
    ClusterSpec,
    Instance,
    Naming,
    OrchestratorMode,
    OrchestratorSpec,
    RegionSpec,
    Spread,
    State,
    Timeouts,
)
from bacalhau_spot.core.orchestrator.orchestrator_nodes import NodeListing
from bacalhau_spot.core.problem import ApiFailure
from bacalhau_spot.core.reconcile.reconcile_plan import ReconcilePlan, reconcile_plan
from bacalhau_spot.core.reconcile.region_backoff import RegionBackoff, launch_spec
from bacalhau_spot.core.reconcile.unhealthy import Protection
from bacalhau_spot.core.tags import DRAIN_KEY, EXPIRES_KEY
from support.health import MINUTE, NOW, member, node

EAST, WEST = "us-east-1", "us-west-2"


def spec(nodes: int = 12, **values: Any) -> ClusterSpec:
    found = ClusterSpec(
        name="bacalhau-aws-spot",
        naming=Naming(),
        regions=(RegionSpec(EAST), RegionSpec(WEST)),
        nodes=nodes,
        orchestrator=OrchestratorSpec(OrchestratorMode.OWN),
    )
    return replace(found, **values)


def cluster(count: int = 12, **values: Any) -> list[Instance]:
    """Half of them in each region, all older than the deadlines."""
    values = {"age": 60 * MINUTE, **values}
    return [node(number, region=(EAST, WEST)[number % 2], **values) for number in range(count)]


def status(
    instances: Sequence[Instance],
    *,
    of: ClusterSpec | None = None,
    lost: dict[str, timedelta] | None = None,
    unlisted: Sequence[str] = (),
    api: ApiAvailability = ApiAvailability.AVAILABLE,
    started: timedelta = 60 * MINUTE,
    **values: Any,
) -> ClusterStatus:
    """`lost`: disconnected for so long. `unlisted`: never joined. `started`: the age of the orchestrator's process."""
    lost = lost or {}
    nodes = tuple(
        member(instance)
        if instance.id not in lost
        else member(
            instance,
            connected=False,
            since=NOW - lost[instance.id],
            last_heartbeat_at=NOW - lost[instance.id],
            last_error="heartbeat timeout",
        )
        for instance in instances
        if instance.id not in unlisted
    )
    snapshot = ClusterSnapshot(
        taken_at=NOW,
        instances=tuple(instances),
        listing=NodeListing(nodes, started_at=NOW - started, answered_at=NOW)
        if api is ApiAvailability.AVAILABLE
        else NodeListing(),
        api=api,
        regions_scanned=(EAST, WEST),
        **values,
    )
    return cluster_status(
        snapshot, cluster="c", label="bacalhau-aws-spot", timeouts=Timeouts(), spec=of or spec()
    )


def replaced(plan: ReconcilePlan) -> list[str]:
    return [found.instance.id for found in plan.replace]


def test_complete_cluster_has_an_empty_plan() -> None:
    assert reconcile_plan(status(cluster()), spec()).empty


def test_missing_nodes_are_launched() -> None:
    plan = reconcile_plan(status(cluster(9)), spec())
    assert (plan.missing, plan.launch, plan.drain) == (3, 3, ())


def test_nothing_is_launched_while_a_configured_region_is_not_scanned() -> None:
    failure = ApiFailure(code="RequestTimeout", message="", operation="DescribeInstances", region=WEST)
    found = status([one for one in cluster() if one.region == EAST], failed_regions=(failure,))
    plan = reconcile_plan(found, spec())
    assert (plan.missing, plan.launch, plan.not_scanned, plan.empty) == (6, 0, (WEST,), True)


def test_a_node_of_a_region_that_was_not_scanned_is_not_pruned() -> None:
    """Its instance may be running: only a region that was read can show that it has ended."""
    ended = [replace(one, state=State.TERMINATED) for one in cluster()]
    lost = {one.id: 60 * MINUTE for one in ended}
    assert len(reconcile_plan(status(ended, lost=lost), spec()).stale) == 12
    failure = ApiFailure(code="RequestTimeout", message="", operation="DescribeInstances", region=WEST)
    plan = reconcile_plan(status(ended, lost=lost, failed_regions=(failure,)), spec())
    assert len(plan.stale) == 6


def test_lost_node_is_replaced_after_ten_minutes() -> None:
    there = cluster()
    for minutes, expected in ((9, []), (11, [there[3].id])):
        found = status(there, lost={there[3].id: minutes * MINUTE})
        assert replaced(reconcile_plan(found, spec())) == expected


def test_node_that_never_joined_is_replaced() -> None:
    there = cluster()
    assert replaced(reconcile_plan(status(there, unlisted=[there[2].id]), spec())) == [there[2].id]
    young = [*there[:11], node(11, region=WEST, age=3 * MINUTE)]
    assert reconcile_plan(status(young, unlisted=[young[11].id]), spec()).empty


@pytest.mark.parametrize(
    ("lost", "options", "reason"),
    [
        (1, {"started": 5 * MINUTE}, Protection.ORCHESTRATOR_RESTARTED),
        (5, {}, Protection.MANY_AWAY),
        (12, {}, Protection.NONE_JOINED),
    ],
)
def test_unhealthy_nodes_are_kept_where_the_reason_is_not_theirs(
    lost: int, options: dict[str, Any], reason: Protection
) -> None:
    there = cluster()
    found = status(there, lost={one.id: 20 * MINUTE for one in there[:lost]}, **options)
    plan = reconcile_plan(found, spec())
    assert (plan.protected, plan.replace) == (reason, ())


def test_no_node_is_replaced_while_the_orchestrator_does_not_answer() -> None:
    found = status(cluster(), api=ApiAvailability.UNAVAILABLE)
    assert reconcile_plan(found, spec()).replace == ()


def test_tenth_of_the_cluster_is_replaced_at_once() -> None:
    there = cluster(30)
    found = status(there, of=spec(30), lost={one.id: 20 * MINUTE for one in there[:8]})
    plan = reconcile_plan(found, spec(30))
    assert (len(plan.unhealthy), len(plan.replace)) == (8, 3)


def test_surplus_nodes_drain_unhealthy_ones_first() -> None:
    there = cluster(14)
    found = status(there, lost={there[0].id: 20 * MINUTE})
    plan = reconcile_plan(found, spec())
    assert {one.id for one in plan.drain} == {there[0].id, there[13].id}
    assert plan.replace == ()


def test_draining_nodes_are_the_surplus() -> None:
    tags = {DRAIN_KEY: f"{NOW + 5 * MINUTE:%Y-%m-%dT%H:%M:%SZ}"}
    there = [
        *cluster(12),
        *(node(one, region=(EAST, WEST)[one % 2], tags=tags, metadata_tags=True) for one in (12, 13)),
    ]
    plan = reconcile_plan(status(there), spec())
    assert plan.empty
    assert [one.id for one in plan.draining] == [
        one.id for one in sorted(there[12:], key=lambda one: one.region)
    ]


def test_node_that_does_not_end_its_drain_is_overdue() -> None:
    tags = {DRAIN_KEY: f"{NOW - 5 * MINUTE:%Y-%m-%dT%H:%M:%SZ}"}
    there = [*cluster(11), node(11, region=WEST, tags=tags, metadata_tags=True)]
    assert [one.id for one in reconcile_plan(status(there), spec()).overdue] == [there[11].id]


def test_cluster_whose_time_is_over_is_deleted_and_not_repaired() -> None:
    """The nodes have ten minutes to end themselves."""
    for minutes, ended in ((1, None), (11, ExpiryReason(ExpiryKind.LIFETIME, NOW - 11 * MINUTE))):
        tags = {EXPIRES_KEY: f"{NOW - minutes * MINUTE:%Y-%m-%dT%H:%M:%SZ}"}
        plan = reconcile_plan(status(cluster(9, tags=tags)), spec())
        assert (plan.expired, plan.launch, plan.ended, plan.empty) == (True, 0, ended, ended is None)


def test_idle_cluster_is_deleted_and_not_repaired() -> None:
    limited = spec(idle_ttl_s=1800)
    found = status(cluster(9), of=limited)
    for minutes, expired in ((29, False), (30, True)):
        plan = reconcile_plan(found, limited, idle_from=NOW - minutes * MINUTE)
        assert (plan.expired, plan.ended is not None, plan.launch == 0) == (expired,) * 3
    assert not reconcile_plan(found, limited).expired


def test_terminated_nodes_are_neither_drained_nor_replaced() -> None:
    there = [*cluster(12), node(12, region=EAST, state=State.TERMINATED)]
    plan = reconcile_plan(status(there, lost={there[12].id: 20 * MINUTE}), spec())
    assert (plan.drain, plan.replace, plan.stale) == ((), (), (f"bacalhau-{there[12].id}",))


# Regions that refuse


def answer(**launched: int) -> CreateResult:
    """Three nodes asked for in each region."""
    refusal = PoolFailure("t3.medium", "a", "InsufficientInstanceCapacity", "")
    regions = tuple(
        RegionResult(
            name.replace("_", "-"),
            requested=3,
            launched=tuple(f"i-{number}" for number in range(count)),
            pool_failures=() if count == 3 else (refusal,),
        )
        for name, count in launched.items()
    )
    return CreateResult("c", wanted=6, existing=0, regions=regions)


def test_refusing_region_is_asked_later_and_later() -> None:
    backoff, now = RegionBackoff(), NOW
    waits = []
    for _ in range(5):
        backoff = backoff.after(answer(us_east_1=3, us_west_2=1), now=now)
        until = backoff.closed(now)[WEST]
        waits.append((until - now) / MINUTE)
        assert list(backoff.closed(now)) == [WEST]
        now = until
        assert backoff.closed(now) == {}
    assert waits == [2, 4, 8, 15, 15]
    assert backoff.after(answer(us_west_2=3), now=now).closed(now) == {}


def test_nodes_of_a_closed_region_belong_to_the_open_ones() -> None:
    there = [one for one in cluster(12) if one.region == EAST]
    moved = launch_spec(spec(12), there, closed=[WEST])
    assert {region.name: region.nodes for region in moved.regions} == {EAST: 12, WEST: 0}
    strict = launch_spec(spec(12, spread=Spread.STRICT), there, closed=[WEST])
    assert {region.name: region.nodes for region in strict.regions} == {EAST: 6, WEST: 0}
    assert launch_spec(spec(12), there, closed=[]) == spec(12)


def test_pass_waits_while_every_region_refuses() -> None:
    closed = {EAST: NOW + MINUTE, WEST: NOW + MINUTE}
    plan = reconcile_plan(status(cluster(9)), spec(), closed=closed)
    assert (plan.missing, plan.launch, plan.empty) == (3, 0, True)
