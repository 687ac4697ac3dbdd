"""EC2 as a booting machine meets it: the metadata service (version 2 only), and beside it what answers and takes notes."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ACCOUNT = "000000000000"
INSTANCE = "i-0123456789abcdef0"
MAC = "52:54:00:12:34:56"
REGION = "us-east-1"


def metadata(user_data: bytes) -> dict[str, bytes]:
    """Path below a version -> what is there."""
    document = {"instanceId": INSTANCE, "region": REGION, "accountId": ACCOUNT, "architecture": "x86_64"}
    interface = f"meta-data/network/interfaces/macs/{MAC}"
    texts = {
        "dynamic/instance-identity/document": json.dumps(document),
        "meta-data/ami-id": "ami-0123456789abcdef0",
        "meta-data/hostname": "ip-169-254-169-15.ec2.internal",
        "meta-data/instance-id": INSTANCE,
        "meta-data/instance-life-cycle": "spot",
        "meta-data/instance-type": "m6a.large",
        "meta-data/local-hostname": "ip-169-254-169-15.ec2.internal",
        "meta-data/local-ipv4": "169.254.169.15",
        "meta-data/mac": MAC,
        "meta-data/placement/availability-zone": f"{REGION}a",
        "meta-data/placement/region": REGION,
        f"{interface}/device-number": "0",
        f"{interface}/interface-id": "eni-0123456789abcdef0",
        f"{interface}/local-ipv4s": "169.254.169.15",
        f"{interface}/mac": MAC,
        f"{interface}/subnet-ipv4-cidr-block": "169.254.169.0/24",
    }
    return {**{path: text.encode() for path, text in texts.items()}, "user-data": user_data}


class Ec2:
    """Port 80 is the metadata service; everything else that a test needs is below /test on the same port."""

    def __init__(self, user_data: bytes, *, port: int = 80) -> None:
        self.values = metadata(user_data)
        self.served: dict[str, bytes] = {}
        self.noted: dict[str, Any] = {}
        self.without_token = 0
        self._server = ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def look(self, path: str) -> bytes | None:
        """A value, or the listing of a folder as the service writes it."""
        if path in self.values:
            return self.values[path]
        below = path.rstrip("/") + "/" if path else ""
        names = {
            rest.split("/")[0] + ("/" if "/" in rest else "")
            for rest in (name.removeprefix(below) for name in self.values if name.startswith(below))
        }
        return "\n".join(sorted(names)).encode() if names else None

    def _handler(ec2) -> type[BaseHTTPRequestHandler]:  # noqa: N805 -- the handler below has the name `self`
        class Handler(BaseHTTPRequestHandler):
            def do_PUT(self) -> None:
                self._answer(200 if self.path == "/latest/api/token" else 404, b"token")

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"] or 0))
                ec2.noted[self.path.removeprefix("/test/")] = json.loads(body)
                self._answer(200, b"")

            def do_GET(self) -> None:
                if self.path.startswith("/test/"):
                    served = ec2.served.get(self.path.removeprefix("/test/"))
                    self._answer(404 if served is None else 200, served or b"")
                    return
                if self.headers["X-aws-ec2-metadata-token"] != "token":
                    ec2.without_token += 1
                    self._answer(401, b"")
                    return
                version, _, path = self.path.lstrip("/").partition("/")
                known = version in {"latest", "2021-03-23", "2016-09-02", "2009-04-04"}
                document = ec2.look(path) if known else None
                self._answer(404 if document is None else 200, document or b"")

            def _answer(self, code: int, body: bytes) -> None:
                self.send_response(code)
                self.send_header("X-aws-ec2-metadata-token-ttl-seconds", "21600")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        return Handler
