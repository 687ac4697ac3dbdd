"""The shapes of Bacalhau 1.9's answers -> our values. Zeros are left out there, and fields that we do not know are ignored."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from bacalhau_spot.core.members import Capacity, Member, Membership

_COMPUTE: Final = "Compute"
# Go's zero time.
_NEVER: Final = 1


class WrongShapeError(ValueError):
    """An answer that is not what Bacalhau answers; the message says where."""


def members(body: Any) -> tuple[Member, ...]:
    """The compute nodes of a list of nodes, by id. The orchestrator lists itself too, as a Requester."""
    nodes = _field(_mapping(body, "the answer"), "Nodes", list, where="the answer", default=[])
    found = [_member(_mapping(node, f"node {number}")) for number, node in enumerate(nodes, start=1)]
    return tuple(sorted((one for one in found if one is not None), key=lambda one: one.id))


def version(body: Any) -> str:
    return str(_field(_mapping(body, "the answer"), "GitVersion", str, where="the answer"))


def message(body: Any) -> str:
    """What an answer that says no says: Bacalhau's Message with its reason, or the text as it is."""
    if not isinstance(body, dict):
        return body if isinstance(body, str) else ""
    details = body.get("Details")
    reason = details.get("reason") if isinstance(details, dict) else None
    return ": ".join(part for part in (body.get("Message"), reason) if isinstance(part, str) and part)


def is_unknown_node(body: Any) -> bool:
    """Whether "not found" means the node. Without the API, or on some other server, it means the address."""
    return isinstance(body, dict) and body.get("Code") == "NotFound" and body.get("Component") != "APIServer"


def _member(node: dict[str, Any]) -> Member | None:
    info = _field(node, "Info", dict, where="a node")
    name = str(_field(info, "NodeID", str, where="a node's Info"))
    if not name:
        raise WrongShapeError("a node without a name")
    where = f"node {name}"
    if _field(info, "NodeType", str, where=where, default=_COMPUTE) != _COMPUTE:
        return None
    compute = _field(info, "ComputeNodeInfo", dict, where=where, default={})
    state = _field(node, "ConnectionState", dict, where=where, default={})
    release = _field(info, "BacalhauVersion", dict, where=where, default={})
    status = state.get("Status", node.get("Connection"))
    connected = status == "CONNECTED"
    labels = _field(info, "Labels", dict, where=where, default={})
    engines = _field(compute, "ExecutionEngines", list, where=where, default=[])
    return Member(
        id=name,
        connected=connected,
        membership=_membership(node.get("Membership")),
        engines=tuple(sorted(str(engine) for engine in engines)),
        labels={str(key).lower(): str(value) for key, value in labels.items()},
        version=str(release.get("GitVersion") or ""),
        total=_capacity(compute, "MaxCapacity", where),
        free=_capacity(compute, "AvailableCapacity", where) if connected else Capacity(),
        running=_count(compute, "RunningExecutions", where),
        last_heartbeat_at=_time(state, "LastHeartbeat", where),
        since=_time(state, "ConnectedSince" if connected else "DisconnectedSince", where),
        last_error=str(state.get("LastError") or ""),
    )


def _membership(word: Any) -> Membership:
    """What is neither approved nor rejected gets no work, as what is pending."""
    return Membership(word) if word in set(Membership) else Membership.PENDING


def _capacity(compute: dict[str, Any], key: str, where: str) -> Capacity:
    given = _field(compute, key, dict, where=where, default={})
    cpu = given.get("CPU") or 0
    if isinstance(cpu, bool) or not isinstance(cpu, int | Decimal):
        raise WrongShapeError(f"{where}: CPU of {key} is no number")
    return Capacity(
        cpu=Decimal(cpu),
        memory_bytes=_count(given, "Memory", where),
        disk_bytes=_count(given, "Disk", where),
        gpus=_count(given, "GPU", where),
    )


def _count(data: dict[str, Any], key: str, where: str) -> int:
    value = data.get(key) or 0
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise WrongShapeError(f"{where}: {key} is no number")
    return int(value)


def _time(data: dict[str, Any], key: str, where: str) -> datetime | None:
    text = data.get(key)
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        raise WrongShapeError(f"{where}: {key} is no time") from None
    if moment.year == _NEVER:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _mapping(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise WrongShapeError(f"{where} is no object")
    return value


_NO_DEFAULT: Final = object()


def _field(data: dict[str, Any], key: str, kind: type, *, where: str, default: Any = _NO_DEFAULT) -> Any:
    """A field of a kind; what is absent or null is `default`."""
    value = data.get(key)
    if value is None and default is not _NO_DEFAULT:
        return default
    if not isinstance(value, kind):
        raise WrongShapeError(f"{where}: {key} is {'missing' if value is None else 'of the wrong kind'}")
    return value
