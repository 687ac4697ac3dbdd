"""A metadata service and a web server on loopback, and specs to render."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from support.node_fakes import MetadataServer, RecordedMessages
from support.node_specs import VARIANTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bacalhau_spot.core.model import ClusterSpec


@pytest.fixture(params=VARIANTS)
def variant(request: pytest.FixtureRequest) -> ClusterSpec:
    return VARIANTS[request.param]


@pytest.fixture
def metadata_server() -> Iterator[MetadataServer]:
    server = MetadataServer()
    yield server
    server.close()


@pytest.fixture
def messages() -> RecordedMessages:
    return RecordedMessages()


@pytest.fixture
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., str]]:
    """Answers, one after the other, of a web server on loopback; the last one stays. -> its address."""
    servers: list[ThreadingHTTPServer] = []

    def start(*answers: tuple[int, bytes]) -> str:
        left = list(answers)

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                code, body = left.pop(0) if len(left) > 1 else left[0]
                self.send_response(code)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()
