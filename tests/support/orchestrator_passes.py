"""The passes of `reconcile` on a managed orchestrator's machine in the sandbox, in this process and in the sandbox's time."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from aws_spot_sandbox.iam import sessions
from aws_spot_sandbox_bacalhau.plugin import BacalhauPlugin
from aws_spot_sandbox_bacalhau.reconcile_service import ReconcileService
from support.cli_runner import CliResult, CliRunner
from support.engine_clock import EngineClock


@dataclass
class MachinePasses:
    """`results`: of all passes so far."""

    sandbox: Any
    folder: Path
    results: list[CliResult] = field(default_factory=list)

    @property
    def services(self) -> list[ReconcileService]:
        (plugin,) = [one for one in self.sandbox.server.plugins._plugins if isinstance(one, BacalhauPlugin)]
        return [service for service in plugin.reconcile_services.values() if not service.host.ended]

    def advance(self, seconds: float, *, step_s: float = 20) -> list[CliResult]:
        """The time goes on, and nobody types anything. Returns the passes in it."""
        before = len(self.results)
        for _ in range(round(seconds / step_s)):
            self.sandbox.clock.advance(step_s)
            self.sandbox.server.settle()
            for service in self.services:
                self._pass(service)
        return self.results[before:]

    def _pass(self, service: ReconcileService) -> None:
        configuration = service.take()
        if configuration is None:
            return
        self.folder.mkdir(exist_ok=True)
        for name, text in configuration.files.items():
            (self.folder / name).write_text(text)
        (self.folder / "config.yaml").write_text(json.dumps(configuration.config))
        session = sessions.of_machine(self.sandbox.world, service.host.machine)
        assert session is not None
        machine = CliRunner(folder=self.folder, clock=EngineClock(self.sandbox.clock), host="orchestrator")
        machine.runs = 1000 + len(self.results)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("AWS_ACCESS_KEY_ID", session.access_key_id)
            patch.setenv("AWS_SECRET_ACCESS_KEY", session.secret_access_key)
            patch.setenv("AWS_SESSION_TOKEN", session.token)
            self.results.append(
                machine(
                    "reconcile",
                    "--on-orchestrator",
                    service.api,
                    "--config",
                    str(self.folder / "config.yaml"),
                    "-o",
                    "json",
                )
            )
