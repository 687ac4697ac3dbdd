"""The caller's identity and the account's regions, from STS and EC2."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bacalhau_spot.cloud.aws_errors import non_aws_response
from bacalhau_spot.core.model import Identity, Region

if TYPE_CHECKING:
    from bacalhau_spot.cloud.session import Session

# AWS General Reference, "AWS account identifiers"; IAM user guide, "ARN format".
_ACCOUNT_ID = re.compile(r"\d{12}")
_REGION = re.compile(r"[a-z]+(-[a-z]+)+-\d+")
_ARN = re.compile(r"arn:[\w-]+:(iam|sts)::\d{12}:\S+")


class AwsAccount:
    """`port.Account` over botocore."""

    _session: Session

    async def identity(self) -> Identity:
        reply = await self._session.call("sts", None, "get_caller_identity")
        if not _ACCOUNT_ID.fullmatch(reply["Account"]) or not _ARN.fullmatch(reply["Arn"]):
            raise non_aws_response(operation="get_caller_identity", region="", detail="it names no account")
        return Identity(account_id=reply["Account"], arn=reply["Arn"])

    async def alias(self) -> str:
        reply = await self._session.call("iam", None, "list_account_aliases")
        return str(next(iter(reply.get("AccountAliases", ())), ""))

    async def regions(self) -> tuple[Region, ...]:
        reply = await self._session.call("ec2", None, "describe_regions", AllRegions=True)
        names = [row["RegionName"] for row in reply["Regions"]]
        # Every account has regions that cannot be disabled.
        if not names or not all(map(_REGION.fullmatch, names)):
            raise non_aws_response(operation="describe_regions", region="", detail="it names no region")
        return tuple(
            sorted(
                (
                    Region(name=row["RegionName"], enabled=row.get("OptInStatus") != "not-opted-in")
                    for row in reply["Regions"]
                ),
                key=lambda region: region.name,
            )
        )
