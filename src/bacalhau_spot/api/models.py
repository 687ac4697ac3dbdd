"""The results of the Python API.

They are read from the same document that `-o json` prints, whose keys are stable: `data` has all of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from decimal import Decimal


@dataclass(frozen=True, kw_only=True)
class CostRange:
    """US dollars an hour, from the cheapest to the most expensive capacity pools."""

    low: Decimal
    high: Decimal


@dataclass(frozen=True, kw_only=True)
class PlannedPool:
    """A capacity pool in which nodes may be launched. `usd_per_hour`: of one instance; None if unknown."""

    region: str
    zone: str
    type: str
    usd_per_hour: Decimal | None


@dataclass(frozen=True, kw_only=True)
class PlannedRegion:
    """The nodes of one region: wanted, present and to launch."""

    region: str
    wanted: int
    present: int
    launch: int
    pools: tuple[PlannedPool, ...]


@dataclass(frozen=True, kw_only=True)
class ClusterPlan:
    """The difference between the configuration and AWS, with its price. Nothing was changed.

    `usd_per_hour`: of the launches, with volumes, addresses and a managed orchestrator; None if a price is unknown.
    `surplus`: ids of nodes beyond the configured number; `remove`: those that leave. `drifted`: ids of nodes that were
    launched with other values. `empty`: there is nothing to do.
    """

    cluster: str
    wanted: int
    present: int
    launch: int
    usd_per_hour: CostRange | None
    on_demand_usd_per_hour: CostRange | None
    regions: tuple[PlannedRegion, ...]
    surplus: tuple[str, ...]
    remove: tuple[str, ...]
    drifted: tuple[str, ...]
    expires_at: datetime | None
    empty: bool
    warnings: tuple[str, ...] = ()
    data: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, kw_only=True)
class ClusterNode:
    """An instance of the cluster. `state`: EC2's, such as `running`. `expires_at`: the end of its lifetime, if it has one."""

    id: str
    region: str
    zone: str
    type: str
    state: str
    launched_at: datetime
    public_ip: str | None
    private_ip: str | None
    expires_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class LaunchReceipt:
    """The result of `create`.

    `running`: nodes that run now. `launched`: the instances of this run. `joined`: nodes that are connected to the
    orchestrator; None if they were not waited for. `removed`: ids of nodes that this run has terminated. `missing`: nodes
    that are still to be launched; if there are any, `create` raises IncompleteError with this receipt.
    """

    cluster: str
    wanted: int
    running: int
    missing: int
    launched: tuple[ClusterNode, ...]
    joined: int | None
    not_joined: tuple[str, ...]
    removed: tuple[str, ...]
    plan: ClusterPlan
    warnings: tuple[str, ...] = ()
    data: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, kw_only=True)
class NodeHealth:
    """A node with its diagnosis.

    `id`: of the instance; without one, the node's name in the orchestrator. `diagnosis`: one of the verdicts in
    docs/status.md. `severity`: `good`, `waiting`, `unknown`, `bad` or `gone`. `text` and `hint`: the same for people.
    `connected`: to the orchestrator; None if it does not list the node, or was not asked.
    """

    id: str
    region: str
    zone: str
    type: str | None
    state: str | None
    public_ip: str | None
    launched_at: datetime | None
    diagnosis: str
    severity: str
    text: str
    hint: str
    connected: bool | None


@dataclass(frozen=True, kw_only=True)
class FailedCall:
    """A call to AWS that failed: AWS's error code and message, and the request."""

    code: str
    message: str
    operation: str
    region: str
    request_id: str


@dataclass(frozen=True, kw_only=True)
class OrchestratorHealth:
    """`mode`: `managed`, `own` or `none`. `api`: whether its API answers. `text` and `hint` are empty if all is well."""

    mode: str
    api: str
    address: str
    version: str
    text: str
    hint: str


@dataclass(frozen=True, kw_only=True)
class ClusterHealth:
    """The result of `status`.

    `healthy`: the configured number of nodes runs, and each of them is good. `wanted`, `missing` and `surplus` are None for
    another cluster than the configuration's. `stale_nodes`: nodes that the orchestrator lists and whose instances no longer
    exist. `failed_regions`: regions that could not be scanned, so that the result is incomplete.
    """

    cluster: str
    taken_at: datetime
    healthy: bool
    wanted: int | None
    present: int
    good: int
    missing: int | None
    surplus: int | None
    nodes: tuple[NodeHealth, ...]
    stale_nodes: tuple[str, ...]
    orchestrator: OrchestratorHealth
    expires_at: datetime | None
    failed_regions: tuple[FailedCall, ...]
    warnings: tuple[str, ...] = ()
    data: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, kw_only=True)
class TaggedResource:
    """A resource in AWS: its kind, such as `instance`, `vpc` or `launch-template`, and its id."""

    region: str
    kind: str
    id: str
    name: str
    state: str


@dataclass(frozen=True, kw_only=True)
class CleanupReport:
    """The result of `destroy` and `nuke_resources`.

    `to_delete`: with `dry_run`, the resources that would be deleted; otherwise empty. `deleted`: AWS no longer lists them.
    `remaining`: AWS still lists them. `unsupported`: tagged resources of a kind that is not deleted. `kept_buckets`: names of
    buckets that were retained with their job results. `failed_regions`: regions that could not be scanned.
    """

    dry_run: bool
    to_delete: tuple[TaggedResource, ...]
    deleted: tuple[TaggedResource, ...]
    remaining: tuple[TaggedResource, ...]
    unsupported: tuple[TaggedResource, ...]
    kept_buckets: tuple[str, ...]
    failed_regions: tuple[FailedCall, ...]
    warnings: tuple[str, ...] = ()
    data: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, kw_only=True)
class ProgressEvent:
    """A step of a command that makes changes. `name`: such as `instance-seen`; `values`: the keys of docs/output.md."""

    name: str
    at: datetime
    values: Mapping[str, Any]
