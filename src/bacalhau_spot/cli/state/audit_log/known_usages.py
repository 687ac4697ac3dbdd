"""Records terminations in the audit log, for `cost`, because AWS lists a terminated instance for only an hour."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bacalhau_spot.cli.state.audit_log.reader import audit_rows, create_identities, terminations
from bacalhau_spot.cli.state.audit_log.writer import NAME, AuditLog

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bacalhau_spot.cli.runtime.context import CommandContext
    from bacalhau_spot.cli.state.audit_log.reader import AuditRows
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


def _logged_ends(context: CommandContext, identity: Identity, *, cluster: str) -> set[str]:
    """Ids of the instances with a recorded termination."""
    logged = logged_usages(context, identity, cluster=cluster)
    return {usage.id for usage in logged if usage.ended_at is not None}


def log_terminations(
    context: CommandContext, identity: Identity, *, cluster: str, ended: Iterable[Usage]
) -> tuple[str, ...]:
    """Record the terminations that the log does not have yet. Returns a warning if that fails."""
    usages = [usage for usage in ended if usage.type and usage.ended_at is not None]
    logged = _logged_ends(context, identity, cluster=cluster) if usages else set()
    fresh = [usage for usage in usages if usage.id not in logged]
    if not fresh:
        return ()
    audit = AuditLog(context, identity=identity, cluster=cluster)
    audit.log_ended_usages(fresh)
    return (audit.trouble,) if audit.trouble else ()
