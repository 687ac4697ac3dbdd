"""The timeline of a cluster: whose launch replaces whom, and the time that it took."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from bacalhau_spot.core.history.interruptions import interrupted_pools, interruptions_since
from bacalhau_spot.core.history.node_records import NodeRecord, node_records
from bacalhau_spot.core.history.timeline import (
    LossMoment,
    Timeline,
    TimelineEventKind,
    cluster_timeline,
    replacements,
)
from bacalhau_spot.core.model import (
    ORCHESTRATOR_ROLE,
    ROLE_KEY,
    Instance,
    Pool,
    PricePoint,
    SpotRequest,
    State,
)
from bacalhau_spot.core.orchestrator.orchestrator_nodes import Membership, NodeListing, OrchestratorNode
from bacalhau_spot.core.pricing.cost import PriceSteps, Usage, Window
from bacalhau_spot.core.pricing.usage_history import AwsInventory, LoggedInstance

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
WHERE = ("us-east-1", "us-east-1a", "t3.medium")
CODE = "instance-terminated-no-capacity"


def at(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def node(
    name: str,
    start: float,
    end: float | None = None,
    *,
    region: str = "us-east-1",
    interrupted: bool = True,
    noticed: float | None = None,
    joined: float | None = None,
) -> NodeRecord:
    usage = Usage(
        name,
        region,
        f"{region}a",
        "t3.medium",
        at(start),
        None if end is None else at(end),
        interrupted=interrupted and end is not None,
        reason=CODE if interrupted and end is not None else "",
    )
    return NodeRecord(
        usage,
        noticed_at=None if noticed is None else at(noticed),
        joined_at=None if joined is None else at(joined),
    )


def pairs(*records: NodeRecord) -> dict[str, str]:
    return {lost: found.node.id for lost, found in replacements(records).items()}


def timeline(
    *records: NodeRecord, since: float = -60, now: float = 600, regions: tuple[str, ...] = ()
) -> Timeline:
    window = Window(now=at(now), since=at(since))
    return cluster_timeline(records, PriceSteps({}), window, regions=regions)


def test_the_next_launch_in_the_region_is_the_replacement() -> None:
    assert pairs(node("a", 0, 30), node("b", 0), node("c", 40), node("d", 50)) == {"a": "c"}
    assert pairs(node("a", 0, 30), node("far", 31, region="eu-west-1"), node("c", 40)) == {"a": "c"}
    assert pairs(node("a", 0, 30), node("far", 31, region="eu-west-1")) == {"a": "far"}
    assert pairs(node("a", 0, 30), node("b", 0)) == {}


def test_a_launch_replaces_one_node() -> None:
    """Another region's interruption does not take the launch that its own region needs."""
    lost = (node("a", 0, 30), node("b", 1, 20, region="eu-west-1"))
    assert pairs(*lost, node("c", 40)) == {"a": "c"}
    assert pairs(*lost, node("c", 40), node("d", 41)) == {"a": "c", "b": "d"}
    assert pairs(node("a", 0, 30), node("b", 1, 20), node("c", 40), node("d", 41)) == {"b": "c", "a": "d"}


def test_a_replacement_can_be_interrupted_too() -> None:
    assert pairs(node("a", 0, 30), node("b", 40, 50), node("c", 60)) == {"a": "b", "b": "c"}


def test_a_launch_between_notice_and_interruption_counts() -> None:
    record = node("a", 0, 30, noticed=28)
    found = replacements((record, node("b", 29, joined=31)))["a"]
    assert (found.measured_from, found.launched_after, found.joined_after) == (
        LossMoment.NOTICE,
        timedelta(minutes=1),
        timedelta(minutes=3),
    )
    late = replacements((replace(record, noticed_at=None), node("b", 33)))["a"]
    assert (late.measured_from, late.launched_after, late.joined_after) == (
        LossMoment.INTERRUPTION,
        timedelta(minutes=3),
        None,
    )


