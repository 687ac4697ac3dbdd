"""Parses Bacalhau 1.9's responses. Bacalhau omits zeros; unknown fields are ignored."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any, Final

from bacalhau_spot.core.orchestrator.jobs import EXECUTION_STATES, Execution, ExecutionState, Job, JobState
from bacalhau_spot.core.orchestrator.orchestrator_nodes import (
    Capacity,
    Membership,
    NodeListing,
    OrchestratorNode,
)
from bacalhau_spot.text_marks import shortened

_COMPUTE: Final = "Compute"
# Go's zero time.
_NEVER: Final = 1
_BEGINNING: Final = datetime.min.replace(tzinfo=UTC)
_MOST: Final = 1 << 63  # bytes, cores or counts
_LONGEST: Final = 1000
# The reason of a queued job has a line for each node of the orchestrator.
_LONGEST_MESSAGE: Final = 1_000_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class UnexpectedFormatError(ValueError):
    """A response not in Bacalhau's format; the message names the place."""


def parse_listing(body: Any, *, date: str = "") -> NodeListing:
    """The compute nodes in a list, by id, and the orchestrator's own entry. `date`: the answer's HTTP header.

    The orchestrator is listed as a Requester; its heartbeat is its start (Bacalhau 1.9, nodesManager.selfRegister). An earlier
    machine with the same data may be listed too: the latest start counts.
    """
    rows = _field(_mapping(body, "the answer"), "Nodes", list, where="the answer", default=[])
    nodes: list[OrchestratorNode] = []
    own: list[OrchestratorNode] = []
    for number, row in enumerate(rows, start=1):
        node, is_compute = _node(_mapping(row, f"node {number}"))
        (nodes if is_compute else own).append(node)
    latest = max(own, key=lambda node: node.last_heartbeat_at or _BEGINNING, default=None)
    return NodeListing(
        nodes=tuple(sorted(nodes, key=lambda node: node.id)),
        version=latest.version if latest else "",
        started_at=latest.last_heartbeat_at if latest else None,
        answered_at=_http_date(date),
    )


def _http_date(text: str) -> datetime | None:
    """None for a missing or malformed date."""
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    return moment.astimezone(UTC) if moment.tzinfo else None


def parse_version(body: Any) -> str:
    return str(_field(_mapping(body, "the answer"), "GitVersion", str, where="the answer"))


def parse_message(body: Any) -> str:
    """The text of an error response: Bacalhau's Message with its reason, or the plain text."""
    if not isinstance(body, dict):
        return body if isinstance(body, str) else ""
    details = body.get("Details")
    reason = details.get("reason") if isinstance(details, dict) else None
    return ": ".join(part for part in (body.get("Message"), reason) if isinstance(part, str) and part)


def is_unknown(body: Any) -> bool:
    """Whether "not found" refers to the node or job. Without the API, or from another server, it refers to the address."""
    return isinstance(body, dict) and body.get("Code") == "NotFound" and body.get("Component") != "APIServer"


def has_ended(body: Any) -> bool:
    """Whether a job could not be stopped because it has ended."""
    return parse_message(body).startswith("cannot stop job in state ")


def parse_submission(body: Any) -> str:
    """The id of the new job."""
    job = str(_field(_mapping(body, "the answer"), "JobID", str, where="the answer"))
    if not job:
        raise UnexpectedFormatError("the answer: JobID is empty")
    return job


def parse_jobs(body: Any) -> tuple[Job, ...]:
    """The jobs of a list, without their executions."""
    rows = _field(_mapping(body, "the answer"), "Items", list, where="the answer", default=[])
    return tuple(_job(_mapping(row, f"job {number}")) for number, row in enumerate(rows, start=1))


def parse_job(body: Any) -> Job:
    """A job with its executions, the oldest first."""
    answer = _mapping(body, "the answer")
    listed = _field(answer, "Executions", dict, where="the answer", default={})
    items = _field(listed, "Items", list, where="Executions", default=[])
    executions = [
        _execution(_mapping(item, f"execution {number}")) for number, item in enumerate(items, start=1)
    ]
    return replace(
        _job(_field(answer, "Job", dict, where="the answer")),
        executions=tuple(
            sorted(executions, key=lambda execution: (execution.created_at is not None, execution.created_at))
        ),
    )


def _job(job: dict[str, Any]) -> Job:
    state = _field(job, "State", dict, where="the job", default={})
    word = state.get("StateType")
    return Job(
        id=str(_field(job, "ID", str, where="the job")),
        state=JobState(word) if isinstance(word, str) and word in set(JobState) else JobState.OTHER,
        message=_text(state.get("Message"), longest=_LONGEST_MESSAGE),
        created_at=_nanoseconds(job, "CreateTime", "the job"),
        changed_at=_nanoseconds(job, "ModifyTime", "the job"),
    )


