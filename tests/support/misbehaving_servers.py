"""Servers on loopback that answer in the place of AWS, and not as AWS would."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

SILENT = b""


def page(status: str, body: str = "<html>Please sign in</html>", kind: str = "text/html") -> bytes:
    """An HTTP answer, whole."""
    return (
        f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
        f"Connection: close\r\n\r\n{body}"
    ).encode()


# It promises more than it sends.
HALF = b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: 500\r\nConnection: close\r\n\r\n<Get"


@contextlib.contextmanager
def bad_server(answer: bytes | None) -> Iterator[str]:
    """Its address. It answers every request with `answer`; SILENT: never; None: it hangs up at once."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        sockets: list[socket.socket] = []

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    sockets.append(connection)
                    if answer is None:
                        connection.close()
                    elif answer:
                        connection.recv(65536)
                        connection.sendall(answer)
                        connection.close()

        threading.Thread(target=serve, daemon=True).start()
        try:
            yield f"127.0.0.1:{server.getsockname()[1]}"
        finally:
            for connection in sockets:
                connection.close()
            # A thread that waits in accept() holds the socket: this wakes it up.
            with contextlib.suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)


def closed_port() -> str:
    """An address on loopback where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"127.0.0.1:{server.getsockname()[1]}"
