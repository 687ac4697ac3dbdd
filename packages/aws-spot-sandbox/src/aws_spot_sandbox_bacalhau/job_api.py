"""The part of the orchestrator's HTTP API that is about jobs.

Bacalhau 1.9, pkg/publicapi/endpoint/orchestrator/job.go; the replies are those of the real program.
"""

from __future__ import annotations

import base64
import json
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote

from aws_spot_sandbox.http_types import Reply
from aws_spot_sandbox_bacalhau import job_spec, job_store, label_selector, websocket
from aws_spot_sandbox_bacalhau.access import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aws_spot_sandbox.http_types import Call
    from aws_spot_sandbox.state import World
    from aws_spot_sandbox_bacalhau.job_store import Job, JobStore

PREFIX = "/orchestrator/jobs"
_ONE = re.compile(rf"{PREFIX}/(?P<id>[^/]+)(?:/(?P<part>[a-z]+))?")
_FOLLOWS_S, _LOOKS_EVERY_S = 3600.0, 0.25
_HISTORY_PAGE = 100
_STDOUT = 1  # models.ExecutionLogType


class JobApi:
    """`name`: of the orchestrator; `publisher`: the default for a type of job. `results`: where a job's results are."""

    def __init__(
        self,
        world: World,
        store: JobStore,
        *,
        name: Callable[[], str],
        publisher: Callable[[str], str],
        results: Callable[[Job], list[dict[str, Any]]],
    ) -> None:
        self._world = world
        self._store = store
        self._name = name
        self._publisher = publisher
        self._results = results
        self._parts: Mapping[str, Callable[[Job, Call], Any]] = {
            "executions": lambda job, _: self._executions(job),
            "history": _history,
            "results": lambda job, _: _list(self._results(job)),
            "versions": lambda job, _: _list([job_store.job_json(job)]),
        }

    def answer(self, call: Call) -> Any:
        """The reply's JSON, or a whole Reply. Raises Refusal; its code is `NoRoute` for an unknown path."""
        path, method = call.http.path, call.http.method
        if path == PREFIX:
            return self._all(call)
        match = _ONE.fullmatch(path)
        if match is None:
            raise no_route()
        job = self._find(unquote(match["id"]))
        part = match["part"]
        if part is None and method == "DELETE":
            reason = parse_qs(call.http.query).get("reason", [""])[0]
            return {"EvaluationID": self._store.stop(job, reason)}
        if part == "rerun" and method == "PUT":
            return self._rerun(job)
        if method != "GET":
            raise Refusal(HTTPStatus.METHOD_NOT_ALLOWED, "InternalError", "Method Not Allowed", "APIServer")
        if part is None:
            return self._one(job, call)
        if part == "logs":
            return self._logs(job, call)
        if part not in self._parts:
            raise no_route()
        return self._parts[part](job, call)

    def _all(self, call: Call) -> Any:
        if call.http.method in {"PUT", "POST"}:
            return self._submit(call.body)
        if call.http.method == "GET":
            self._store.advance()
            query = parse_qs(call.http.query)
            limit = int(query.get("limit", ["0"])[0] or 0)
            rows = [job_store.job_json(job) for job in self._store.jobs.values()]
            for key, test in label_selector.tests(",".join(query.get("labels", []))):
                rows = [row for row in rows if test(row["Labels"].get(key))]
            if query.get("reverse", [""])[0] == "true":
                rows.reverse()
            return _list(rows[:limit] if limit else rows)
        raise Refusal(HTTPStatus.METHOD_NOT_ALLOWED, "InternalError", "Method Not Allowed", "APIServer")

    def _submit(self, body: bytes) -> dict[str, Any]:
        try:
            request = json.loads(body or b"{}")
            given = request.get("Job")
        except (ValueError, AttributeError) as wrong:
            raise _invalid(f"Syntax error: {wrong}") from wrong
        found = job_spec.problems(given)
        if found:
            raise _invalid("\n".join(found))
        owner = self._name()
        meta = {"bacalhau.org/orchestrator.id": owner, "bacalhau.org/requester.id": owner}
        name = str(given.get("Name") or "")
        spec = job_spec.normalized(given, name=name, meta=meta, publisher=self._publisher(str(given["Type"])))
        same = self._store.find(name) if name else None
        if same is not None and _unchanged(same.spec, spec) and not request.get("Force"):
            raise Refusal(
                HTTPStatus.INTERNAL_SERVER_ERROR,
                "",
                f"no changes detected for new job spec. Job Name: '{name}', Job Id: '{same.id}'",
                "Bacalhau",
                "Use the --force flag to override this warning",
            )
        job = self._store.submit(spec)
        return {"JobID": job.id, "EvaluationID": job.eval_id, "Warnings": None}

    def _rerun(self, job: Job) -> dict[str, Any]:
        if job.state in {job_store.PENDING, job_store.QUEUED}:
            raise Refusal(
                HTTPStatus.INTERNAL_SERVER_ERROR,
                "",
                f"cannot rerun job in state {job.state}",
                "",
                "try to use the job run command instead of the job rerun command",
            )
        evaluation = self._store.rerun(job)
        return {
            "JobID": job.id,
            "JobVersion": job.version,
            "EvaluationID": evaluation,
            "Warnings": None,
        }

    def _find(self, name: str) -> Job:
        self._store.advance()
        job = self._store.find(name)
        if job is None:
            raise Refusal(HTTPStatus.NOT_FOUND, "NotFound", f"job not found: {name}", "JobStore")
        return job

    def _one(self, job: Job, call: Call) -> dict[str, Any]:
        wanted = parse_qs(call.http.query).get("include", [""])[0].split(",")
        answer: dict[str, Any] = {"Job": job_store.job_json(job)}
        if "history" in wanted:
            answer["History"] = _list(job.history)
        if "executions" in wanted:
            answer["Executions"] = self._executions(job)
        return answer

    def _executions(self, job: Job) -> dict[str, Any]:
        return _list([job_store.execution_json(job, one) for one in job.executions])

    def _logs(self, job: Job, call: Call) -> Reply:
        """A WebSocket with the output of each execution; `follow`: after the job has ended."""
        key = call.http.headers.get("sec-websocket-key")
        if not key:
            raise Refusal(HTTPStatus.BAD_REQUEST, "InternalError", "Bad Request", "APIServer")
        if parse_qs(call.http.query).get("follow", [""])[0] == "true":
            self._wait(job)
        lines = [
            json.dumps({"value": {"Type": _STDOUT, "Line": line}})
            for execution in job.executions
            for line in execution.output.splitlines(keepends=True)
        ]
        upgrade = (
            ("Connection", "Upgrade"),
            ("Upgrade", "websocket"),
            ("Sec-WebSocket-Accept", websocket.accept_key(key)),
        )
        return Reply(
            websocket.messages(lines), HTTPStatus.SWITCHING_PROTOCOLS, headers=upgrade, numbered=False
        )

    def _wait(self, job: Job) -> None:
        until = self._world.now() + _FOLLOWS_S
        while not job.over and self._world.now() < until:
            self._world.sleep(_LOOKS_EVERY_S)
            self._store.advance()


