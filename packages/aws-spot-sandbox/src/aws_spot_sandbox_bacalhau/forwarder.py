"""A port of an instance's address whose connections lead to a program on another port of this machine.

Bacalhau refuses to start if its NATS port is in use at any address of the machine, and several sandboxes share one.
"""

from __future__ import annotations

import contextlib
import socket
import threading

_CHUNK = 65536
_LOOPBACK = "127.0.0.1"


class Forwarder:
    """Serves from the constructor to `stop`. Raises OSError if the address cannot be bound."""

    def __init__(self, host: str, port: int, *, to: int) -> None:
        self._to = to
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._server = socket.create_server((host, port), backlog=64)
        threading.Thread(target=self._serve, name="sandbox-forwarder", daemon=True).start()

    def stop(self) -> None:
        _shut(self._server)
        self._server.close()
        with self._lock:
            connections = list(self._open)
        for connection in connections:
            _shut(connection)

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._connect, args=(client,), daemon=True).start()

    def _connect(self, client: socket.socket) -> None:
        try:
            program = socket.create_connection((_LOOPBACK, self._to), timeout=5)
        except OSError:
            client.close()
            return
        program.settimeout(None)
        with self._lock:
            self._open |= {client, program}
        back = threading.Thread(target=_copy, args=(program, client), daemon=True)
        back.start()
        _copy(client, program)
        back.join()
        with self._lock:
            self._open -= {client, program}
        client.close()
        program.close()


def _copy(source: socket.socket, target: socket.socket) -> None:
    """Until one of them ends; then both do."""
    with contextlib.suppress(OSError):
        while data := source.recv(_CHUNK):
            target.sendall(data)
    _shut(source)
    _shut(target)


def _shut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
