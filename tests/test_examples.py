"""The job files in examples/: fields that Bacalhau has, the rules of docs/jobs.md, and the programs in them.

tests/cli/test_real_jobs.py submits them to Bacalhau itself.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # check-jsonschema brings it, without types
import pytest
from ruamel.yaml import YAML

from aws_spot_sandbox_bacalhau import job_spec

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
FILES = sorted(path.name for path in EXAMPLES.glob("*.yaml"))
_TEXT = {"type": "string", "minLength": 1}
_TEXTS = {"type": "array", "items": _TEXT}
_SECONDS = {"type": "integer", "minimum": 1}


def _object(required: str = "", **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": required.split(),
        "properties": properties,
    }


# Source: Bacalhau 1.9, pkg/models (Job, Task, Network, TimeoutConfig, …) and pkg/executor/docker/models (EngineSpec).
_DOCKER = _object(
    "Image",
    Image=_TEXT,
    Entrypoint=_TEXTS,
    Parameters=_TEXTS,
    EnvironmentVariables=_TEXTS,
    WorkingDirectory=_TEXT,
)
_TASK = _object(
    "Name Engine Resources Timeouts",
    Name=_TEXT,
    Engine=_object("Type Params", Type={"const": "docker"}, Params=_DOCKER),
    Publisher=_object("Type", Type={"enum": ["s3managed", "s3", "noop"]}, Params={"type": "object"}),
    Env={"type": "object", "additionalProperties": _TEXT},
    Meta={"type": "object"},
    InputSources={
        "type": "array",
        "items": _object(
            "Source Target",
            Source=_object("Type Params", Type={"enum": ["local", "s3", "url"]}, Params={"type": "object"}),
            Alias=_TEXT,
            Target=_TEXT,
        ),
    },
    ResultPaths={"type": "array", "items": _object("Name Path", Name=_TEXT, Path=_TEXT)},
    Resources=_object(CPU=_TEXT, Memory=_TEXT, Disk=_TEXT, GPU=_TEXT),
    Network=_object(
        "Type",
        Type={"enum": ["Default", "None", "Full", "HTTP", "Host", "Bridge"]},
        Domains=_TEXTS,
        Ports={"type": "array"},
    ),
    Timeouts=_object(ExecutionTimeout=_SECONDS, QueueTimeout=_SECONDS, TotalTimeout=_SECONDS),
)
SCHEMA = _object(
    "Name Type Constraints Tasks",
    Name=_TEXT,
    Namespace=_TEXT,
    Type={"enum": ["batch", "service", "ops", "daemon"]},
    Priority={"type": "integer"},
    Count={"type": "integer", "minimum": 1},
    Constraints={
        "type": "array",
        "items": _object("Key Operator Values", Key=_TEXT, Operator={"enum": ["=", "in"]}, Values=_TEXTS),
    },
    Meta={"type": "object"},
    Labels={"type": "object"},
    Tasks={"type": "array", "items": _TASK, "minItems": 1, "maxItems": 1},
)


def job(file: str) -> dict[str, Any]:
    read: dict[str, Any] = YAML(typ="safe").load((EXAMPLES / file).read_text(encoding="utf-8"))
    return read


@pytest.mark.parametrize("file", FILES)
def test_each_field_is_one_of_bacalhaus(file: str) -> None:
    jsonschema.validate(job(file), SCHEMA)
    assert job_spec.problems(job(file)) == []


@pytest.mark.parametrize("file", FILES)
def test_each_keeps_the_rules_for_spot_nodes(file: str) -> None:
    """The cluster's nodes only; a queue timeout where a lost execution needs another node; results that are declared."""
    read = job(file)
    assert {"Key": "cluster", "Operator": "=", "Values": ["{{ .cluster }}"]} in read["Constraints"]
    task = read["Tasks"][0]
    if read["Type"] in {"batch", "service"}:
        assert task["Timeouts"]["QueueTimeout"] >= 86400
    if "/outputs" in json.dumps(task["Engine"]):
        assert {"Name": "outputs", "Path": "/outputs"} in task["ResultPaths"]


def test_there_is_one_for_each_type_of_job_and_for_checkpoints() -> None:
    assert FILES == ["batch.yaml", "checkpoint.yaml", "ops.yaml", "service.yaml"]


class Bucket:
    """One object, by HTTP, as pre-signed URLs reach it."""

    def __init__(self) -> None:
        self.content: bytes | None = None


@pytest.fixture
def bucket() -> Iterator[tuple[Bucket, str]]:
    held = Bucket()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(404 if held.content is None else 200)
            self.end_headers()
            self.wfile.write(held.content or b"")

        def do_PUT(self) -> None:
            held.content = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Nothing on stderr."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        try:
            yield held, f"http://127.0.0.1:{server.server_address[1]}/one.json"
        finally:
            server.shutdown()


def started(folder: Path, url: str, **settings: str) -> subprocess.Popen[str]:
    """The program of checkpoint.yaml on a node with this folder."""
    task = job("checkpoint.yaml")["Tasks"][0]
    *_, program = task["Engine"]["Params"]["Parameters"]
    environ: Mapping[str, str] = {
        "PATH": os.environ["PATH"],
        "CHECKPOINT_GET": url,
        "CHECKPOINT_PUT": url,
        "NOTICE": str(folder / "interruption.json"),
        "OUTPUTS": str(folder),
        **settings,
    }
    folder.mkdir()
    return subprocess.Popen(
        [sys.executable, "-u", "-c", program], env=environ, stdout=subprocess.PIPE, text=True
    )


def test_the_checkpoint_continues_on_another_node(tmp_path: Path, bucket: tuple[Bucket, str]) -> None:
    """The notice makes the first node save; it works on until it is killed. The second one ends the work."""
    held, url = bucket
    with started(tmp_path / "one", url, STEPS="100000", STEP_S="0.01") as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "begins at step 0\n"
        (tmp_path / "one" / "interruption.json").write_text("{}")
        saved = int(first.stdout.readline().removeprefix("saved at step "))
        time.sleep(0.1)
        assert first.poll() is None, "its end would complete the job"
        first.kill()
    assert held.content is not None and json.loads(held.content)["step"] == saved > 0
    with started(tmp_path / "two", url, STEPS=str(saved + 10), STEP_S="0") as second:
        shown, _ = second.communicate(timeout=30)
    assert shown.splitlines()[0] == f"begins at step {saved}"
    assert int((tmp_path / "two" / "sum.txt").read_text()) == sum(range(saved + 10))
