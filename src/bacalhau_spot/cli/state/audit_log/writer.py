"""The audit log: who launched and deleted which resources, with AWS's request ids, one JSON object per line.

Rows are only appended. `cli/state/audit_log/reader.py` reads them: `cost`, `prices`, `history` and `status` for instances
that AWS no longer lists, `status` and `history` for the command that terminated an instance, `create` and `doctor` for the
regions of earlier launches and for recent interruptions.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from bacalhau_spot import files
from bacalhau_spot.core.launch import events
from bacalhau_spot.core.sanitize import escaped
from bacalhau_spot.ui.json_output import event_name, time_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from bacalhau_spot.cli.runtime.context import CommandContext
    from bacalhau_spot.core.cleanup.deletion_result import DeletionResult
    from bacalhau_spot.core.history.node_records import NodeRecord
    from bacalhau_spot.core.launch.create_result import CreateResult
    from bacalhau_spot.core.launch.events import Event
    from bacalhau_spot.core.model import Identity, Instance
    from bacalhau_spot.core.pricing.cost import Usage
    from bacalhau_spot.core.reconcile.pass_result import PassActions

NAME = "audit.jsonl"
_KEPT = (
    events.Deleting,
    events.Deleted,
    events.FleetResponded,
    events.InstanceSeen,
    events.RegionFailed,
    events.Cancelling,
)


def budget_key(actions: PassActions) -> str | None:
    """Two passes in a row with the same key were refused for the same reason. None: the budget was not the reason."""
    if actions.budget is None:
        return None
    return f"{actions.not_launched} nodes, {actions.budget.usd_per_hour} USD"


class AuditLog:
    """The rows of one run. A failed write does not prevent a deletion: `trouble` has the reason."""

    def __init__(self, context: CommandContext, *, identity: Identity, cluster: str = "") -> None:
        """`cluster`: the tag value, if the command is about one cluster."""
        runtime = context.runtime
        self.path = context.cache_dir / NAME
        self.trouble = ""
        self._clock = runtime.clock
        self._who = {
            "run": runtime.run_id,
            "account_id": identity.account_id,
            "arn": identity.arn,
            **({"cluster": cluster} if cluster else {}),
        }
        self._write("command-started", command=context.command, argv=list(runtime.invocation.argv))

    def emit(self, event: Event) -> None:
        """The event listener."""
        if isinstance(event, _KEPT):
            names = event.__dataclass_fields__
            self._write(event_name(type(event)), **{name: getattr(event, name) for name in names})

    def log_creation(self, result: CreateResult) -> None:
        """The end of a create: the launched instances, as last listed by AWS, and those that it removed."""
        self._write(
            "created",
            exit_code=int(result.exit_code),
            instances=[
                {
                    "id": instance.id,
                    "region": instance.region,
                    "zone": instance.zone,
                    "type": instance.type,
                    "launched_at": time_text(instance.launched_at),
                }
                for region in result.regions
                for instance in region.instances
            ],
            removed=[*result.removed, *result.leaving],
        )
        for region in result.regions:
            for instance in region.instances:
                if instance.id in result.joined_at:
                    self._log_node(
                        "node-joined", instance, instance.launched_at, result.joined_at[instance.id]
                    )

    def log_joins(self, records: Iterable[NodeRecord]) -> None:
        """The joins of these nodes."""
        for record in records:
            if record.joined_at is not None:
                self._log_node("node-joined", record.usage, record.started_at, record.joined_at)

    def log_notices(self, records: Iterable[NodeRecord]) -> None:
        """EC2's interruption notices to these nodes: AWS does not return their time after the termination."""
        for record in records:
            if record.noticed_at is not None:
                self._log_node("interruption-notice", record.usage, record.started_at, record.noticed_at)

    def _log_node(
        self, event: str, node: Instance | Usage, started_at: datetime, happened_at: datetime
    ) -> None:
        self._write(
            event,
            id=node.id,
            region=node.region,
            zone=node.zone,
            type=node.type,
            started_at=time_text(started_at),
            happened_at=time_text(happened_at),
        )

    def log_pass(self, actions: PassActions) -> None:
        """The end of a pass of `reconcile` that had something to change."""
        self._write(
            "reconciled",
            launched=list(actions.launched),
            removed=[*actions.drained, *actions.replaced],
            replaced=list(actions.replaced),
            budget=budget_key(actions),
            pruned=list(actions.pruned),
            hindrance=actions.hindrance,
        )

    def log_ended_usages(self, usages: Iterable[Usage]) -> None:
        """Instances that AWS lists as terminated, recorded before AWS removes them."""
        for usage in usages:
            self._write(
                "usage-ended",
                id=usage.id,
                region=usage.region,
                zone=usage.zone,
                type=usage.type,
                started_at=time_text(usage.started_at),
                ended_at=None if usage.ended_at is None else time_text(usage.ended_at),
                interrupted=usage.interrupted,
                orchestrator=usage.orchestrator,
                reason=usage.reason,
            )

    def log_deletion(self, result: DeletionResult) -> None:
        refused: Sequence[Any] = [
            {
                "region": outcome.resource.region,
                "kind": outcome.resource.kind,
                "id": outcome.resource.id,
                "status": outcome.status,
                "code": outcome.problem.code if outcome.problem else "",
                "request_id": outcome.problem.request_id if outcome.problem else "",
            }
            for outcome in result.outcomes
            if outcome.problem is not None
        ]
        self._write(
            "command-ended",
            exit_code=int(result.exit_code),
            remaining=len(result.remaining),
            refused=refused,
        )

    def _write(self, event: str, **values: Any) -> None:
        row = {"event": event, "at": time_text(self._clock.now()), **self._who, **values}
        try:
            files.private_folder(self.path.parent)
            files.append(self.path, escaped(json.dumps(row, ensure_ascii=False)) + "\n")
        except OSError as error:
            self.trouble = f"the audit log {self.path} cannot be written: {error.strerror or error}"
