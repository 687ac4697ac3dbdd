"""An HTTP server on loopback with persistent connections, independent of AWS."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from uuid import uuid4

from aws_spot_sandbox.http_types import ConnectionLost, Http

if TYPE_CHECKING:
    from collections.abc import Callable

    from aws_spot_sandbox.http_types import Reply

LOOPBACK = "127.0.0.1"


class Listener:
    """Serves from `start` to `stop`. werkzeug's server is not used, because it closes the connection after every reply."""

    def __init__(
        self, answer: Callable[[Http, bytes], Reply], *, now: Callable[[], float] = time.time
    ) -> None:
        self._answer = answer
        self._now = now
        self._server: _Server | None = None

    def start(self, port: int = 0) -> str:
        server = self._server = _Server((LOOPBACK, port), _Connection)
        server.answer, server.now = self._answer, self._now
        threading.Thread(target=server.serve_forever, args=(0.1,), name="sandbox", daemon=True).start()
        return f"http://{LOOPBACK}:{server.server_address[1]}"

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server.hang_up()
            self._server = None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128  # the default of five delays bursts of clients by a second
    answer: Callable[[Http, bytes], Reply]
    now: Callable[[], float]

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(address, handler)
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()

    def server_bind(self) -> None:
        # HTTPServer's own looks up its host name, which uses the network and may take seconds
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = LOOPBACK, int(self.server_address[1])

    def opened(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.add(connection)

    def closed(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.discard(connection)

    def hang_up(self) -> None:
        """Close open connections, which their threads would otherwise still serve."""
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # otherwise every reply waits 40 ms for the client's acknowledgement
    wbufsize = -1
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.server.opened(self.connection)

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):  # the client has disconnected
            super().handle()

    def finish(self) -> None:
        self.server.closed(self.connection)
        with contextlib.suppress(ConnectionError):
            super().finish()

    def _serve(self) -> None:
        path, _, query = self.path.partition("?")
        headers = {name.lower(): value for name, value in self.headers.items()}
        if "transfer-encoding" in headers:  # clients of these services do not send it
            self.close_connection = True
            self.send_error(411)
            return
        length = headers.get("content-length") or "0"
        if not (length.isascii() and length.isdigit()):  # a negative one would block until the client leaves
            self.close_connection = True
            self.send_error(400)
            return
        body = self.rfile.read(int(length))
        try:
            reply = self.server.answer(Http(self.command, path, query, headers), body)
        except ConnectionLost:
            self.close_connection = True
            return
        self.send_response(reply.status)
        # Every AWS reply has a request id; S3 has another header for it (AWS General Reference).
        if reply.numbered:
            request_id = str(uuid4())
            self.send_header("x-amzn-RequestId", request_id)
            self.send_header("x-amz-request-id", request_id)
        self.send_header("Content-Type", reply.content_type)
        for name, value in reply.headers:
            self.send_header(name, value)
        if all(name != "Content-Length" for name, _ in reply.headers):
            self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body)
        self.wfile.flush()

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_PATCH = _serve  # noqa: N815 - the base class's spelling

    def date_time_string(self, timestamp: float | None = None) -> str:
        """The Date header, from the sandbox's clock."""
        return super().date_time_string(self.server.now() if timestamp is None else timestamp)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Not logged here: the layer logs calls."""
