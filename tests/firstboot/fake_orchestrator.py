#!/usr/bin/python3
# ruff: noqa: EXE001 -- made executable where it is put
"""Stands in for the `bacalhau` executable inside the virtual machine: tells what it was given, holds its connection, leaves."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml  # type: ignore[import-untyped]  # the guest's own, which cloud-init brought

TEST = "http://169.254.169.254/test"
DRAINING = "/run/bacalhau-spot/draining"


def tell(what: str, about: object) -> None:
    request = urllib.request.Request(f"{TEST}/{what}", data=json.dumps(about).encode(), method="POST")
    urllib.request.urlopen(request, timeout=20).close()


def merged(arguments: list[str]) -> dict[str, Any]:
    """The files named by --config, each laid over the ones before, as Bacalhau does it."""

    def lay(under: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
        both = {
            key: lay(under[key], over[key]) if isinstance(over[key], dict) and key in under else over[key]
            for key in over
        }
        return {**under, **both}

    config: dict[str, Any] = {}
    for flag, value in pairwise(arguments):
        if flag == "--config":
            config = lay(config, yaml.safe_load(Path(value).read_text("utf-8")))
    return config


class Agent(BaseHTTPRequestHandler):
    """One execution, which ends some time after the node was cordoned."""

    looks = 0

    def do_GET(self) -> None:
        if Path(DRAINING).exists():
            Agent.looks += 1
        running = 0 if Agent.looks > 3 else 1
        info = {"ExecutionEngines": ["docker", "wasm"], "RunningExecutions": running}
        jobs = [{"ExecutionID": "e-1"}] * running
        body = json.dumps({"ComputeNodeInfo": info, "ActiveJobs": jobs}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def leave(*_: object) -> None:
    notice = Path("/bacalhau_data/interruption.json")
    about: dict[str, Any] = {"draining": Path(DRAINING).exists()}
    if notice.exists():
        about["notice"] = json.loads(notice.read_text("utf-8"))
        about["mode"] = oct(stat.S_IMODE(notice.stat().st_mode))
    tell("left", about)
    sys.exit(0)


def main() -> None:
    signal.signal(signal.SIGTERM, leave)
    config = merged(sys.argv)
    about = {
        "arguments": sys.argv[1:],
        "config": config,
        "token": os.environ.get("BACALHAU_COMPUTE_AUTH_TOKEN"),
        "folder": str(Path.cwd()),
        "home": os.environ.get("HOME"),
        "docker": subprocess.run(["docker", "info"], check=False, capture_output=True).returncode == 0,
        "probe": subprocess.run(
            ["bash", "-c", config["JobAdmissionControl"]["ProbeExec"]], check=False
        ).returncode,
    }
    server = HTTPServer((config["API"]["Host"], config["API"]["Port"]), Agent)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = urlsplit(config["Compute"]["Orchestrators"][0])
    connection = socket.create_connection((url.hostname, url.port))
    tell("started", about)
    while connection.recv(1024):
        pass


if __name__ == "__main__":
    main()
