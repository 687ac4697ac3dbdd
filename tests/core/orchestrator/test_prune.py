"""Which nodes the orchestrator may forget: the whole table, and what is never in it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bacalhau_spot.core.model import Instance, State
from bacalhau_spot.core.orchestrator.orchestrator_nodes import Membership, OrchestratorNode
from bacalhau_spot.core.orchestrator.prune import (
    PruneDecision,
    PruneReason,
    PruneResult,
    instances_to_check,
    is_cluster_node,
    plan_prune,
    prune_exit_code,
)
from bacalhau_spot.core.problem import ApiFailure
from bacalhau_spot.errors import ExitCode

REGION = "us-east-1"
DARK = ApiFailure("UnauthorizedOperation", "no", "DescribeInstances", "eu-west-1")
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def member(
    number: int = 1, *, connected: bool = False, region: str = REGION, cluster: str = "c", **labels: str
) -> OrchestratorNode:
    node_labels = {"provider": "aws", "cluster": cluster, "instance-id": f"i-{number:017x}", "region": region}
    return OrchestratorNode(
        f"n-{number}", connected=connected, membership=Membership.APPROVED, labels={**node_labels, **labels}
    )


def instance(number: int, state: State, *, region: str = REGION) -> Instance:
    return Instance(f"i-{number:017x}", region, f"{region}a", "t3.medium", state, NOW)


@pytest.mark.parametrize(
    ("member_node", "shown", "why"),
    [
        (member(connected=True), None, PruneReason.CONNECTED),
        (member(connected=True), State.TERMINATED, PruneReason.CONNECTED),
        (member(), State.PENDING, PruneReason.ALIVE),
        (member(), State.RUNNING, PruneReason.ALIVE),
        (member(), State.STOPPING, PruneReason.ALIVE),
        (member(), State.STOPPED, PruneReason.ALIVE),
        (member(), State.SHUTTING_DOWN, PruneReason.TERMINATED),
        (member(), State.TERMINATED, PruneReason.TERMINATED),
        (member(), None, PruneReason.UNKNOWN),
        (member(region="eu-west-1"), None, PruneReason.REGION_FAILED),
        (member(region="eu-west-1"), State.TERMINATED, PruneReason.TERMINATED),
        (member(region="mars-1"), None, PruneReason.REGION_FAILED),
        (member(region=""), None, PruneReason.REGION_FAILED),
    ],
)
def test_a_node_is_judged_by_its_connection_its_instance_and_what_could_be_seen(
    member_node: OrchestratorNode, shown: State | None, why: PruneReason
) -> None:
    """us-east-1 was scanned, eu-west-1 could not be."""
    instances = {} if shown is None else {member_node.instance_id: instance(1, shown)}
    plan = plan_prune(
        [member_node], cluster="c", instances=instances, regions_scanned=[REGION], failed_regions=[DARK]
    )
    assert [decision.reason for decision in plan.decisions] == [why]


def test_a_node_that_does_not_say_where_it_is_goes_only_when_every_region_was_seen() -> None:
    plan = plan_prune([member(region="")], cluster="c", instances={}, regions_scanned=[REGION])
    assert [decision.reason for decision in plan.decisions] == [PruneReason.UNKNOWN]


@pytest.mark.parametrize(
    "stranger",
    [
        member(cluster="d"),
        member(cluster="C"),
        member(provider="gcp"),
        replace(member(), labels={"provider": "aws", "cluster": "c"}),
        replace(member(), labels={"provider": "aws", "cluster": "c", "instance-id": "i-xyz"}),
        OrchestratorNode("n", connected=False, membership=Membership.APPROVED),
    ],
)
def test_a_node_of_another_origin_is_not_even_looked_at(stranger: OrchestratorNode) -> None:
    plan = plan_prune([stranger, member(2)], cluster="c", instances={}, regions_scanned=[REGION])
    assert [decision.member.id for decision in plan.decisions] == ["n-2"]
    assert plan.others == 1
    assert instances_to_check([stranger], cluster="c") == ()


def test_aws_is_asked_only_when_a_node_of_ours_is_disconnected() -> None:
    """Then about all of ours: the connected ones show whether this is their account."""
    assert instances_to_check([member(1, connected=True), member(3, cluster="d")], cluster="c") == ()
    instance_ids = instances_to_check(
        [member(2), member(1, connected=True), member(3, cluster="d")], cluster="c"
    )
    assert instance_ids == (f"i-{1:017x}", f"i-{2:017x}")


def test_in_another_account_what_aws_does_not_show_proves_nothing() -> None:
    """A wrong profile knows none of the instances, those of connected nodes neither."""
    nodes = [member(1, connected=True), member(2)]
    plan = plan_prune(nodes, cluster="c", instances={}, regions_scanned=[REGION])
    assert [decision.reason for decision in plan.decisions] == [PruneReason.CONNECTED, PruneReason.ELSEWHERE]
    assert prune_exit_code(plan, None) is ExitCode.INCOMPLETE
    here = {f"i-{1:017x}": instance(1, State.RUNNING)}
    plan = plan_prune(nodes, cluster="c", instances=here, regions_scanned=[REGION])
    assert [decision.reason for decision in plan.decisions] == [PruneReason.CONNECTED, PruneReason.UNKNOWN]


_MEMBERS = st.builds(
    lambda number, connected, region, cluster, provider: replace(
        member(number, connected=connected, region=region, cluster=cluster, provider=provider)
    ),
    st.integers(1, 6),
    st.booleans(),
    st.sampled_from([REGION, "eu-west-1", ""]),
    st.sampled_from(["c", "d"]),
    st.sampled_from(["aws", "gcp"]),
)
_INSTANCES = st.lists(
    st.builds(
        instance, st.integers(1, 6), st.sampled_from(State), region=st.sampled_from([REGION, "us-west-2"])
    )
)


@given(nodes=st.lists(_MEMBERS), instances=_INSTANCES, unreadable=st.booleans())
def test_nothing_that_may_live_is_ever_forgotten(
    nodes: list[OrchestratorNode], instances: list[Instance], unreadable: bool
) -> None:
    shown = {instance.id: instance for instance in instances}
    looked_into = [REGION] if unreadable else [REGION, "eu-west-1"]
    plan = plan_prune(
        nodes,
        cluster="c",
        instances=shown,
        regions_scanned=looked_into,
        failed_regions=[DARK] if unreadable else [],
    )
    connected = [node for node in nodes if is_cluster_node(node, cluster="c") and node.connected]
    at_home = not connected or any(node.instance_id in shown for node in connected)
    for decision in plan.stale:
        assert is_cluster_node(decision.member, cluster="c") and not decision.member.connected
        known = shown.get(decision.member.instance_id)
        assert known is None or known.state in {State.TERMINATED, State.SHUTTING_DOWN}
        assert known is not None or at_home
        assert known is not None or decision.region in {*looked_into, *([] if unreadable else [""])}


REFUSED = ApiFailure("OrchestratorForbidden", "no", "http://o:1234", "")
BROKEN = ApiFailure("OrchestratorAnswer", "no", "http://o:1234", "")


@pytest.mark.parametrize(
    ("forgotten", "unreadable", "code"),
    [
        (None, False, ExitCode.DONE),
        (None, True, ExitCode.INCOMPLETE),
        (PruneResult("o", removed=("n",)), False, ExitCode.DONE),
        (PruneResult("o", removed=("n",)), True, ExitCode.INCOMPLETE),
        (PruneResult("o", failed=(("n", REFUSED),)), True, ExitCode.DENIED),
        (PruneResult("o", failed=(("n", BROKEN),)), False, ExitCode.FAILED),
        (PruneResult("o", not_removed=("n",)), False, ExitCode.FAILED),
        (PruneResult("o", not_removed=("n",), interrupted=True), False, ExitCode.INTERRUPTED),
    ],
)
def test_how_it_ends(forgotten: PruneResult | None, unreadable: bool, code: ExitCode) -> None:
    plan = plan_prune(
        [], cluster="c", instances={}, regions_scanned=[], failed_regions=[DARK] if unreadable else []
    )
    assert prune_exit_code(plan, forgotten) is code


def test_a_node_is_told_by_its_region() -> None:
    assert PruneDecision(member(), PruneReason.TERMINATED).region == REGION
