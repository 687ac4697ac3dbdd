"""A registry of container images on loopback with one image, made of busybox alone. Docker asks for no certificate there."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
import threading
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


@lru_cache(maxsize=1)
def missing() -> str:
    """Why no container can run here; empty if it can."""
    if "DOCKER_HOST" not in os.environ:
        return "DOCKER_HOST does not name a Docker daemon for tests, which remove containers"
    if not shutil.which("busybox"):
        return "busybox is not installed (apt-get install busybox-static)"
    if not shutil.which("docker"):
        return "docker is not installed"
    done = subprocess.run(["docker", "info"], check=False, capture_output=True)
    return "" if done.returncode == 0 else "no Docker daemon answers"


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _contents() -> dict[str, tuple[str, bytes]]:
    """Path below /v2/probe -> type and bytes."""
    program = Path(shutil.which("busybox") or "").resolve().read_bytes()
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name in ("bin/busybox", "bin/sh"):
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(program), 0o755
            tar.addfile(member, io.BytesIO(program))
    layer = gzip.compress(out.getvalue(), mtime=0)
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Env": ["PATH=/bin"]},
            "rootfs": {"type": "layers", "diff_ids": [_digest(out.getvalue())]},
        }
    ).encode()

    def part(kind: str, data: bytes) -> dict[str, Any]:
        return {"mediaType": kind, "size": len(data), "digest": _digest(data)}

    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": part("application/vnd.docker.container.image.v1+json", config),
            "layers": [part("application/vnd.docker.image.rootfs.diff.tar.gzip", layer)],
        }
    ).encode()
    blobs = {f"blobs/{_digest(data)}": ("application/octet-stream", data) for data in (config, layer)}
    names = ("latest", _digest(manifest))
    return {**{f"manifests/{name}": (_MANIFEST, manifest) for name in names}, **blobs}


@contextlib.contextmanager
def registry() -> Iterator[str]:
    """The image's name."""
    contents = _contents()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            kind, data = contents.get(self.path.removeprefix("/v2/probe/"), ("", b""))
            self.send_response(200 if data or self.path == "/v2/" else 404)
            self.send_header("Content-Type", kind or "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.send_header("Docker-Content-Digest", _digest(data))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(data)

        def do_HEAD(self) -> None:
            self.do_GET()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    name = f"127.0.0.1:{server.server_port}/probe"
    try:
        yield name
    finally:
        server.shutdown()
        server.server_close()
        subprocess.run(["docker", "rmi", "--force", name], check=False, capture_output=True)