def test_a_destroyed_cluster_is_not_replaced() -> None:
    """The launch after the end of the cluster is a new cluster's; after the interruption of the last node it is not."""
    destroyed = node("b", 0, 60, interrupted=False)
    assert pairs(node("a", 0, 30), destroyed, node("c", 90)) == {}
    assert pairs(node("a", 0, 30), destroyed, node("c", 45), node("d", 90)) == {"a": "c"}
    assert pairs(node("a", 0, 30), node("b", 0, 60), node("c", 90), node("d", 91)) == {"a": "c", "b": "d"}


def test_events_in_order_with_their_ages_and_prices() -> None:
    record = node("a", 0, 30, noticed=28, joined=2)
    steps = PriceSteps(
        {"us-east-1": (PricePoint("t3.medium", "us-east-1a", at(20), Decimal("0.0140")),)},
    )
    made = cluster_timeline(
        (record, node("b", 30)), steps, Window(now=at(60), since=at(1)), regions=("us-east-1",)
    )
    shown = [(event.kind, event.node.id, event.age, event.usd_per_hour) for event in made.events]
    assert shown == [
        (TimelineEventKind.JOINED, "a", timedelta(minutes=2), None),
        (TimelineEventKind.NOTICED, "a", timedelta(minutes=28), Decimal("0.0140")),
        (TimelineEventKind.LAUNCHED, "b", timedelta(0), Decimal("0.0140")),
        (TimelineEventKind.INTERRUPTED, "a", timedelta(minutes=30), Decimal("0.0140")),
    ]
    assert [event.replaces for event in made.events] == ["", "", "a", ""]


def test_a_region_shows_its_events_and_a_replacement_elsewhere() -> None:
    made = timeline(node("a", 0, 30), node("far", 31, region="eu-west-1"), regions=("us-east-1",))
    assert [event.node.id for event in made.events] == ["a", "a"]
    (lost,) = (event for event in made.events if event.replacement is not None)
    assert lost.replacement is not None
    assert lost.replacement.node.region == "eu-west-1"


def test_medians() -> None:
    """Of an even number the mean of the middle two; joins only where they are recorded."""
    empty = timeline(node("a", 0)).summary
    assert (empty.interruptions, empty.median_age, empty.median_launched_after) == (0, None, None)
    summary = timeline(
        node("a", 0, 30),
        node("b", 0, 50),
        node("c", 0, 20),
        node("d", 0, 100, region="eu-west-1"),
        node("e", 31, joined=33),
        node("f", 52),
    ).summary
    assert (summary.interruptions, summary.replaced, summary.joined) == (4, 2, 1)
    assert summary.median_age == timedelta(minutes=40)
    # c (20) is replaced by e (31), and a (30) by f (52).
    assert summary.median_launched_after == timedelta(minutes=16.5)
    assert summary.median_joined_after == timedelta(minutes=13)
    assert summary.pools == (
        (Pool("t3.medium", "us-east-1a"), 3),
        (Pool("t3.medium", "eu-west-1a"), 1),
    )


def test_an_end_without_a_record_is_no_event() -> None:
    made = timeline(replace(node("a", 0, 30, interrupted=False), end_known=False), node("b", 40))
    assert [event.kind for event in made.events] == [TimelineEventKind.LAUNCHED] * 2
    assert made.unknown_end_ids == ("a",)
    window = Window(now=at(600))
    hidden = cluster_timeline(made.records, PriceSteps({}), window, failed_regions=("us-east-1",))
    assert hidden.unknown_end_ids == ()  # it may still run: its region was not scanned


