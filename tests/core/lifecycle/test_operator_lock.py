"""The tags of a lock: who holds it, in letters that EC2 accepts; and when another command may take it over."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from bacalhau_spot.core.lifecycle.operator_lock import (
    LEASE,
    LockDecision,
    LockHolder,
    holder_of,
    lock_decision,
    lock_tags,
)
from bacalhau_spot.core.model import Naming

SINCE = datetime(2026, 11, 28, 12, tzinfo=UTC)
HOLDER = LockHolder("create", "arn:aws:iam::123456789012:user/anna", "host", 12, "run", SINCE, SINCE + LEASE)


def test_the_holder_is_read_from_the_tags_that_name_it() -> None:
    assert holder_of(lock_tags(Naming(), HOLDER)) == HOLDER


def test_letters_that_ec2_refuses_are_replaced() -> None:
    tags = lock_tags(Naming(), replace(HOLDER, host="Anna's laptop"))
    assert holder_of(tags) == replace(HOLDER, host="Anna-s laptop")


def test_incomplete_tags_name_nobody() -> None:
    """Somebody else's template of this name, or one whose tags are not listed yet."""
    tags = lock_tags(Naming(), HOLDER)
    for key in ("LockedOn", "LockedSince", "LockedUntil"):
        assert holder_of({name: value for name, value in tags.items() if name != key}) is None
    assert holder_of({**tags, "LockedUntil": "tomorrow"}) is None


def test_a_lock_is_taken_over_when_nobody_can_hold_it_any_more() -> None:
    now = SINCE + timedelta(minutes=1)
    assert lock_decision(HOLDER, now=now, ended=False) is LockDecision.WAIT
    assert lock_decision(HOLDER, now=now, ended=True) is LockDecision.TAKE_OVER
    assert lock_decision(HOLDER, now=SINCE + LEASE, ended=False) is LockDecision.TAKE_OVER
    assert lock_decision(None, now=now, ended=False) is LockDecision.TAKE_OVER
