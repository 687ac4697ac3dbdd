"""What a node's programs meet in tests: a metadata service on loopback, a console that remembers."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class MetadataServer:
    """IMDSv2: a token by PUT, and nothing without one."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.tokens = 0
        self.refuse_tokens_before = 0
        self.date = ""  # of the answers; empty: the real one
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
            self.send_response_only(code)
            self.send_header("Date", state.date or self.date_time_string())
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


class RecordedMessages:
    """A console that remembers."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []

    def say(self, phase: str, detail: str = "") -> None:
        self.lines.append((phase, detail))

    @property
    def phases(self) -> list[str]:
        return [phase for phase, _ in self.lines]