def test_pools_are_remembered_for_a_period() -> None:
    records = (
        node("a", 0, 30),
        node("b", 0, 100, region="eu-west-1"),
        node("c", 0, 140, noticed=138),
        node("d", 0, 130, interrupted=False, region="eu-west-3"),
    )
    pools = interrupted_pools(records, now=at(150), within=timedelta(hours=2))
    assert pools == {
        Pool("t3.medium", "us-east-1a"): at(138),
        Pool("t3.medium", "eu-west-1a"): at(100),
    }
    assert [record.id for record in interruptions_since(records, at(31))] == ["b", "c"]
    noticed = node("e", 0, noticed=149, region="eu-west-2")  # still runs
    assert [record.id for record in interruptions_since([noticed], at(0))] == ["e"]


# Records from AWS, the orchestrator and the audit log

INSTANCE = Instance("i-1", *WHERE, State.RUNNING, at(0), spot_request_id="sir-1")
LOST = replace(
    INSTANCE,
    state=State.TERMINATED,
    terminated_at=at(30),
    termination_reason="Server.SpotInstanceTermination",
)
REQUEST = SpotRequest("sir-1", *WHERE, "closed", CODE, at(0), at(30), "i-1")
LOGGED = LoggedInstance("i-1", *WHERE, started_at=at(0), seen_at=at(5))


def record_of(
    inventory: AwsInventory, *logged: LoggedInstance, listing: NodeListing | None = None
) -> NodeRecord:
    (found,) = node_records(inventory, logged, now=at(600), listing=listing or NodeListing())
    return found


def listing(*, since: datetime, started_at: datetime | None = None, connected: bool = True) -> NodeListing:
    member = OrchestratorNode("n", connected, Membership.APPROVED, labels={"instance-id": "i-1"}, since=since)
    return NodeListing((member,), started_at=started_at)


def test_the_reason_is_the_most_precise_code_that_is_recorded() -> None:
    assert record_of(AwsInventory((LOST,), (REQUEST,))).usage.reason == CODE
    assert record_of(AwsInventory((LOST,))).usage.reason == "Server.SpotInstanceTermination"
    assert record_of(AwsInventory(requests=(REQUEST,))).usage.reason == CODE
    logged = replace(LOGGED, ended_at=at(30), interrupted=True, reason="instance-terminated-by-price")
    assert record_of(AwsInventory(), logged).usage.reason == "instance-terminated-by-price"
    ended = replace(LOST, termination_reason="Client.UserInitiatedShutdown")
    user = record_of(AwsInventory((ended,), (replace(REQUEST, status="instance-terminated-by-user"),)))
    assert (user.usage.reason, user.interrupted) == ("Client.UserInitiatedShutdown", False)


def test_a_notice_is_read_from_a_marked_request_and_then_from_the_log() -> None:
    marked = replace(REQUEST, state="active", status="marked-for-termination", updated_at=at(28))
    assert record_of(AwsInventory((INSTANCE,), (marked,))).lost_at == at(28)
    assert record_of(AwsInventory((LOST,), (REQUEST,))).lost_at == at(30)
    assert record_of(AwsInventory((LOST,), (REQUEST,)), replace(LOGGED, noticed_at=at(28))).lost_at == at(28)


def test_a_connection_is_a_join_unless_the_orchestrator_restarted() -> None:
    running = AwsInventory((INSTANCE,))
    assert record_of(running, listing=listing(since=at(2))).joined_at == at(2)
    assert record_of(running, listing=listing(since=at(2), started_at=at(-5))).joined_at == at(2)
    assert record_of(running, listing=listing(since=at(60), started_at=at(59))).joined_at is None
    assert record_of(running, listing=listing(since=at(2), connected=False)).joined_at is None
    # The log has an earlier connection, and the orchestrator's clock is behind.
    assert record_of(running, replace(LOGGED, joined_at=at(1)), listing=listing(since=at(9))).joined_at == at(
        1
    )
    assert record_of(running, listing=listing(since=at(-1))).joined_at == at(0)


def test_an_orchestrator_is_not_a_node() -> None:
    machine = replace(INSTANCE, lifecycle="on-demand", tags={ROLE_KEY: ORCHESTRATOR_ROLE})
    assert node_records(AwsInventory((machine,)), (), now=at(60)) == ()
