"""`cost`: what the cluster has cost since it was made, and what it costs per hour now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from bacalhau_spot.cli.audit import NAME, Audit
from bacalhau_spot.cli.common import NO_ROWS_SAID, Cluster, Tabular
from bacalhau_spot.cli.invocation import Invocation
from bacalhau_spot.cli.options import moment
from bacalhau_spot.cli.result import Result
from bacalhau_spot.cli.runtime import Runtime
from bacalhau_spot.cli.sightings import sightings
from bacalhau_spot.engine import cost as engine
from bacalhau_spot.engine import observe
from bacalhau_spot.ui import csvout, jsonout, views

if TYPE_CHECKING:
    from datetime import datetime

    from bacalhau_spot.core.cost_report import CostReport
    from bacalhau_spot.core.lives import Sighting
    from bacalhau_spot.core.model import Naming
    from bacalhau_spot.engine.calls import Calls
    from bacalhau_spot.engine.observe import Standing

Grouping = Literal["region", "zone", "type", "pool", "instance"]


def cost(
    *,
    since: str | None = None,
    by: Grouping = "region",
    cluster: Cluster = None,
    common: Tabular = NO_ROWS_SAID,
    runtime: Annotated[Runtime, Parameter(parse=False)],
) -> Result:
    """Show what the cluster has cost, and what it costs per hour now.

    From AWS alone, and the audit log of this machine for instances that AWS has forgotten. Spot prices as they were in
    force, by the second; volumes and public addresses; beside it what the same would have cost on demand.

    Parameters
    ----------
    since
        Only what has come up since then: a date such as 2026-11-20 or 2026-11-20T08:30 (UTC), or a length such as 24h or 7d.
    by
        What a row is for.
    cluster
        Another cluster than the configuration's, by the value of its tag.
    """
    call = Invocation("cost", common, runtime)
    start = moment(since, flag="--since", now=runtime.clock.now()) if since else None
    spec, naming = call.spec(lenient=True), call.naming(cluster)
    with call.engine() as running:
        look = _look(call, running.calls, naming, since=start, root_volume_gib=spec.instance.root_volume_gib)
        here, known, report = running.look(look)
    late = _note(call, here, known, report)
    return Result(
        "cost",
        view=views.cost_view(report, by=by, wide=common.output == "wide"),
        data=jsonout.cost_data(report),
        rows=csvout.cost_rows(report),
        exit_code=report.exit_code,
        errors=call.errors_of(report.unseen, exit_code=report.exit_code),
        warnings=late,
        late_warnings=late,
    )


async def _look(
    call: Invocation, calls: Calls, naming: Naming, *, since: datetime | None, root_volume_gib: int
) -> tuple[Standing, tuple[Sighting, ...], CostReport]:
    """Who looks, what the audit log knew before, and the cost."""
    here = await observe.standing(calls)
    known = sightings(call.memory_dir / NAME, account_id=here.identity.account_id, cluster=naming.tag_value)
    report = await engine.cost(
        calls,
        naming,
        regions=observe.enabled(here.regions),
        sightings=known,
        root_volume_gib=root_volume_gib,
        since=since,
    )
    return here, known, report


def _note(
    call: Invocation, here: Standing, known: tuple[Sighting, ...], report: CostReport
) -> tuple[str, ...]:
    """Write the ends that AWS still knows into the audit log, where it has them not yet; what went wrong with that."""
    noted = {one.id for one in known if one.ended is not None} | set(report.lives.unknown_ends)
    fresh = [
        life for life in report.lives.lives if life.type and life.ended is not None and life.id not in noted
    ]
    if not fresh:
        return ()
    audit = Audit(call, identity=here.identity, cluster=report.cluster)
    audit.lived(fresh)
    return (audit.trouble,) if audit.trouble else ()
