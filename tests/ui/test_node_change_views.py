"""What `remove`, `replace` and `scale` show, before and after, at two widths."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from rich.console import RenderableType
from syrupy.assertion import SnapshotAssertion

from bacalhau_spot.core.launch.create_result import CreateResult, PoolFailure, RegionResult
from bacalhau_spot.core.launch.plan import Plan, RegionPlan
from bacalhau_spot.core.lifecycle.drain_result import DrainedNode, DrainEnd, DrainResult
from bacalhau_spot.core.model import Identity, Instance, State
from bacalhau_spot.core.node_changes.change_result import BatchResult, ChangeResult, Stop
from bacalhau_spot.core.node_changes.node_change import NodeChange
from bacalhau_spot.ui import views
from support.rendering import rendered

IDENTITY = Identity("000000000000", "arn:aws:iam::000000000000:user/sandbox")


def instance(number: int, zone: str, *, state: State = State.RUNNING, tags: bool = True) -> Instance:
    return Instance(
        id=f"i-{number:017x}",
        region=zone[:-1],
        zone=zone,
        type="t3.medium",
        state=state,
        launched_at=datetime(2026, 11, 23, 11, tzinfo=UTC),
        metadata_tags=tags,
    )


FIRST, SECOND, OLDER = (
    instance(1, "us-east-1a"),
    instance(2, "us-west-2b"),
    instance(3, "us-east-1a", tags=False),
)
NEW = f"i-{9:017x}"
REMOVAL = NodeChange(
    cluster="hunt",
    present=6,
    after=4,
    old=(FIRST, SECOND),
    grace_s=600,
    usd_before=Decimal("0.09"),
    usd_old=Decimal("0.03"),
)
LAUNCH = Plan(
    "hunt",
    tuple(
        RegionPlan(region, 3, 3, 1, low=Decimal("0.0125"), high=Decimal("0.0151"))
        for region in ("us-east-1", "us-west-2")
    ),
    warnings=("us-west-2 has a placement score of 2",),
)
REPLACEMENT = replace(REMOVAL, after=6, old=(FIRST, OLDER), launch=LAUNCH, configured=6)
OLD_FIRST = replace(REPLACEMENT, old_first="the budget does not allow both at once", at_once=2)
SCALE = replace(REMOVAL, reasons={FIRST.id: "drifted"})
LARGER = replace(REMOVAL, old=(), after=8, launch=LAUNCH, usd_old=Decimal(0))


def drained(*ends: DrainEnd) -> DrainResult:
    pairs = zip((FIRST, SECOND), ends, strict=False)
    return DrainResult(
        tuple(DrainedNode(one, end, seconds=12.4) for one, end in pairs),
        interrupted=DrainEnd.DRAINING in ends,
    )


def stopped(stop: Stop, *, faulty: tuple[str, ...] = (), drain: DrainResult | None = None) -> ChangeResult:
    new = () if drain else (NEW,)
    return ChangeResult((BatchResult((FIRST.id,), new, faulty, drain=drain, stop=stop),), left=(OLDER.id,))


REMOVED = ChangeResult(
    (BatchResult((FIRST.id, SECOND.id), drain=drained(DrainEnd.SHUT_DOWN, DrainEnd.OVERDUE)),)
)
REPLACED = ChangeResult((BatchResult((FIRST.id,), (NEW,), drain=drained(DrainEnd.SHUT_DOWN)),))
REFUSED = ChangeResult(
    (
        BatchResult(
            launch=CreateResult(
                "hunt",
                3,
                2,
                regions=(
                    RegionResult(
                        "us-east-1",
                        1,
                        pool_failures=(
                            PoolFailure("t3.medium", "us-east-1a", "InsufficientInstanceCapacity", "none"),
                            PoolFailure("t3.medium", "us-east-1b", "MaxSpotInstanceCountExceeded", "quota"),
                        ),
                    ),
                ),
            ),
            stop=Stop.NOT_LAUNCHED,
        ),
    )
)
SHOWN: dict[str, RenderableType] = {
    "remove": views.node_change_view(REMOVAL),
    "nothing to change": views.node_change_view(NodeChange("hunt", 6, 6)),
    "replace": views.node_change_view(REPLACEMENT),
    "replace, old first": views.node_change_view(OLD_FIRST),
    "scale down": views.node_change_view(SCALE),
    "scale up": views.node_change_view(LARGER),
    "removed": views.node_change_result_view(["remove", "us-east-1a"], REMOVAL, REMOVED),
    "replaced": views.node_change_result_view(
        ["replace", "us-east-1", "--at-once", "2"], REPLACEMENT, REPLACED
    ),
    "interrupted drain": views.node_change_result_view(
        ["remove", "us-east-1a"],
        REMOVAL,
        stopped(Stop.INTERRUPTED, drain=drained(DrainEnd.DRAINING, DrainEnd.UNCHANGED)),
    ),
    "interrupted after the drain": views.node_change_result_view(
        ["replace", "us-east-1", "--at-once", "2"],
        OLD_FIRST,
        stopped(Stop.INTERRUPTED, drain=drained(DrainEnd.SHUT_DOWN)),
    ),
    "not launched after the drain, of a scaled cluster": views.node_change_result_view(
        ["replace", "us-east-1", "--at-once", "2"],
        replace(OLD_FIRST, configured=8),
        stopped(Stop.NOT_LAUNCHED, drain=drained(DrainEnd.SHUT_DOWN)),
    ),
    "scale, refused by AWS": views.node_change_result_view(["scale", "8"], LARGER, REFUSED),
    "resumed": views.node_change_view(replace(REPLACEMENT, launched_before=(SECOND,))),
    "scale to 0": views.node_change_view(replace(SCALE, after=0), words=["scale", "0"]),
    **{
        stop: views.node_change_result_view(
            ["replace", "us-east-1", "--at-once", "2"], REPLACEMENT, stopped(stop, faulty=faulty)
        )
        for stop, faulty in {
            Stop.OVER_BUDGET: (),
            Stop.NOT_LAUNCHED: (),
            Stop.NOT_JOINED: (NEW,),
            Stop.TEST_FAILED: (NEW,),
            Stop.TEST_REFUSED: (),
        }.items()
    },
}


@pytest.mark.parametrize("width", [60, 100])
@pytest.mark.parametrize("name", SHOWN)
def test_what_is_read(name: str, width: int, snapshot: SnapshotAssertion) -> None:
    assert rendered(SHOWN[name], width=width) == snapshot


def test_the_unreplaced_are_those_that_leave_without_a_new_node() -> None:
    assert stopped(Stop.INTERRUPTED, drain=drained(DrainEnd.DRAINING, DrainEnd.UNCHANGED)).unreplaced() == 1
    assert REPLACED.unreplaced() == 0