def _execution(item: dict[str, Any]) -> Execution:
    state = _field(item, "ComputeState", dict, where="an execution", default={})
    desired = _field(item, "DesiredState", dict, where="an execution", default={})
    output = _field(item, "RunOutput", dict, where="an execution", default={})
    number = state.get("StateType")
    reasons = (output.get("ErrorMsg"), state.get("Message"), desired.get("Message"))
    return Execution(
        node=_text(item.get("NodeID")),
        state=EXECUTION_STATES.get(number, ExecutionState.ACTIVE)
        if isinstance(number, int)
        else ExecutionState.ACTIVE,
        message=next((text for text in map(_text, reasons) if text), ""),
        exit_code=_exit_code(output),
        created_at=_nanoseconds(item, "CreateTime", "an execution"),
        changed_at=_nanoseconds(item, "ModifyTime", "an execution"),
    )


def _exit_code(output: dict[str, Any]) -> int:
    """Absent is 0; -1 is Bacalhau's value where a program did not set one."""
    code = output.get("ExitCode")
    return code if isinstance(code, int) and not isinstance(code, bool) and code > 0 else 0


def _nanoseconds(data: dict[str, Any], key: str, where: str) -> datetime | None:
    """A time in nanoseconds since 1970; None if absent or 0."""
    count = _count(data, key, where)
    return _EPOCH + timedelta(microseconds=count // 1000) if count else None


def _node(node: dict[str, Any]) -> tuple[OrchestratorNode, bool]:
    """A node, and whether it is a compute node."""
    info = _field(node, "Info", dict, where="a node")
    name = str(_field(info, "NodeID", str, where="a node's Info"))
    if not name:
        raise UnexpectedFormatError("a node without a name")
    where = f"node {name}"
    is_compute = _field(info, "NodeType", str, where=where, default=_COMPUTE) == _COMPUTE
    compute = _field(info, "ComputeNodeInfo", dict, where=where, default={})
    state = _field(node, "ConnectionState", dict, where=where, default={})
    release = _field(info, "BacalhauVersion", dict, where=where, default={})
    status = state.get("Status", node.get("Connection"))
    connected = status == "CONNECTED"
    labels = _field(info, "Labels", dict, where=where, default={})
    engines = _field(compute, "ExecutionEngines", list, where=where, default=[])
    parsed = OrchestratorNode(
        id=name,
        connected=connected,
        membership=_membership(node.get("Membership")),
        engines=tuple(sorted(_text(engine) for engine in engines)),
        labels={key.lower(): _text(value) for key, value in labels.items()},
        version=_text(release.get("GitVersion")),
        total=_capacity(compute, "MaxCapacity", where),
        free=_capacity(compute, "AvailableCapacity", where) if connected else Capacity(),
        last_heartbeat_at=_time(state, "LastHeartbeat", where),
        since=_time(state, "ConnectedSince" if connected else "DisconnectedSince", where),
        last_error=_text(state.get("LastError")),
    )
    return parsed, is_compute


def _text(value: Any, *, longest: int = _LONGEST) -> str:
    """Text of limited length; empty for other types."""
    if not isinstance(value, str):
        return ""
    return shortened(value, longest)


def _membership(word: Any) -> Membership:
    """Any other value is treated as pending: such a node gets no work."""
    return Membership(word) if isinstance(word, str) and word in set(Membership) else Membership.PENDING


def _capacity(compute: dict[str, Any], key: str, where: str) -> Capacity:
    given = _field(compute, key, dict, where=where, default={})
    return Capacity(
        cpu=_number(given, "CPU", f"{where}: {key}"),
        memory_bytes=_count(given, "Memory", where),
        disk_bytes=_count(given, "Disk", where),
        gpus=_count(given, "GPU", where),
    )


def _count(data: dict[str, Any], key: str, where: str) -> int:
    return int(_number(data, key, where))


def _number(data: dict[str, Any], key: str, where: str) -> Decimal:
    """A quantity, from 0 to more than any machine has; absent or null is 0."""
    value = data.get(key)
    if value is None:
        return Decimal(0)
    # NaN fails the check. It precedes any arithmetic: 1e9999999999 has more digits than fit into memory.
    if isinstance(value, bool) or not isinstance(value, int | Decimal) or not _is_quantity(value):
        raise UnexpectedFormatError(f"{where}: {key} is not a valid number")
    return Decimal(value)


def _is_quantity(value: int | Decimal) -> bool:
    if isinstance(value, Decimal) and not value.is_finite():
        return False
    return 0 <= value <= _MOST


def _time(data: dict[str, Any], key: str, where: str) -> datetime | None:
    text = data.get(key)
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
        if moment.year == _NEVER:
            return None
        # In UTC, because a time out of range raises here.
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        raise UnexpectedFormatError(f"{where}: {key} is not a time") from None


def _mapping(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UnexpectedFormatError(f"{where} is not an object")
    return value


_NO_DEFAULT: Final = object()


def _field(data: dict[str, Any], key: str, kind: type, *, where: str, default: Any = _NO_DEFAULT) -> Any:
    """A field of the given type; `default` if absent or null."""
    value = data.get(key)
    if value is None and default is not _NO_DEFAULT:
        return default
    if not isinstance(value, kind):
        raise UnexpectedFormatError(
            f"{where}: {key} is {'missing' if value is None else 'of the wrong kind'}"
        )
    return value
