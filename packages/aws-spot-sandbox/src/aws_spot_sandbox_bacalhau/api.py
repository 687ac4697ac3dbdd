"""A fake of the orchestrator's HTTP API, Bacalhau 1.9: its nodes, its jobs, and the agent endpoints.

Bacalhau 1.9, pkg/publicapi: paths, parameters, replies and errors are the real ones, including the odd ones
(`order_by=status` sorts by approval, an unknown action returns 500, pagination is not implemented).
"""

from __future__ import annotations

import json
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote

from aws_spot_sandbox.http_types import AwsError, Call, Reply
from aws_spot_sandbox_bacalhau import job_api, label_selector, serializers
from aws_spot_sandbox_bacalhau.access import Refusal
from aws_spot_sandbox_bacalhau.node_registry import APPROVED, REJECTED
from aws_spot_sandbox_bacalhau.node_settings import NodeSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aws_spot_sandbox.state import World
    from aws_spot_sandbox_bacalhau.access import Access
    from aws_spot_sandbox_bacalhau.job_api import JobApi
    from aws_spot_sandbox_bacalhau.node_registry import Entry, NodeRegistry

SERVICE = "orchestrator"
_JSON = "application/json; charset=UTF-8"
_NODE = re.compile(r"/orchestrator/nodes/([^/]+)")
Query = dict[str, list[str]]
Rows = list[dict[str, Any]]


class Orchestrator:
    """A Handler. `path` in its calls begins after /api/v1; the action is the name in the switch `faults`."""

    def __init__(
        self,
        world: World,
        registry: NodeRegistry,
        *,
        settle: Callable[[], None],
        jobs: JobApi,
        access: Access,
    ) -> None:
        self._world = world
        self._settle = settle
        self._registry = registry
        self._jobs = jobs
        self._access = access

    def __call__(self, call: Call) -> Reply:
        try:
            answer = self._answer(call)
            return answer if isinstance(answer, Reply) else _reply(HTTPStatus.OK, answer)
        except Refusal as no:
            return _error(call, no)

    def _answer(self, call: Call) -> Any:
        path, method = call.http.path, call.http.method
        self._access(call)
        if path.startswith(job_api.PREFIX):
            self._settle()
            return self._jobs.answer(call)
        plain: Mapping[tuple[str, str], Callable[[Query], Any]] = {
            ("GET", "/agent/alive"): lambda _: {"Status": "OK"},
            ("GET", "/agent/version"): lambda _: serializers.build(serializers.VERSION),
            ("GET", "/agent/node"): lambda _: self._own()["Info"],
            ("GET", "/agent/authconfig"): lambda _: {"Version": "1.0.0", "Config": {}},
            ("GET", "/orchestrator/nodes"): self._list,
        }
        if (method, path) in plain:
            return plain[method, path](parse_qs(call.http.query, keep_blank_values=True))
        match = _NODE.fullmatch(path)
        if match and method == "GET":
            return {"Node": self._find_node(unquote(match[1]))}
        if match and method == "PUT":
            return self._put(unquote(match[1]), call.body)
        known = match or path in {known for _, known in plain}
        if known:
            raise Refusal(HTTPStatus.METHOD_NOT_ALLOWED, "InternalError", "Method Not Allowed", "APIServer")
        raise job_api.no_route()

    def _rows(self) -> Rows:
        """All nodes including the orchestrator itself, by id."""
        self._settle()
        now, settings = self._world.now(), self._world.settings_of(NodeSettings)
        with self._registry.lock:
            rows = [serializers.state(entry, settings, now) for entry in self._registry.entries.values()]
        return sorted([*rows, self._own()], key=_id)

    def _own(self) -> dict[str, Any]:
        return serializers.orchestrator(self._registry.began, self._registry.name)

    def _list(self, query: Query) -> dict[str, Any]:
        rows = self._rows()
        for name, read in (("filter-approval", _approval), ("filter-status", _status)):
            wanted = query.get(name, [""])[0].upper()
            rows = [row for row in rows if wanted in ("", read(row))]
        for key, test in label_selector.tests(",".join(query.get("labels", []))):
            rows = [row for row in rows if test(row["Info"]["Labels"].get(key))]
        order = query.get("order_by", [""])[0] or "id"
        if order not in _ORDERS:
            raise Refusal(HTTPStatus.BAD_REQUEST, "InternalError", "invalid order_by", "APIServer")
        rows.sort(key=_ORDERS[order], reverse=query.get("reverse", [""])[0] in {"true", "1"})
        limit = _limit(query.get("limit", ["0"])[0])
        return {"NextToken": "", "Nodes": rows[:limit] if limit else rows}

    def _find_node(self, prefix: str) -> dict[str, Any]:
        rows = [row for row in self._rows() if _id(row).startswith(prefix)]
        if not rows:
            raise Refusal(HTTPStatus.NOT_FOUND, "NotFound", f"node not found: {prefix}", "NodesManager")
        if len(rows) > 1:
            ids = [_id(row) for row in rows]
            shown = " ".join(ids if len(ids) <= 3 else [*ids[:3], "..."])  # noqa: PLR2004 - as Bacalhau does
            raise Refusal(
                HTTPStatus.CONFLICT,
                "MultipleNodesFound",
                f"multiple nodes found for prefix: {prefix}, matching IDs: [{shown}]",
                "NodesManager",
                "Use a more specific node ID prefix",
            )
        return rows[0]

    def _put(self, prefix: str, body: bytes) -> dict[str, Any]:
        try:
            request = json.loads(body or b"{}")
            action = str(request.get("Action", ""))
        except (ValueError, AttributeError) as wrong:
            raise Refusal(
                HTTPStatus.BAD_REQUEST, "InternalError", f"Syntax error: {wrong}", "APIServer"
            ) from wrong
        if action not in {"approve", "reject", "delete"}:
            raise Refusal(
                HTTPStatus.INTERNAL_SERVER_ERROR, "InternalError", "Internal server error", "Unknown"
            )
        name = _id(self._find_node(prefix))
        with self._registry.lock:
            entry = self._registry.entries.get(name)
            if entry is not None:  # the orchestrator's own node cannot be changed
                self._change(entry, action, prefix)
        return {"Success": True}

    def _change(self, entry: Entry, action: str, prefix: str) -> None:
        already = {"approve": APPROVED, "reject": REJECTED}.get(action)
        if entry.membership == already:
            raise Refusal(
                HTTPStatus.CONFLICT,
                "ConflictNodeState",
                f"node {prefix} already {already.lower()}",
                "NodesManager",
            )
        change = {
            "approve": self._registry.approve,
            "reject": self._registry.reject,
            "delete": self._registry.remove,
        }
        change[action](entry)


