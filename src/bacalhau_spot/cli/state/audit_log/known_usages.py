"""Keep in the audit log when instances ended, while AWS still says so: it forgets them in an hour, and `cost` wants to know."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bacalhau_spot.cli.state.audit_log.reader import audit_rows, terminations
from bacalhau_spot.cli.state.audit_log.writer import NAME, AuditLog

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bacalhau_spot.cli.runtime.context import CommandContext
    from bacalhau_spot.cli.state.audit_log.reader import AuditRows
    from bacalhau_spot.core.model import Identity
    from bacalhau_spot.core.pricing.cost import Usage
    from bacalhau_spot.core.pricing.usage_history import LoggedInstance


def logged_usages(context: CommandContext, identity: Identity, *, cluster: str) -> tuple[LoggedInstance, ...]:
    """What the log has on the cluster's instances."""
    return _rows(context, identity, cluster=cluster).logged


def _rows(context: CommandContext, identity: Identity, *, cluster: str) -> AuditRows:
    now = context.runtime.clock.now()
    return audit_rows(context.cache_dir / NAME, account_id=identity.account_id, cluster=cluster, now=now)


def launched_in(context: CommandContext, identity: Identity) -> set[str]:
    """Regions in which this machine has launched nodes of the configured cluster whose end nobody has noted."""
    logged = logged_usages(context, identity, cluster=context.naming().tag_value)
    return {sighting.region for sighting in logged if sighting.ended_at is None}


def log_trouble(context: CommandContext, identity: Identity, *, cluster: str) -> tuple[str, ...]:
    """What a sum over the log has to say about the log itself."""
    rows = _rows(context, identity, cluster=cluster)
    if rows.skipped:
        what = "one row" if rows.skipped == 1 else f"{rows.skipped} rows"
        return (f"{what} of the audit log {context.cache_dir / NAME} cannot be read and are ignored",)
    return (rows.trouble,) if rows.trouble else ()


def terminated_by(context: CommandContext, identity: Identity) -> dict[str, str]:
    """By instance, the command of this machine that terminated it."""
    return terminations(context.cache_dir / NAME, account_id=identity.account_id)


def _logged_ends(context: CommandContext, identity: Identity, *, cluster: str) -> set[str]:
    """Ids of the instances whose end the log has."""
    logged = logged_usages(context, identity, cluster=cluster)
    return {usage.id for usage in logged if usage.ended_at is not None}


def log_terminations(
    context: CommandContext, identity: Identity, *, cluster: str, ended: Iterable[Usage]
) -> tuple[str, ...]:
    """Write those lives that the log does not know to have ended. What went wrong with that, for a warning."""
    usages = [usage for usage in ended if usage.type and usage.ended_at is not None]
    logged = _logged_ends(context, identity, cluster=cluster) if usages else set()
    fresh = [usage for usage in usages if usage.id not in logged]
    if not fresh:
        return ()
    audit = AuditLog(context, identity=identity, cluster=cluster)
    audit.log_ended_usages(fresh)
    return (audit.trouble,) if audit.trouble else ()
