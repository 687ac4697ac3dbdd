"""The tags of a lock: who holds it, in letters that EC2 accepts; and when another command may take it over."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bacalhau_spot.core.lifecycle.operator_lock import (
    LEASE,
    MAX_SKEW,
    LockDecision,
    LockHolder,
    holder_of,
    lock_decision,
    lock_tags,
)
from bacalhau_spot.core.model import Naming
from bacalhau_spot.core.tags import MAX_VALUE

SINCE = datetime(2026, 11, 28, 12, tzinfo=UTC)
ARN = "arn:aws:iam::123456789012:user/anna"
MACHINE = "0123456789abcdef"
HOLDER = LockHolder("create", ARN, "host", 12, "run", SINCE, SINCE + LEASE, MACHINE)


def runs(_: LockHolder) -> bool:
    """Of no holder is it known that it has ended."""
    return False


def test_the_holder_is_read_from_the_tags_that_name_it() -> None:
    assert holder_of(lock_tags(Naming(), HOLDER)) == HOLDER


def test_letters_that_ec2_refuses_are_replaced() -> None:
    tags = lock_tags(Naming(), replace(HOLDER, host="Anna's laptop"))
    assert holder_of(tags) == replace(HOLDER, host="Anna-s laptop")


def test_a_long_host_name_is_cut_before_the_process() -> None:
    """Otherwise its number would be another one, or none."""
    found = holder_of(lock_tags(Naming(), replace(HOLDER, host="h" * 300)))
    assert found is not None
    assert (found.machine, found.pid) == (MACHINE, 12)
    assert len(lock_tags(Naming(), replace(HOLDER, host="h" * 300))["LockedOn"]) == MAX_VALUE


@pytest.mark.parametrize("place", ["host", "a:b", "host:0123456789ABCDEF", ":0123456789abcde"])
def test_a_tag_without_a_machine_is_of_no_machine(place: str) -> None:
    """Of an earlier version: its host is shown, and its lease decides."""
    found = holder_of({**lock_tags(Naming(), HOLDER), "LockedOn": f"{place}:12"})
    assert found == replace(HOLDER, host=place, machine="")
    assert not found.is_on(MACHINE) and not found.is_on("")


def test_a_process_is_on_its_own_machine_alone() -> None:
    assert HOLDER.is_on(MACHINE)
    assert not HOLDER.is_on("fedcba9876543210") and not HOLDER.is_on("")
    assert not replace(HOLDER, pid=0).is_on(MACHINE)


def test_incomplete_tags_name_nobody() -> None:
    """Somebody else's template of this name, or one whose tags are not listed yet."""
    tags = lock_tags(Naming(), HOLDER)
    for key in ("LockedOn", "LockedSince", "LockedUntil"):
        assert holder_of({name: value for name, value in tags.items() if name != key}) is None
    assert holder_of({**tags, "LockedUntil": "tomorrow"}) is None


@pytest.mark.parametrize(
    ("text", "pid"),
    [("1", 1), ("2147483647", 2**31 - 1), ("0", 0), ("2147483648", 0), ("9" * 20, 0), ("9" * 200, 0)],
)
def test_a_number_that_no_process_has_names_a_process_of_another_machine(text: str, pid: int) -> None:
    """The operating system is never asked about it; the lease decides."""
    tags = {**lock_tags(Naming(), HOLDER), "LockedOn": f"host:{MACHINE}:{text}"}
    assert holder_of(tags) == replace(HOLDER, pid=pid)


def test_a_lock_is_taken_over_when_nobody_can_hold_it_any_more() -> None:
    now = SINCE + timedelta(minutes=1)
    assert lock_decision(HOLDER, now=now, ended=runs) is LockDecision.WAIT
    assert lock_decision(HOLDER, now=now, ended=lambda _: True) is LockDecision.TAKE_OVER
    assert lock_decision(HOLDER, now=SINCE + LEASE, ended=runs) is LockDecision.TAKE_OVER
    assert lock_decision(None, now=now, ended=runs) is LockDecision.TAKE_OVER


@pytest.mark.parametrize("until", [SINCE, SINCE + LEASE + MAX_SKEW + timedelta(seconds=1)])
def test_an_ended_lease_decides_alone(until: datetime) -> None:
    """Nothing is asked about the process."""
    asked: list[LockHolder] = []

    def ended(holder: LockHolder) -> bool:
        asked.append(holder)
        return False

    assert lock_decision(replace(HOLDER, until=until), now=SINCE, ended=ended) is LockDecision.TAKE_OVER
    assert asked == []


def test_a_lease_of_fifty_years_is_nobody_s() -> None:
    """No command whose clock AWS accepts has written it; the longest that one can write is respected."""
    longest = replace(HOLDER, until=SINCE + LEASE + MAX_SKEW)
    assert lock_decision(longest, now=SINCE, ended=runs) is LockDecision.WAIT
    forged = replace(HOLDER, until=SINCE + timedelta(days=50 * 365))
    assert lock_decision(forged, now=SINCE, ended=runs) is LockDecision.TAKE_OVER
