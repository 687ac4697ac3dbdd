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


def ssh_data(everywhere: FanOutResult) -> Data:
    return {
        "command": list(everywhere.command),
        "failed": len(everywhere.failed),
        "nodes": [
            {
                **_node(one.instance),
                "exit_code": one.code,
                "timed_out": one.code is None,
                "stdout": one.stdout,
                "stderr": one.stderr,
                "truncated": one.truncated,
            }
            for one in everywhere.results
        ],
    }


def ssh_lines_data(made: Sequence[tuple[Instance, Sequence[str]]]) -> Data:
    """With `--print`."""
    return {"lines": [{**_node(one), "argv": list(line)} for one, line in made]}


def console_data(instance: Instance, text: str) -> Data:
    return {
        **_node(instance),
        "text": text,
        "phases": [
            {"at": time_text(one.at), "phase": one.phase, "detail": one.text} for one in console_lines(text)
        ],
    }
