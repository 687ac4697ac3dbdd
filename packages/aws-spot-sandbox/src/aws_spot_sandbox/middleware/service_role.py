"""The service-linked role for spot instances, one per account. The first fleet creates it, if the caller may.

AWS: EC2 User Guide, "Service-linked role for EC2 Spot Instances".
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

from aws_spot_sandbox.http_types import Reply
from aws_spot_sandbox.middleware import error_responses
from aws_spot_sandbox.middleware.deny import denied
from aws_spot_sandbox.state import ACCOUNT_ID

if TYPE_CHECKING:
    from aws_spot_sandbox.http_types import Call, Handler
    from aws_spot_sandbox.state import World

SPOT = "spot.amazonaws.com"
NAME = "AWSServiceRoleForEC2Spot"
_PATH = f"/aws-service-role/{SPOT}/"
_ANSWER = (
    '<{action}Response xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><{action}Result><Role>'
    f"<Path>{_PATH}</Path><Arn>arn:aws:iam::{ACCOUNT_ID}:role{_PATH}{NAME}</Arn><RoleName>{NAME}</RoleName>"
    "<AssumeRolePolicyDocument>%7B%7D</AssumeRolePolicyDocument><CreateDate>2026-01-01T00:00:00Z</CreateDate>"
    "<RoleId>AROASANDBOXSANDBOXSB</RoleId></Role></{action}Result>"
    "<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></{action}Response>"
)


class ServiceRole:
    def __init__(self, world: World, inner: Handler) -> None:
        self._world = world
        self._inner = inner

    def __call__(self, call: Call) -> Reply:
        roles = self._world.settings.service_roles
        if call.name == "iam:GetRole" and call.params.get("RoleName") == NAME and SPOT in roles:
            return _role(call)
        if call.name == "iam:CreateServiceLinkedRole" and call.params.get("AWSServiceName") == SPOT:
            if SPOT in roles:
                raise error_responses.name_taken(NAME)
            roles.append(SPOT)
            return _role(call)
        if call.name == "ec2:CreateFleet" and SPOT not in roles:
            if denied(self._world, "iam:CreateServiceLinkedRole"):
                raise error_responses.no_service_role()
            roles.append(SPOT)
        return self._inner(call)


def _role(call: Call) -> Reply:
    return Reply(_ANSWER.format(action=call.action, request_id=uuid4()).encode())
