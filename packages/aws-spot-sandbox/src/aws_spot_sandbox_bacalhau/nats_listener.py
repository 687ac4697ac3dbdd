"""The NATS port of an orchestrator, as far as the check of a client's credentials.

NATS client protocol: the server begins with INFO; `tls_required` makes the client continue over TLS; the server answers
PING with PONG after a valid CONNECT, else `-ERR 'Authorization Violation'`, and closes. Bacalhau 1.9 embeds nats-server.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

PORT = 4222
_TIMEOUT_S = 2.0  # nats-server's auth_timeout
_LONGEST = 4096  # max_control_line
_INFO: dict[str, Any] = {
    "server_id": "NSANDBOX000000000000000000000000000000000000000000000000",
    "server_name": "sandbox",
    "version": "2.12.1",
    "proto": 1,
    "go": "go1.24.3",
    "host": "0.0.0.0",  # noqa: S104 - in the greeting
    "port": PORT,
    "headers": True,
    "auth_required": True,
    "tls_required": True,
    "max_payload": 1048576,
    "jetstream": True,
}


@dataclass
class NatsListener:
    """`accepts`: whether a token is the orchestrator's."""

    tls: ssl.SSLContext
    accepts: Callable[[str], bool]
    _server: socket.socket | None = None
    _open: set[socket.socket] = field(default_factory=set)

    def start(self, host: str, port: int = PORT) -> None:
        """Raises OSError if the address cannot be bound."""
        self._server = socket.create_server((host, port), backlog=64)
        threading.Thread(target=self._serve, args=(self._server,), name="sandbox-nats", daemon=True).start()

    def stop(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            with contextlib.suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)  # wakes up the thread that accepts
            server.close()
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _serve(self, server: socket.socket) -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=self._converse, args=(connection,), daemon=True).start()

    def _converse(self, plain: socket.socket) -> None:
        self._open.add(plain)
        connection = plain
        try:
            plain.settimeout(_TIMEOUT_S)
            plain.sendall(f"INFO {json.dumps(_INFO, separators=(',', ':'))} \r\n".encode())
            connection = self.tls.wrap_socket(plain, server_side=True)
            self._log_in(connection)
        except OSError:  # the client has left, or speaks no TLS
            pass
        finally:
            self._open.discard(plain)
            connection.close()

    def _log_in(self, connection: socket.socket) -> None:
        accepted = False
        with connection.makefile("rb") as lines:
            while line := lines.readline(_LONGEST):
                name, _, rest = line.decode("utf-8", "replace").strip().partition(" ")
                if name == "CONNECT":
                    accepted = self.accepts(_token(rest))
                    if not accepted:
                        connection.sendall(b"-ERR 'Authorization Violation'\r\n")
                        return
                    connection.settimeout(None)
                elif not accepted:
                    return
                elif name == "PING":
                    connection.sendall(b"PONG\r\n")


def _token(text: str) -> str:
    try:
        options = json.loads(text)
        return str(options.get("auth_token") or "")
    except (ValueError, AttributeError):
        return ""
