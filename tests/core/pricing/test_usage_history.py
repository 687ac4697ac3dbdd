"""Whose word counts about an instance's life."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from bacalhau_spot.core.model import Instance, Resource, SpotRequest, State
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
