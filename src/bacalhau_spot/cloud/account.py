"""Who we are and where we may go, from STS and EC2."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bacalhau_spot.core.model import Identity, Region

if TYPE_CHECKING:
    from bacalhau_spot.cloud.session import Session


class AwsAccount:
    """`port.Account` over boto3."""

    _session: Session

    async def identity(self) -> Identity:
        reply = await self._session.call("sts", None, "get_caller_identity")
        return Identity(account_id=reply["Account"], arn=reply["Arn"])

    async def alias(self) -> str:
        reply = await self._session.call("iam", None, "list_account_aliases")
        return str(next(iter(reply.get("AccountAliases", ())), ""))

    async def regions(self) -> tuple[Region, ...]:
        reply = await self._session.call("ec2", None, "describe_regions", AllRegions=True)
        return tuple(
            sorted(
                (
                    Region(name=row["RegionName"], enabled=row.get("OptInStatus") != "not-opted-in")
                    for row in reply["Regions"]
                ),
                key=lambda region: region.name,
            )
        )
