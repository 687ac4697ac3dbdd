"""The sandbox runs `reconcile` of a managed orchestrator's machine as a process of its own, in real time."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from aws_spot_sandbox.state import World
from aws_spot_sandbox_bacalhau import reconcile_service
from aws_spot_sandbox_bacalhau.plugin import BacalhauPlugin
from bacalhau_spot.engine.aws_calls.clock import RealClock
from cli.test_orchestrator_reconcile import configure
from support.cli_runner import CliRunner

pytestmark = pytest.mark.sockets

_PATIENCE_S = 60.0


def first_line(folder: Path) -> dict[str, Any]:
    """Of the output of the first pass."""
    end = time.monotonic() + _PATIENCE_S
    while time.monotonic() < end:
        for log in folder.glob("*/reconcile/log"):
            text = log.read_text()
            if text.endswith("\n"):
                row: dict[str, Any] = json.loads(text.splitlines()[0])
                return row
        time.sleep(0.1)
    pytest.fail("no pass has ended")


def test_a_pass_finds_the_role_of_the_machine_by_itself(
    program: CliRunner, sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """boto3's own way to the metadata service: the process has no credentials in its environment."""
    monkeypatch.setattr(reconcile_service, "LOOKS_S", 0.5)
    server = sandbox.server
    server.reset(World())
    server.world.settings.pending_s, server.world.settings.boot_s = 0.1, 0.5
    program.clock = RealClock()
    configure(program, 1)
    created = program("create", "--yes", "--wait", "running", "-o", "json")
    assert created.code == 0, created.stdout
    (plugin,) = [one for one in server.plugins._plugins if isinstance(one, BacalhauPlugin)]
    row = first_line(plugin._files().base)
    assert row["errors"] == [], row
    assert (row["command"], row["data"]["found"]["wanted"], row["data"]["problems"]) == ("reconcile", 1, [])
    assert row["data"]["calls"] > 5
    server.plugins.close()
    (service,) = plugin.reconcile_services.values()
    assert service._process is not None
    assert service._process.wait(10) is not None, "it ends with the sandbox"
