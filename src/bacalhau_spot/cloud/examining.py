"""What `doctor` asks beside everything else: AWS's clock, where the credentials come from, what they may do."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from botocore import xform_name

from bacalhau_spot.cloud.port import CloudError
from bacalhau_spot.cloud.shapes import specification, tag_filter

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from bacalhau_spot.cloud.session import Session
    from bacalhau_spot.core.policy import Question

SPOT_ROLE = "AWSServiceRoleForEC2Spot"
_ALLOWED = "allowed"
# EC2 API reference, "Common query parameters", DryRun: this code means yes.
_WOULD_DO = "DryRunOperation"


class AwsExamining:
    """`port.Examining` over boto3."""

    _session: Session

    async def time_at_aws(self) -> datetime:
        reply = await self._session.call("sts", None, "get_caller_identity")
        return parsedate_to_datetime(reply["ResponseMetadata"]["HTTPHeaders"]["date"])

    async def credentials_origin(self) -> str:
        return await self._session.credentials_origin()

    async def may_make(self, region: str, action: str, *, tags: Mapping[str, str]) -> CloudError | None:
        kind, extra = _MAKES[action]
        name = xform_name(action.partition(":")[2])
        try:
            await self._session.call(
                "ec2", region, name, TagSpecifications=specification(kind, tags), DryRun=True, **extra
            )
        except CloudError as error:
            return None if error.code == _WOULD_DO else error
        return None

    async def refused(self, principal: str, question: Question) -> tuple[str, ...]:
        entries = [
            {"ContextKeyName": key, "ContextKeyValues": [value], "ContextKeyType": "string"}
            for key, value in question.context
        ]
        reply = await self._session.everything(
            "iam",
            None,
            "simulate_principal_policy",
            PolicySourceArn=principal,
            ActionNames=[action for action, _ in question.asked],
            ResourceArns=sorted({resource for _, resource in question.asked}),
            ContextEntries=entries,
        )
        wanted = set(question.asked)
        return tuple(
            row["EvalActionName"]
            for row in reply.get("EvaluationResults", ())
            if (row["EvalActionName"], row["EvalResourceName"]) in wanted and row["EvalDecision"] != _ALLOWED
        )

    async def role_arn(self, name: str) -> str | None:
        try:
            reply = await self._session.call("iam", None, "get_role", RoleName=name)
        except CloudError as error:
            if error.code != "NoSuchEntity":
                raise
            return None
        return str(reply["Role"]["Arn"])

    async def vpcs(self, region: str, *, key: str, value: str) -> tuple[int, bool]:
        every = await self._session.pages("ec2", region, "describe_vpcs", "Vpcs")
        ours = await self._session.pages(
            "ec2", region, "describe_vpcs", "Vpcs", Filters=tag_filter(key, value)
        )
        return len(every), bool(ours)


# What can be asked of EC2 without naming anything that must exist: action -> what is made, and what the call needs.
_MAKES: dict[str, tuple[str, dict[str, Any]]] = {
    "ec2:CreateVpc": ("vpc", {"CidrBlock": "10.0.0.0/16"}),
    "ec2:CreateInternetGateway": ("internet-gateway", {}),
    "ec2:CreateLaunchTemplate": (
        "launch-template",
        {
            "LaunchTemplateName": "bacalhau-spot-doctor",
            "LaunchTemplateData": {"MetadataOptions": {"HttpTokens": "required"}},
        },
    ),
}
DRY_RUNS: Sequence[str] = tuple(_MAKES)
