"""The sandbox as a background process, located through a file with its URL.

This module does not import moto, so that a status query does not wait for it.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aws_spot_sandbox import __version__, admin_client, running_mark
from aws_spot_sandbox.endpoint_file import AddressFile, open_private, private_folder
from aws_spot_sandbox.errors import SandboxError
from aws_spot_sandbox.state import ACCESS_KEY_ID, ACCOUNT_ID, SECRET_ACCESS_KEY

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_START_S = 30.0  # two seconds on an idle machine, three with six busy programs on two cores
_STOP_S = 10.0
_POLL_S = 0.05
_LOG_TAIL_LINES = 12
_RESTART = "stop it, then run the same command again"

# Settings for new users: quick, but slow enough to watch
PROCESS_SETTINGS = {
    "latency_s": 0.03,
    "pending_s": 1.5,
    "terminate_s": 1.5,
    "checks_s": 10.0,
    "health_check_s": 20.0,
    "scaling_s": 1.0,
    "boot_s": 6.0,
}


@dataclass(frozen=True)
class Endpoint:
    """The URL and credentials of the sandbox, for use in AWS's place."""

    url: str
    access_key_id: str = ACCESS_KEY_ID
    secret_access_key: str = SECRET_ACCESS_KEY
    account_id: str = ACCOUNT_ID
    plugged_in: dict[str, str | None] = field(default_factory=dict)  # endpoints of plug-ins, by name


def ensure_running(*, state_dir: Path, idle_s: float = 3600.0, **settings: Any) -> Endpoint:
    """The running sandbox, or a new one with PROCESS_SETTINGS changed by `settings`. Raises SandboxError."""
    running = _running(state_dir)
    if running is None:
        with _lock(state_dir):  # concurrent commands share one sandbox
            running = _running(state_dir) or _start(state_dir, idle_s, {**PROCESS_SETTINGS, **settings})
    reply = _ask(running, "GET", "endpoint")
    return Endpoint(
        running.url,
        plugged_in={name: value for name, value in reply.items() if name != "url"},
    )


def memory_dir(state_dir: Path) -> Path:
    """A folder for data that other programs cache about the running sandbox: it is deleted with the sandbox's state."""
    return state_dir / "sandbox"


def status(*, state_dir: Path) -> dict[str, Any] | None:
    """The sandbox's status; None if it is not running. Raises SandboxError."""
    running = _saved_address(state_dir)
    return None if running is None else dict(_ask(running, "GET", "status"))


def stop(*, state_dir: Path) -> bool:
    """Stop the sandbox and discard its state. False if it was not running. Raises SandboxError."""
    running = _saved_address(state_dir)
    if running is None:
        return False
    _ask(running, "POST", "stop")
    if not _has_stopped(running, state_dir):
        os.kill(running.pid, signal.SIGTERM)  # the ping returned this pid
        if not _has_stopped(running, state_dir):
            raise SandboxError(
                f"the sandbox does not stop (process {running.pid})", hint=f"kill {running.pid}"
            )
    return True


def change(assignments: Sequence[str], *, state_dir: Path) -> dict[str, Any]:
    """Set switches from "name=value", the value as JSON or else as text. Returns all switches. Raises SandboxError."""
    return dict(_ask(_needed(state_dir), "POST", "set", dict(map(_assignment, assignments))))


def interrupt(instance_id: str, *, notice_s: float, state_dir: Path, reason: str = "capacity") -> str:
    """Interrupt a spot instance, and return its region. Raises SandboxError."""
    request = {"instance_id": instance_id, "notice_s": notice_s, "reason": reason}
    return str(_ask(_needed(state_dir), "POST", "interrupt", request)["region"])


def interrupt_some(
    count: int, *, notice_s: float, state_dir: Path, reason: str = "capacity", region: str = ""
) -> list[tuple[str, str]]:
    """Interrupt running spot instances, chosen at random, and return the region and the id of each.

    `region`: all regions, if empty. Raises SandboxError.
    """
    request = {
        "count": count,
        "notice_s": notice_s,
        "reason": reason,
        **({"region": region} if region else {}),
    }
    reply = _ask(_needed(state_dir), "POST", "interrupt", request)
    return [(str(row["region"]), str(row["instance_id"])) for row in reply["instances"]]


def recommend_rebalance(instance_id: str, *, state_dir: Path) -> str:
    """Recommend to replace a spot instance, and return its region. Raises SandboxError."""
    return str(_ask(_needed(state_dir), "POST", "rebalance", {"instance_id": instance_id})["region"])


def reset(*, state_dir: Path) -> None:
    """Delete all resources; the switches keep their values. Raises SandboxError."""
    _ask(_needed(state_dir), "POST", "reset")
    shutil.rmtree(memory_dir(state_dir), ignore_errors=True)


def leftovers(*, state_dir: Path) -> list[str]:
    """All resources in the sandbox: "region kind id" per line. Raises SandboxError."""
    return list(_ask(_needed(state_dir), "GET", "leftovers"))


class _SilentError(SandboxError):
    """A sandbox exists, and does not answer: a second one in its place would hide the resources of the first."""

    def __init__(self, file: AddressFile, reason: str) -> None:
        pid = file.pid
        super().__init__(
            f"the sandbox does not answer (process {pid})",
            why=f"{file.url}: {reason}",
            hint=f"if it is suspended, `kill -CONT {pid}` continues it; `kill -9 {pid}` ends it and discards its resources; "
            "then run the same command again",
            code="Silent",
        )


