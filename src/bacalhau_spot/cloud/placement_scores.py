"""Data for choosing a region: placement scores, quotas, and the account's current usage."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from bacalhau_spot.cloud.cloud_error import CloudError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bacalhau_spot.cloud.session import Session

# EC2 API reference, GetSpotPlacementScores: the maximum number of regions per request.
MOST_SCORED_REGIONS = 10
# Service Quotas API reference: the code if an account has no such quota in a region.
_NO_SUCH_QUOTA = "NoSuchResourceException"


class AwsPlacementScoring:
    """`port.PlacementScoring` over botocore."""

    _session: Session

    async def placement_scores(
        self, types: Sequence[str], *, target: int, regions: Sequence[str] = ()
    ) -> dict[str, int]:
        named: dict[str, Any] = {"RegionNames": sorted(regions)} if regions else {}
        rows = await self._session.pages(
            "ec2",
            None,
            "get_spot_placement_scores",
            "SpotPlacementScores",
            # Sorted: another order may count as a new request.
            InstanceTypes=sorted(types),
            TargetCapacity=target,
            TargetCapacityUnitType="units",
            SingleAvailabilityZone=False,
            **named,
        )
        return {row["Region"]: int(row["Score"]) for row in rows}

    async def quota(self, region: str, *, service: str, code: str) -> int | None:
        try:
            reply = await self._session.call(
                "service-quotas", region, "get_service_quota", ServiceCode=service, QuotaCode=code
            )
        except CloudError as error:
            if error.code == _NO_SUCH_QUOTA:
                return None
            raise
        value = reply.get("Quota", {}).get("Value")
        return None if value is None else int(value)

    async def spot_in_use(self, region: str) -> dict[str, int]:
        reservations = await self._session.pages(
            "ec2",
            region,
            "describe_instances",
            "Reservations",
            Filters=[
                {"Name": "instance-lifecycle", "Values": ["spot"]},
                {"Name": "instance-state-name", "Values": ["pending", "running"]},
            ],
        )
        rows = [row for reservation in reservations for row in reservation.get("Instances", ())]
        return dict(Counter(row["InstanceType"] for row in rows))
