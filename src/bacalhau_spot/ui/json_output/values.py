"""Common parts of the output: times, amounts, problems, instances.

The models are TypedDicts: mypy checks each builder against its model, and 80 of them take one millisecond to import,
dataclasses 80. A docstring below a key describes it in the JSON Schemas and in docs/output.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, TypedDict, overload

from bacalhau_spot.core.launch.instance_phases import Phase, phase_of
from bacalhau_spot.core.lifecycle.drain_result import drain_until, is_draining
from bacalhau_spot.core.lifecycle.expiry import expires_at
from bacalhau_spot.core.model import Arch, State

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bacalhau_spot.core.launch.node_spec import DriftedNode
    from bacalhau_spot.core.model import Instance
    from bacalhau_spot.core.placement.pool_distribution import PoolDistribution
    from bacalhau_spot.core.pricing.cost_summary import CostSummary
    from bacalhau_spot.core.problem import ApiFailure
    from bacalhau_spot.core.scaling_group.groups import GroupState

Data = Mapping[str, Any]

# Rounding happens only here: to a millionth of a dollar, a second of an hour.
_MICRO = Decimal("0.000001")
_FOUR_DIGITS = Decimal("0.0001")
_HOUR_S = Decimal(3600)


class Keywords:
    """JSON Schema's keywords of an annotated type."""

    def __init__(self, **keywords: Any) -> None:
        self.keywords = keywords


