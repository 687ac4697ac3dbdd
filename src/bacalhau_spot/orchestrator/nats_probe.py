"""Connects to the orchestrator's NATS port as a compute node does, and asks whether it accepts the token.

The client sends CONNECT and PING, subscribes to nothing, and closes the connection: the orchestrator registers no node.

Source: NATS client protocol (docs.nats.io, "Client Protocol"): the server speaks first, with INFO; after CONNECT and PING it
answers PONG or -ERR. `tls_required` in INFO: the client continues over TLS. Bacalhau 1.9 adds `tls_available` where it expects
a proxy that terminates TLS before INFO.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import ssl
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from bacalhau_spot.core.model import TlsMode
from bacalhau_spot.core.orchestrator.nats_check import NatsCheck, NatsStatus
from bacalhau_spot.core.sanitize import sanitized
from bacalhau_spot.http_client import trusted_authorities
from bacalhau_spot.text_marks import shortened, shortened_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bacalhau_spot.core.model import BacalhauSpec

NATS_PORT: Final = 4222
TIMEOUT_S: Final = 3.0
_LONGEST_LINE: Final = 1 << 16  # INFO with many cluster addresses
_SHOWN: Final = 200


class _UnexpectedError(Exception):
    """The server does not behave as NATS; the text is for the user."""


async def probe_orchestrators(bacalhau: BacalhauSpec, *, addresses: Sequence[str]) -> tuple[NatsCheck, ...]:
    """Every address, at once."""
    return tuple(await asyncio.gather(*(probe_nats(address, bacalhau) for address in addresses)))


async def probe_nats(address: str, bacalhau: BacalhauSpec, *, timeout_s: float = TIMEOUT_S) -> NatsCheck:
    """`address`: nats://host:port, tls://… or host:port. Raises nothing.

    `timeout_s`: for the connection, and for the conversation after it.
    """
    try:
        status, detail = await _connect(address, bacalhau, timeout_s=timeout_s)
    except TimeoutError:
        status, detail = NatsStatus.UNREACHABLE, f"no answer within {timeout_s:g} seconds"
    except socket.gaierror:
        status, detail = NatsStatus.UNREACHABLE, "its name cannot be resolved"
    except ssl.SSLCertVerificationError as error:
        status, detail = NatsStatus.UNTRUSTED, error.verify_message
    except ssl.SSLError as error:
        status, detail = NatsStatus.NO_TLS, error.reason or str(error)
    except _UnexpectedError as error:
        status, detail = NatsStatus.NOT_NATS, str(error)
    except OSError as error:
        detail = os.strerror(error.errno).lower() if error.errno else "no connection"
        status = NatsStatus.UNREACHABLE
    return NatsCheck(address, status, shortened_line(sanitized(detail), _SHOWN))


async def _connect(address: str, bacalhau: BacalhauSpec, *, timeout_s: float) -> tuple[NatsStatus, str]:
    parts = urlsplit(address if "://" in address else f"nats://{address}")
    host = parts.hostname or ""
    tls = _authorities(bacalhau)
    opening = asyncio.open_connection(
        host,
        parts.port or NATS_PORT,
        limit=_LONGEST_LINE,
        ssl=tls if bacalhau.tls is TlsMode.PROXY else None,
    )
    reader, writer = await asyncio.wait_for(opening, timeout_s)
    try:
        async with asyncio.timeout(timeout_s):
            return await _converse(reader, writer, bacalhau, tls=tls, host=host)
    except TimeoutError:
        raise _UnexpectedError("the server sends no NATS greeting") from None
    finally:
        writer.close()


async def _converse(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    bacalhau: BacalhauSpec,
    *,
    tls: ssl.SSLContext,
    host: str,
) -> tuple[NatsStatus, str]:
    info = await _info(reader)
    if info.get("tls_required") and bacalhau.tls is not TlsMode.PROXY:
        if bacalhau.tls is TlsMode.NONE:
            return NatsStatus.TLS_REQUIRED, ""
        await writer.start_tls(tls, server_hostname=host)
    elif bacalhau.tls is TlsMode.NATIVE:
        return NatsStatus.NO_TLS, ""
    return await _log_in(reader, writer, info, bacalhau)


def _authorities(bacalhau: BacalhauSpec) -> ssl.SSLContext:
    """A node trusts the configured CA alone, or else the system's authorities."""
    if bacalhau.ca_pem:
        return ssl.create_default_context(cadata=bacalhau.ca_pem)
    return trusted_authorities()


async def _info(reader: asyncio.StreamReader) -> dict[str, Any]:
    line = await _line(reader)
    name, _, text = line.partition(" ")
    if name != "INFO":
        raise _UnexpectedError(
            f"the server answered {shortened(line, 80)!r}" if line else "the server closed the connection"
        )
    try:
        info = json.loads(text)
    except ValueError as error:
        raise _UnexpectedError("the server's INFO is not JSON") from error
    if not isinstance(info, dict):
        raise _UnexpectedError("the server's INFO is not a JSON object")
    return info


async def _log_in(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, info: dict[str, Any], bacalhau: BacalhauSpec
) -> tuple[NatsStatus, str]:
    required = bool(info.get("auth_required"))
    if required and bacalhau.token is None:
        return NatsStatus.TOKEN_MISSING, ""
    options: dict[str, Any] = {"verbose": False, "pedantic": False, "protocol": 1}
    options |= {"name": "bacalhau-spot", "lang": "python", "version": "1"}
    if bacalhau.token is not None:
        options["auth_token"] = bacalhau.token.reveal()
    writer.write(f"CONNECT {json.dumps(options)}\r\nPING\r\n".encode())
    await writer.drain()
    while line := await _line(reader):
        if line.startswith("PONG"):
            return (NatsStatus.ACCEPTED if required else NatsStatus.OPEN), ""
        if line.startswith("-ERR"):
            refused = "authorization" in line.lower()
            return (NatsStatus.TOKEN_REFUSED if refused else NatsStatus.NOT_NATS), line[len("-ERR ") :]
    return (NatsStatus.TOKEN_REFUSED if required else NatsStatus.NOT_NATS), "the server closed the connection"


async def _line(reader: asyncio.StreamReader) -> str:
    try:
        return (await reader.readline()).decode("utf-8", "replace").strip()
    except (ValueError, asyncio.LimitOverrunError) as error:
        raise _UnexpectedError("the server's line is too long") from error
