"""Which nodes an interrupted replacement has launched, and in place of which ones they count."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bacalhau_spot.core.lifecycle.superseded import replaced_tag, superseded
from bacalhau_spot.core.model import Instance, State
from bacalhau_spot.core.node_changes.node_change import (
    at_once_of,
    begun_nodes,
    replacements_of,
    without_replacements,
)
from bacalhau_spot.core.scaling_group.groups import GROUP_TAG
from bacalhau_spot.core.tags import DRAIN_KEY, REPLACED_KEY, REPLACES_KEY

LAUNCHED = datetime(2026, 11, 23, 11, tzinfo=UTC)


def node(
    name: str, replaces: str = "", *, state: State = State.RUNNING, after_s: float = 0, **tags: Any
) -> Instance:
    return Instance(
        id=f"i-{name}",
        region="us-east-1",
        zone="us-east-1a",
        type="t3.medium",
        state=state,
        launched_at=LAUNCHED + timedelta(seconds=after_s),
        metadata_tags=True,
        tags={**({REPLACES_KEY: replaces} if replaces else {}), **tags},
    )


def member(name: str, *, after_s: float = 0, **tags: Any) -> Instance:
    in_group: dict[str, Any] = {GROUP_TAG: "group", **tags}
    return node(name, after_s=after_s, **in_group)


# A node that has left its group, and the members before and after it.
SINCE: dict[str, Any] = {REPLACED_KEY: replaced_tag("us-east-1", [node("x")])}
DRAINING: dict[str, Any] = {DRAIN_KEY: "2026-11-23T12:00:00Z"}
LEFT, FIRST, LATE = node("left", **SINCE), member("first"), member("late", after_s=1)


A, B = node("a"), node("b")
C, D = node("c", "i-a i-b"), node("d", "i-a i-b")
GONE = node("a", state=State.TERMINATED)


@pytest.mark.parametrize(
    ("batch", "instances", "found"),
    [
        ((A, B), (A, B, C), (C,)),
        ((A, B), (A, B, C, D), (C, D)),
        ((A,), (A, B, C, D), (C,)),  # one at a time: the other is B's
        ((B,), (GONE, B, C), ()),  # C has taken the place of A
        ((B,), (B, C, D), (D,)),  # AWS no longer lists A
        ((A,), (A, node("e", "i-a"), node("f", "i-a")), (node("e", "i-a"),)),
    ],
)
def test_each_new_node_counts_once(
    batch: tuple[Instance, ...], instances: tuple[Instance, ...], found: tuple[Instance, ...]
) -> None:
    assert replacements_of(batch, instances) == found


def test_a_selector_leaves_new_nodes_out_while_their_old_ones_live() -> None:
    assert without_replacements((A, B, C), (A, B, C)) == ((A, B), (C,))
    assert without_replacements((C,), (GONE, C)) == ((C,), ())
    assert without_replacements((A, C), (A, B, C), named=("n-i-c",)) == ((A, C), ())


@pytest.mark.parametrize(
    ("text", "nodes", "number"),
    [("12", 2, 12), ("13", 100, None), ("25%", 10, 3), ("100%", 40, 12), ("101%", 4, None), ("0%", 4, None)],
)
def test_the_number_at_a_time(text: str, nodes: int, number: int | None) -> None:
    assert at_once_of(text, nodes) == number


def test_members_launched_later_are_in_place_of_a_node_that_left_the_group() -> None:
    """Not the earlier ones, nor those that the tag gives to another node. A node that was attached again has not left."""
    given: dict[str, Any] = {REPLACES_KEY: "i-gone"}
    other = member("other", after_s=2, **given)
    assert superseded((LEFT, FIRST)) == {"i-left": ()}
    assert superseded((LEFT, FIRST, LATE, other)) == {"i-left": (LATE,)}
    assert superseded((member("back", **SINCE), FIRST, LATE)) == {}
    assert replacements_of((LEFT,), (LEFT, FIRST, LATE)) == (LATE,)
    assert without_replacements((LEFT, FIRST, LATE), (LEFT, FIRST, LATE)) == ((LEFT, FIRST), (LATE,))


def test_nodes_sent_away_before_their_replacements_are_found_again() -> None:
    """As many as are missing, and none in place of which another one runs."""
    ended = node("ended", state=State.TERMINATED, **SINCE)
    draining = node("draining", **SINCE, **DRAINING)
    unrelated = node("unrelated", state=State.TERMINATED)
    instances = (ended, unrelated, A, draining)
    assert begun_nodes(instances, missing=2) == (draining, ended)
    assert begun_nodes(instances, missing=1) == (draining,)
    assert begun_nodes(instances, missing=-1) == ()
    assert begun_nodes((*instances, node("new", "i-ended")), missing=2) == (draining,)
