"""The service-linked roles of spot instances and of Auto Scaling, one each per account. The first fleet, and the first
group, create them, if the caller may.

AWS: EC2 User Guide, "Service-linked role for EC2 Spot Instances"; Auto Scaling user guide, "Service-linked roles".
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

from aws_spot_sandbox.http_types import Reply
from aws_spot_sandbox.iam.authorization_requests import SERVICE_ROLES
from aws_spot_sandbox.middleware import error_responses
from aws_spot_sandbox.middleware.deny import denied
from aws_spot_sandbox.state import ACCOUNT_ID

if TYPE_CHECKING:
    from aws_spot_sandbox.http_types import Call, Handler
    from aws_spot_sandbox.state import World

SPOT, AUTO_SCALING = "spot.amazonaws.com", "autoscaling.amazonaws.com"
# The calls of Auto Scaling that create its role (API reference, the operations with ServiceLinkedRoleFailure).
NEED_ROLE = frozenset({"AttachInstances", "CreateAutoScalingGroup", "UpdateAutoScalingGroup"})
_ANSWER = (
    '<{action}Response xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><{action}Result><Role>'
    "<Path>/aws-service-role/{service}/</Path>"
    f"<Arn>arn:aws:iam::{ACCOUNT_ID}:role/aws-service-role/{{service}}/{{name}}</Arn><RoleName>{{name}}</RoleName>"
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
        if call.service == "iam":
            reply = self._iam(call)
            if reply is not None:
                return reply
        needed = _needed(call)
        if needed and needed not in roles:
            if denied(self._world, "iam:CreateServiceLinkedRole"):
                raise error_responses.no_service_role(call.service)
            roles.append(needed)
        return self._inner(call)

    def _iam(self, call: Call) -> Reply | None:
        """The reply to a call about one of these roles."""
        roles = self._world.settings.service_roles
        if call.action == "GetRole":
            named = [
                service for service, name in SERVICE_ROLES.items() if name == call.params.get("RoleName")
            ]
            return _role(call, named[0]) if named and named[0] in roles else None
        service = call.params.get("AWSServiceName", "")
        if call.action != "CreateServiceLinkedRole" or service not in SERVICE_ROLES:
            return None
        if service in roles:
            raise error_responses.name_taken(SERVICE_ROLES[service])
        roles.append(service)
        return _role(call, service)


def _needed(call: Call) -> str:
    if call.name == "ec2:CreateFleet":
        return SPOT
    return AUTO_SCALING if call.service == "autoscaling" and call.action in NEED_ROLE else ""


def _role(call: Call, service: str) -> Reply:
    text = _ANSWER.format(
        action=call.action, service=service, name=SERVICE_ROLES[service], request_id=uuid4()
    )
    return Reply(text.encode())
