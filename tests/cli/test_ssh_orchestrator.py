"""`ssh` and `console` offer the managed orchestrator next to the nodes, and tell why SSH fails in the sandbox."""

from __future__ import annotations

from typing import Any

import pytest

from cli.test_destroy_orchestrator import CREATE, HOME, configure
from cli.test_managed_life import SandboxClock
from support.cli_runner import CliRunner

pytestmark = pytest.mark.sockets


@pytest.fixture(autouse=True)
def clock(program: CliRunner, sandbox: Any) -> None:
    program.clock = SandboxClock(sandbox)


def test_it_is_in_the_lists(program: CliRunner) -> None:
    """It is selected by no zone and no region, and is no node of `--all`."""
    configure(program)
    path = program.folder / "config.yaml"
    path.write_text(path.read_text().replace("nodes: 1", "nodes: 2"))
    assert program(*CREATE).code == 0
    for command in (("ssh", "--print"), ("console",)):
        refused = program(*command)
        assert (refused.code, refused.stderr.count("running  orchestrator")) == (3, 1), refused.stderr
        unknown = program(*command, "i-nothing")
        assert (unknown.code, unknown.stderr.count("  orchestrator\n")) == (2, 1), unknown.stderr
    by_region = program("ssh", "--print", HOME)
    assert (by_region.code, by_region.stderr.count("  orchestrator")) == (3, 0)
    everywhere = program("ssh", "--print", "--all", "--", "uptime")
    assert len(everywhere.stdout.splitlines()) == 2
