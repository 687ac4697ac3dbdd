"""SSM's Parameter Store as a booting machine meets it: one parameter over HTTPS, for whoever signs a request."""

from __future__ import annotations

import json
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from bacalhau_spot.orchestrator.certificates import new_credentials

HOST = "ssm.us-east-1.amazonaws.com"


class ParameterStore:
    """On port 443 of 127.0.0.1. `ca_pem`: the authority that the machine must trust."""

    def __init__(self, folder: Path, name: str, value: str) -> None:
        self.name = name
        self.value = value
        self.requests = 0
        credentials = new_credentials(HOST)
        self.ca_pem = credentials.ca_pem
        (folder / "ssm.pem").write_text(credentials.server_pem)
        (folder / "ssm.key").write_text(credentials.server_key.reveal())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "ssm.pem", folder / "ssm.key")
        self._server = ThreadingHTTPServer(("127.0.0.1", 443), self._handler())
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(store) -> type[BaseHTTPRequestHandler]:  # noqa: N805 -- the handler below has the name `self`
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                store.requests += 1
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"] or 0)))
                signed = "/us-east-1/ssm/aws4_request" in (self.headers["Authorization"] or "")
                if not signed or self.headers["X-Amz-Target"] != "AmazonSSM.GetParameter":
                    self._answer(400, {"__type": "com.amazon#AccessDeniedException"})
                elif body != {"Name": store.name, "WithDecryption": True}:
                    self._answer(400, {"__type": "com.amazon#ParameterNotFound"})
                else:
                    self._answer(200, {"Parameter": {"Name": store.name, "Value": store.value}})

            def _answer(self, code: int, body: object) -> None:
                text = json.dumps(body).encode()
                self.send_response(code)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: Any) -> None:
                pass

        return Handler
