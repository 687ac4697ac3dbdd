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


def logged_usages(call: CommandContext, identity: Identity, *, cluster: str) -> tuple[LoggedInstance, ...]:
    """What the log has on the cluster's instances."""
    return _rows(call, identity, cluster=cluster).logged


def _rows(call: CommandContext, identity: Identity, *, cluster: str) -> AuditRows:
    now = call.runtime.clock.now()
    return audit_rows(call.cache_dir / NAME, account_id=identity.account_id, cluster=cluster, now=now)


def launched_in(call: CommandContext, identity: Identity) -> set[str]:
    """Regions in which this machine has launched nodes of the configured cluster whose end nobody has noted."""
    sightings = logged_usages(call, identity, cluster=call.naming().tag_value)
    return {sighting.region for sighting in sightings if sighting.ended_at is None}


def log_trouble(call: CommandContext, identity: Identity, *, cluster: str) -> tuple[str, ...]:
    """What a sum over the log has to say about the log itself."""
    rows = _rows(call, identity, cluster=cluster)
    if rows.skipped:
        what = "one row" if rows.skipped == 1 else f"{rows.skipped} rows"
        return (f"{what} of the audit log {call.cache_dir / NAME} cannot be read and count for nothing",)
    return (rows.trouble,) if rows.trouble else ()


def terminated_by(call: CommandContext, identity: Identity) -> dict[str, str]:
    """By instance, the command of this machine that terminated it."""
    return terminations(call.cache_dir / NAME, account_id=identity.account_id)


def log_terminations(
    call: CommandContext, identity: Identity, *, cluster: str, ended: Iterable[Usage]
) -> tuple[str, ...]:
    """Write those lives that the log does not know to have ended. What went wrong with that, for a warning."""
    lives = [life for life in ended if life.type and life.ended_at is not None]
    if not lives:
        return ()
    noted = {one.id for one in logged_usages(call, identity, cluster=cluster) if one.ended_at is not None}
    fresh = [life for life in lives if life.id not in noted]
    if not fresh:
        return ()
    audit = AuditLog(call, identity=identity, cluster=cluster)
    audit.log_ended_usages(fresh)
    return (audit.trouble,) if audit.trouble else ()
