"""A registry on loopback with one tiny image: Bacalhau asks a registry for an image's platform before it offers to run it.

Source: OCI distribution specification, "Pulling manifests" and "Pulling blobs"; a Docker daemon uses plain HTTP on loopback.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import json
import platform
import shutil
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_CONFIG = "application/vnd.docker.container.image.v1+json"
_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
PROGRAMS = ("sh", "echo", "cat", "date", "sleep", "ls", "hostname", "seq", "test", "mkdir", "mv")
_ARCH = {"x86_64": "amd64", "aarch64": "arm64"}


@lru_cache(maxsize=1)
def without_containers() -> str:
    """Why no container can run here; empty if one can."""
    if not shutil.which("docker") or not shutil.which("busybox"):
        return "docker or busybox-static is not installed"
    done = subprocess.run(["docker", "info"], check=False, capture_output=True)
    return "" if done.returncode == 0 else "no Docker daemon answers"


def digest(blob: bytes) -> str:
    return f"sha256:{hashlib.sha256(blob).hexdigest()}"


def _rootfs(program: Path) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        entry = tarfile.TarInfo("bin/busybox")
        entry.size, entry.mode = program.stat().st_size, 0o755
        with program.open("rb") as content:
            tar.addfile(entry, content)
        for name in PROGRAMS:
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
        folder = tarfile.TarInfo("tmp")
        folder.type, folder.mode = tarfile.DIRTYPE, 0o1777
        tar.addfile(folder)
    return stream.getvalue()


def _image() -> tuple[bytes, dict[str, bytes]]:
    """The manifest, and the blobs by digest."""
    rootfs = _rootfs(Path(shutil.which("busybox") or ""))
    layer = gzip.compress(rootfs, mtime=0)
    config = json.dumps(
        {
            "architecture": _ARCH[platform.machine()],
            "os": "linux",
            "config": {"Env": ["PATH=/bin"], "Cmd": ["sh"]},
            "rootfs": {"type": "layers", "diff_ids": [digest(rootfs)]},
            "history": [{"created_by": "a test"}],
        }
    ).encode()
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": {"mediaType": _CONFIG, "size": len(config), "digest": digest(config)},
            "layers": [{"mediaType": _LAYER, "size": len(layer), "digest": digest(layer)}],
        }
    ).encode()
    return manifest, {digest(config): config, digest(layer): layer}


@contextlib.contextmanager
def served_image() -> Iterator[str]:
    """Serves until the block ends; yields the image's reference, of any tag."""
    manifest, blobs = _image()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            name = self.path.rpartition("/")[2]
            if self.path == "/v2/":
                self._answer(b"{}", "application/json")
            elif "/manifests/" in self.path:
                self._answer(manifest, _MANIFEST)
            elif name in blobs:
                self._answer(blobs[name], "application/octet-stream")
            else:
                self.send_error(404)

        do_HEAD = do_GET  # noqa: N815 - the library's name

        def _answer(self, content: bytes, kind: str) -> None:
            self.send_response(200)
            for header, value in {
                "Content-Type": kind,
                "Content-Length": str(len(content)),
                "Docker-Content-Digest": digest(content),
                "Docker-Distribution-Api-Version": "registry/2.0",
            }.items():
                self.send_header(header, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            """Nothing on stderr."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}/tiny:1"
        finally:
            server.shutdown()
            thread.join()
