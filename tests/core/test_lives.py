"""Whose word counts about an instance's life."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from bacalhau_spot.core.lives import Seen, Sighting, lives_of
from bacalhau_spot.core.model import Instance, Resource, SpotRequest, State

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
WHERE = ("us-east-1", "us-east-1a", "t3.medium")


def ago(**span: float) -> datetime:
    return NOW - timedelta(**span)


ALIVE = Instance("i-1", *WHERE, State.RUNNING, ago(hours=5), public_ip="127.0.0.1", spot_request_id="sir-1")
OVER = replace(ALIVE, state=State.TERMINATED, public_ip=None)
REQUEST = SpotRequest(
    "sir-1", *WHERE, "closed", "instance-terminated-by-user", ago(hours=5), ago(hours=2), "i-1"
)
NOTED = Sighting("i-1", *WHERE, begun=ago(hours=5), seen=ago(hours=4), ended=ago(hours=1))


def only(seen: Seen, *sightings: Sighting) -> tuple[datetime | None, bool, bool]:
    """End, whether EC2 took it back, whether the end is known; of the one life that there is."""
    found = lives_of(seen, sightings, root_volume_gib=20, now=NOW)
    (life,) = found.lives
    assert life.begun == ago(hours=5)
    return life.ended, life.taken_back, not found.unknown_ends


def test_the_instance_goes_before_its_request_and_that_before_the_log() -> None:
    with_time = replace(OVER, ended_at=ago(hours=3))
    assert only(Seen((ALIVE,), (REQUEST,)), NOTED) == (None, False, True)
    assert only(Seen((with_time,), (REQUEST,)), NOTED) == (ago(hours=3), False, True)
    assert only(Seen((OVER,), (REQUEST,)), NOTED) == (ago(hours=2), False, True)
    assert only(Seen((OVER,)), NOTED) == (ago(hours=1), False, True)
    assert only(Seen((OVER,))) == (NOW, False, False)


def test_what_the_request_still_knows() -> None:
    """The instance is forgotten; its request says when it ended, and by whom."""
    assert only(Seen(requests=(REQUEST,))) == (ago(hours=2), False, True)
    for code in ("instance-terminated-no-capacity", "instance-terminated-by-price"):
        assert only(Seen(requests=(replace(REQUEST, status=code),))) == (ago(hours=2), True, True)
    cancelled = replace(REQUEST, status="request-canceled-and-instance-running")
    assert only(Seen(requests=(cancelled,))) == (ago(hours=2), False, False)
    assert only(Seen(requests=(cancelled,)), NOTED) == (ago(hours=1), False, True)


def test_what_only_the_log_knows() -> None:
    assert only(Seen(), NOTED) == (ago(hours=1), False, True)
    assert only(Seen(), replace(NOTED, ended=None)) == (ago(hours=4), False, False)


def test_taken_back_by_the_instance_s_own_word() -> None:
    lost = replace(OVER, why_ended="Server.SpotInstanceTermination", ended_at=ago(hours=3))
    assert only(Seen((lost,))) == (ago(hours=3), True, True)
    failed = replace(lost, why_ended="Server.InternalError")  # AWS's fault, but no interruption
    assert only(Seen((failed,))) == (ago(hours=3), False, True)


def test_volumes() -> None:
    """A held one counts with its instance; what is gone at the configuration's size; a loose one by itself."""
    held = Resource("volume", "vol-1", "us-east-1", holders=("i-1",), size_gib=30, created_at=ago(hours=5))
    loose = replace(held, id="vol-2", holders=(), size_gib=7)
    found = lives_of(Seen((ALIVE,), (), (held, loose)), (), root_volume_gib=20, now=NOW)
    assert {one.id: (one.type, one.volume_gib, one.address) for one in found.lives} == {
        "i-1": ("t3.medium", 30, True),
        "vol-2": ("", 7, False),
    }
    assert found.assumed_volumes == 0
    gone = lives_of(Seen((OVER,)), (), root_volume_gib=20, now=NOW)
    assert (gone.lives[0].volume_gib, gone.assumed_volumes) == (20, 1)
