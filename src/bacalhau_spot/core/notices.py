"""Notices of a cluster's events: the kinds, the receivers, and the text and data of each notice.

A notice is sent to the receivers that the configuration names in `notify`. `text` is one sentence for people; `data` has the
same facts for programs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from bacalhau_spot.core.tags import tag_time
from bacalhau_spot.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from datetime import datetime

    from bacalhau_spot.core.history.timeline import Replacement
    from bacalhau_spot.core.launch.create_result import CreateResult
    from bacalhau_spot.core.model import Secret
    from bacalhau_spot.core.pricing.cost import Usage
    from bacalhau_spot.core.pricing.estimate import Budget


class NoticeKind(StrEnum):
    """The events of which notices are sent. The names are those of `events` in the configuration."""

    CREATE_ENDED = "create-ended"
    INTERRUPTION = "interruption"
    REPLACEMENT = "replacement"
    BUDGET_REACHED = "budget-reached"
    CLUSTER_EXPIRED = "cluster-expired"


@dataclass(frozen=True, slots=True)
class NotifyTarget:
    """A receiver: a webhook (`url`) or a shell command. `events`: the kinds that it receives; empty: all."""

    url: Secret | None = None
    command: str | None = None
    events: tuple[NoticeKind, ...] = ()

    def receives(self, kind: NoticeKind) -> bool:
        return not self.events or kind in self.events

    @property
    def label(self) -> str:
        """For messages: the host of a webhook, because its path is a secret; or the first word of a command."""
        if self.url is not None:
            return f"webhook at {urlsplit(self.url.reveal()).hostname or 'an unknown host'}"
        words = (self.command or "").split()
        return f"command {words[0]}" if words else "command"


@dataclass(frozen=True, slots=True)
class Notice:
    """One event of a cluster."""

    kind: NoticeKind
    cluster: str
    text: str
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DeliveryResult:
    """The delivery of one notice to one receiver. `number`: its place in `notify`, from 1. `problem`: empty if delivered."""

    number: int
    target: NotifyTarget
    notice: Notice
    problem: str = ""

    @property
    def delivered(self) -> bool:
        return not self.problem


def delivery_warning(result: DeliveryResult) -> str:
    """A sentence about a failed delivery."""
    return (
        f"the notice {result.notice.kind} was not delivered to the {result.target.label} (number {result.number} in `notify`): "
        f"{result.problem}"
    )


_OUTCOMES = {ExitCode.DONE: "success", ExitCode.INTERRUPTED: "interrupted"}


def create_ended(cluster: str, result: CreateResult) -> Notice:
    """The end of a `create` that launched or terminated nodes, completely or partly."""
    outcome = _OUTCOMES.get(result.exit_code, "partial" if result.running else "failed")
    running = f"{result.running} of {result.requested} requested nodes run"
    joined = "" if result.joined is None else f", {result.joined} joined the orchestrator"
    removed = f", {len(result.removed)} terminated" if result.removed else ""
    return Notice(
        NoticeKind.CREATE_ENDED,
        cluster,
        f"create of {cluster}: {outcome}: {running}{joined}{removed}",
        {
            "outcome": outcome,
            "exit_code": int(result.exit_code),
            "requested": result.requested,
            "launched": result.launched,
            "running": result.running,
            "missing": result.missing,
            "joined": result.joined,
            "removed": len(result.removed),
            "regions": {
                region.region: {"running": len(region.running), "code": region.code}
                for region in result.regions
            },
        },
    )


def create_failed(cluster: str, *, what: str, why: str, exit_code: ExitCode) -> Notice:
    """The end of a `create` with an error, after its confirmation. `what` and `why`: those of the error."""
    reason = f"{what} ({why})" if why else what
    return Notice(
        NoticeKind.CREATE_ENDED,
        cluster,
        f"create of {cluster}: failed: {reason}",
        {"outcome": "failed", "exit_code": int(exit_code), "what": what, "why": why},
    )


def budget_reached(cluster: str, budget: Budget, *, not_launched: int) -> Notice:
    """A plan that was refused because it may cost more than the budget. Amounts are US dollars an hour."""
    cost = "an unknown amount" if budget.total_usd is None else f"${budget.total_usd.normalize():f}"
    return Notice(
        NoticeKind.BUDGET_REACHED,
        cluster,
        f"budget of {cluster} reached: {not_launched} nodes were not launched. The cluster may cost {cost} an hour; its "
        f"budget is ${budget.usd_per_hour.normalize():f}",
        {
            "budget_usd_per_hour": str(budget.usd_per_hour),
            "usd_per_hour": None if budget.total_usd is None else str(budget.total_usd),
            "existing_usd_per_hour": None if budget.existing_usd is None else str(budget.existing_usd),
            "not_launched": not_launched,
        },
    )


def interruptions(cluster: str, usages: Iterable[Usage]) -> tuple[Notice, ...]:
    """One for each node that EC2 interrupted; the others are no notices."""
    return tuple(
        Notice(
            NoticeKind.INTERRUPTION,
            cluster,
            f"EC2 interrupted {usage.id} of {cluster} ({usage.type} in {usage.zone})",
            {
                "instance_id": usage.id,
                "zone": usage.zone,
                "type": usage.type,
                "launched_at": tag_time(usage.started_at),
                "ended_at": None if usage.ended_at is None else tag_time(usage.ended_at),
            },
        )
        for usage in usages
        if usage.interrupted and not usage.orchestrator
    )


def replacement(
    cluster: str, *, old_id: str, new_id: str, zone: str, instance_type: str, seconds: int | None = None
) -> Notice:
    """A node in place of another one. `seconds`: from the notice, or the end, of the old one until the new one joined."""
    took = "" if seconds is None else f", after {seconds} s"
    return Notice(
        NoticeKind.REPLACEMENT,
        cluster,
        f"{new_id} ({instance_type} in {zone}) replaced {old_id} of {cluster}{took}",
        {"old_id": old_id, "new_id": new_id, "zone": zone, "type": instance_type, "seconds": seconds},
    )


def replacements_joined(
    cluster: str, found: Mapping[str, Replacement], joined: Collection[str]
) -> tuple[Notice, ...]:
    """One for each replacement that has joined just now. `found`: by the lost node; `joined`: ids."""
    return tuple(
        replacement(
            cluster,
            old_id=lost_id,
            new_id=new.node.id,
            zone=new.node.pool.zone,
            instance_type=new.node.pool.type,
            seconds=None if new.joined_after is None else int(new.joined_after.total_seconds()),
        )
        for lost_id, new in found.items()
        if new.node.id in joined
    )


def cluster_expired(cluster: str, *, expired_at: datetime, nodes: int, idle: bool = False) -> Notice:
    """A deleted cluster at the end of its lifetime, or with `idle` after `idle_ttl`. `nodes`: the number until then."""
    since = f"{expired_at:%Y-%m-%d %H:%M} UTC"
    why = f"had no job since {since}" if idle else f"expired at {since}"
    return Notice(
        NoticeKind.CLUSTER_EXPIRED,
        cluster,
        f"{cluster} {why} and is deleted; {nodes} nodes ended with it",
        {"expired_at": tag_time(expired_at), "nodes": nodes, "reason": "idle" if idle else "lifetime"},
    )


def sample_notice(kind: NoticeKind, cluster: str) -> Notice:
    """A notice that tests a receiver: nothing has happened."""
    return Notice(
        kind,
        cluster,
        f"test of a notice of the kind {kind} for {cluster}: nothing has happened",
        {"test": True},
    )
