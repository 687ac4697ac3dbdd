"""Which nodes an interrupted replacement has launched, and in place of which ones they count."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from bacalhau_spot.core.model import Instance, State
from bacalhau_spot.core.node_changes.node_change import at_once_of, replacements_of, without_replacements
from bacalhau_spot.core.tags import REPLACES_KEY


def node(name: str, replaces: str = "", *, state: State = State.RUNNING) -> Instance:
    return Instance(
        id=f"i-{name}",
        region="us-east-1",
        zone="us-east-1a",
        type="t3.medium",
        state=state,
        launched_at=datetime(2026, 11, 23, 11, tzinfo=UTC),
        tags={REPLACES_KEY: replaces} if replaces else {},
    )


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