def _saved_address(state_dir: Path) -> AddressFile | None:
    """The sandbox in the file, if it answers with the same pid. Raises SandboxError if it runs, and does not answer."""
    file = AddressFile.read(state_dir)
    if file is None:
        return None
    try:
        reply = admin_client.ask(file.url, "GET", "ping")
    except admin_client.Unreachable as error:
        ended = AddressFile.read(state_dir) != file  # in order, during the call
        if error.timed_out and not ended and running_mark.is_held(state_dir) and _exists(file.pid):
            raise _SilentError(file, str(error)) from error
        return None  # stale: it was killed, or another process uses the port after a restart
    except admin_client.Refused:
        return None
    return file if isinstance(reply, dict) and reply.get("pid") == file.pid else None


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (OSError, OverflowError):  # the sandbox is this user's process
        return False
    return True


def _answering(state_dir: Path) -> AddressFile | None:
    """As `_saved_address`, of a sandbox that is starting: it may not answer for a moment."""
    try:
        return _saved_address(state_dir)
    except _SilentError:
        return None


def _running(state_dir: Path) -> AddressFile | None:
    file = _saved_address(state_dir)
    if file is not None and file.version != __version__:
        raise SandboxError(
            f"the sandbox that runs is of version {file.version}, this is {__version__}",
            hint=_RESTART,
            code="Restart",
        )
    return file


def _needed(state_dir: Path) -> AddressFile:
    running = _saved_address(state_dir)
    if running is None:
        raise SandboxError(
            "no sandbox is running",
            hint="start one with `ensure_running`",
            code="NotRunning",
        )
    return running


def _ask(running: AddressFile, method: str, verb: str, body: Any = None) -> Any:
    try:
        return admin_client.ask(running.url, method, verb, body)
    except admin_client.Refused as refusal:
        raise SandboxError(
            f"the sandbox refuses: {refusal}",
            hint="`status` has all switches and their values",
            code="Refused",
            usage=True,
        ) from refusal
    except admin_client.Unreachable as error:
        raise SandboxError(
            "the sandbox does not answer", why=str(error), hint=_RESTART, code="Restart"
        ) from error


def _assignment(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise SandboxError(f"{text!r} sets nothing", hint="name=value, e.g. latency_s=0.08", usage=True)
    try:
        return name.strip(), json.loads(value)
    except ValueError:
        return name.strip(), value


@contextlib.contextmanager
def _lock(state_dir: Path) -> Iterator[None]:
    try:
        private_folder(state_dir)
        file = open_private(state_dir / "sandbox.lock")
    except OSError as error:
        raise SandboxError(
            f"the sandbox cannot keep its files in {state_dir}",
            why=error.strerror or str(error),
            hint="make that folder writable, or name another one in XDG_STATE_HOME",
        ) from error
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _start(state_dir: Path, idle_s: float, settings: dict[str, Any]) -> AddressFile:
    log = state_dir / "sandbox.log"
    shutil.rmtree(memory_dir(state_dir), ignore_errors=True)  # of an earlier sandbox, which may have crashed
    command = [sys.executable, "-m", "aws_spot_sandbox", "--state-dir", str(state_dir.absolute())]
    command += ["--idle-s", str(idle_s), "--settings", json.dumps(settings)]
    with open_private(log, truncate=True) as output:
        started = subprocess.Popen(  # noqa: S603 - our own program
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd="/",  # does not block unmounting a folder
            env=_environment(),
            start_new_session=True,  # survives the end of the terminal session
        )
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline and started.poll() is None:
        file = _answering(state_dir)
        if file is not None and file.pid == started.pid:
            return file
        time.sleep(_POLL_S)
    ended = started.poll()
    if ended is None:
        started.terminate()
    how = f"exit code {ended}" if ended is not None else f"no answer within {_START_S:g} s"
    raise SandboxError("the sandbox did not start", why=how, details=_tail(log), hint=f"the log is {log}")


# The sandbox runs for hours, and whoever reads its environment would find the secrets of the terminal that started it.
_NEEDED = frozenset(
    {"PATH", "HOME", "USER", "LOGNAME", "LANG", "TZ", "TMPDIR", "VIRTUAL_ENV", "DOCKER_HOST", "BACALHAU_BIN"}
)
_NEEDED_FAMILIES = ("LC_", "PYTHON", "LD_", "DYLD_", "COVERAGE_")


def _environment() -> dict[str, str]:
    """The variables that the sandbox and the programs of its instances need, and this package's path."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if name in _NEEDED or name.startswith(_NEEDED_FAMILIES)
    }
    here = str(Path(__file__).resolve().parents[1])
    return {**environment, "PYTHONPATH": os.pathsep.join(filter(None, (here, environment.get("PYTHONPATH"))))}


def _has_stopped(running: AddressFile, state_dir: Path) -> bool:
    deadline = time.monotonic() + _STOP_S
    while time.monotonic() < deadline:
        with contextlib.suppress(_SilentError):
            file = _saved_address(state_dir)
            if file is None or file.pid != running.pid:
                return True
        time.sleep(_POLL_S)
    return False


def _tail(log: Path) -> tuple[str, ...]:
    with contextlib.suppress(OSError):
        return tuple(log.read_text(errors="replace").splitlines()[-_LOG_TAIL_LINES:])
    return ()
