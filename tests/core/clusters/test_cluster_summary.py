"""The summary of each cluster, from values."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from bacalhau_spot.core.clusters.cluster_summary import (
    AccountResources,
    ClusterSummary,
    CurrentPrices,
    cluster_overview,
)
from bacalhau_spot.core.kinds import ResourceKind
from bacalhau_spot.core.model import ORCHESTRATOR_ROLE, ROLE_KEY, Instance, Naming, Resource, State
from bacalhau_spot.core.tags import CREATOR_KEY, EXPIRES_KEY, tag_key_scope
from bacalhau_spot.engine.cleanup.scan_result import ScanRequest

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
NAMING = Naming()
OURS = {CREATOR_KEY: NAMING.creator}
POOL = ("us-east-1", "t3.medium", "us-east-1a")


def node(number: int, tags: dict[str, str] | None = None, *, state: State = State.RUNNING) -> Instance:
    return Instance(
        id=f"i-{number}",
        region="us-east-1",
        zone="us-east-1a",
        type="t3.medium",
        state=state,
        launched_at=NOON - timedelta(hours=number),
        tags={NAMING.tag_key: "hunt", **OURS, **(tags or {})},
    )


def overview(*instances: Instance, others: tuple[Resource, ...] = (), **more: Any) -> Any:
    found = AccountResources(instances=instances, others=others, regions_scanned=("us-east-1",))
    prices = more.pop("prices", CurrentPrices(spot={POOL: Decimal("0.01")}))
    return cluster_overview(
        found,
        NAMING,
        account_id="1",
        prices=prices,
        launched_by=more.pop("launched_by", {}),
        now=NOON,
    )


def only(*instances: Instance, **more: Any) -> ClusterSummary:
    [summary] = overview(*instances, **more).clusters
    assert isinstance(summary, ClusterSummary)
    return summary


@pytest.mark.parametrize(
    ("stamps", "hours"),
    [
        (("2026-11-28T14:00:00Z", "2026-11-28T15:00:00Z"), 3),
        (("2026-11-28T14:00:00Z", ""), 2),
        (("2026-11-28T14:00:00Z", "tomorrow"), 2),
        (("2026-11-28T14:00:00Z", "never"), None),
        (("", ""), None),
    ],
)
def test_it_has_the_latest_expiry_of_its_nodes(stamps: tuple[str, ...], hours: int | None) -> None:
    nodes = [node(number, {EXPIRES_KEY: stamp}) for number, stamp in enumerate(stamps, 1)]
    expected = None if hours is None else NOON + timedelta(hours=hours)
    assert only(*nodes).expires_at == expected
    # Neither an ending node nor an orchestrator delays it.
    ending = node(8, state=State.SHUTTING_DOWN)
    orchestrator = node(9, {ROLE_KEY: ORCHESTRATOR_ROLE})
    assert only(*nodes, ending, orchestrator).expires_at == expected


def test_the_cost_of_living_instances() -> None:
    """Two pools' prices and their addresses, none of an ended instance; unknown while one has no price."""
    summary = only(node(1), node(2), node(3, state=State.SHUTTING_DOWN), node(4, state=State.TERMINATED))
    assert summary.usd_per_hour == Decimal("0.02"), "without public addresses"
    assert summary.nodes == {State.RUNNING: 2, State.SHUTTING_DOWN: 1}
    assert summary.created_at == NOON - timedelta(hours=3)
    assert only(node(1), prices=CurrentPrices()).usd_per_hour is None


def test_ended_instances_alone_are_no_cluster() -> None:
    assert overview(node(1, state=State.TERMINATED)).clusters == ()


def test_the_owner() -> None:
    """The user's tag in any case, then this machine's log; the log says nothing about resources of another program."""
    assert (
        only(node(1, {"OWNER": "ada"}), node(2, {"Owner": "grace"}), launched_by={"hunt": "arn"}).owner
        == "ada, grace"
    )
    assert only(node(1), launched_by={"hunt": "arn"}).owner == "arn"
    [other] = overview(node(1, {"CreatedBy": "terraform"}), launched_by={"hunt": "arn"}).unmanaged
    assert (other.owner, other.created_by) == ("", "terraform")


def test_the_configured_cluster_is_managed_without_the_creator() -> None:
    """As for `destroy` and `nuke`: its exact tag decides."""
    bucket = Resource(
        kind=ResourceKind.BUCKET, id="b", region="us-east-1", tags={NAMING.tag_key: NAMING.tag_value}
    )
    [summary] = overview(others=(bucket,)).clusters
    assert (summary.configured, summary.others, summary.nodes) == (True, {"bucket": 1}, {})
    assert summary.usd_per_hour == 0


def test_resources_of_other_programs_are_never_deleted() -> None:
    with pytest.raises(ValueError, match="only resources of bacalhau-spot"):
        ScanRequest(tag_key_scope(NAMING))
