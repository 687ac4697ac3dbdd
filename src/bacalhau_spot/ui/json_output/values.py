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


def problem_data(failure: ApiFailure) -> Data:
    return {
        "code": failure.code,
        "message": failure.message,
        "operation": failure.operation,
        "region": failure.region,
        "request_id": failure.request_id,
    }


def pools_data(distribution: PoolDistribution) -> Data:
    """How spot nodes are spread over capacity pools."""
    fullest = distribution.fullest
    return {
        "count": distribution.pools,
        "nodes": distribution.nodes,
        "max_loss": distribution.max_loss,
        "fullest": None if fullest is None else {"type": fullest.type, "zone": fullest.zone},
    }


def instance_data(instance: Instance) -> Data:
    return {
        "id": instance.id,
        "region": instance.region,
        "zone": instance.zone,
        "type": instance.type,
        "state": str(instance.state),
        "phase": str(phase_of(instance)),
        "launched_at": time_text(instance.launched_at),
        "lifecycle": instance.lifecycle,
        "public_ip": instance.public_ip,
        "private_ip": instance.private_ip,
        "spot_request_id": instance.spot_request_id,
        "image_id": instance.image_id,
        "vpc_id": instance.vpc_id,
        "subnet_id": instance.subnet_id,
        "termination_reason": instance.termination_reason,
    }
