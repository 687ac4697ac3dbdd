"""The calls of `doctor` only: AWS's clock, the origin of the credentials, their permissions."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Any

from botocore import xform_name

from bacalhau_spot.cloud.cloud_error import CloudError
from bacalhau_spot.cloud.ec2_params import specification, tag_filter
from bacalhau_spot.cloud.replies import answered_at
from bacalhau_spot.core.iam.policy import depends_on_unknown_keys

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from bacalhau_spot.cloud.session import Session
    from bacalhau_spot.core.iam.policy import SimulationQuery

SPOT_ROLE = "AWSServiceRoleForEC2Spot"
_ALLOWED = "allowed"
_DENIED = "explicitDeny"
# IAM's message for actions with and without resource-level permissions in one call, which it does not simulate.
_UNLIKE = "authorization information"
# EC2 API reference, "Common query parameters", DryRun: this code means permitted.
_WOULD_DO = "DryRunOperation"


class AwsDiagnostics:
    """`port.Diagnostics` over botocore."""

    _session: Session

    async def time_at_aws(self) -> datetime:
        reply = await self._session.call("sts", None, "get_caller_identity")
        return answered_at(reply)

    async def credentials_origin(self) -> str:
        return await self._session.credentials_origin()

    async def dry_run_create(self, region: str, action: str, *, tags: Mapping[str, str]) -> CloudError | None:
        kind, extra = _DRY_RUN_CALLS[action]
        name = xform_name(action.partition(":")[2])
        try:
            await self._session.call(
                "ec2", region, name, TagSpecifications=specification(kind, tags), DryRun=True, **extra
            )
        except CloudError as error:
            return None if error.code == _WOULD_DO else error
        return None

    async def simulate(self, principal: str, query: SimulationQuery) -> dict[str, bool]:
        entries = [
            {"ContextKeyName": key, "ContextKeyValues": [value], "ContextKeyType": "string"}
            for key, value in query.context
        ]
        try:
            reply = await self._session.all_pages(
                "iam",
                None,
                "simulate_principal_policy",
                PolicySourceArn=principal,
                ActionNames=list(query.actions),
                ContextEntries=entries,
                **({} if query.resource == "*" else {"ResourceArns": [query.resource]}),
            )
        except CloudError as error:
            if error.code != "InvalidInput" or _UNLIKE not in error.message or len(query.actions) == 1:
                raise
            return await self._bisect(principal, query)
        return _answers(query, reply)

    async def _bisect(self, principal: str, query: SimulationQuery) -> dict[str, bool]:
        middle = len(query.actions) // 2
        found: dict[str, bool] = {}
        for some in (query.actions[:middle], query.actions[middle:]):
            found |= await self.simulate(principal, replace(query, actions=some))
        return found

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


def _answers(query: SimulationQuery, reply: Mapping[str, Any]) -> dict[str, bool]:
    """A row per action, with a pattern as its resource. A named resource's decision is nested in it (IAM API reference,
    EvaluationResult).
    """
    names = {action.lower(): action for action in query.actions}
    found: dict[str, bool] = {}
    for row in reply.get("EvaluationResults", ()):
        action = names.get(str(row["EvalActionName"]).lower())
        if action is None:
            continue
        allowed = _is_allowed(row)
        if allowed is not None:
            found[action] = allowed
    return found


def _is_allowed(row: Mapping[str, Any]) -> bool | None:
    """None where the decision depends on values that the simulation does not have."""
    beneath = row.get("ResourceSpecificResults") or ()
    decisions = {result["EvalResourceDecision"] for result in beneath} or {row["EvalDecision"]}
    if decisions == {_ALLOWED}:
        return True
    missing = chain.from_iterable(result.get("MissingContextValues") or () for result in (row, *beneath))
    return False if _DENIED in decisions or not depends_on_unknown_keys(list(missing)) else None


# EC2's create calls that name no existing resource: action -> resource type, and the required parameters.
_DRY_RUN_CALLS: dict[str, tuple[str, dict[str, Any]]] = {
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
DRY_RUNS: Sequence[str] = tuple(_DRY_RUN_CALLS)
