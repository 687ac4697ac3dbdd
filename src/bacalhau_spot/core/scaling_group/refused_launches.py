"""AWS's reasons for refused launches of a group: error codes, as a fleet returns them, from the text of its activities.

Sources of the texts: Auto Scaling user guide, "Troubleshoot Amazon EC2 Auto Scaling" ("EC2 instance launch failure");
cortexlabs/cortex#1258; buildkite/elastic-ci-stack-for-aws#851.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bacalhau_spot.core.scaling_group.model import RefusedLaunch

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bacalhau_spot.core.scaling_group.model import ScalingActivity

# `Could not launch Spot Instances. UnfulfillableCapacity - Unable to fulfill capacity …`
_CODE = re.compile(r"(?:Could not launch [\w-]+ Instances\.\s+)([A-Z][\w.]+)\s+-\s+(.*)", re.DOTALL)
_ENDING = re.compile(r"\s*Launching EC2 instance failed\.?\s*$")
# AWS writes no code for a single launch: the beginning or a part of its text -> the code of the same refusal.
_TEXTS = (
    ("do not have sufficient", "InsufficientInstanceCapacity"),
    ("no Spot capacity available", "UnfulfillableCapacity"),
    ("Max spot instance count exceeded", "MaxSpotInstanceCountExceeded"),
    ("vCPU capacity", "VcpuLimitExceeded"),
    ("price is lower than", "SpotMaxPriceTooLow"),
    ("price specified is too low", "SpotMaxPriceTooLow"),
    ("not authorized", "UnauthorizedOperation"),
    ("not supported in your requested Availability Zone", "InvalidFleetConfiguration"),
    ("does not exist", "InvalidLaunchTemplateId.NotFound"),
    ("while waiting for instance to be in InService", "InstanceTerminated"),
)
_UNKNOWN = "LaunchFailed"


def refused_launches(
    activities: Iterable[ScalingActivity], *, known: frozenset[str] = frozenset()
) -> tuple[RefusedLaunch, ...]:
    """The failed launches, the newest first, once for each zone and code. `known`: ids of activities of earlier launches."""
    found: dict[tuple[str, str], RefusedLaunch] = {}
    for activity in activities:
        if activity.failed and activity.launches and activity.id not in known:
            failure = _failure(activity)
            found.setdefault((failure.zone, failure.code), failure)
    return tuple(found.values())


def _failure(activity: ScalingActivity) -> RefusedLaunch:
    text = _ENDING.sub("", activity.message or activity.description)
    named = _CODE.search(text)
    if named is not None:
        return RefusedLaunch(zone=activity.zone, code=named[1], message=named[2].strip())
    code = next((code for part, code in _TEXTS if part.lower() in text.lower()), _UNKNOWN)
    return RefusedLaunch(zone=activity.zone, code=code, message=text.strip())


def last_refusal(activities: Sequence[ScalingActivity]) -> RefusedLaunch | None:
    """The reason of the group's newest launch, if that has failed. `activities`: the newest first."""
    newest = next((activity for activity in activities if activity.launches), None)
    return _failure(newest) if newest is not None and newest.failed else None
