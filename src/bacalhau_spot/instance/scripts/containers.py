"""Removes the containers that Bacalhau leaves behind, each time that it ends.

Bacalhau 1.9 removes no container when it stops or crashes. At its next start it fails the executions of batch and ops
jobs, whose containers would run on for ever, outside of its count of resources, while the job runs elsewhere as well. It
takes over the containers of service and daemon jobs.

After a stop everything goes, because Bacalhau has left the orchestrator, which restarts all work on other nodes. After a
crash, services stay for Bacalhau to take over, unless it had crashed soon after its start: if it crashes again and again,
the orchestrator misses its heartbeat for a minute and restarts the services on other nodes, too.
"""

from __future__ import annotations

import json
import os
import sys

from .console import Console
from .shell import CommandFailedError, output

_OURS = "label=bacalhau-executor"
_EXECUTION = "bacalhau-executionID"
# Bacalhau sets it in every container; a job cannot override it.
_KEPT = frozenset({"BACALHAU_JOB_TYPE=service", "BACALHAU_JOB_TYPE=daemon"})
_STOP_S = 5
_HEARTBEAT_US = 60_000_000  # the orchestrator disconnects a node after a minute without heartbeat


def remove_containers(*, keep_services: bool = False) -> int:
    """Stop and remove Bacalhau's containers and networks; their number. Raises CommandFailedError."""
    gone = left_behind(_inspected(), keep_services=keep_services)
    if gone:
        _docker("stop", "-t", str(_STOP_S), *gone)  # SIGTERM, and SIGKILL after this time
        _docker("rm", "--force", "--volumes", *gone)
    _docker("network", "prune", "--force", "--filter", _OURS)  # unused ones only
    return len(gone)


def left_behind(inspected: str, *, keep_services: bool) -> list[str]:
    """The ids of the containers to remove. An execution may have two: the job's, and a gateway for its network."""
    containers = []
    kept = set()
    for line in inspected.splitlines():
        name, _, text = line.partition(" ")
        if not text.startswith("{"):  # the message about a container that has ended in the meantime
            continue
        config = json.loads(text)
        execution = (config.get("Labels") or {}).get(_EXECUTION)
        containers.append((name, execution))
        if keep_services and _KEPT & set(config.get("Env") or ()):
            kept.add(execution)
    return [name for name, execution in containers if execution not in kept]


def _inspected() -> str:
    names = _docker("ps", "--all", "--quiet", "--no-trunc", "--filter", _OURS).split()
    return _docker("inspect", "--format", "{{.Id}} {{json .Config}}", *names) if names else ""


def _docker(*arguments: str) -> str:
    done = output(["docker", *arguments], timeout_s=20)
    # A container that has ended in the meantime is an error of Docker's, but not here.
    if done.returncode and "No such" not in done.stdout:
        raise CommandFailedError(f"docker {arguments[0]}: {done.stdout.strip()[-200:]}")
    return done.stdout


def lived_us() -> int:
    """How long Bacalhau ran before it ended, in microseconds; 0 if unknown."""
    command = ["systemctl", "show", "bacalhau.service"]
    command += [f"--property=ExecMain{moment}TimestampMonotonic" for moment in ("Start", "Exit")]
    shown = dict(line.split("=", 1) for line in output(command, timeout_s=20).stdout.split() if "=" in line)
    began, ended = (
        int(shown.get(f"ExecMain{moment}TimestampMonotonic") or 0) for moment in ("Start", "Exit")
    )
    return max(0, ended - began)


def main() -> int:
    """Runs after Bacalhau has ended, for whatever reason, before systemd restarts it."""
    crashed = os.environ.get("SERVICE_RESULT", "success") != "success"
    try:
        count = remove_containers(keep_services=crashed and lived_us() > _HEARTBEAT_US)
    except CommandFailedError as why:
        Console().say("warning", f"containers of Bacalhau may still run: {why}")
        return 1
    if crashed and count:
        Console().say("warning", f"Bacalhau has crashed; containers removed: {count}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
