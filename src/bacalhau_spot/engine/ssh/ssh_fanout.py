"""Runs a program for each of many nodes, a limited number at a time. No program outlives the command that started it."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from bacalhau_spot.core.ssh.ssh_results import CommandResult

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bacalhau_spot.core.model import Instance

# The limit for each stream of a node. Output beyond it is read and discarded.
MAX_BYTES = 1 << 20
_CHUNK = 1 << 16
# A shell's exit code for a program that cannot be started.
NOT_STARTED = 126
# Between SIGTERM and SIGKILL.
_GRACE_S = 2.0


async def run_all(
    jobs: Sequence[tuple[Instance, Sequence[str]]],
    *,
    environ: Mapping[str, str],
    at_once: int,
    timeout_s: float,
) -> tuple[CommandResult, ...]:
    """Run each job's command line to completion. Cancellation terminates all running programs before it returns."""
    room = asyncio.Semaphore(at_once)

    async def run_one(instance: Instance, command: Sequence[str]) -> CommandResult:
        async with room:
            return await _run(instance, command, environ=environ, timeout_s=timeout_s)

    # A cancelled TaskGroup waits for all of its tasks; a cancelled `gather` would return after the first that ends.
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(run_one(instance, command)) for instance, command in jobs]
    return tuple(task.result() for task in tasks)


async def _run(
    instance: Instance, command: Sequence[str], *, environ: Mapping[str, str], timeout_s: float
) -> CommandResult:
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=dict(environ),
        )
    except OSError as error:
        return CommandResult(instance, NOT_STARTED, stderr=f"{command[0]}: {error.strerror or error}\n")
    out, err = _BoundedOutput(), _BoundedOutput()
    code: int | None = None
    try:
        async with asyncio.timeout(timeout_s):
            await asyncio.gather(out.read(process.stdout), err.read(process.stderr))
            code = await process.wait()
    except TimeoutError:
        pass
    finally:
        await terminate(process)
    return CommandResult(instance, code, out.text, err.text, truncated=out.cut or err.cut)


class _BoundedOutput:
    """The first MAX_BYTES bytes of a stream."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self.cut = False

    async def read(self, stream: asyncio.StreamReader | None) -> None:
        while stream is not None and (chunk := await stream.read(_CHUNK)):
            room = MAX_BYTES - len(self._bytes)
            self.cut = self.cut or len(chunk) > room
            self._bytes += chunk[: max(0, room)]

    @property
    def text(self) -> str:
        return self._bytes.decode("utf-8", "replace")


async def terminate(process: asyncio.subprocess.Process) -> None:
    """Send SIGTERM, then SIGKILL. Does nothing if the program has exited."""
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(_GRACE_S):
            await process.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
