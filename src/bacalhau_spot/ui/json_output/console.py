"""The output of `console` for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from bacalhau_spot.core.health.boot_console import console_lines
from bacalhau_spot.ui.json_output.ssh import NodeOutput, node_data
from bacalhau_spot.ui.json_output.values import Time, time_text

if TYPE_CHECKING:
    from bacalhau_spot.core.model import Instance


class PhaseOutput(TypedDict):
    at: Time
    phase: str
    detail: str


class ConsoleOutput(NodeOutput):
    text: str
    """without control characters"""
    phases: list[PhaseOutput]
    """[Nodes](nodes.md) describes the phases"""


def console_data(instance: Instance, text: str) -> ConsoleOutput:
    return {
        **node_data(instance),
        "text": text,
        "phases": [
            {"at": time_text(console_line.at), "phase": console_line.phase, "detail": console_line.text}
            for console_line in console_lines(text)
        ],
    }
