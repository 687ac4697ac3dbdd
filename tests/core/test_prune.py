"""Which nodes the orchestrator may forget: the whole table, and what is never in it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bacalhau_spot.core.members import Member, Membership
from bacalhau_spot.core.model import Instance, State
from bacalhau_spot.core.prune import Forgotten, Judged, Why, belongs, decide, doubtful, exit_code
from bacalhau_spot.core.receipt import Problem
from bacalhau_spot.errors import ExitCode

REGION = "us-east-1"
DARK = Problem("UnauthorizedOperation", "no", "DescribeInstances", "eu-west-1")
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def member(
    number: int = 1, *, connected: bool = False, region: str = REGION, cluster: str = "c", **labels: str
) -> Member:
    ours = {"provider": "aws", "cluster": cluster, "instance-id": f"i-{number:017x}", "region": region}
    return Member(
        f"n-{number}", connected=connected, membership=Membership.APPROVED, labels={**ours, **labels}
    )


def instance(number: int, state: State, *, region: str = REGION) -> Instance:
    return Instance(f"i-{number:017x}", region, f"{region}a", "t3.medium", state, NOW)


@pytest.mark.parametrize(
    ("one", "shown", "why"),
    [
        (member(connected=True), None, Why.CONNECTED),
        (member(connected=True), State.TERMINATED, Why.CONNECTED),
        (member(), State.PENDING, Why.ALIVE),
        (member(), State.RUNNING, Why.ALIVE),
        (member(), State.STOPPING, Why.ALIVE),
        (member(), State.STOPPED, Why.ALIVE),
        (member(), State.SHUTTING_DOWN, Why.ENDED),
        (member(), State.TERMINATED, Why.ENDED),
        (member(), None, Why.UNKNOWN),
        (member(region="eu-west-1"), None, Why.UNSEEN),
        (member(region="eu-west-1"), State.TERMINATED, Why.ENDED),
        (member(region="mars-1"), None, Why.UNSEEN),
        (member(region=""), None, Why.UNSEEN),
    ],
)
def test_a_node_is_judged_by_its_connection_its_instance_and_what_could_be_seen(
    one: Member, shown: State | None, why: Why
) -> None:
    """us-east-1 was looked into, eu-west-1 could not be."""
    instances = {} if shown is None else {one.instance_id: instance(1, shown)}
    found = decide([one], cluster="c", instances=instances, looked_into=[REGION], unseen=[DARK])
    assert [judged.why for judged in found.judged] == [why]


def test_a_node_that_does_not_say_where_it_is_goes_only_when_every_region_was_seen() -> None:
    found = decide([member(region="")], cluster="c", instances={}, looked_into=[REGION])
    assert [judged.why for judged in found.judged] == [Why.UNKNOWN]


@pytest.mark.parametrize(
    "stranger",
    [
        member(cluster="d"),
        member(cluster="C"),
        member(provider="gcp"),
        replace(member(), labels={"provider": "aws", "cluster": "c"}),
        replace(member(), labels={"provider": "aws", "cluster": "c", "instance-id": "i-xyz"}),
        Member("n", connected=False, membership=Membership.APPROVED),
    ],
)
def test_a_node_of_another_origin_is_not_even_looked_at(stranger: Member) -> None:
    found = decide([stranger, member(2)], cluster="c", instances={}, looked_into=[REGION])
    assert [judged.member.id for judged in found.judged] == ["n-2"]
    assert found.others == 1
    assert doubtful([stranger], cluster="c") == ()


def test_aws_is_asked_about_the_disconnected_nodes_only() -> None:
    asked = doubtful([member(1, connected=True), member(2), member(3, cluster="d")], cluster="c")
    assert asked == (f"i-{2:017x}",)


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


@given(nodes=st.lists(_MEMBERS), instances=_INSTANCES, blind=st.booleans())
def test_nothing_that_may_live_is_ever_forgotten(
    nodes: list[Member], instances: list[Instance], blind: bool
) -> None:
    shown = {one.id: one for one in instances}
    looked_into = [REGION] if blind else [REGION, "eu-west-1"]
    found = decide(
        nodes, cluster="c", instances=shown, looked_into=looked_into, unseen=[DARK] if blind else []
    )
    for one in found.gone:
        assert belongs(one.member, cluster="c") and not one.member.connected
        known = shown.get(one.member.instance_id)
        assert known is None or known.state in {State.TERMINATED, State.SHUTTING_DOWN}
        assert known is not None or one.region in {*looked_into, *([] if blind else [""])}


REFUSED = Problem("OrchestratorForbidden", "no", "http://o:1234", "")
BROKEN = Problem("OrchestratorAnswer", "no", "http://o:1234", "")


@pytest.mark.parametrize(
    ("forgotten", "blind", "code"),
    [
        (None, False, ExitCode.DONE),
        (None, True, ExitCode.BLIND),
        (Forgotten("o", removed=("n",)), False, ExitCode.DONE),
        (Forgotten("o", removed=("n",)), True, ExitCode.BLIND),
        (Forgotten("o", failed=(("n", REFUSED),)), True, ExitCode.DENIED),
        (Forgotten("o", failed=(("n", BROKEN),)), False, ExitCode.FAILED),
        (Forgotten("o", left=("n",)), False, ExitCode.FAILED),
        (Forgotten("o", left=("n",), interrupted=True), False, ExitCode.INTERRUPTED),
    ],
)
def test_how_it_ends(forgotten: Forgotten | None, blind: bool, code: ExitCode) -> None:
    found = decide([], cluster="c", instances={}, looked_into=[], unseen=[DARK] if blind else [])
    assert exit_code(found, forgotten) is code


def test_a_node_is_told_by_its_region() -> None:
    assert Judged(member(), Why.ENDED).region == REGION
