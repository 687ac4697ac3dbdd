"""The output of `ssh` for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from bacalhau_spot.core.ssh.ssh_command import ssh_address
from bacalhau_spot.ui.json_output.values import Count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bacalhau_spot.core.model import Instance
    from bacalhau_spot.core.ssh.ssh_results import FanOutResult


class NodeOutput(TypedDict):
    id: str
    region: str
    zone: str
    address: str | None
    """the public address, or the private one without"""


class CommandResultOutput(NodeOutput):
    exit_code: int | None
    """of `ssh`; null after a timeout"""
    timed_out: bool
    stdout: str
    stderr: str
    truncated: bool
    """the node printed more than one mebibyte on a stream; the rest is missing"""


class SshOutput(TypedDict):
    """With a command."""

    command: list[str]
    failed: Count
    nodes: list[CommandResultOutput]


class CommandLineOutput(NodeOutput):
    argv: list[str]


class SshLinesOutput(TypedDict):
    """With `--print`."""

    lines: list[CommandLineOutput]


def node_data(instance: Instance) -> NodeOutput:
    return {
        "id": instance.id,
        "region": instance.region,
        "zone": instance.zone,
        "address": ssh_address(instance),
    }


def ssh_data(results: FanOutResult) -> SshOutput:
    return {
        "command": list(results.command),
        "failed": len(results.failed),
        "nodes": [
            {
                **node_data(result.instance),
                "exit_code": result.code,
                "timed_out": result.code is None,
                "stdout": result.stdout,
                "stderr": result.stderr,
                "truncated": result.truncated,
            }
            for result in results.results
        ],
    }


def ssh_lines_data(command_lines: Sequence[tuple[Instance, Sequence[str]]]) -> SshLinesOutput:
    return {"lines": [{**node_data(instance), "argv": list(line)} for instance, line in command_lines]}
