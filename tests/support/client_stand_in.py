"""Bacalhau's client, as far as the README and docs/first-job.md use it, where the real one is not to be had.

It takes the same environment variables and the same options, and refuses all others. The requests are those of Bacalhau 1.9
(pkg/publicapi/client/v2); `job logs` reads the output of the executions, because this program has no WebSocket.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import ssl
import sys
import tarfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

_FINAL = {"Completed", "Failed", "Stopped"}
_PATIENCE_S = 60.0


def ask(path: str, *, method: str = "GET", body: Any = None) -> Any:
    host = os.environ["BACALHAU_API_HOST"]
    if host.startswith("https:") != (os.environ["BACALHAU_API_TLS_USETLS"] == "true"):
        sys.exit("the variables contradict each other")
    context = (
        ssl.create_default_context(cafile=os.environ["BACALHAU_API_TLS_CAFILE"])
        if host.startswith("https:")
        else None
    )
    request = urllib.request.Request(
        f"{host}/api/v1/orchestrator/{path}",
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={
            "Authorization": f"Bearer {os.environ['BACALHAU_API_KEY']}",
            "Content-Type": "application/json",
        },
    )
    try:
        with urllib.request.urlopen(request, timeout=30, context=context) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            sys.exit(f"{error.code}: {error.read().decode()}")


def follow(job: str) -> None:
    """Until the job is over; its failure is this program's."""
    end = time.monotonic() + _PATIENCE_S
    while time.monotonic() < end:
        state = ask(f"jobs/{job}")["Job"]["State"]
        if state["StateType"] in _FINAL:
            if state["StateType"] != "Completed":
                sys.exit(f"{state['StateType']}: {state.get('Message')}")
            return
        time.sleep(0.2)
    sys.exit("the job does not end")


def docker_run(options: argparse.Namespace) -> None:
    name, path = options.output.split(":")
    key, value = options.constraints.split("=")
    engine = {"Type": "docker", "Params": {"Image": options.image, "Parameters": options.command}}
    task = {
        "Name": "main",
        "Engine": engine,
        "ResultPaths": [{"Name": name, "Path": path}],
        "Timeouts": {"QueueTimeout": options.queue_timeout},
    }
    job = {
        "Name": options.name,
        "Type": "batch",
        "Count": 1,
        "Constraints": [{"Key": key, "Operator": "=", "Values": [value]}],
        "Tasks": [task],
    }
    follow(ask("jobs", method="PUT", body={"Job": job})["JobID"])


def job_list(_: argparse.Namespace) -> None:
    for job in ask("jobs")["Items"]:
        sys.stdout.write(f"{job['ID']} {job['Name']} {job['State']['StateType']}\n")


def job_logs(options: argparse.Namespace) -> None:
    for execution in ask(f"jobs/{options.job}/executions")["Items"]:
        sys.stdout.write(execution["RunOutput"]["Stdout"])


def job_get(options: argparse.Namespace) -> None:
    folder = Path(f"job-{options.job}")
    folder.mkdir()
    for item in ask(f"jobs/{options.job}/results")["Items"]:
        with urllib.request.urlopen(item["Params"]["PreSignedURL"], timeout=30) as answer:
            packed = io.BytesIO(answer.read())
        with tarfile.open(fileobj=packed) as archive:
            archive.extractall(folder, filter="data")


def job_rerun(options: argparse.Namespace) -> None:
    follow(ask(f"jobs/{options.job}/rerun", method="PUT", body={})["JobID"])


def node_list(_: argparse.Namespace) -> None:
    for node in ask("nodes")["Nodes"]:
        sys.stdout.write(f"{node['Info']['NodeID']} {node['ConnectionState']['Status']}\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bacalhau", allow_abbrev=False)
    groups = parser.add_subparsers(required=True)
    docker = groups.add_parser("docker").add_subparsers(required=True)
    run = docker.add_parser("run", allow_abbrev=False)
    run.set_defaults(call=docker_run)
    for name in ("--name", "--constraints"):
        run.add_argument(name, required=True)
    run.add_argument("--queue-timeout", type=int, required=True)
    run.add_argument("-o", dest="output", required=True)
    run.add_argument("image")
    run.add_argument("command", nargs="*")
    jobs = groups.add_parser("job").add_subparsers(required=True)
    jobs.add_parser("list").set_defaults(call=job_list)
    for name, call in (("logs", job_logs), ("get", job_get), ("rerun", job_rerun)):
        one = jobs.add_parser(name)
        one.add_argument("job")
        one.set_defaults(call=call)
    nodes = groups.add_parser("node").add_subparsers(required=True)
    nodes.add_parser("list").set_defaults(call=node_list)
    return parser


if __name__ == "__main__":
    chosen = _parser().parse_args()
    chosen.call(chosen)
