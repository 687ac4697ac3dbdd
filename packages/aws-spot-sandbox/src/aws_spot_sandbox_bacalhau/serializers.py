"""The orchestrator's JSON, in Go's format.

Bacalhau 1.9, models.NodeState and models.NodeInfo: zero fields of a capacity are omitted, an unset time is year 1,
times have up to nine decimals, a disconnected node keeps its maximum capacity and has none available.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from aws_spot_sandbox.ec2 import catalog, selectors

if TYPE_CHECKING:
    from aws_spot_sandbox_bacalhau.node_registry import Entry, Node
    from aws_spot_sandbox_bacalhau.node_settings import NodeSettings

VERSION = "v1.9.3"
ORCHESTRATOR = "n-5a9d0000-0000-4000-8000-00000000be11"
NEVER = "0001-01-01T00:00:00Z"
SHARE = 0.8  # of the machine, as in bacalhau-spot's node configuration
JOB_CPU, JOB_BYTES = 0.5, 512 * 10**6  # Bacalhau's defaults for a job without resource requests
PROTOCOLS = ["bprotocol/v2", "ncl/v1"]
_NANOSECONDS = 417  # below the resolution of Python's datetime


def moment(at: float) -> str:
    """A time in Go's RFC3339Nano."""
    seconds = math.floor(at)
    nanoseconds = int((at - seconds) * 10**6) * 1000 + _NANOSECONDS
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{nanoseconds:09d}Z"


def build(version: str) -> dict[str, Any]:
    parts = version.removeprefix("v").split(".")
    return {
        "Major": parts[0],
        "Minor": parts[1] if len(parts) > 1 else "0",
        "GitVersion": version,
        "GitCommit": "5a9d00000000000000000000000000000000be11",
        "BuildDate": "2026-08-09T11:02:41Z",
        "GOOS": "linux",
        "GOARCH": "amd64",
    }


def state(entry: Entry, settings: NodeSettings, now: float) -> dict[str, Any]:
    """A compute node's current state."""
    entry.settle(now)
    connected = entry.connected(now)
    return _state(
        {
            "NodeID": entry.node.name,
            "NodeType": "Compute",
            "Labels": dict(entry.node.labels),
            "SupportedProtocols": PROTOCOLS,
            "ComputeNodeInfo": _compute(entry.node, settings, connected=connected),
            "BacalhauVersion": {**build(entry.node.version), "GOARCH": entry.node.labels["os_arch"]},
        },
        membership=entry.membership,
        connection={
            "LastHeartbeat": moment(entry.last_heartbeat(now)),
            "ConnectedSince": moment(entry.since),
            "DisconnectedSince": NEVER if entry.away_at is None else moment(entry.away_at),
            **({"LastError": entry.error} if entry.error else {}),
        },
        connected=connected,
    )


def orchestrator(began: float, name: str = ORCHESTRATOR) -> dict[str, Any]:
    """The orchestrator's own entry. Its heartbeat is its start time, and it runs no jobs."""
    return _state(
        {
            "NodeID": name,
            "NodeType": "Requester",
            "Labels": {"name": name, "os_arch": "amd64", "os_type": "linux"},
            "SupportedProtocols": PROTOCOLS,
            "ComputeNodeInfo": {
                "ExecutionEngines": None,
                "Publishers": None,
                "StorageSources": None,
                "MaxCapacity": {},
                "QueueCapacity": {},
                "AvailableCapacity": {},
                "MaxJobRequirements": {},
                "RunningExecutions": 0,
                "EnqueuedExecutions": 0,
                "address": "",
            },
            "BacalhauVersion": build(VERSION),
        },
        membership="APPROVED",
        connection={
            "LastHeartbeat": moment(began),
            "ConnectedSince": moment(began),
            "DisconnectedSince": NEVER,
        },
        connected=True,
    )


def _state(
    info: dict[str, Any], *, membership: str, connection: dict[str, Any], connected: bool
) -> dict[str, Any]:
    status = "CONNECTED" if connected else "DISCONNECTED"
    return {
        "Info": info,
        "Membership": membership,
        "Connection": status,
        "ConnectionState": {"Status": status, **connection},
    }


def engines(node: Node, settings: NodeSettings) -> list[str]:
    bare = selectors.selects(settings.without_docker, node.selector_names)
    return ["wasm"] if bare else ["docker", "wasm"]


def _compute(node: Node, settings: NodeSettings, *, connected: bool) -> dict[str, Any]:
    total = _capacity(node)
    running = selectors.value(settings.executions, node.selector_names, 0)
    return {
        "ExecutionEngines": engines(node, settings),
        # Bacalhau offers `s3managed` whether its orchestrator has a bucket or not, and `s3` with credentials only.
        "Publishers": [
            name
            for name in ("noop", "local", *(["s3"] if node.profile else []), "s3managed")
            if name not in node.disabled_publishers
        ],
        "StorageSources": [
            "inline",
            "local",
            "localDirectory",
            *(["s3"] if node.profile else []),
            "urlDownload",
        ],
        "MaxCapacity": total,
        "QueueCapacity": {},
        "AvailableCapacity": _less(total, running) if connected else {},
        "MaxJobRequirements": total,
        # as at the handshake, when no job ran: heartbeats update capacities only
        "RunningExecutions": 0,
        "EnqueuedExecutions": 0,
        "address": "",
    }


def _capacity(node: Node) -> dict[str, Any]:
    info = catalog.type_info(node.type) or {}
    gpus = [
        {"Index": index, "Name": gpu.get("Name", ""), "Vendor": gpu.get("Manufacturer", "").title(),
         "Memory": gpu.get("MemoryInfo", {}).get("SizeInMiB", 0), "PCIAddress": ""}
        for gpu in info.get("GpuInfo", {}).get("Gpus", [])
        for index in range(int(gpu.get("Count", 0)))
    ]  # fmt: skip
    row: dict[str, Any] = {
        "CPU": _number(catalog.vcpus(node.type) * SHARE),
        "Memory": int(catalog.memory_mib(node.type) * 2**20 * SHARE),
        "Disk": int(node.disk_gib * 2**30 * SHARE),
    }
    return row | ({"GPU": len(gpus), "GPUs": gpus} if gpus else {})


def _less(total: dict[str, Any], running: int) -> dict[str, Any]:
    left = dict(total)
    left["CPU"] = _number(max(0.0, total["CPU"] - running * JOB_CPU))
    left["Memory"] = max(0, total["Memory"] - running * JOB_BYTES)
    return {key: value for key, value in left.items() if value}


def _number(value: float) -> float | int:
    """Go formats 4, not 4.0."""
    rounded = round(value, 6)
    return int(rounded) if rounded == int(rounded) else rounded
