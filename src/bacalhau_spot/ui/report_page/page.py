"""The page of `report`: one HTML file with its style and charts, without scripts and without anything to fetch."""

from __future__ import annotations

import re
from importlib import resources
from typing import TYPE_CHECKING

from bacalhau_spot import __version__
from bacalhau_spot.ui import chart_library
from bacalhau_spot.ui.report_page.charts import charts
from bacalhau_spot.ui.views.report_summary import figures, period, unknowns
from bacalhau_spot.ui.views.report_tables import (
    drift_table,
    interruption_table,
    pool_table,
    region_table,
    trouble_table,
)

if TYPE_CHECKING:
    from bacalhau_spot.core.report.cluster_report import ClusterReport


def report_page(report: ClusterReport) -> str:
    """The page. Every text is escaped by the template engine. Raises UserError without the extra `plot`."""
    altair = chart_library.load_charts("the page", instead="`report` prints tables")
    from jinja2 import Environment, StrictUndefined  # noqa: PLC0415 - an extra
    from markupsafe import Markup  # noqa: PLC0415 - likewise

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["unbroken"] = _unbroken
    template = environment.from_string(
        resources.files(__package__ or "").joinpath("page.html.j2").read_text("utf-8")
    )
    tables = (
        region_table(report),
        pool_table(report),
        interruption_table(report),
        drift_table(report),
        trouble_table(report),
    )
    drawn = charts(altair, report)
    page: str = template.render(
        cluster=report.cluster,
        period=period(report),
        version=__version__,
        figures=figures(report),
        charts=drawn,
        svg=Markup,  # altair's own output, which escapes the names in it
        tables=tables,
        unknowns=unknowns(report),
    )
    return f"{page}\n"


def _unbroken(text: str) -> str:
    """No line is broken between a number and its noun."""
    return re.sub(r"(?<=\d) (?=[^\W\d]|%)", "\N{NO-BREAK SPACE}", text)
