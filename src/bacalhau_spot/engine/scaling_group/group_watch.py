"""Whether AWS has launched or refused the missing nodes of an Auto Scaling group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bacalhau_spot.core.error_catalog.classifier import Category, classify, most_severe
from bacalhau_spot.core.lifecycle.drain_result import without_draining
from bacalhau_spot.core.scaling_group.refused_launches import refused_launches
from bacalhau_spot.engine.scaling_group.groups import activities_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bacalhau_spot.core.model import Instance, Naming
    from bacalhau_spot.core.scaling_group.groups import RefusedLaunch, ScalingGroup
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls

# After a refusal AWS tries the other zones within seconds; how long it may take is not documented.
REFUSED_AFTER_S = 60.0
# No other zone helps against these.
_EVERYWHERE = frozenset({Category.CREDENTIALS, Category.PERMISSION, Category.CONFIG})


async def living_nodes(calls: AwsCalls, naming: Naming, region: str) -> tuple[Instance, ...]:
    """The region's living nodes that are not draining. Raises CloudError, Cancelled."""
    key, value = naming.tag_key, naming.tag_value
    listed = await calls.read(region, lambda: calls.cloud.instances(region, key=key, value=value))
    nodes = without_draining(listed)
    return tuple(instance for instance in nodes if instance.alive and instance.is_node)


@dataclass(slots=True)
class GroupWatch:
    """`earlier`: ids of the activities before the launches that are watched. `failures`: AWS's refusals since."""

    calls: AwsCalls
    group: ScalingGroup
    earlier: frozenset[str]
    failures: tuple[RefusedLaunch, ...] = ()
    most: int = -1  # living nodes so far
    grown_s: float = 0.0  # when there were more of them for the last time

    async def settled(self, living: int, *, total: int) -> bool:
        """Whether all nodes are there, or AWS has refused the rest. Raises CloudError, Cancelled."""
        now_s = self.calls.clock.monotonic_s()
        if living > self.most:
            self.grown_s, self.most = now_s, living
        if living >= total:
            self.failures = ()
            return True
        activities = await activities_of(self.calls, self.group)
        self.failures = refused_launches(activities, known=self.earlier)
        busy = any(activity.open and activity.launches for activity in activities)
        return not busy and _is_refused(self.failures, self.group.zones, waited_s=now_s - self.grown_s)


def _is_refused(failures: Sequence[RefusedLaunch], zones: Sequence[str], *, waited_s: float) -> bool:
    """Whether AWS has refused the missing nodes: in every zone, for a reason that holds everywhere, or for long enough."""
    code = most_severe(failure.code for failure in failures)
    if code is None:
        return False
    if classify(code).category in _EVERYWHERE:
        return True
    return set(zones) <= {failure.zone for failure in failures} or waited_s >= REFUSED_AFTER_S
