"""What all of the output is made of: times, problems, instances."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from bacalhau_spot.core.launch.lifecycle import phase_of

if TYPE_CHECKING:
    from bacalhau_spot.core.model import Instance
    from bacalhau_spot.core.placement.pool_distribution import PoolDistribution
    from bacalhau_spot.core.problem import ApiFailure

Data = dict[str, Any]


def time_text(moment: datetime) -> str:
    """RFC 3339, in UTC."""
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def problem_data(problem: ApiFailure) -> Data:
    return {
        "code": problem.code,
        "message": problem.message,
        "operation": problem.operation,
        "region": problem.region,
        "request_id": problem.request_id,
    }


def pools_data(shares: PoolDistribution) -> Data:
    """How spot nodes are spread over capacity pools."""
    fullest = shares.fullest
    return {
        "count": shares.pools,
        "nodes": shares.nodes,
        "max_loss": shares.max_loss,
        "fullest": None if fullest is None else {"type": fullest.type, "zone": fullest.zone},
    }


def instance_data(one: Instance) -> Data:
    return {
        "id": one.id,
        "region": one.region,
        "zone": one.zone,
        "type": one.type,
        "state": str(one.state),
        "phase": str(phase_of(one)),
        "launched_at": time_text(one.launched_at),
        "lifecycle": one.lifecycle,
        "public_ip": one.public_ip,
        "private_ip": one.private_ip,
        "spot_request_id": one.spot_request_id,
        "image_id": one.image_id,
        "vpc_id": one.vpc_id,
        "subnet_id": one.subnet_id,
        "termination_reason": one.termination_reason,
    }
