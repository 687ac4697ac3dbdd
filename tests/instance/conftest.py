"""A metadata service and a web server on loopback, and specs to render."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from support.node_specs import VARIANTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bacalhau_spot.core.model import ClusterSpec


@pytest.fixture(params=VARIANTS)
def variant(request: pytest.FixtureRequest) -> ClusterSpec:
    return VARIANTS[request.param]


class MetadataServer:
    """IMDSv2: a token by PUT, and nothing without one."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.tokens = 0
        self.refuse_tokens_before = 0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def forget_tokens(self) -> None:
        """All tokens given out so far are over."""
        self.refuse_tokens_before = self.tokens

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def _handler(state: MetadataServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            if self.headers["X-aws-ec2-metadata-token-ttl-seconds"] and self.path == "/latest/api/token":
                state.tokens += 1
                self._answer(200, str(state.tokens))
            else:
                self._answer(400, "")

        def do_GET(self) -> None:
            token = self.headers["X-aws-ec2-metadata-token"] or "0"
            if int(token) <= state.refuse_tokens_before:
                self._answer(401, "")
                return
            value = state.values.get(self.path.removeprefix("/latest/meta-data/"))
            self._answer(404 if value is None else 200, value or "")

        def _answer(self, code: int, text: str) -> None:
            self.send_response(code)
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


@pytest.fixture
def metadata_server() -> Iterator[MetadataServer]:
    server = MetadataServer()
    yield server
    server.close()


class Said:
    """A console that remembers."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []

    def say(self, phase: str, detail: str = "") -> None:
        self.lines.append((phase, detail))

    @property
    def phases(self) -> list[str]:
        return [phase for phase, _ in self.lines]


@pytest.fixture
def said() -> Said:
    return Said()


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
