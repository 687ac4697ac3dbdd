"""Instance profiles as EC2 knows them: IAM's own, a while later.

IAM user guide, "Troubleshoot IAM roles": changes are not always immediately visible; an instance launched with a profile that
EC2 does not know yet is refused. How long it takes is not documented; here it counts from when EC2 is first asked for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from moto.iam.models import iam_backends

from aws_spot_sandbox.http_types import AwsError
from aws_spot_sandbox.state import ACCOUNT_ID

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aws_spot_sandbox.ec2.region import Region


def check(region: Region, asked: Mapping[str, Any] | None) -> None:
    """Raises AwsError as RunInstances does, and CreateFleet for a pool."""
    if not asked:
        return
    field = "name" if asked.get("Name") else "arn"
    value = str(asked.get("Name") or asked.get("Arn") or "")
    name = value.rpartition("/")[2]
    there = {
        instance_profile.name
        for instance_profile in iam_backends[ACCOUNT_ID]["aws"].instance_profiles.values()
    }
    if name in there:
        known_at = region.world.profiles.setdefault(name, region.now() + region.world.settings.iam_lag_s)
        if region.now() >= known_at:
            return
    else:
        region.world.profiles.pop(name, None)
    raise AwsError(
        "InvalidParameterValue",
        f"Value ({value}) for parameter iamInstanceProfile.{field} is invalid. Invalid IAM Instance Profile {field}",
    )
