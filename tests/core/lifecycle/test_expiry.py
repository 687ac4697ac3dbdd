"""The expiry of a cluster: read from its instances' tags, kept, set, moved, removed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bacalhau_spot.core.lifecycle.expiry import (
    NEVER,
    TOLERANCE,
    cluster_expiry,
    expires_at,
    expiry_time,
    expiry_value,
    is_overdue,
    plan_expiry,
)
from bacalhau_spot.core.model import ClusterSpec, Instance, Naming, RegionSpec, State
from bacalhau_spot.core.tags import EXPIRES_KEY

NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
EARLY, LATE = "2026-11-28T14:00:00Z", "2026-11-28T20:00:00Z"
SPEC = ClusterSpec("cluster", Naming(), (RegionSpec("us-east-1"),), nodes=2, ttl_s=8 * 3600)


def _instance(number: int, value: str | None = None, *, state: State = State.RUNNING) -> Instance:
    tags = {} if value is None else {EXPIRES_KEY: value}
    return Instance(f"i-{number}", "us-east-1", "us-east-1a", "t3.medium", state, NOW, tags=tags)


def test_a_value_is_read_as_the_time_that_it_was_made_of() -> None:
    assert expiry_time(expiry_value(NOW)) == NOW
    assert expiry_value(None) == NEVER


@pytest.mark.parametrize("more", [timedelta(microseconds=1), timedelta(seconds=37), timedelta(minutes=1)])
def test_a_fraction_of_a_minute_is_rounded_up(more: timedelta) -> None:
    """It is the time that the program shows, and one that the scheduled action of a group can have."""
    assert expiry_value(NOW + more) == "2026-11-28T12:01:00Z"


@pytest.mark.parametrize(
    "garbage",
    [
        "soon",
        "",
        "2026-02-31T00:00:00Z",
        "2026-11-28 14:00:00",
        "2026-11-28T14:00:00+00:00",
        "٢026-11-28T14:00:00Z",
    ],
)
def test_unreadable_values_say_nothing_about_the_expiry(garbage: str) -> None:
    found = cluster_expiry([_instance(1, EARLY), _instance(2, garbage)])
    assert found.value == EARLY
    assert [instance.id for instance in found.differing] == ["i-2"]
    assert [instance.id for instance in found.unreadable] == (["i-2"] if garbage else [])


def test_the_latest_expiry_of_living_instances_counts() -> None:
    ended = _instance(3, "2027-01-01T00:00:00Z", state=State.TERMINATED)
    assert expires_at([_instance(1, EARLY), _instance(2, LATE), ended]) == expiry_time(LATE)


def test_a_removed_expiry_is_later_than_every_time() -> None:
    found = cluster_expiry([_instance(1, NEVER), _instance(2, LATE)])
    assert (found.value, found.at) == (NEVER, None)


def test_a_first_launch_gets_the_configured_lifetime() -> None:
    planned = plan_expiry(SPEC, [], now=NOW)
    assert (planned.value, planned.is_new, planned.retag) == (LATE, True, ())


def test_a_launch_into_a_living_cluster_keeps_its_expiry_and_repairs_the_others() -> None:
    planned = plan_expiry(SPEC, [_instance(1, EARLY), _instance(2)], now=NOW)
    assert (planned.value, planned.moves, planned.is_new) == (EARLY, False, False)
    assert [instance.id for instance in planned.retag] == ["i-2"]


def test_a_cluster_that_got_a_lifetime_later_gets_its_expiry_now() -> None:
    planned = plan_expiry(SPEC, [_instance(1), _instance(2, state=State.TERMINATED)], now=NOW)
    assert (planned.value, planned.is_new) == (LATE, True)
    assert [instance.id for instance in planned.retag] == ["i-1"]


def test_an_expiry_outlives_the_removal_of_the_key() -> None:
    """The configuration's key is for the first launch; `create --ttl none` removes an expiry."""
    planned = plan_expiry(replace(SPEC, ttl_s=None), [_instance(1, EARLY)], now=NOW)
    assert planned.value == EARLY


def test_a_chosen_lifetime_moves_the_expiry_of_every_living_instance() -> None:
    spec = replace(SPEC, ttl_is_chosen=True)
    planned = plan_expiry(spec, [_instance(1, EARLY), _instance(2, LATE)], now=NOW)
    assert (planned.before.value, planned.value, planned.chosen) == (LATE, "2026-11-28T20:00:00Z", True)
    assert [instance.id for instance in planned.retag] == ["i-1"]


def test_a_chosen_end_of_the_lifetime_removes_the_expiry() -> None:
    spec = replace(SPEC, ttl_s=None, ttl_is_chosen=True)
    assert plan_expiry(spec, [_instance(1, EARLY)], now=NOW).value == NEVER
    assert plan_expiry(spec, [_instance(1)], now=NOW).value == ""


def test_an_earlier_end_shortens_and_a_later_one_does_not() -> None:
    spec = replace(SPEC, ttl_is_chosen=True)
    assert plan_expiry(replace(spec, ttl_s=3600), [_instance(1, EARLY)], now=NOW).shortens
    assert not plan_expiry(spec, [_instance(1, EARLY)], now=NOW).shortens
    assert plan_expiry(spec, [_instance(1, NEVER)], now=NOW).shortens
    assert not plan_expiry(replace(spec, ttl_s=None), [_instance(1, EARLY)], now=NOW).shortens


def test_a_node_is_overdue_after_the_time_that_its_own_end_may_take() -> None:
    at = expiry_time(EARLY)
    assert at is not None
    assert not is_overdue(_instance(1, EARLY), now=at + TOLERANCE)
    assert is_overdue(_instance(1, EARLY), now=at + TOLERANCE + timedelta(seconds=1))
    assert not is_overdue(_instance(1, NEVER), now=at + timedelta(days=9))
    assert not is_overdue(_instance(1, EARLY, state=State.TERMINATED), now=at + timedelta(days=9))
