"""Whose word counts about an instance's life."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from bacalhau_spot.core.model import (
    ORCHESTRATOR_ROLE,
    ROLE_KEY,
    Instance,
    Resource,
    SpotRequest,
    State,
)
from bacalhau_spot.core.pricing.usage_history import AwsInventory, LoggedInstance, usage_history

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
WHERE = ("us-east-1", "us-east-1a", "t3.medium")


def ago(**span: float) -> datetime:
    return NOW - timedelta(**span)


ALIVE = Instance("i-1", *WHERE, State.RUNNING, ago(hours=5), public_ip="127.0.0.1", spot_request_id="sir-1")
OVER = replace(ALIVE, state=State.TERMINATED, public_ip=None)
REQUEST = SpotRequest(
    "sir-1", *WHERE, "closed", "instance-terminated-by-user", ago(hours=5), ago(hours=2), "i-1"
)
NOTED = LoggedInstance("i-1", *WHERE, started_at=ago(hours=5), seen_at=ago(hours=4), ended_at=ago(hours=1))


def only(seen: AwsInventory, *sightings: LoggedInstance) -> tuple[datetime | None, bool, bool]:
    """End, whether EC2 took it back, whether the end is known; of the one life that there is."""
    history = usage_history(seen, sightings, root_volume_gib=20, now=NOW)
    (usage,) = history.usages
    assert usage.started_at == ago(hours=5)
    return usage.ended_at, usage.interrupted, not history.unknown_end_ids


def test_the_instance_goes_before_its_request_and_that_before_the_log() -> None:
    with_time = replace(OVER, terminated_at=ago(hours=3))
    assert only(AwsInventory((ALIVE,), (REQUEST,)), NOTED) == (None, False, True)
    assert only(AwsInventory((with_time,), (REQUEST,)), NOTED) == (ago(hours=3), False, True)
    assert only(AwsInventory((OVER,), (REQUEST,)), NOTED) == (ago(hours=2), False, True)
    assert only(AwsInventory((OVER,)), NOTED) == (ago(hours=1), False, True)
    assert only(AwsInventory((OVER,))) == (NOW, False, False)


def test_what_the_request_still_knows() -> None:
    """The instance is forgotten; its request says when it ended, and by whom."""
    assert only(AwsInventory(requests=(REQUEST,))) == (ago(hours=2), False, True)
    for code in ("instance-terminated-no-capacity", "instance-terminated-by-price"):
        assert only(AwsInventory(requests=(replace(REQUEST, status=code),))) == (ago(hours=2), True, True)
    cancelled = replace(REQUEST, status="request-canceled-and-instance-running")
    assert only(AwsInventory(requests=(cancelled,))) == (ago(hours=2), False, False)
    assert only(AwsInventory(requests=(cancelled,)), NOTED) == (ago(hours=1), False, True)


def test_what_only_the_log_knows() -> None:
    assert only(AwsInventory(), NOTED) == (ago(hours=1), False, True)
    assert only(AwsInventory(), replace(NOTED, ended_at=None)) == (ago(hours=4), False, False)


def test_taken_back_by_the_instance_s_own_word() -> None:
    lost = replace(OVER, termination_reason="Server.SpotInstanceTermination", terminated_at=ago(hours=3))
    assert only(AwsInventory((lost,))) == (ago(hours=3), True, True)
    failed = replace(lost, termination_reason="Server.InternalError")  # AWS's fault, but no interruption
    assert only(AwsInventory((failed,))) == (ago(hours=3), False, True)


def test_volumes() -> None:
    """A held one counts with its instance; what is gone at the configuration's size; a loose one by itself."""
    resource = Resource(
        "volume", "vol-1", "us-east-1", used_by=("i-1",), size_gib=30, created_at=ago(hours=5)
    )
    loose = replace(resource, id="vol-2", used_by=(), size_gib=7)
    history = usage_history(AwsInventory((ALIVE,), (), (resource, loose)), (), root_volume_gib=20, now=NOW)
    assert {usage.id: (usage.type, usage.volume_gib, usage.address) for usage in history.usages} == {
        "i-1": ("t3.medium", 30, True),
        "vol-2": ("", 7, False),
    }
    assert history.assumed_volumes == 0
    without_volume = usage_history(AwsInventory((OVER,)), (), root_volume_gib=20, now=NOW)
    assert (without_volume.usages[0].volume_gib, without_volume.assumed_volumes) == (20, 1)


