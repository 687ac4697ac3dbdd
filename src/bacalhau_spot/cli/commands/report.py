"""`report`: one page about the cluster: its state, its nodes and costs over time, interruptions, pools and drift."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from bacalhau_spot import files
from bacalhau_spot.cli.commands.status import StatusReader
from bacalhau_spot.cli.runtime.context import CommandContext
from bacalhau_spot.cli.runtime.environment import Runtime
from bacalhau_spot.cli.runtime.notices import observation_notices, send_notices
from bacalhau_spot.cli.runtime.parsers import moment
from bacalhau_spot.cli.runtime.redaction import redacted
from bacalhau_spot.cli.runtime.result import Result
from bacalhau_spot.cli.runtime.shared_options import NO_PAGE_OPTIONS, Cluster, PageOptions
from bacalhau_spot.cli.state.audit_log import known_usages
from bacalhau_spot.core.sanitize import sanitized
from bacalhau_spot.engine.aws_calls import discovery
from bacalhau_spot.engine.history.cluster_history import LogRecords
from bacalhau_spot.engine.pricing.cost import cluster_usage
from bacalhau_spot.engine.pricing.prices import HISTORY_DAYS
from bacalhau_spot.engine.report.cluster_report import cluster_report
from bacalhau_spot.errors import UserError
from bacalhau_spot.ui import chart_library, json_output, views

if TYPE_CHECKING:
    from datetime import datetime

    from bacalhau_spot.cli.runtime.runner import Runner
    from bacalhau_spot.core.report.cluster_report import ClusterReport

_HTML = "html"


def report(
    *,
    since: Annotated[str, Parameter(metavar="TIME")] = "30d",
    output_file: Annotated[Path | None, Parameter(metavar="FILE")] = None,
    cluster: Cluster = None,
    common: PageOptions = NO_PAGE_OPTIONS,
    runtime: Annotated[Runtime, Parameter(parse=False)],
) -> Result:
    """Write a page about the cluster: regions, nodes and costs over time, interruptions, pools, drift.

    `-o html` prints one self-contained page without scripts, for a browser without a network: into a pipe or a file, on a
    terminal into a new file in this folder. `-o json` has the same data. The page needs the extra `plot`.

    Parameters
    ----------
    since
        Start: a date such as 2026-11-20 or 2026-11-20T08:30 (UTC), or a duration such as 24h or 7d; at most 90 days.
    output_file
        Write the page into this file, with any output format.
    cluster
        Another cluster, by its tag value, instead of the configuration's.
    """
    context = CommandContext("report", common, runtime)
    now = runtime.clock.now()
    start = max(moment(since, flag="--since", now=now), now - timedelta(days=HISTORY_DAYS))
    path = None if output_file is None else runtime.path(output_file)
    wants_page = common.output == _HTML or path is not None
    if wants_page:
        chart_library.load_charts(
            "the page", instead="`report` without `-o html` and `--output-file` prints tables"
        )
    reader = StatusReader(context, cluster=cluster, regions=())
    with context.runner() as runner:
        found, warnings = _read(context, runner, reader, since=start)
    warnings = (*warnings, *send_notices(context, reader.take_notices()))
    page = _page(found, runtime) if wants_page else ""
    if page:
        path = path or _new_file(found, runtime)
        page = "" if _written(page, path) else page
    return Result(
        "report",
        view=views.page_written_view(path)
        if path and common.output == _HTML
        else views.report_view(found, page=path),
        data=json_output.report_data(found, page=path),
        page=page,
        exit_code=found.exit_code,
        errors=context.errors_of(found.failures, exit_code=found.exit_code),
        warnings=warnings,
        stderr_warnings=warnings,
    )


def _read(
    context: CommandContext, runner: Runner, reader: StatusReader, *, since: datetime
) -> tuple[ClusterReport, tuple[str, ...]]:
    """The report, and warnings. The calls are those of `status` and `cost` together. Raises CloudError."""
    status = reader.now(runner)
    identity, naming = reader.account.identity, reader.naming
    spec = context.spec(lenient=True)
    logged = known_usages.logged_usages(context, identity, cluster=naming.tag_value)
    usage = runner.run_readonly(
        cluster_usage(
            runner.calls,
            naming,
            regions=discovery.enabled_names(reader.account.regions),
            logged=logged,
            root_volume_gib=spec.instance.root_volume_gib,
            data_volume_gib=spec.orchestrator.volume_gib,
            since=since,
        )
    )
    log = LogRecords(logged, known_usages.terminated_by(context, identity))
    made = runner.run_readonly(cluster_report(runner.calls, status, usage, log=log))
    # Spot requests have ends that the check does not: AWS lists them longer.
    ended = [life for life in usage.history.usages if life.id not in usage.history.unknown_end_ids]
    new = known_usages.log_observations(context, identity, cluster=naming.tag_value, ended=ended)
    late = observation_notices(context, identity, new, cluster=naming.tag_value)
    trouble = known_usages.log_trouble(context, identity, cluster=naming.tag_value)
    return made, (*trouble, *new.warnings, *send_notices(context, late))


def _page(found: ClusterReport, runtime: Runtime) -> str:
    from bacalhau_spot.ui.report_page.page import report_page  # noqa: PLC0415 - with the charting library, an extra

    return sanitized(redacted(report_page(found), runtime))


def _new_file(found: ClusterReport, runtime: Runtime) -> Path | None:
    """`report-blue-20261129-052315.html` for a terminal, a new one each time; None: the page goes to stdout."""
    if not runtime.stdout.isatty():
        return None
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", found.cluster)[:80].strip("-.") or "cluster"
    return runtime.cwd / f"report-{name}-{found.window.now:%Y%m%d-%H%M%S}.html"


def _written(page: str, path: Path | None) -> bool:
    """Whether there is a file to write. Raises UserError if it cannot be written."""
    if path is None:
        return False
    try:
        files.write(path, page)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror or error}") from error
    return True
