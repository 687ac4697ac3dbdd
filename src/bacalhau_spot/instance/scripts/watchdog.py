"""Restarts a Bacalhau that will never connect again, and removes unused images when the disk fills.

If the orchestrator refuses the token of a node that was connected before, Bacalhau 1.9 closes its connection for good
and logs nothing more, while its process and API look healthy. It heals by a restart only. While the orchestrator's port
is closed, Bacalhau retries by itself, and its running jobs survive: a restart would fail them.
"""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING

from . import disk_space, join_check
from .bacalhau_cli import BacalhauCli
from .console import Console
from .shell import CommandFailedError, output

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

FACTS = "/etc/bacalhau-spot/node.json"
CHECK_INTERVAL_S = 15.0  # longer than LASTING_S: a connection seen twice is no failing handshake
# Longer than Bacalhau's own retries: up to two minutes apart, and ten seconds between its checks.
LOST_S = 300.0
# A restart that does not help is repeated after twice the time, up to this.
LONGEST_S = 3600.0


class WatchedBacalhau(join_check.Service):
    """Bacalhau's service as the watchdog needs it."""

    def expected(self) -> bool:
        """Whether it should be connected: not after EC2's notice."""
        return not BacalhauCli().cordoned()

    def answers(self, addresses: Iterable[tuple[str, int]]) -> bool:
        """Whether a port of an orchestrator takes a connection."""
        return any(map(_answers, addresses))

    def restart(self) -> str:
        """Why it could not be restarted; empty on success."""
        # Unlike `restart`, this does not start a service that was stopped in the meantime.
        done = output(["systemctl", "try-restart", "bacalhau.service"], timeout_s=960)
        return done.stdout.strip() if done.returncode else ""


class Watchdog:
    """`check` is due every CHECK_INTERVAL_S."""

    def __init__(
        self, orchestrators: Sequence[str], service: WatchedBacalhau, *, say: Callable[[str, str], None]
    ) -> None:
        self._addresses = join_check.addresses(orchestrators)
        self._ports = {port for _, port in self._addresses}
        self._service = service
        self._say = say
        self._pid = 0
        self._sockets: set[str] = set()
        self._lost_at: float | None = None
        self._patience_s = LOST_S
        self._restarted = False

    def check(self) -> None:
        """Restart Bacalhau if it has had no connection for too long. Raises CommandFailedError."""
        pid = self._service.pid()
        sockets = self._service.sockets(self._ports) if pid else set()
        if sockets:
            self._connected(sockets)
        elif not pid or pid != self._pid or not self._service.answers(self._addresses):
            self._lost_at = None
        elif self._service.expected():
            self._lost()
        self._pid, self._sockets = pid, sockets

    def _connected(self, sockets: set[str]) -> None:
        self._lost_at = None
        if self._restarted and sockets & self._sockets:
            self._say("joined", "connected again")
            self._restarted = False
            self._patience_s = LOST_S

    def _lost(self) -> None:
        now = self._service.now()
        if self._lost_at is None:
            self._lost_at = now
        waited = now - self._lost_at
        if waited < self._patience_s:
            return
        self._say(
            "restarting",
            f"Bacalhau has not connected for {waited:.0f} s, although the orchestrator's port is open",
        )
        problem = self._service.restart()
        if problem:
            self._say("warning", problem)
        self._restarted = True
        self._lost_at = None
        self._patience_s = min(2 * self._patience_s, LONGEST_S)


def _answers(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address, timeout=5).close()
    except OSError:
        return False
    return True


def main() -> None:
    console = Console()
    orchestrators = json.loads(Path(FACTS).read_text("utf-8"))["orchestrators"]
    checks = (
        Watchdog(orchestrators, WatchedBacalhau(), say=console.say),
        disk_space.DiskSpace(disk_space.docker_folder(), say=console.say),
    )
    while True:
        for task in checks:
            try:
                task.check()
            except CommandFailedError as why:  # noqa: PERF203 -- two rounds
                print(why, flush=True)
        time.sleep(CHECK_INTERVAL_S)


if __name__ == "__main__":
    main()
