"""Delivers notices to webhooks and shell commands, all at once and within some seconds. Failures are results."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bacalhau_spot import __version__
from bacalhau_spot.core.notices import DeliveryResult
from bacalhau_spot.core.sanitize import sanitized
from bacalhau_spot.http_client import Failure, HttpError, Request, TransportError, exchange
from bacalhau_spot.text_marks import shortened_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bacalhau_spot.core.notices import Notice, NotifyTarget
    from bacalhau_spot.engine.aws_calls.clock import Clock
    from bacalhau_spot.http_client import Response

# One attempt of a webhook; a command has the time of both attempts.
ATTEMPT_S: Final = 3.0
COMMAND_S: Final = 6.0
_PAUSE_S: Final = 0.5
# Further attempts after these failures would have the same result.
_FINAL: Final = frozenset({Failure.UNTRUSTED, Failure.NO_TLS, Failure.TLS, Failure.PROXY})
_TOO_MANY, _SERVER_ERRORS = 429, 500
_LAST_SUCCESS = 299
_MAX_BYTES: Final = 4096
_SPACE: Final = re.compile(rb"\s+")
_LONGEST: Final = 200  # the maximum length of foreign text in a message


@dataclass(frozen=True, slots=True)
class Delivery:
    """A notice for one receiver. `number`: its place in the configuration, from 1. `body`: the notice as JSON."""

    number: int
    target: NotifyTarget
    notice: Notice
    body: bytes


async def deliver(
    deliveries: Sequence[Delivery], *, environ: Mapping[str, str], clock: Clock
) -> tuple[DeliveryResult, ...]:
    """All deliveries at once, in their order. `environ`: the variables of commands. Raises nothing."""

    async def one(delivery: Delivery) -> DeliveryResult:
        if delivery.target.url is not None:
            problem = await _post_twice(delivery.target.url.reveal(), delivery.body, clock)
        else:
            variables = {**environ, "BACALHAU_SPOT_EVENT": delivery.notice.kind.value}
            problem = await _run(delivery.target.command or "", delivery.body, environ=variables)
        return DeliveryResult(delivery.number, delivery.target, delivery.notice, problem)

    return tuple(await asyncio.gather(*map(one, deliveries)))


@dataclass(frozen=True, slots=True)
class _Attempt:
    """`problem`: empty if delivered."""

    problem: str = ""
    retry: bool = False


async def _post_twice(url: str, body: bytes, clock: Clock) -> str:
    first = await _post(url, body)
    if not first.retry:
        return first.problem
    await clock.sleep(_PAUSE_S)
    second = await _post(url, body)
    return f"{second.problem}; two attempts" if second.problem else ""


async def _post(url: str, body: bytes) -> _Attempt:
    request = Request(
        url,
        total_s=ATTEMPT_S,
        connect_s=ATTEMPT_S,
        read_s=ATTEMPT_S,
        method="POST",
        headers={"Content-Type": "application/json", "User-Agent": f"bacalhau-spot/{__version__}"},
        body=body,
    )
    try:
        status, text = await exchange(request, _answer)
    except TransportError as error:
        return _Attempt(str(error), retry=error.failure not in _FINAL)
    except HttpError as error:
        return _Attempt(str(error))
    if status <= _LAST_SUCCESS:
        return _Attempt()
    shown = f"HTTP status {status}: {text}" if text else f"HTTP status {status}"
    return _Attempt(shown, retry=status == _TOO_MANY or status >= _SERVER_ERRORS)


def _answer(response: Response) -> tuple[int, str]:
    """The status, and the beginning of the text, which names the reason of a failure."""
    try:
        raw = response.read(max_bytes=_MAX_BYTES)
    except TransportError:
        raw = b""  # the status alone decides
    return response.status, _shortened(raw)


def _shortened(raw: bytes) -> str:
    return shortened_line(sanitized(raw.decode("utf-8", "replace")), _LONGEST)


async def _run(command: str, body: bytes, *, environ: Mapping[str, str]) -> str:
    """The problem of the command, with its output; empty if it ended with 0. Nothing of it runs afterwards."""
    try:
        process = await asyncio.create_subprocess_exec(
            *("/bin/sh", "-c", command),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=dict(environ),
            start_new_session=True,  # so that the programs of the shell end with it
        )
    except OSError as error:
        return f"/bin/sh: {error.strerror or error}"
    try:
        async with asyncio.timeout(COMMAND_S):
            output, _ = await process.communicate(body)
    except TimeoutError:
        return f"not finished after {COMMAND_S:g} s; it was stopped"
    finally:
        await _kill(process)
    if process.returncode == 0:
        return ""
    shown = _shortened(_end(output, longest=_MAX_BYTES))
    return f"exit code {process.returncode}{f': {shown}' if shown else ''}"


def _end(output: bytes, *, longest: int) -> bytes:
    """The last bytes, from the beginning of a word: the end of a cut secret would not be recognized."""
    if len(output) <= longest:
        return output
    space = _SPACE.search(output, len(output) - longest - 1)
    return output[space.end() :] if space else b""


async def _kill(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()