def action(method: str, path: str) -> str:
    """The name of a request in the switch `faults`."""
    if _NODE.fullmatch(path):
        return "GetNode" if method == "GET" else "PutNode"
    if path.startswith(job_api.PREFIX):
        return job_api.action(method, path)
    return "ListNodes" if path == "/orchestrator/nodes" else path.rpartition("/")[2].title()


def write_fault(error: AwsError, call: Call) -> Reply:
    """An injected fault in Bacalhau's format."""
    return _error(call, Refusal(error.status, error.code, error.message, "APIServer"))


def _id(row: Mapping[str, Any]) -> str:
    return str(row["Info"]["NodeID"])


def _approval(row: Mapping[str, Any]) -> str:
    return str(row["Membership"])


def _status(row: Mapping[str, Any]) -> str:
    return str(row["ConnectionState"]["Status"])


def _free(kind: str) -> Callable[[Mapping[str, Any]], float]:
    # largest first
    return lambda row: -float(row["Info"]["ComputeNodeInfo"]["AvailableCapacity"].get(kind, 0))


_ORDERS: Mapping[str, Callable[[Mapping[str, Any]], Any]] = {
    "id": _id,
    "type": lambda row: {"Requester": 1, "Compute": 2}[row["Info"]["NodeType"]],
    "available_cpu": _free("CPU"),
    "available_memory": _free("Memory"),
    "available_disk": _free("Disk"),
    "available_gpu": _free("GPU"),
    "approval": _approval,
    "status": _approval,
}


def _limit(text: str) -> int:
    if not text.isdigit():
        raise Refusal(
            HTTPStatus.BAD_REQUEST, "InternalError", f'strconv.ParseUint: parsing "{text}"', "APIServer"
        )
    return int(text)


def _reply(status: int, answer: Any) -> Reply:
    return Reply(json.dumps(answer).encode() + b"\n", int(status), _JSON)


def _error(call: Call, no: Refusal) -> Reply:
    body: dict[str, Any] = {
        "Status": int(no.status),
        "Message": no.message,
        "RequestID": call.http.headers.get("x-request-id", ""),
        "Code": no.code,
        "Component": no.component,
    }
    if no.hint:
        body["Hint"] = no.hint
    if no.reason:
        body["Details"] = {"reason": no.reason}
    return _reply(no.status, body)
