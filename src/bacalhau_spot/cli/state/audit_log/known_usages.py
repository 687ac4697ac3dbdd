"""Records terminations, joins and interruption notices in the audit log, because AWS lists a terminated instance for only
an hour.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bacalhau_spot.cli.state.audit_log.reader import audit_rows, create_identities, terminations
from bacalhau_spot.cli.state.audit_log.writer import NAME, AuditLog
from bacalhau_spot.core.pricing.usage_history import more_precise_reason

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bacalhau_spot.cli.runtime.context import CommandContext
    from bacalhau_spot.cli.state.audit_log.reader import AuditRows
    from bacalhau_spot.core.history.node_records import NodeRecord
    from bacalhau_spot.core.model import Identity
    from bacalhau_spot.core.pricing.cost import Usage
    from bacalhau_spot.core.pricing.usage_history import LoggedInstance


def logged_usages(context: CommandContext, identity: Identity, *, cluster: str) -> tuple[LoggedInstance, ...]:
    """The log's records of the cluster's instances."""
    return _rows(context, identity, cluster=cluster).logged


def _rows(context: CommandContext, identity: Identity, *, cluster: str) -> AuditRows:
    now = context.runtime.clock.now()
    return audit_rows(context.cache_dir / NAME, account_id=identity.account_id, cluster=cluster, now=now)


def launched_in(context: CommandContext, identity: Identity) -> set[str]:
    """Regions in which this machine has launched nodes of the configured cluster that have no recorded termination."""
    logged = logged_usages(context, identity, cluster=context.naming().tag_value)
    return {sighting.region for sighting in logged if sighting.ended_at is None}


def log_trouble(context: CommandContext, identity: Identity, *, cluster: str) -> tuple[str, ...]:
    """Warnings about rows or a file that cannot be read."""
    rows = _rows(context, identity, cluster=cluster)
    if rows.skipped:
        what = "one row" if rows.skipped == 1 else f"{rows.skipped} rows"
        return (f"{what} of the audit log {context.cache_dir / NAME} cannot be read and are ignored",)
    return (rows.trouble,) if rows.trouble else ()


def terminated_by(context: CommandContext, identity: Identity) -> dict[str, str]:
    """The command of this machine that terminated each instance."""
    return terminations(context.cache_dir / NAME, account_id=identity.account_id)


def launched_by(context: CommandContext, identity: Identity) -> dict[str, str]:
    """The ARN of the identity that last ran `create` on this machine, by cluster."""
    return create_identities(context.cache_dir / NAME, account_id=identity.account_id)


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
) -> tuple[str, ...]:
    """Record the terminations, and the joins and notices of `nodes`, that the log does not have yet.

    Returns a warning if that fails.
    """
    observed = _observations(ended, nodes)
    if any(observed):
        observed = observed.missing_in(logged_usages(context, identity, cluster=cluster))
    if not any(observed):
        return ()
    audit = AuditLog(context, identity=identity, cluster=cluster)
    audit.log_ended_usages(observed.ended)
    audit.log_joins(observed.joined)
    audit.log_notices(observed.noticed)
    return (audit.trouble,) if audit.trouble else ()


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
