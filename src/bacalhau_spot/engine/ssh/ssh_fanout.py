"""A program for each of many nodes, some at a time. None outlives the command that began it."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from bacalhau_spot.core.ssh.ssh_results import CommandResult

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bacalhau_spot.core.model import Instance

# What is kept of one node's output, each stream; the rest is read and forgotten.
MAX_BYTES = 1 << 20
_CHUNK = 1 << 16
# A shell's exit code for a program that cannot be begun.
NOT_STARTED = 126
# Between asking a program to end and ending it.
_GRACE_S = 2.0


async def run_all(
    jobs: Sequence[tuple[Instance, Sequence[str]]],
    *,
    environ: Mapping[str, str],
    at_once: int,
    timeout_s: float,
) -> tuple[CommandResult, ...]:
    """Run each job's command line to its end. When this is cancelled, whatever runs is ended before it returns."""
    room = asyncio.Semaphore(at_once)

    async def run_one(instance: Instance, command: Sequence[str]) -> CommandResult:
        async with room:
            return await _run(instance, command, environ=environ, timeout_s=timeout_s)

    # A group waits for all of its tasks when it is cancelled; `gather` would leave at the first that has ended.
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
        await _terminate(process)
    return CommandResult(instance, code, out.text, err.text, truncated=out.cut or err.cut)


class _BoundedOutput:
    """The beginning of a stream."""

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


async def _terminate(process: asyncio.subprocess.Process) -> None:
    """Ask it to end, then end it. Nothing is done about one that has ended."""
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
