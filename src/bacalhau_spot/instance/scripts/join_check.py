"""Whether this node has joined, as far as the node can determine it.

Bacalhau 1.9 has no local status for it. While a node is connected, it keeps one TCP connection to an orchestrator. It
closes that connection if the token or the handshake is refused, or after ten seconds without an answer to the
handshake. A connection that has lasted longer therefore means that the node has joined. The orchestrator's node list
shows it earlier; the operator's commands use that list.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from .shell import CommandFailedError, output

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

HANDSHAKE_S = 10.0
LASTING_S = HANDSHAKE_S + 1
CHECK_INTERVAL_S = 1.0
_DEFAULT_PORT = 4222
_ESTABLISHED = "01"


def addresses(orchestrators: Sequence[str]) -> list[tuple[str, int]]:
    """Host and port of each orchestrator."""
    urls = (urlsplit(address if "//" in address else f"//{address}") for address in orchestrators)
    return [(url.hostname or "", url.port or _DEFAULT_PORT) for url in urls]


def ports(orchestrators: Sequence[str]) -> set[int]:
    """The ports of the orchestrators' addresses."""
    return {port for _, port in addresses(orchestrators)}


def connections(pid: int, to: set[int], *, proc: str = "/proc") -> set[str]:
    """A process's established sockets to one of the ports."""
    sockets = set()
    for table in ("tcp", "tcp6"):
        for line in _lines(Path(proc, "net", table)):
            fields = line.split()
            port = int(fields[2].rpartition(":")[2], 16)
            if fields[3] == _ESTABLISHED and port in to:
                sockets.add(f"socket:[{fields[9]}]")
    return sockets & _sockets(Path(proc, str(pid), "fd")) if sockets else sockets


def _sockets(descriptors: Path) -> set[str]:
    links = set()
    try:
        for link in descriptors.iterdir():
            links.add(str(link.readlink()))
    except OSError:  # closed in the meantime, or the process has ended: the next check decides
        pass
    return links


def _lines(table: Path) -> list[str]:
    try:
        return table.read_text("ascii").splitlines()[1:]
    except OSError:  # no IPv6
        return []


def last_error(journal: str) -> str:
    """Why the latest connection attempt failed; empty if none has."""
    for line in reversed(journal.splitlines()):
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and entry.get("message") == "Connection attempt failed":
            return str(entry.get("error") or "unknown")
    return ""


class Service:
    """Bacalhau's systemd service."""

    def pid(self) -> int:
        shown = output(
            ["systemctl", "show", "--property=MainPID", "--value", "bacalhau.service"], timeout_s=20
        )
        return int(shown.stdout.strip() or 0)

    def sockets(self, to: set[int]) -> set[str]:
        pid = self.pid()
        return connections(pid, to) if pid else set()

    def error(self) -> str:
        recent = ["journalctl", "--unit=bacalhau.service", "--output=cat", "--lines=50", "--no-pager"]
        return last_error(output(recent, timeout_s=20).stdout)

    def now(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


def wait_for_join(
    to: set[int], *, seconds: float, say: Callable[[str, str], None], service: Service | None = None
) -> float:
    """Wait for the join; return the connection's age. Raises CommandFailedError after `seconds`, with the reason."""
    bacalhau = service or Service()
    until = bacalhau.now() + seconds
    since: dict[str, float] = {}
    error = reported = ""
    while bacalhau.now() <= until:
        now = bacalhau.now()
        since = {socket: since.get(socket, now) for socket in bacalhau.sockets(to)}
        lasted = max((now - began for began in since.values()), default=0.0)
        if lasted >= LASTING_S:
            return lasted
        if not since:
            error = bacalhau.error()
        if error and error != reported:
            say("waiting", error)
            reported = error
        bacalhau.sleep(CHECK_INTERVAL_S)
    raise CommandFailedError(
        f"not joined after {seconds:.0f} s: {error or 'no lasting connection to an orchestrator'}"
    )
