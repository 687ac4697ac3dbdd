"""A stand-in for the NATS port of a Bacalhau orchestrator, on loopback: the greeting, the token, TLS."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass
class NatsServer:
    """`greeting`: bytes in place of INFO. `certificate`: a folder with server.pem and server.key."""

    token: str | None = "the-token"
    certificate: Path | None = None
    tls_first: bool = False  # as a proxy that terminates TLS
    greeting: bytes | None = None
    port: int = 0
    received: list[str] = field(default_factory=list)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, ssl.SSLError):
            await self._converse(reader, writer)
        writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.greeting is not None:
            writer.write(self.greeting)
            await reader.read()
            return
        upgrade = self.certificate is not None and not self.tls_first
        info = {"server_id": "test", "auth_required": self.token is not None, "tls_required": upgrade}
        writer.write(f"INFO {json.dumps(info)}\r\n".encode())
        await writer.drain()
        if upgrade:
            await writer.start_tls(self.context())
        while line := (await reader.readline()).decode():
            self.received.append(line.strip())
            if line.startswith("CONNECT "):
                options = json.loads(line.partition(" ")[2])
                if self.token is not None and options.get("auth_token") != self.token:
                    writer.write(b"-ERR 'Authorization Violation'\r\n")
                    return
            if line.startswith("PING"):
                writer.write(b'INFO {"again": true}\r\nPONG\r\n')
                await writer.drain()

    def context(self) -> ssl.SSLContext:
        assert self.certificate is not None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate / "server.pem", self.certificate / "server.key")
        return context


@contextlib.contextmanager
def running(server: NatsServer) -> Iterator[NatsServer]:
    started = threading.Event()
    loop = asyncio.new_event_loop()
    ended = asyncio.Event()

    async def serve() -> None:
        tls = server.context() if server.tls_first else None
        async with await asyncio.start_server(server.answer, "127.0.0.1", 0, ssl=tls) as listener:
            server.port = listener.sockets[0].getsockname()[1]
            started.set()
            await ended.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), daemon=True)
    thread.start()
    assert started.wait(10)
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join(10)
