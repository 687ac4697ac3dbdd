"""Reaching nodes, as people and programs read it."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO

import pytest
from rich.console import RenderableType
from syrupy.assertion import SnapshotAssertion

from bacalhau_spot.core.model import ORCHESTRATOR_ROLE, ROLE_KEY, State
from bacalhau_spot.core.problem import ApiFailure
from bacalhau_spot.core.ssh.ssh_command import KnownHosts, SshOptions, ssh_command
from bacalhau_spot.core.ssh.ssh_results import CommandResult, FanOutResult
from bacalhau_spot.errors import ExitCode, UserError
from bacalhau_spot.ui import json_output, views
from bacalhau_spot.ui.prompts import ask_number
from bacalhau_spot.ui.terminal import stream_console
from support.cli_runner import Terminal
from support.golden import golden, output_text
from support.health import NOW, console_output, node
from support.rendering import rendered
from support.schemas import contract

NODES = [node(number) for number in range(1, 5)]
WELL = FanOutResult(
    ("uptime",), tuple(CommandResult(instance, 0, " 12:00 up 3 min\n") for instance in NODES[:2])
)
MIXED = FanOutResult(
    ("df", "-h"),
    (
        CommandResult(NODES[0], 0, "a very [long] line that is not folded, however narrow the window may be: grep wants it whole\n"),  # noqa: E501 - a row of a table
        CommandResult(NODES[1], 1, "out\x1b[2J\n", "err\n"),
        CommandResult(NODES[2], 255, "", "ssh: connect to host 127.0.1.3 port 22: Connection timed out\n"),
        CommandResult(NODES[3], None, "begun\n", truncated=True),
    ),
)  # fmt: skip
PRIVATE = FanOutResult(("uptime",), (CommandResult(node(1, public_ip=None), 255, "", ""),))
HOST = replace(node(4), tags={ROLE_KEY: ORCHESTRATOR_ROLE})
VIEWS: dict[str, RenderableType] = {
    "well": views.fan_out_view(WELL, group=False, closed=False),
    "well, grouped": views.fan_out_view(WELL, group=True, closed=False),
    "mixed": views.fan_out_view(MIXED, group=False, closed=False),
    "mixed, grouped, closed": views.fan_out_view(MIXED, group=True, closed=True),
    "all, private": views.fan_out_view(PRIVATE, group=False, closed=False),
    "reaching, private": views.connecting_view(node(1, public_ip=None)),
    "menu": views.menu_view(NODES, now=NOW),
    "menu, some have ended": views.menu_view([*NODES[:2], node(3, state=State.TERMINATED)], now=NOW),
    "reaching": views.connecting_view(NODES[0]),
    "unreached": views.unreachable_view(NODES[0], closed=False),
    "unreached in the sandbox": views.unreachable_view(NODES[0], closed=False, sandbox=True),
    "menu with the orchestrator": views.menu_view([*NODES[:2], HOST], now=NOW),
    "unreached, closed, private": views.unreachable_view(node(1, public_ip=None), closed=True),
    "host keys to come": views.awaited_host_keys_view(NODES, wait_s=60),
    "silent console": views.empty_console_view(NODES[0]),
    "unseen": views.failed_regions_view(
        [ApiFailure("UnauthorizedOperation", "no", "DescribeTags", "us-west-2")]
    ),
}


@pytest.mark.parametrize("width", [60, 100])
@pytest.mark.parametrize("name", VIEWS)
def test_what_is_read(name: str, width: int, snapshot: SnapshotAssertion) -> None:
    """At two widths; what a node says is one line each, and obeyed by no terminal."""
    assert rendered(VIEWS[name], width=width) == snapshot


def test_what_programs_get_is_published(snapshot: SnapshotAssertion) -> None:
    """To the key: a command on nodes, its command lines, a console."""
    recorded = golden(snapshot)
    line = ssh_command(NODES[0], SshOptions("me", None), KnownHosts("k"))
    for fan_out in (json_output.ssh_data(MIXED), json_output.ssh_lines_data([(NODES[0], line)])):
        assert output_text("ssh", fan_out) == recorded
        contract("ssh", fan_out)
    data = json_output.console_data(NODES[0], console_output("docker: x"))
    assert data["phases"] == [{"at": "2026-11-23T11:59:00Z", "phase": "docker", "detail": "x"}]
    assert output_text("console", data) == recorded
    contract("console", data)


def test_a_number_is_asked_for_until_it_is_one() -> None:
    """Nothing, and the end of input, mean that nothing is to be done (exit code 3)."""
    err = Terminal()
    console = stream_console(err, environ={})
    assert ask_number("Which one?", at_most=3, console=console, stdin=StringIO("0\nx\n²\n3\n")) == 3
    assert err.getvalue().count("a number from 1 to 3") == 3
    for answers in ("\n", ""):
        with pytest.raises(UserError) as refusal:
            ask_number("Which one?", at_most=3, console=console, stdin=StringIO(answers))
        assert refusal.value.exit_code is ExitCode.DECLINED
