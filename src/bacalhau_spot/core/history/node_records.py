"""The record of each node of a cluster, from AWS's data, the orchestrator and this machine's audit log.

Rules:
1. Launch, end and AWS's reason come from the usage history, with its order of precedence (core/pricing/usage_history.py).
2. AWS changes the status of a spot request from the notice to the termination: of a terminated instance, only the audit
   log has the time of the notice.
3. The orchestrator lists the last connection of a node. It counts as the join only of nodes launched after the
   orchestrator's last start, because all nodes connect again after a restart. An earlier time in the audit log counts.
4. A managed orchestrator's instance is not a node.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bacalhau_spot.core.health.termination_reasons import INTERRUPTION_NOTICE
from bacalhau_spot.core.model import Pool
from bacalhau_spot.core.orchestrator.orchestrator_nodes import NodeListing
from bacalhau_spot.core.pricing.usage_history import usage_history

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime, timedelta

    from bacalhau_spot.core.pricing.cost import Usage
    from bacalhau_spot.core.pricing.usage_history import AwsInventory, LoggedInstance

_NO_LISTING = NodeListing()


@dataclass(frozen=True, slots=True)
class NodeRecord:
    """One node from its launch to its end.

    `end_known` False: it ended without a recorded termination, and `usage.ended_at` is the time of its last appearance.
    `noticed_at`: of EC2's interruption notice; `joined_at`: of its first known connection to the orchestrator. None: no
    record. `terminated_by`: the command of this machine that terminated it.
    """

    usage: Usage
    end_known: bool = True
    noticed_at: datetime | None = None
    joined_at: datetime | None = None
    terminated_by: str = ""

    @property
    def id(self) -> str:
        return self.usage.id

    @property
    def region(self) -> str:
        return self.usage.region

    @property
    def pool(self) -> Pool:
        return Pool(self.usage.type, self.usage.zone)

    @property
    def started_at(self) -> datetime:
        return self.usage.started_at

    @property
    def ended_at(self) -> datetime | None:
        """None: it runs, or its termination has no record."""
        return self.usage.ended_at if self.end_known else None

    @property
    def interrupted(self) -> bool:
        """Whether EC2 interrupted it, and it is terminated."""
        return self.usage.interrupted and self.ended_at is not None

    @property
    def lost_at(self) -> datetime | None:
        """The time of the interruption notice, or of the interruption if the notice has no record."""
        return self.noticed_at or (self.ended_at if self.interrupted else None)

    @property
    def age(self) -> timedelta | None:
        """From the launch to the end; None without an end."""
        return None if self.ended_at is None else self.ended_at - self.started_at


def node_records(
    inventory: AwsInventory,
    logged: Sequence[LoggedInstance],
    *,
    now: datetime,
    listing: NodeListing = _NO_LISTING,
    terminated_by: Mapping[str, str] | None = None,
) -> tuple[NodeRecord, ...]:
    """Every known node, by launch time and id. `terminated_by`: by instance, a command of this machine."""
    history = usage_history(inventory, logged, root_volume_gib=0, now=now)
    usages = [usage for usage in history.usages if usage.type and not usage.orchestrator]
    notices, joins = _notices(inventory, logged), _joins(listing, usages, logged)
    unknown = frozenset(history.unknown_end_ids)
    records = [
        NodeRecord(
            usage,
            end_known=usage.id not in unknown,
            noticed_at=notices.get(usage.id),
            joined_at=joins.get(usage.id),
            terminated_by=(terminated_by or {}).get(usage.id, ""),
        )
        for usage in usages
    ]
    return tuple(sorted(records, key=lambda record: (record.started_at, record.id)))


def _notices(inventory: AwsInventory, logged: Iterable[LoggedInstance]) -> dict[str, datetime]:
    notices = {
        request.instance_id: request.updated_at
        for request in inventory.requests
        if request.instance_id and request.updated_at and request.status in INTERRUPTION_NOTICE
    }
    return notices | {entry.id: entry.noticed_at for entry in logged if entry.noticed_at is not None}


def _joins(
    listing: NodeListing, usages: Iterable[Usage], logged: Iterable[LoggedInstance]
) -> dict[str, datetime]:
    """The earliest record of each."""
    joins = _connections(listing, usages)
    for entry in logged:
        if entry.joined_at is not None:
            joins[entry.id] = min(joins.get(entry.id, entry.joined_at), entry.joined_at)
    return joins


def _connections(listing: NodeListing, usages: Iterable[Usage]) -> dict[str, datetime]:
    """The connection times that are joins. The clocks differ: a join is never before the launch."""
    since = {
        node.instance_id: node.since for node in listing.nodes if node.connected and node.since is not None
    }
    began = listing.started_at
    return {
        usage.id: max(since[usage.id], usage.started_at)
        for usage in usages
        if usage.id in since and (began is None or usage.started_at >= began)
    }
