"""The tables: verdicts, phases, the deletion graph, tags, back-off."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bacalhau_spot.core.backoff import CAP_S, Bucket, backoff_s
from bacalhau_spot.core.cleanup.deletion_order import KIND_SPECS as KINDS
from bacalhau_spot.core.cleanup.deletion_order import deletable, prerequisites
from bacalhau_spot.core.error_catalog.classifier import classify, most_severe
from bacalhau_spot.core.kinds import ResourceKind
from bacalhau_spot.core.launch.instance_phases import FINAL, TRANSITIONS, Phase, next_phase, phase_of
from bacalhau_spot.core.model import Instance, Naming, Resource, Secret, State
from bacalhau_spot.core.tags import (
    MAX_KEY,
    MAX_TAGS,
    group_name,
    has_tag,
    slug,
    tag_problems,
    tags_for,
    template_name,
)
from bacalhau_spot.errors import ExitCode


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        (["InsufficientInstanceCapacity", "UnauthorizedOperation"], "UnauthorizedOperation"),
        (["InsufficientInstanceCapacity", "MaxSpotInstanceCountExceeded"], "MaxSpotInstanceCountExceeded"),
        (["MaxSpotInstanceCountExceeded", "InvalidAMIID.NotFound"], "InvalidAMIID.NotFound"),
        (["UnfulfillableCapacity", "SpotMaxPriceTooLow"], "SpotMaxPriceTooLow"),
        (["InsufficientInstanceCapacity", "UnfulfillableCapacity"], "InsufficientInstanceCapacity"),
        (["RequestExpired", "UnauthorizedOperation"], "RequestExpired"),
    ],
)
def test_of_several_errors_the_worst_fault_is_told(codes: list[str], expected: str) -> None:
    """It is a capacity problem only if all of them are."""
    assert most_severe(codes) == expected
    assert most_severe(reversed(codes)) == expected


def test_credentials_and_permission_have_their_own_exit_code() -> None:
    """Scripts tell them apart from everything that may be repeated."""
    assert classify("ExpiredToken").exit_code is ExitCode.DENIED
    assert classify("UnauthorizedOperation").exit_code is ExitCode.DENIED
    assert classify("OptInRequired").exit_code is ExitCode.USAGE
    assert classify("InsufficientInstanceCapacity").exit_code is ExitCode.FAILED


def test_final_phases_are_never_left() -> None:
    """A read that lags and shows an older state changes nothing."""
    for phase in FINAL:
        for seen in Phase:
            assert next_phase(phase, seen) is phase
    assert next_phase(Phase.RUNNING, Phase.STARTING) is Phase.RUNNING
    assert {Phase.TERMINATED, Phase.LOST} == FINAL


def test_every_phase_can_come_to_an_end() -> None:
    """From each phase a final one is in reach."""
    for phase, moves in TRANSITIONS.items():
        assert phase in FINAL or moves & FINAL


@pytest.mark.parametrize(
    ("state", "address", "why", "phase"),
    [
        (State.PENDING, None, None, Phase.STARTING),
        (State.RUNNING, None, None, Phase.STARTING),
        (State.RUNNING, "10.0.0.1", None, Phase.RUNNING),
        (State.SHUTTING_DOWN, None, None, Phase.TERMINATING),
        (State.TERMINATED, None, "Client.UserInitiatedShutdown", Phase.TERMINATED),
        (State.TERMINATED, None, "Server.SpotInstanceTermination", Phase.LOST),
    ],
)
def test_a_phase_is_derived_from_what_aws_shows(
    state: State, address: str | None, why: str | None, phase: Phase
) -> None:
    """Running counts only with an address; an end that AWS chose is a loss."""
    instance = Instance(
        id="i-1",
        region="r",
        zone="ra",
        type="t",
        state=state,
        launched_at=datetime(2026, 1, 1, tzinfo=UTC),
        private_ip=address,
        termination_reason=why,
    )
    assert phase_of(instance) is phase


def test_the_deletion_graph_has_every_kind_once_and_no_cycle() -> None:
    """`before` would not end if it had one."""
    assert sorted(row.kind for row in KINDS) == sorted(ResourceKind)
    for kind in ResourceKind:
        assert kind not in prerequisites(kind)


@given(st.sets(st.sampled_from(list(ResourceKind)), min_size=1))
def test_something_is_always_ready_and_never_too_early(kinds: set[ResourceKind]) -> None:
    """Whatever is left, a teardown can go on; and nothing is deleted before what must be gone first."""
    left = [Resource(kind=kind, id=f"{kind}-1", region="r") for kind in kinds]
    now = deletable(left, scanned=kinds)
    assert now
    for resource in now:
        assert not prerequisites(ResourceKind(resource.kind)) & kinds


def test_what_dies_with_its_owner_is_given_the_time_to() -> None:
    """Hundreds of volumes vanish with their instances; only one that a later look still shows is deleted."""
    volume = Resource(kind=ResourceKind.VOLUME, id="vol-1", region="r", state="available")
    assert deletable([volume], scanned=()) == ()
    assert deletable([volume], scanned={ResourceKind.VOLUME}) == (volume,)
    resource = Resource(kind=ResourceKind.INTERFACE, id="eni-1", region="r", state="in-use")
    assert deletable([resource], scanned={ResourceKind.INTERFACE}) == ()


def test_what_is_ending_is_not_asked_to_end_again() -> None:
    """It still holds back what must come after it."""
    left = [
        Resource(kind=ResourceKind.INSTANCE, id="i-1", region="r", state="shutting-down"),
        Resource(kind=ResourceKind.VPC, id="vpc-1", region="r"),
    ]
    assert deletable(left, scanned=set(ResourceKind)) == ()


def test_tags_name_the_cluster_the_creator_and_the_thing() -> None:
    """Every resource carries all three, and the user's own."""
    naming = Naming(extra_tags=(("team", "data"),))
    assert tags_for(naming, "bacalhau-vpc") == {
        "bacalhau-cluster": "bacalhau-aws-spot",
        "CreatedBy": "bacalhau-aws-spot-script",
        "Name": "bacalhau-vpc",
        "team": "data",
    }


