"""`reconcile` on a managed orchestrator's machine, as instance/scripts/orchestrator_reconcile.py and its units run it.

Its timer looks at the parameter every minute. The service is simulated by one process a pass: bacalhau-spot of this machine, with
the credentials of the instance's role from the metadata service, and with the orchestrator's API at its Elastic IP.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import os
import signal
import sys
import zlib
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from aws_spot_sandbox import instance_access
from aws_spot_sandbox.http_types import AwsError
from aws_spot_sandbox_bacalhau.boot import Line
from aws_spot_sandbox_bacalhau.metadata import MetadataService
from aws_spot_sandbox_bacalhau.programs import signal_all
from aws_spot_sandbox_bacalhau.stand_in import API_PORT

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    from aws_spot_sandbox_bacalhau.managed import ManagedOrchestrator
    from aws_spot_sandbox_bacalhau.programs import Programs

LOOKS_S = 60.0  # of the timer
_PROGRAM = "bacalhau_spot"
_PASSED = ("VIRTUAL_ENV", "PYTHONPATH", "BACALHAU_SPOT_ADVISOR_URL")


@dataclass(frozen=True)
class Configuration:
    """The parameter's content."""

    config: dict[str, Any]
    files: dict[str, str]
    every_s: float
    package: str

    @classmethod
    def read(cls, value: str) -> Configuration | None:
        """None for another format."""
        try:
            data = json.loads(zlib.decompress(base64.b64decode(value, validate=True)))
            return cls(
                dict(data["config"]), dict(data["files"]), float(data["every_s"]), str(data["package"])
            )
        except (binascii.Error, zlib.error, ValueError, KeyError, TypeError):
            return None


@dataclass
class ReconcileService:
    """Callers of `advance` and `end` hold the lock of the machine's region. `due_at`: of the next pass; None: switched off."""

    host: ManagedOrchestrator
    programs: Callable[[], Programs] | None  # None: the clock is a test's, and so are the passes
    configuration: Configuration | None = None
    due_at: float | None = None
    passes: int = 0
    _looks: int = 0
    _said: str = ""
    _metadata: MetadataService | None = None
    _process: subprocess.Popen[bytes] | None = None
    _ended: bool = field(default=False)

    def advance(self) -> None:
        """Look at the parameter when the timer does, and begin a pass that is due."""
        now, began = self.host.region.now(), self.host.machine.started_at
        if began is None or self._ended:
            return
        looks = math.floor((now - began) / LOOKS_S)
        if looks > self._looks:
            self._looks = looks
            self._look(began + looks * LOOKS_S)
        if self.programs is not None and self.take() is not None:
            self._begin(self.programs())

    def take(self) -> Configuration | None:
        """The configuration of a pass that is due and begins now; None if none is. One that was missed is not made up for."""
        now = self.host.region.now()
        if self.due_at is None or self.configuration is None or now < self.due_at or self._is_running():
            return None
        self.due_at = now + self.configuration.every_s
        self.passes += 1
        return self.configuration

    def end(self) -> None:
        """The machine stops, and everything that runs on it."""
        self._ended, self.due_at = True, None
        if self._process is not None and self._is_running():
            signal_all(self._process, signal.SIGKILL)
        if self._metadata is not None:
            self._metadata.stop()

    @property
    def api(self) -> str:
        return f"https://{self.host.address}:{API_PORT}"

    def _look(self, at: float) -> None:
        name = self.host.boot.about.reconcile_parameter
        if not name:  # user data of an earlier version
            return
        found: Configuration | None = None
        try:
            found = Configuration.read(
                instance_access.read_parameter(self.host.region, self.host.machine, name)
            )
        except AwsError as error:
            if error.code != "ParameterNotFound":
                self._say(
                    at, f"does not run: the parameter {name} cannot be read: {error.code}: {error.message}"
                )
                return
        else:
            if found is None:
                self._say(at, "does not run: the parameter has no configuration for reconcile")
                return
        self._follow(at, found if found is not None and found.every_s else None)

    def _follow(self, at: float, found: Configuration | None) -> None:
        before, self.configuration = self.configuration, found
        if found is None:
            if before is not None:
                self._say(at, "stopped")
            self.due_at = None
        elif before is None or (before.every_s, before.package) != (found.every_s, found.package):
            self.due_at = at
            self._say(at, f"every {found.every_s:.0f} s, with {found.package.partition('#')[0]}")

    def _say(self, at: float, text: str) -> None:
        if text != self._said:
            self._said = text
            self.host.boot.lines.append(Line(at, "reconcile", text))

    # --- A process of this machine

    def _is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def _begin(self, programs: Programs) -> None:
        if find_spec(_PROGRAM) is None:
            self._say(
                self.host.region.now(), "does not run: bacalhau-spot is not installed beside the sandbox"
            )
            return
        if self._metadata is None:
            self._metadata = MetadataService(self.host.region, self.host.machine)
        if self._process is not None:
            programs.ended(self._process)
        folder = programs.base / self.host.machine.id / "reconcile"
        folder.mkdir(parents=True, exist_ok=True)
        assert self.configuration is not None  # noqa: S101 - `take` has returned it
        for name, text in self.configuration.files.items():
            (folder / name).write_text(text, "utf-8")
        config = folder / "config.yaml"
        config.write_text(json.dumps(self.configuration.config), "utf-8")
        self._process = programs.start(
            [
                *(sys.executable, "-m", _PROGRAM, "reconcile", "--on-orchestrator", self.api),
                *("--config", str(config), "-o", "ndjson"),
            ],
            folder=folder,
            log=folder / "log",
            env={
                **{name: os.environ[name] for name in _PASSED if name in os.environ},
                "AWS_ENDPOINT_URL": self.host.region.world.url,
                "AWS_EC2_METADATA_SERVICE_ENDPOINT": self._metadata.url,
                "HOME": str(folder),
                "XDG_STATE_HOME": str(folder),
            },
        )
