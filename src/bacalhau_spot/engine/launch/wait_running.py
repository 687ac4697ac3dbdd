"""Follows every launched instance to its result: running with its address, or terminated with AWS's reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bacalhau_spot.core.kinds import ResourceKind
from bacalhau_spot.core.launch import events
from bacalhau_spot.core.launch.instance_phases import FINAL, Phase, next_phase, phase_of
from bacalhau_spot.core.tags import cluster_scope
from bacalhau_spot.engine.aws_calls.caller import Cancelled
from bacalhau_spot.engine.aws_calls.consistency import FLEET_LAG

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from bacalhau_spot.core.model import Instance, Naming
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls

# The shortest interval between two calls.
POLL_S = 1.0
# After the deadline, for instances that AWS does not list yet.
_UNLISTED_PAUSE_S = 3.0

_SETTLED = FINAL | {Phase.RUNNING, Phase.TERMINATING}


async def wait_until_running(
    calls: AwsCalls, naming: Naming, *, region: str, ids: Sequence[str], deadline_s: float
) -> tuple[Instance, ...]:
    """The instances as last listed by AWS, once all have settled or `deadline_s` (monotonic) has passed.

    Not before each has been listed, up to the longest observed lag: a command that follows would launch the others once more.
    After a stop it lists them once more and returns. Raises CloudError.
    """
    listed_by_s = calls.clock.monotonic_s() + FLEET_LAG.total_seconds()
    phases = dict.fromkeys(ids, Phase.REQUESTED)
    while True:
        shown = await _instances(calls, naming, region=region, ids=ids)
        _report_phases(calls, phases, {instance.id: instance for instance in shown})
        left = sum(phase not in _SETTLED for phase in phases.values())
        pause_s = _pause_s(calls, phases.values(), deadline_s=deadline_s, listed_by_s=listed_by_s)
        if not left or calls.stop.is_set or pause_s is None:
            return shown
        calls.emit(events.Waiting(region=region, message="starting instances", remaining=left))
        try:
            await calls.pause(pause_s)
        except Cancelled:
            continue


def _pause_s(
    calls: AwsCalls, phases: Collection[Phase], *, deadline_s: float, listed_by_s: float
) -> float | None:
    """The time until the next look; None if there is none."""
    now_s = calls.clock.monotonic_s()
    if now_s + POLL_S <= deadline_s:
        return POLL_S
    unlisted = Phase.REQUESTED in phases
    return _UNLISTED_PAUSE_S if unlisted and now_s + _UNLISTED_PAUSE_S <= listed_by_s else None


async def _instances(
    calls: AwsCalls, naming: Naming, *, region: str, ids: Sequence[str]
) -> tuple[Instance, ...]:
    """In the order of `ids`, without those that AWS does not list."""
    key, value = naming.tag_key, naming.tag_value
    listed = await calls.read(region, lambda: calls.cloud.instances(region, key=key, value=value))
    by_id = {instance.id: instance for instance in listed}
    return tuple(by_id[instance_id] for instance_id in ids if instance_id in by_id)


def _report_phases(calls: AwsCalls, phases: dict[str, Phase], shown: dict[str, Instance]) -> None:
    for instance_id, instance in shown.items():
        phase = next_phase(phases[instance_id], phase_of(instance))
        if phase is not phases[instance_id]:
            phases[instance_id] = phase
            calls.emit(
                events.InstanceSeen(
                    region=instance.region,
                    id=instance_id,
                    type=instance.type,
                    zone=instance.zone,
                    phase=phase,
                    address=instance.public_ip or instance.private_ip,
                    reason=instance.termination_reason,
                )
            )


async def close_requests(calls: AwsCalls, naming: Naming, *, region: str) -> int:
    """Cancel open spot requests of the cluster and return their number. An open one could launch an instance later."""
    requests = await calls.read(
        region, lambda: calls.cloud.find(region, ResourceKind.SPOT_REQUEST, cluster_scope(naming))
    )
    waiting = [request for request in requests if request.state == "open"]
    if waiting:
        await calls.write(region, lambda: calls.cloud.delete(region, ResourceKind.SPOT_REQUEST, waiting))
    return len(waiting)
