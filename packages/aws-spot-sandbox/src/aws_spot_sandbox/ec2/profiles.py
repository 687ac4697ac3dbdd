"""Instance profiles as visible to EC2, later than in IAM.

IAM user guide, "Troubleshoot IAM roles": changes are not always immediately visible; a launch with a profile not yet
visible to EC2 is refused. The delay is not documented; here it counts from the first use of the profile in EC2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from moto.iam.models import iam_backends

from aws_spot_sandbox.http_types import AwsError
from aws_spot_sandbox.state import ACCOUNT_ID

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aws_spot_sandbox.ec2.region import Region


def check(region: Region, profile: Mapping[str, Any] | None) -> None:
    """Raises AwsError as RunInstances does, and as CreateFleet does per pool."""
    if not profile:
        return
    field = "name" if profile.get("Name") else "arn"
    value = str(profile.get("Name") or profile.get("Arn") or "")
    name = value.rpartition("/")[2]
    names = {
        instance_profile.name
        for instance_profile in iam_backends[ACCOUNT_ID]["aws"].instance_profiles.values()
    }
    if name in names:
        known_at = region.world.profiles.setdefault(name, region.now() + region.world.settings.iam_lag_s)
        if region.now() >= known_at:
            return
    else:
        region.world.profiles.pop(name, None)
    raise AwsError(
        "InvalidParameterValue",
        f"Value ({value}) for parameter iamInstanceProfile.{field} is invalid. Invalid IAM Instance Profile {field}",
    )
