"""Runs a program for each of many nodes, and passes on its lines as they come. No program outlives the command."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from bacalhau_spot.engine.ssh.ssh_fanout import NOT_STARTED, terminate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

# Longer lines are cut: asyncio refuses what is longer than its limit.
_MAX_LINE = 1 << 18
_ERROR_BYTES = 4096


class Ending(NamedTuple):
    """`error`: the last words of the program on stderr."""

    code: int
    error: str


async def stream_lines(
    command: Sequence[str], *, environ: Mapping[str, str], emit: Callable[[str], None]
) -> Ending:
    """Run `command` to its end. Cancellation terminates it before it returns."""
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=dict(environ),
            limit=_MAX_LINE,
        )
    except OSError as error:
        return Ending(NOT_STARTED, f"{command[0]}: {error.strerror or error}")
    try:
        _, last_words = await asyncio.gather(_lines(process.stdout, emit), _tail(process.stderr))
        return Ending(await process.wait(), last_words)
    finally:
        await terminate(process)


async def _lines(stream: asyncio.StreamReader | None, emit: Callable[[str], None]) -> None:
    while stream is not None:
        try:
            line = await stream.readuntil(b"\n")
        except asyncio.IncompleteReadError as error:
            line = error.partial
        except asyncio.LimitOverrunError as error:
            line = await stream.readexactly(error.consumed)
        if not line:
            return
        emit(line.decode("utf-8", "replace").rstrip("\n"))


async def _tail(stream: asyncio.StreamReader | None) -> str:
    kept = b""
    while stream is not None and (chunk := await stream.read(_ERROR_BYTES)):
        kept = (kept + chunk)[-_ERROR_BYTES:]
    return kept.decode("utf-8", "replace").strip()