def _history(job: Job, call: Call) -> dict[str, Any]:
    """A page of the events. Until the job is over, each page has a token for the next: a client follows the job by it.

    Source: BoltJobStore.getJobHistory; the token is PagingToken's.
    """
    query = {name: values[0] for name, values in parse_qs(call.http.query).items()}
    token = query.get("next_token")
    offset, limit = _page(token) if token else (0, 0)
    limit = int(query.get("limit") or 0) or limit or _HISTORY_PAGE
    kinds = {"job": ("JobLevel",), "execution": ("ExecutionLevel",)}.get(query.get("event_type", ""))
    wanted = [
        event
        for event in job.history
        if event["SeqNum"] >= offset
        and (kinds is None or event["Type"] in kinds)
        and event["JobVersion"] == job.version
        and str(event.get("ExecutionID", "")).startswith(query.get("execution_id", ""))
    ]
    rows = wanted[:limit]
    after = rows[-1]["SeqNum"] + 1 if rows else offset
    if len(wanted) > limit or not job.over:
        following = f":N:{limit}:{after}".encode()
        return {"NextToken": base64.urlsafe_b64encode(following).decode().rstrip("="), "Items": rows}
    return _list(rows)


def _page(token: str) -> tuple[int, int]:
    """The offset and the limit of a token."""
    try:
        decoded = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode()
        _, _, limit, offset = decoded.split(":")
        return int(offset), int(limit)
    except ValueError as wrong:
        raise _invalid(f"invalid next token: {token}") from wrong


def no_route() -> Refusal:
    return Refusal(
        HTTPStatus.NOT_FOUND,
        "NotFound",
        "The requested resource/URL was not found.",
        "APIServer",
        "The server version may be older than this CLI version and does not support the endpoint yet.",
    )


def action(method: str, path: str) -> str:
    """The name of a request about jobs in the switch `faults`."""
    if path == PREFIX:
        return "ListJobs" if method == "GET" else "PutJob"
    match = _ONE.fullmatch(path)
    part = (match["part"] or "") if match else ""
    return f"Get{part.title()}" if part else ("StopJob" if method == "DELETE" else "GetJob")


def _unchanged(old: dict[str, Any], new: dict[str, Any]) -> bool:
    return all(old[key] == new[key] for key in new)


def _list(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {"NextToken": "", "Items": rows}


def _invalid(message: str) -> Refusal:
    return Refusal(HTTPStatus.BAD_REQUEST, "InternalError", message, "APIServer")
