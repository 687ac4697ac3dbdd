"""Runs an instance's services as systemd does: Restart, RestartSec, ExecStopPost, EnvironmentFile."""

from __future__ import annotations

import shlex
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from aws_spot_sandbox_bacalhau.instance_files import SERVICES
from aws_spot_sandbox_bacalhau.programs import environment, signal_all

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aws_spot_sandbox_bacalhau.instance_files import InstanceFiles, Unit
    from aws_spot_sandbox_bacalhau.programs import Programs

_STOPS_S = 10.0


@dataclass
class Service:
    """`program`: Bacalhau on this machine. `arguments`: further ones, for the addresses that it has here."""

    unit: Unit
    files: InstanceFiles
    programs: Programs
    program: str
    arguments: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    starts: int = 0
    _cleaning: subprocess.Popen[bytes] | None = None
    _again_at: float = 0.0

    def follow(self) -> None:
        """Start it if it is wanted, and again after its end."""
        if self.process is not None and self.process.poll() is not None:
            self._has_ended(self.process)
        if self._cleaning is not None and self._cleaning.poll() is not None:
            self.programs.ended(self._cleaning)
            self._cleaning = None
        busy = self.process is not None or self._cleaning is not None
        if not busy:
            self._file("busy").unlink(missing_ok=True)
        if not busy and self._file("wanted").exists() and not self._file("stopped").exists():
            self._start()

    def _start(self) -> None:
        if time.monotonic() < self._again_at:
            return
        variables = self._variables()
        command = [_filled(word, variables) for word in self.unit.command]
        command[0] = self._executable(command[0])
        self.process = self.programs.start(
            [*command, *self.arguments], folder=Path(self.unit.folder), log=self.log, env=variables
        )
        self.starts += 1
        self._file("busy").touch()
        self._file("pid").write_text(str(self.process.pid))

    def _has_ended(self, process: subprocess.Popen[bytes]) -> None:
        self.programs.ended(process)
        again = self._file("again").exists()
        for name in ("pid", "again"):
            self._file(name).unlink(missing_ok=True)
        if not again and not self.unit.restarts and process.returncode == 0:
            self._file("wanted").unlink(missing_ok=True)
        self._again_at = time.monotonic() + (0.0 if again else self.unit.restart_s)
        self.process = None
        self._clean(crashed=process.returncode not in (0, -signal.SIGTERM))

    def _clean(self, *, crashed: bool) -> None:
        """ExecStopPost: the containers that Bacalhau leaves behind."""
        if not self.unit.stop_post or not self.files.docker:
            return
        words = list(self.unit.stop_post)
        module = words[words.index("-m") + 1]
        folder = Path(words[words.index("-C") + 1])
        self._cleaning = self.programs.start(
            [sys.executable, "-m", module],
            folder=folder,
            log=self.log,
            env={**self._path(), "SERVICE_RESULT": "exit-code" if crashed else "success"},
        )

    def stop(self, *, orderly: bool) -> None:
        """At the end of the instance, in order or by a power failure. No container survives it."""
        self._file("stopped").touch()
        process, self.process = self.process, None
        if process is None:
            return
        signal_all(process, signal.SIGTERM if orderly else signal.SIGKILL)
        try:
            process.wait(_STOPS_S)
        except subprocess.TimeoutExpired:
            signal_all(process, signal.SIGKILL)
            process.wait()
        self.programs.ended(process)
        self._file("pid").unlink(missing_ok=True)
        self._clean(crashed=False)

    @property
    def log(self) -> Path:
        return self.files.root / f"var/log/{self.unit.name}.log"

    def last_lines(self) -> str:
        try:
            return " / ".join(self.log.read_text(errors="replace").splitlines()[-3:])
        except OSError:
            return ""

    def _variables(self) -> dict[str, str]:
        read = [Path(name) for name in self.unit.environment_files]
        pairs = (
            line.partition("=") for path in read if path.exists() for line in path.read_text().splitlines()
        )
        from_files = {name: "".join(shlex.split(value)) for name, equals, value in pairs if equals}
        return {**self._path(), **self.unit.environment, **from_files, **self.environment}

    def _path(self) -> dict[str, str]:
        return {"PATH": f"{self.files.root}/bin:{environment().get('PATH', '/usr/bin:/bin')}"}

    def _executable(self, path: str) -> str:
        return sys.executable if path.endswith("/python3") else self.program

    def _file(self, kind: str) -> Path:
        return self.files.root / SERVICES / f"{self.unit.name}.{kind}"


def _filled(word: str, variables: Mapping[str, str]) -> str:
    for name, value in variables.items():
        word = word.replace(f"${{{name}}}", value)
    return word
