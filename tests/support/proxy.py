"""A proxy on loopback that notes what it is asked for, and refuses it."""

from __future__ import annotations

import contextlib
import socket
import threading


class Proxy:
    """Notes the first line of each request and refuses it."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                with client:
                    self.lines.append(client.recv(65536).decode().split("\r\n")[0])
                    client.sendall(
                        b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                    )

    def close(self) -> None:
        self._listener.close()
