"""What `ssh` and `console` print for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bacalhau_spot.core.health.boot_console import console_lines
from bacalhau_spot.core.ssh.ssh_command import ssh_address
from bacalhau_spot.ui.json_output.values import Data, time_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bacalhau_spot.core.model import Instance
    from bacalhau_spot.core.ssh.ssh_results import FanOutResult


def _node(instance: Instance) -> Data:
    return {
        "id": instance.id,
        "region": instance.region,
        "zone": instance.zone,
        "address": ssh_address(instance),
    }


def ssh_data(results: FanOutResult) -> Data:
    return {
        "command": list(results.command),
        "failed": len(results.failed),
        "nodes": [
            {
                **_node(result.instance),
                "exit_code": result.code,
                "timed_out": result.code is None,
                "stdout": result.stdout,
                "stderr": result.stderr,
                "truncated": result.truncated,
            }
            for result in results.results
        ],
    }


def ssh_lines_data(made: Sequence[tuple[Instance, Sequence[str]]]) -> Data:
    """With `--print`."""
    return {"lines": [{**_node(instance), "argv": list(line)} for instance, line in made]}


def console_data(instance: Instance, text: str) -> Data:
    return {
        **_node(instance),
        "text": text,
        "phases": [
            {"at": time_text(console_line.at), "phase": console_line.phase, "detail": console_line.text}
            for console_line in console_lines(text)
        ],
    }
