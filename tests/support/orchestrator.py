"""A stand-in for the orchestrator's API on loopback, with the shapes of Bacalhau 1.9 as it really answers them."""

from __future__ import annotations

import contextlib
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

Data = dict[str, Any]
NODES = "/api/v1/orchestrator/nodes"
JOBS = "/api/v1/orchestrator/jobs"
VERSION = {"Major": "1", "Minor": "9", "GitVersion": "v1.9.3", "GOOS": "linux", "GOARCH": "amd64"}
CAPACITY = {"CPU": 1.6, "Memory": 3_200_000_000, "Disk": 15_000_000_000}
NEVER = "0001-01-01T00:00:00Z"


def node(
    name: str,
    *,
    labels: dict[str, str] | None = None,
    connected: bool = True,
    engines: Any = ("docker", "wasm"),
) -> Data:
    """A compute node as the API lists it."""
    since, until = (
        ("2026-11-25T09:29:42.636878781Z", NEVER) if connected else (NEVER, "2026-11-25T09:29:50.691047232Z")
    )
    state = {
        "Status": "CONNECTED" if connected else "DISCONNECTED",
        "LastHeartbeat": "2026-11-25T09:29:42.636878832Z",
        "ConnectedSince": since,
        "DisconnectedSince": until,
    }
    return {
        "Info": {
            "NodeID": name,
            "NodeType": "Compute",
            "Labels": {"name": name, "os_arch": "amd64", **(labels or {})},
            "SupportedProtocols": ["bprotocol/v2", "ncl/v1"],
            "ComputeNodeInfo": {
                "ExecutionEngines": None if engines is None else list(engines),
                "MaxCapacity": dict(CAPACITY),
                "QueueCapacity": {},
                "AvailableCapacity": {**CAPACITY, "CPU": 1.1} if connected else {},
                "RunningExecutions": 2,
                "EnqueuedExecutions": 0,
                "address": "",
            },
            "BacalhauVersion": dict(VERSION),
        },
        "Membership": "APPROVED",
        "Connection": state["Status"],
        "ConnectionState": state if connected else {**state, "LastError": "graceful shutdown"},
    }


def cluster_node(
    instance_id: str, *, region: str = "us-east-1", cluster: str, connected: bool = False
) -> Data:
    """One of a cluster of ours."""
    labels = {"provider": "aws", "cluster": cluster, "region": region, "instance-id": instance_id}
    return node(f"bacalhau-{instance_id}", labels=labels, connected=connected)


def requester() -> Data:
    row = node("vm", engines=None)
    row["Info"]["NodeType"] = "Requester"
    row["Info"]["ComputeNodeInfo"]["MaxCapacity"] = {}
    return row


def refusal(status: int, message: str, code: str, component: str, **more: Any) -> Data:
    return {
        "Status": status,
        "Message": message,
        "RequestID": "",
        "Code": code,
        "Component": component,
        **more,
    }


def job_state(job: Data, state: str, message: str = "") -> Data:
    job["State"] = {"StateType": state, **({"Message": message} if message else {})}
    return job


def execution(
    job: Data, *, node: str, state: int, message: str = "", exit_code: int = 0, seconds: float = 1.5
) -> Data:
    """An execution as the API lists it: Bacalhau sends the number of its state."""
    return {
        "ID": f"e-{job['ID']}",
        "JobID": job["ID"],
        "NodeID": node,
        "ComputeState": {"StateType": state, **({"Message": message} if message else {})},
        "DesiredState": {"StateType": 2},
        "RunOutput": {"Stdout": "", "ExitCode": exit_code, "ErrorMsg": ""},
        "CreateTime": job["CreateTime"],
        "ModifyTime": job["CreateTime"] + int(seconds * 1e9),
    }