MACHINE = Instance(
    "i-o",
    *("us-east-1", "us-east-1a", "t3.small"),
    State.RUNNING,
    ago(hours=2),
    lifecycle="on-demand",
    public_ip="127.0.0.9",
    tags={ROLE_KEY: ORCHESTRATOR_ROLE},
)
ROOT = Resource(
    *("volume", "vol-root", "us-east-1"),
    tags=MACHINE.tags,
    used_by=("i-o",),
    size_gib=10,
    created_at=ago(hours=2),
    zone="us-east-1a",
)
DATA = replace(ROOT, id="vol-data", size_gib=20, created_at=ago(hours=9))
ADDRESS = Resource("elastic-ip", "eipalloc-1", "us-east-1", tags=MACHINE.tags, used_by=("i-o",))


def orchestrated(seen: AwsInventory, *sightings: LoggedInstance) -> dict[str, tuple[object, ...]]:
    """Start, end, GiB and address of each usage of the orchestrator."""
    history = usage_history(seen, sightings, root_volume_gib=50, data_volume_gib=20, now=NOW)
    assert all(usage.orchestrator and not (usage.type and usage.spot) for usage in history.usages)
    assert history.assumed_addresses == len(seen.addresses)
    return {
        usage.id: (usage.started_at, usage.ended_at, usage.volume_gib, usage.address)
        for usage in history.usages
    }


PARTS = {
    "vol-root": (ago(hours=2), None, 10, False),
    "vol-data": (ago(hours=9), None, 20, False),
    "eipalloc-1": (ago(hours=9), None, 0, True),
}


def test_the_parts_of_an_orchestrator_count_apart_from_its_instance() -> None:
    """Volumes since their creation; the address since the first of them."""
    seen = AwsInventory((MACHINE,), (), (ROOT, DATA), (ADDRESS,))
    assert orchestrated(seen) == {"i-o": (ago(hours=2), None, 0, False), **PARTS}


def test_a_stopped_orchestrator_pays_for_its_parts_only() -> None:
    stopped = replace(MACHINE, state=State.STOPPED, terminated_at=ago(hours=1))
    seen = AwsInventory((stopped,), (), (ROOT, DATA), (ADDRESS,))
    assert orchestrated(seen) == {"i-o": (ago(hours=2), ago(hours=1), 0, False), **PARTS}


def test_a_terminated_orchestrator_had_a_root_volume() -> None:
    """Its data volume and address still exist, so they are not assumed."""
    ended = replace(MACHINE, state=State.TERMINATED, terminated_at=ago(hours=1), public_ip=None)
    seen = AwsInventory((ended,), (), (replace(DATA, used_by=()),), (replace(ADDRESS, used_by=()),))
    rest = {name: PARTS[name] for name in ("vol-data", "eipalloc-1")}
    assert orchestrated(seen) == {"i-o": (ago(hours=2), ago(hours=1), 10, False), **rest}
    history = usage_history(seen, (), root_volume_gib=50, now=NOW)
    assert history.assumed_volumes == 1


def test_a_deleted_orchestrator_had_all_parts() -> None:
    """AWS lists nothing else of it, or nothing at all: then the audit log has its instance."""
    ended = replace(MACHINE, state=State.TERMINATED, terminated_at=ago(hours=1), public_ip=None)
    assert orchestrated(AwsInventory((ended,))) == {"i-o": (ago(hours=2), ago(hours=1), 30, True)}
    noted = replace(NOTED, id="i-o", type="t3.small", orchestrator=True)
    assert orchestrated(AwsInventory(), noted) == {"i-o": (ago(hours=5), ago(hours=1), 30, True)}


def test_an_address_without_any_other_part_counts_from_now() -> None:
    assert orchestrated(AwsInventory(addresses=(ADDRESS,))) == {"eipalloc-1": (NOW, None, 0, True)}


def test_a_public_address_of_an_orchestrator_without_an_elastic_one_counts_with_it() -> None:
    assert orchestrated(AwsInventory((MACHINE,), (), (ROOT,))) == {
        "i-o": (ago(hours=2), None, 0, True),
        "vol-root": PARTS["vol-root"],
    }
