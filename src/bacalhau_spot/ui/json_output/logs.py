"""The output of `logs` for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypedDict, cast

from bacalhau_spot.ui.json_output.values import Time, optional_time

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bacalhau_spot.core.logs.log_lines import LogLine
    from bacalhau_spot.core.model import Instance

Source = Literal["journal", "console"]


class LogLineOutput(TypedDict):
    node: str
    at: Time | None
    """null for the first lines of a console, which have no time"""
    source: Source
    unit: str
    """the service; empty on a console"""
    text: str


class LogNodeOutput(TypedDict):
    id: str
    region: str
    zone: str
    source: Source
    problem: str | None
    """why the journal could not be read; null if it was, or was not asked for"""


class LogsOutput(TypedDict):
    nodes: list[LogNodeOutput]
    lines: list[LogLineOutput]
    """in the order of time"""


def log_line_data(line: LogLine) -> LogLineOutput:
    return {
        "node": line.node,
        "at": optional_time(line.at),
        "source": cast("Source", line.source),
        "unit": line.unit,
        "text": line.text,
    }


def logs_data(
    nodes: Sequence[Instance],
    lines: Sequence[LogLine],
    *,
    sources: Mapping[str, str],
    problems: Mapping[str, str],
) -> LogsOutput:
    """`sources` and `problems`: by the id of a node."""
    return {
        "nodes": [
            {
                "id": node.id,
                "region": node.region,
                "zone": node.zone,
                "source": cast("Source", sources[node.id]),
                "problem": problems.get(node.id),
            }
            for node in nodes
        ],
        "lines": [log_line_data(line) for line in lines],
    }
