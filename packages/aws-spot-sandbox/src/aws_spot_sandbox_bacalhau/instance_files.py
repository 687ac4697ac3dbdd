"""The files of an instance's user data below a folder of this machine, with the addresses that they have here.

cloud-init writes them to the same paths below the root. Paths in their text are changed likewise, so that the programs, units and
configuration among them are the instance's own.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

LIBRARY = "usr/local/lib/bacalhau-spot"
CONSOLE = "dev/console"
SERVICES = "run/services"
POWEROFF = "poweroff"  # among them: the machine shuts down
LOG = "var/log/bacalhau-spot.log"
_OWN = re.compile(
    r"(?<![\w.*-])/(etc/bacalhau|run/bacalhau|var/lib/bacalhau|usr/local/lib/bacalhau-spot|bacalhau_data|dev/console|"
    r"var/log/bacalhau-spot\.log|etc/systemd/system)"
)
_METADATA, _AGENT = "http://169.254.169.254", "http://127.0.0.1:1234"
_CONTAINERS = "label=bacalhau-executor"
# systemd's part: `units.py` follows the files. A running service has a process file; a busy one may run its ExecStopPost.
_SYSTEMCTL = """#!/bin/sh
cd {services} || exit 1
command="$1"
for unit; do :; done
wait_for_end() {{
    tries=0
    while [ "$(cat "$1.pid" 2>/dev/null)" = "$2" ] && [ $tries -lt 400 ]; do
        sleep 0.1
        tries=$((tries + 1))
        [ $tries -eq 300 ] && kill -KILL "$2"
    done
}}
case "$command" in
enable|start)
    for unit; do case "$unit" in *.service) rm -f "$unit.stopped"; touch "$unit.wanted";; esac; done;;
show)
    cat "$unit.pid" 2>/dev/null || echo 0;;
stop)
    touch "$unit.stopped"
    if pid=$(cat "$unit.pid" 2>/dev/null); then
        kill -TERM "$pid"
        wait_for_end "$unit" "$pid"
        tries=0
        while [ -e "$unit.busy" ] && [ $tries -lt 300 ]; do sleep 0.1; tries=$((tries + 1)); done
    fi;;
poweroff)
    touch poweroff;;
try-restart)
    if pid=$(cat "$unit.pid" 2>/dev/null); then
        touch "$unit.again"; kill -TERM "$pid"; wait_for_end "$unit" "$pid"
    fi;;
esac
exit 0
"""
_JOURNALCTL = "#!/bin/sh\nexec tail -n 50 {log}\n"
# Of this machine's Docker, an instance sees its own containers; it never prunes images.
_DOCKER = """#!/bin/sh
case "$1" in
ps|inspect|stop|rm|network) exec {docker} "$@";;
esac
exit 0
"""


@dataclass(frozen=True)
class Unit:
    """A systemd service of the user data."""

    name: str
    command: tuple[str, ...]
    folder: str
    environment: Mapping[str, str]
    environment_files: tuple[str, ...]
    restarts: bool  # also after it ended well
    restart_s: float
    stop_post: tuple[str, ...]

    @classmethod
    def read(cls, name: str, text: str) -> Unit:
        values: dict[str, list[str]] = {}
        for line in text.splitlines():
            key, equals, value = line.partition("=")
            if equals:
                values.setdefault(key.strip(), []).append(value.strip())

        def one(key: str, default: str = "") -> str:
            return values.get(key, [default])[-1]

        variables = (pair.partition("=") for pair in values.get("Environment", ()))
        return cls(
            name=name,
            command=tuple(shlex.split(one("ExecStart"))),
            folder=one("WorkingDirectory", "/"),
            environment={key: value for key, _, value in variables},
            environment_files=tuple(values.get("EnvironmentFile", ())),
            restarts=one("Restart") == "always",
            restart_s=float(one("RestartSec", "0")),
            stop_post=tuple(shlex.split(one("ExecStopPost").lstrip("-"))),
        )


@dataclass(frozen=True)
class InstanceFiles:
    """`root`: the instance's root folder; `metadata`, `agent`: URLs of the metadata service and of Bacalhau's API."""

    root: Path
    metadata: str
    agent: str
    docker: str  # the program on this machine; empty without
    owner: str = ""  # the value of Bacalhau's label of its containers

    def write(self, files: Mapping[str, str]) -> None:
        for path, content in files.items():
            if _OWN.match(path) is not None:
                target = self.path(path)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(self.translated(content))
                target.chmod(0o600)
        for name in (CONSOLE, LOG, f"{SERVICES}/any", "bin/any", "var/lib/bacalhau/any"):
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
        (self.root / "run/bacalhau-orchestrator").mkdir(mode=0o700, exist_ok=True)
        self._programs()

    def path(self, absolute: str) -> Path:
        return self.root / absolute.lstrip("/")

    def translated(self, text: str) -> str:
        here = _OWN.sub(lambda match: f"{self.root}/{match[1]}", text)
        here = here.replace(_METADATA, self.metadata).replace(_AGENT, self.agent)
        return here.replace(_CONTAINERS, f"{_CONTAINERS}={self.owner}") if self.owner else here

    def unit(self, name: str) -> Unit:
        """With paths of this machine. Raises FileNotFoundError."""
        return Unit.read(name, self.path(f"/etc/systemd/system/{name}").read_text())

    def _programs(self) -> None:
        services, log = self.root / SERVICES, self.root / "var/log/bacalhau.service.log"
        docker = _DOCKER.format(docker=shlex.quote(self.docker)) if self.docker else "#!/bin/sh\nexit 1\n"
        for name, text in {
            "systemctl": _SYSTEMCTL.format(services=shlex.quote(str(services))),
            "journalctl": _JOURNALCTL.format(log=shlex.quote(str(log))),
            "docker": docker,
        }.items():
            program = self.root / "bin" / name
            program.write_text(text)
            program.chmod(0o700)
