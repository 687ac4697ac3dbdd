"""The expiry of a cluster with Auto Scaling groups: their scheduled actions decide, and their tags are those of new nodes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bacalhau_spot.core.lifecycle.expiry import (
    NEVER,
    cluster_expiry,
    expiry_time,
    expiry_warnings,
    group_ends,
    keep_expiry,
    move_expiry,
    plan_expiry,
)
from bacalhau_spot.core.model import (
    ORCHESTRATOR_ROLE,
    ROLE_KEY,
    ClusterSpec,
    Instance,
    Naming,
    RegionSpec,
    State,
)
from bacalhau_spot.core.scaling_group.groups import GROUP_TAG, ScalingGroup
from bacalhau_spot.core.tags import EXPIRES_KEY

NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
EARLY, LATE = "2026-11-28T14:00:00Z", "2026-11-28T20:00:00Z"
PAST = "2026-11-28T11:00:00Z"
SPEC = ClusterSpec("cluster", Naming(), (RegionSpec("us-east-1"),), nodes=2, self_heal=True, ttl_s=8 * 3600)


def group(
    tag: str = "", scheduled: str = "", *, size: int = 1, region: str = "us-east-1", propagated: bool = True
) -> ScalingGroup:
    return ScalingGroup(
        "group",
        region,
        desired=size,
        maximum=size,
        tags={EXPIRES_KEY: tag} if tag else {},
        propagated=frozenset({EXPIRES_KEY}) if propagated else frozenset(),
        ends_at=expiry_time(scheduled),
    )


def node(tag: str = "", *, region: str = "us-east-1", orchestrator: bool = False) -> Instance:
    tags = {EXPIRES_KEY: tag} if tag else {}
    tags |= {ROLE_KEY: ORCHESTRATOR_ROLE} if orchestrator else {GROUP_TAG: "group"}
    name = "i-orchestrator" if orchestrator else f"i-{region}"
    return Instance(name, region, f"{region}a", "t3.medium", State.RUNNING, NOW, tags=tags)


@pytest.mark.parametrize(
    ("tag_of_node", "tag_of_group", "scheduled", "expected"),
    [
        (LATE, LATE, LATE, LATE),
        (LATE, LATE, EARLY, EARLY),  # a killed extension
        (NEVER, NEVER, EARLY, EARLY),  # a killed `extend --never`
        (LATE, LATE, "", LATE),  # without the action: the nodes end, and are replaced
        ("", "", EARLY, EARLY),  # a killed first `ttl`
        (EARLY, LATE, LATE, LATE),
        (NEVER, NEVER, "", NEVER),
        ("", "", "", ""),
    ],
)
def test_the_scheduled_action_decides(
    tag_of_node: str, tag_of_group: str, scheduled: str, expected: str
) -> None:
    assert cluster_expiry([node(tag_of_node)], [group(tag_of_group, scheduled)]).value == expected


def test_the_latest_region_counts() -> None:
    groups = [group(LATE, EARLY), group(LATE, LATE, region="eu-west-1")]
    found = cluster_expiry([node(LATE), node(LATE, region="eu-west-1")], groups)
    assert (found.value, found.groups, found.open_groups) == (LATE, (groups[1],), (groups[0],))


def test_the_orchestrator_counts_only_without_nodes_and_groups() -> None:
    assert cluster_expiry([node(LATE, orchestrator=True), node(EARLY)], [group(EARLY, EARLY)]).value == EARLY
    assert cluster_expiry([node(LATE, orchestrator=True)]).value == LATE


@pytest.mark.parametrize(
    ("found", "value", "expected"),
    [
        (group(LATE, LATE), LATE, True),
        (group(LATE), LATE, False),
        (group(LATE, size=0), LATE, True),  # it has ended, or gets its action with its number
        (group(LATE, LATE, propagated=False), LATE, False),
        (group("", LATE), LATE, False),
        (group(NEVER), NEVER, True),
        (group(NEVER, LATE), NEVER, False),
        (replace(group(LATE), ends_at=datetime(2026, 11, 28, 20, 0, 37, tzinfo=UTC)), LATE, True),
    ],
)
def test_a_group_ends_by_its_action_and_its_tag(found: ScalingGroup, value: str, expected: bool) -> None:
    assert group_ends(found, value) is expected


def test_a_new_lifetime_begins_after_the_groups_have_ended() -> None:
    ended = group(PAST, size=0)
    assert cluster_expiry([], [ended]).value == PAST
    planned = plan_expiry(SPEC, [], now=NOW, groups=[ended])
    assert (planned.value, planned.groups) == (LATE, (ended,))
    none = plan_expiry(replace(SPEC, ttl_s=None), [], now=NOW, groups=[ended])
    assert (none.value, none.groups) == (NEVER, (ended,))


def test_a_group_that_lacks_all_nodes_keeps_its_end() -> None:
    assert plan_expiry(SPEC, [], now=NOW, groups=[group(EARLY, EARLY)]).value == EARLY


def test_an_extension_changes_what_differs() -> None:
    right, wrong = group(LATE, LATE), group(LATE, EARLY, region="eu-west-1")
    planned = move_expiry([node(LATE)], expiry_time(LATE), now=NOW, groups=[right, wrong])
    assert (planned.retag, planned.groups, planned.regions) == ((), (wrong,), ("eu-west-1",))
    assert planned.group_in("us-east-1") is None


def test_a_repair_concerns_groups_and_their_nodes() -> None:
    assert keep_expiry([node(LATE)], [group(LATE, LATE)], now=NOW) is None
    assert keep_expiry([node()], [group()], now=NOW) is None
    repair = keep_expiry([node(), node("", orchestrator=True)], [group(LATE)], now=NOW)
    assert repair is not None
    assert ([one.id for one in repair.retag], repair.value) == (["i-us-east-1"], LATE)
    after = NOW + timedelta(hours=9)
    assert keep_expiry([node()], [group(LATE)], now=after) is None


def test_a_group_without_its_action_is_named() -> None:
    (text,) = expiry_warnings(plan_expiry(SPEC, [], now=NOW, groups=[group(EARLY)]))
    assert "us-east-1 has no scheduled action" in text
    assert expiry_warnings(plan_expiry(SPEC, [], now=NOW, groups=[group(EARLY, EARLY)])) == ()