def test_ours_is_exact() -> None:
    """Values that differ by case are somebody else's."""
    assert has_tag({"k": "v"}, key="k", value="v")
    assert not has_tag({"k": "V"}, key="k", value="v")
    assert not has_tag({}, key="k", value="v")


@pytest.mark.parametrize(
    ("naming", "field"),
    [
        (Naming(tag_key="aws:mine"), "tag_key"),
        (Naming(tag_key=""), "tag_key"),
        (Naming(tag_key="k" * (MAX_KEY + 1)), "tag_key"),
        (Naming(tag_key="Name"), "tag_key"),
        (Naming(tag_value="  "), "tag_value"),
        (Naming(tag_value="v" * 257), "tag_value"),
        (Naming(creator="a\nb"), "creator"),
        (Naming(vpc_name="semi;colon"), "vpc_name"),
        (Naming(resource_prefix="contains space"), "resource_prefix"),
        (Naming(resource_prefix="dot."), "resource_prefix"),
        (Naming(extra_tags=(("Name", "x"),)), "tags.Name"),
        (Naming(extra_tags=(("AWS:x", "x"),)), "tags.AWS:x"),
        (Naming(extra_tags=tuple((f"k{number}", "v") for number in range(MAX_TAGS))), "tags"),
    ],
)
def test_what_aws_would_refuse_in_a_tag_is_told_beforehand(naming: Naming, field: str) -> None:
    """Lengths, characters, `aws:`, fifty at most (EC2 user guide, "Tag restrictions")."""
    assert [problem.field for problem in tag_problems(naming)] == [field]


def test_the_defaults_have_no_problem() -> None:
    """A newcomer's names are fine as they are."""
    assert tag_problems(Naming()) == ()


@given(st.text(min_size=1, max_size=256), st.text(min_size=1, max_size=127))
def test_names_fit_every_kind_of_aws_name(value: str, key: str) -> None:
    """A launch template's name has 128 characters at most, of a few kinds; a group's 255."""
    naming = Naming(tag_key=key, tag_value=value)
    for name in (template_name(naming), group_name(naming)):
        assert 3 <= len(name) <= 128
        assert all(letter.isascii() and (letter.isalnum() or letter in "-_") for letter in name)


@given(st.text(max_size=64), st.text(max_size=64))
def test_distinct_clusters_have_distinct_names(first: str, other: str) -> None:
    """Even where their values look alike once only letters are left."""
    assert (slug(Naming(tag_value=first)) == slug(Naming(tag_value=other))) == (first == other)


@given(st.integers(1, 50), st.floats(0, 0.999))
def test_backoff_grows_to_a_bound(attempt: int, jitter: float) -> None:
    """Never more than the cap and a quarter, never nothing."""
    assert 0 < backoff_s(attempt, jitter=jitter) <= CAP_S * 1.25


def test_a_bucket_lets_a_burst_through_and_then_its_rate() -> None:
    """Like AWS's, but below them."""
    bucket = Bucket.full(burst=3, per_s=2)
    waits = []
    for _ in range(5):
        bucket, wait_s = bucket.take(100.0)
        waits.append(wait_s)
    assert waits == [0.0, 0.0, 0.0, 0.5, 1.0]


def test_a_secret_does_not_show() -> None:
    """Neither printed, nor formatted, nor in a traceback's repr."""
    secret = Secret("hunter2")
    assert "hunter2" not in f"{secret} {secret!r} {[secret]}"
    assert secret.reveal() == "hunter2"