Count = Annotated[int, Keywords(minimum=0)]
Amount = Annotated[str, Keywords(pattern=r"^[0-9]+(\.[0-9]+)?$")]
SignedAmount = Annotated[str, Keywords(pattern=r"^-?[0-9]+(\.[0-9]+)?$")]
Time = Annotated[str, Keywords(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$", format="date-time")]
ConnectionTime = Annotated[Time, Keywords(description="the time of the connection or disconnection")]
Lifecycle = Annotated[str, Keywords(enum=["spot", "on-demand"])]
Sha256 = Annotated[str, Keywords(pattern="^[0-9a-f]{64}$")]


class ProblemOutput(TypedDict):
    """A call that failed."""

    code: str
    """AWS's error code"""
    message: str
    """AWS's message"""
    operation: str
    region: str
    request_id: str
    """AWS's id of the request, for AWS Support"""


class FullestPoolOutput(TypedDict):
    type: str
    zone: str


class RefusalOutput(TypedDict):
    code: str
    message: str
    zone: str


class GroupOutput(TypedDict):
    """An Auto Scaling group, which keeps the number of nodes in its region."""

    region: str
    name: str
    desired: Count
    in_service: Count
    ends_at: Time | None
    """when its scheduled action sets it to no node; null without this action"""
    refusal: RefusalOutput | None
    """why AWS refused the last launch; null if the group lacks no node, or its last launch succeeded"""


class PoolsOutput(TypedDict):
    """The distribution of spot nodes over capacity pools."""

    count: Count
    nodes: Count
    """spot nodes"""
    max_loss: Count
    """the most nodes that the loss of one pool takes"""
    fullest: FullestPoolOutput | None


class InstanceOutput(TypedDict):
    id: str
    region: str
    zone: str
    type: str
    state: State
    """EC2's state"""
    phase: Phase
    """bacalhau-spot's phase"""
    launched_at: Time
    lifecycle: Lifecycle
    public_ip: str | None
    private_ip: str | None
    spot_request_id: str | None
    image_id: str | None
    vpc_id: str | None
    subnet_id: str | None
    termination_reason: str | None
    """AWS's code"""
    expires_at: Time | None
    """the end of its lifetime; null without one"""
    drain_until: Time | None
    """the end of the time for its running jobs, if the node drains"""


class DifferenceOutput(TypedDict):
    """A key of the configuration whose value differs."""

    key: str
    was: str
    """at the launch of the node; long and secret values are not shown"""
    now: str
    """in the configuration"""


class DriftedNodeOutput(TypedDict):
    """A node that was launched with other values than the configuration's."""

    id: str
    """of the instance"""
    region: str
    differences: list[DifferenceOutput]


DriftedNodes = Annotated[
    list[DriftedNodeOutput],
    Keywords(description="nodes that differ from the configuration; empty with `--cluster`"),
]


class ArchiveOutput(TypedDict):
    """The checksum of Bacalhau's archive."""

    arch: Arch
    sha256: Sha256


class PriceRangeOutput(TypedDict):
    """US dollars an hour."""

    low: Amount
    high: Amount


def time_text(moment: datetime) -> str:
    """RFC 3339, in UTC."""
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def optional_time(moment: datetime | None) -> str | None:
    return None if moment is None else time_text(moment)


@overload
def exact(usd: Decimal) -> str: ...
@overload
def exact(usd: Decimal | None) -> str | None: ...
def exact(usd: Decimal | None) -> str | None:
    """To a millionth of a dollar."""
    return None if usd is None else str(usd.quantize(_MICRO))


class CostSummaryOutput(TypedDict):
    """At spot prices, with volumes and addresses."""

    usd_per_hour: Amount | None
    """now; null: a price is unknown"""
    usd: Amount
    """since `since`"""
    since: Time
    complete: bool
    """false: a price is unknown, and `usd` a minimum"""


def cost_summary_data(cost: CostSummary | None) -> CostSummaryOutput | None:
    if cost is None:
        return None
    return {
        "usd_per_hour": exact(cost.usd_per_hour),
        "usd": exact(cost.usd),
        "since": time_text(cost.since),
        "complete": cost.complete,
    }


def fraction(part: Decimal | None) -> str | None:
    return None if part is None else str(part.quantize(_FOUR_DIGITS))


def hours(seconds: Decimal) -> str:
    return str((seconds / _HOUR_S).quantize(_FOUR_DIGITS))


def problem_data(failure: ApiFailure) -> ProblemOutput:
    return {
        "code": failure.code,
        "message": failure.message,
        "operation": failure.operation,
        "region": failure.region,
        "request_id": failure.request_id,
    }


def drift_data(drifted: Iterable[DriftedNode]) -> list[DriftedNodeOutput]:
    return [
        {
            "id": node.instance.id,
            "region": node.instance.region,
            "differences": [
                {"key": difference.key, "was": difference.was, "now": difference.now}
                for difference in node.differences
            ],
        }
        for node in drifted
    ]


def pools_data(distribution: PoolDistribution) -> PoolsOutput:
    fullest = distribution.fullest
    return {
        "count": distribution.pools,
        "nodes": distribution.nodes,
        "max_loss": distribution.max_loss,
        "fullest": None if fullest is None else {"type": fullest.type, "zone": fullest.zone},
    }


def group_data(state: GroupState) -> GroupOutput:
    refusal = state.refusal
    return {
        "region": state.group.region,
        "name": state.group.name,
        "desired": state.group.desired,
        "in_service": state.group.in_service,
        "ends_at": optional_time(state.group.ends_at),
        "refusal": None
        if refusal is None
        else {"code": refusal.code, "message": refusal.message, "zone": refusal.zone},
    }


def instance_data(instance: Instance) -> InstanceOutput:
    return {
        "id": instance.id,
        "region": instance.region,
        "zone": instance.zone,
        "type": instance.type,
        "state": instance.state,
        "phase": phase_of(instance),
        "launched_at": time_text(instance.launched_at),
        "lifecycle": instance.lifecycle,
        "public_ip": instance.public_ip,
        "private_ip": instance.private_ip,
        "spot_request_id": instance.spot_request_id,
        "image_id": instance.image_id,
        "vpc_id": instance.vpc_id,
        "subnet_id": instance.subnet_id,
        "termination_reason": instance.termination_reason,
        "expires_at": optional_time(expires_at([instance])),
        "drain_until": optional_time(drain_until(instance) if is_draining(instance) else None),
    }