@dataclass
class StandIn:
    """`answer` replaces the answer to everything: status, headers, body. `refused`: node ids that are not removed.

    `jobs`: by id; `plays`: the state and executions of a job at its next request, otherwise it completes at once.
    """

    url: str = ""
    nodes: list[Data] = field(default_factory=list)
    authorization: str | None = None
    read_only: bool = False
    refused: set[str] = field(default_factory=set)
    answer: tuple[int, dict[str, str], bytes] | None = None
    requests: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    date: str = "Wed, 25 Nov 2026 09:29:50 GMT"  # the header, as new as the nodes' heartbeats
    jobs: dict[str, Data] = field(default_factory=dict)
    plays: Callable[[Data, str], tuple[Data, list[Data]]] | None = None
    rejects: str = ""
    stopped: list[str] = field(default_factory=list)
    removing: threading.Lock = field(default_factory=threading.Lock)

    @property
    def names(self) -> list[str]:
        return [str(node["Info"]["NodeID"]) for node in self.nodes]

    @property
    def removals(self) -> list[str]:
        return [path.rpartition("/")[2] for method, path, _, _ in self.requests if method == "PUT"]

    def reply(self, method: str, path: str, given: str | None, body: bytes = b"") -> tuple[int, Data]:
        if path == "/api/v1/agent/version":
            return 200, VERSION
        if self.authorization is not None and given != self.authorization:
            details = {"reason": "Missing Authorization header" if given is None else "Invalid API key"}
            return 401, refusal(401, "Request Unauthorized", "Unauthorized", "Authorizer", Details=details)
        if method == "GET" and path == NODES:
            return 200, {"NextToken": "", "Nodes": [*self.nodes, requester()]}
        if method == "PUT" and path.startswith(f"{NODES}/"):
            return self._removed(unquote(path.rpartition("/")[2]))
        if path.startswith(JOBS):
            return self._jobs(method, unquote(urlsplit(path).path.removeprefix(JOBS).strip("/")), body)
        return 404, refusal(404, "The requested resource/URL was not found.", "NotFound", "APIServer")

    def _jobs(self, method: str, name: str, body: bytes) -> tuple[int, Data]:
        if self.read_only:
            action = "read:job" if method == "GET" else "write:job"
            details = {"reason": f"user 'r' does not have the required capability '{action}'"}
            return 403, refusal(403, "Request Forbidden", "Forbidden", "Authorizer", Details=details)
        if method == "PUT":
            if self.rejects:
                return 400, refusal(400, self.rejects, "BadRequest", "JobStore")
            job = {
                **json.loads(body)["Job"],
                "ID": f"j-{len(self.jobs) + 1}",
                "CreateTime": 1_795_883_531_569_758_155,
            }
            self.jobs[job["ID"]] = job_state(job, "Pending")
            return 200, {"JobID": job["ID"], "EvaluationID": "1", "Warnings": None}
        if name not in self.jobs:
            return 404, refusal(404, f"job not found: {name}", "NotFound", "JobStore")
        job = self.jobs[name]
        if method == "DELETE":
            if job["State"]["StateType"] in {"Completed", "Failed", "Stopped"}:
                message = f"cannot stop job in state {job['State']['StateType']}"
                return 500, refusal(500, message, "", "Bacalhau")
            job_state(job, "Stopped")
            self.stopped.append(name)
            return 200, {"EvaluationID": "2"}
        node = f"bacalhau-{job['Constraints'][0]['Values'][0]}"
        done = (job_state(job, "Completed"), [execution(job, node=node, state=9)])
        found, executions = done if self.plays is None else self.plays(job, node)
        return 200, {"Job": found, "Executions": {"Items": executions}}

    def _removed(self, name: str) -> tuple[int, Data]:
        if self.read_only:
            details = {"reason": "user 'r' does not have the required capability 'write:node'"}
            return 403, refusal(403, "Request Forbidden", "Forbidden", "Authorizer", Details=details)
        if name in self.refused:
            return 500, refusal(500, "the store is closed", "InternalError", "NodesManager")
        if name not in self.names:
            return 404, refusal(404, f"node not found: {name}", "NotFound", "NodesManager")
        with self.removing:  # each request has a thread
            self.nodes = [node for node in self.nodes if node["Info"]["NodeID"] != name]
        return 200, {"Success": True}


@contextlib.contextmanager
def stand_in(certificate: Path | None = None) -> Iterator[StandIn]:
    """Serves until the block ends. `certificate`: the folder of server.pem and server.key, for https."""
    here = StandIn()

    class Handler(BaseHTTPRequestHandler):
        def _any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            here.requests.append((self.command, self.path, dict(self.headers), body))
            if here.answer is not None:
                status, headers, raw = here.answer
            else:
                status, data = here.reply(self.command, self.path, self.headers.get("Authorization"), body)
                headers, raw = {"Content-Type": "application/json"}, json.dumps(data).encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        do_GET = do_PUT = do_DELETE = _any  # noqa: N815 - the library's names

        def date_time_string(self, timestamp: float | None = None) -> str:
            del timestamp
            return here.date

        def log_message(self, *_: Any) -> None:
            """Nothing on stderr."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate / "server.pem", certificate / "server.key")
            server.socket = context.wrap_socket(server.socket, server_side=True)
        here.url = f"{'https' if certificate else 'http'}://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield here
        finally:
            server.shutdown()
            thread.join()
