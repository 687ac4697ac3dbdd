"""Bacalhau on this instance, for the other programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from . import containers
from .metadata import opener
from .shell import CommandFailedError, output

# While this file exists, the admission probe in Bacalhau's configuration rejects new work.
DRAINING = "/run/bacalhau-spot/draining"
AGENT = "http://127.0.0.1:1234/api/v1/agent"


class BacalhauCli:
    """The operations of the watcher and the first boot."""

    def __init__(self, *, draining: str = DRAINING, agent: str = AGENT) -> None:
        self._draining = Path(draining)
        self._agent = agent

    def cordon(self) -> None:
        self._draining.parent.mkdir(parents=True, exist_ok=True)
        self._draining.touch()

    def cordoned(self) -> bool:
        return self._draining.exists()

    def about(self) -> dict[str, Any] | None:
        """Bacalhau's description of this node; None without an answer."""
        node = self._ask("node")
        return None if node is None else dict(node.get("ComputeNodeInfo") or {})

    def running(self) -> frozenset[str] | None:
        """The ids of the running executions, without the queued ones; None without an answer."""
        debug = self._ask("debug")
        return (
            None if debug is None else frozenset(job["ExecutionID"] for job in debug.get("ActiveJobs") or ())
        )

    def unfinished(self) -> int | None:
        """The number of running and queued executions; None without an answer."""
        about = self.about()
        if about is None:
            return None
        return int(about.get("RunningExecutions") or 0) + int(about.get("EnqueuedExecutions") or 0)

    def _ask(self, path: str) -> dict[str, Any] | None:
        try:
            with opener().open(f"{self._agent}/{path}", timeout=5) as answer:
                return dict(json.load(answer))
        except (OSError, ValueError):
            return None

    def engines(self) -> list[str]:
        return sorted((self.about() or {}).get("ExecutionEngines") or [])

    def stop_bacalhau(self) -> str:
        """Why it could not be stopped; empty on success."""
        return _problem(["systemctl", "stop", "bacalhau.service"], timeout_s=60)

    def stop_containers(self) -> str:
        """Why they may still run; empty on success. The service does the same when it stops, if it could be stopped."""
        try:
            containers.remove_containers()
        except CommandFailedError as why:
            return str(why)
        return ""

    def shut_down(self) -> str:
        """Shut the machine down, which terminates the instance. Why it could not be done; empty on success."""
        return _problem(["systemctl", "poweroff"], timeout_s=60)


def _problem(command: list[str], *, timeout_s: float) -> str:
    try:
        done = output(command, timeout_s=timeout_s)
    except CommandFailedError as why:
        return str(why)
    return done.stdout.strip() if done.returncode else ""
