"""Records terminations, joins and interruption notices in the audit log, because AWS lists a terminated instance for only
an hour.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from bacalhau_spot.cli.state.audit_log.reader import LogIndex
from bacalhau_spot.cli.state.audit_log.writer import NAME, AuditLog
from bacalhau_spot.core.pricing.usage_history import more_precise_reason

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bacalhau_spot.cli.runtime.context import CommandContext
    from bacalhau_spot.cli.state.audit_log.reader import AuditRows, LogContent
    from bacalhau_spot.core.history.node_records import NodeRecord
    from bacalhau_spot.core.model import Identity
    from bacalhau_spot.core.pricing.cost import Usage
    from bacalhau_spot.core.pricing.usage_history import LoggedInstance


def logged_usages(context: CommandContext, identity: Identity, *, cluster: str) -> tuple[LoggedInstance, ...]:
    """The log's records of the cluster's instances."""
    return _rows(context, identity, cluster=cluster).logged


def _rows(context: CommandContext, identity: Identity, *, cluster: str) -> AuditRows:
    return _content(context, identity, cluster=cluster).rows


def _content(context: CommandContext, identity: Identity, *, cluster: str | None = None) -> LogContent:
    """Of any cluster without `cluster`, so that the log is read once if it was read for one."""
    indexes, path = context.runtime.audit_indexes, context.cache_dir / NAME
    if cluster is None:
        known = (key[2] for key in indexes if key[:2] == (path, identity.account_id))
        cluster = next(known, "")
    key = (path, identity.account_id, cluster)
    if key not in indexes:
        indexes[key] = LogIndex(path, account_id=identity.account_id, cluster=cluster)
    return indexes[key].content(context.runtime.clock.now())


def launched_in(context: CommandContext, identity: Identity) -> set[str]:
    """Regions in which this machine has launched nodes of the configured cluster that have no recorded termination."""
    logged = logged_usages(context, identity, cluster=context.naming().tag_value)
    return {sighting.region for sighting in logged if sighting.ended_at is None}


def log_trouble(context: CommandContext, identity: Identity, *, cluster: str) -> tuple[str, ...]:
    """Warnings about rows or a file that cannot be read."""
    rows = _rows(context, identity, cluster=cluster)
    if rows.skipped:
        what, verb = ("one row", "is") if rows.skipped == 1 else (f"{rows.skipped} rows", "are")
        return (f"{what} of the audit log {context.cache_dir / NAME} cannot be read and {verb} ignored",)
    return (rows.trouble,) if rows.trouble else ()


def terminated_by(context: CommandContext, identity: Identity) -> dict[str, str]:
    """The command of this machine that terminated each instance."""
    return dict(_content(context, identity).terminations)


def launched_by(context: CommandContext, identity: Identity) -> dict[str, str]:
    """The ARN of the identity that last ran `create` on this machine, by cluster."""
    return dict(_content(context, identity).creators)


def replaced_by_passes(context: CommandContext, identity: Identity, *, cluster: str) -> frozenset[str]:
    """The unhealthy nodes that passes of `reconcile` on this machine terminated in order to replace them."""
    return frozenset(_content(context, identity, cluster=cluster).replaced)


def last_budget_key(context: CommandContext, identity: Identity, *, cluster: str) -> str | None:
    """Of the last pass of `reconcile` on this machine: `writer.budget_key`."""
    return _content(context, identity, cluster=cluster).budget


@dataclass(frozen=True, slots=True)
class NewObservations:
    """What the log did not have. `interrupted`: ended nodes; `joined`: ids. `warnings`: the log cannot be written.

    Then nothing is new: each later command would observe the same again.
    """

    interrupted: tuple[Usage, ...] = ()
    joined: frozenset[str] = frozenset()
    warnings: tuple[str, ...] = ()


class _Observations(NamedTuple):
    """Observed terminations, joins and interruption notices."""

    ended: Sequence[Usage]
    joined: Sequence[NodeRecord]
    noticed: Sequence[NodeRecord]

    def missing_in(self, logged: Iterable[LoggedInstance]) -> _Observations:
        """Those without a record."""
        by_id = {entry.id: entry for entry in logged}
        return _Observations(
            [usage for usage in self.ended if _adds(by_id.get(usage.id), usage)],
            _unlogged(self.joined, by_id, "joined_at"),
            _unlogged(self.noticed, by_id, "noticed_at"),
        )


def _observations(ended: Iterable[Usage], nodes: Sequence[NodeRecord]) -> _Observations:
    return _Observations(
        [usage for usage in ended if usage.type and usage.ended_at is not None],
        [node for node in nodes if node.joined_at is not None],
        [node for node in nodes if node.noticed_at is not None],
    )


def log_observations(
    context: CommandContext,
    identity: Identity,
    *,
    cluster: str,
    ended: Iterable[Usage] = (),
    nodes: Sequence[NodeRecord] = (),
) -> NewObservations:
    """Record the terminations, and the joins and notices of `nodes`, that the log does not have yet."""
    observed = _observations(ended, nodes)
    logged: tuple[LoggedInstance, ...] = ()
    if any(observed):
        logged = logged_usages(context, identity, cluster=cluster)
        observed = observed.missing_in(logged)
    if not any(observed):
        return NewObservations()
    audit = AuditLog(context, identity=identity, cluster=cluster)
    audit.log_ended_usages(observed.ended)
    audit.log_joins(observed.joined)
    audit.log_notices(observed.noticed)
    if audit.trouble:
        return NewObservations(warnings=(audit.trouble,))
    known = {entry.id for entry in logged if entry.interrupted}
    return NewObservations(
        interrupted=tuple(usage for usage in observed.ended if usage.interrupted and usage.id not in known),
        joined=frozenset(record.id for record in observed.joined),
    )


def _adds(logged: LoggedInstance | None, usage: Usage) -> bool:
    """Whether the log lacks the end, or has a less precise reason."""
    if logged is None or logged.ended_at is None:
        return True
    return more_precise_reason(logged.reason, usage.reason) != logged.reason


def _unlogged(
    nodes: Sequence[NodeRecord], logged: Mapping[str, LoggedInstance], field: str
) -> list[NodeRecord]:
    """Those without a record of that time."""
    return [node for node in nodes if getattr(logged.get(node.id), field, None) is None]
