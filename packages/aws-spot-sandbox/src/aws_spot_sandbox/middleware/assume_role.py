"""STS's AssumeRole: a session with the permissions of a role, if the role trusts the caller.

AWS: STS API Reference, AssumeRole; IAM User Guide, "AWS JSON policy elements: Principal" (the root of an account stands for
all its identities). Session policies and external ids are not modelled. The code of an MFA device is not checked.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import uuid4

from aws_spot_sandbox.http_types import AwsError, Reply
from aws_spot_sandbox.iam import sessions
from aws_spot_sandbox.iam.trust_policies import role_of_arn, trusts
from aws_spot_sandbox.middleware.identity import USER_ARN
from aws_spot_sandbox.state import ACCOUNT_ID

if TYPE_CHECKING:
    from aws_spot_sandbox.http_types import Call, Handler
    from aws_spot_sandbox.state import World

ASSUME = "sts:AssumeRole"
_FORBIDDEN, _NOT_MODELLED = 403, 501
_UNSUPPORTED = ("Policy", "ExternalId", "SourceIdentity")
_DURATION_S = 3600
_ANSWER = (
    '<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult>'
    "<AssumedRoleUser><Arn>{arn}</Arn><AssumedRoleId>AROASANDBOXSANDBOXSB:{name}</AssumedRoleId></AssumedRoleUser>"
    "<Credentials><AccessKeyId>{key}</AccessKeyId><SecretAccessKey>{secret}</SecretAccessKey>"
    "<SessionToken>{token}</SessionToken><Expiration>{expires}</Expiration></Credentials></AssumeRoleResult>"
    "<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></AssumeRoleResponse>"
)


class AssumeRole:
    def __init__(self, world: World, inner: Handler) -> None:
        self._world = world
        self._inner = inner

    def __call__(self, call: Call) -> Reply:
        return _assume(self._world, call) if call.name == ASSUME else self._inner(call)


def _assume(world: World, call: Call) -> Reply:
    for name in _UNSUPPORTED:
        if any(given == name or given.startswith(f"{name}.") for given in call.params):
            message = f"the sandbox does not implement {name} in {ASSUME}"
            raise AwsError("NotImplemented", message, status=_NOT_MODELLED)
    session = world.sessions.get(call.access_key_id)
    caller, arn = session.arn if session else USER_ARN, call.params["RoleArn"]
    role = role_of_arn(arn)
    if role is None or not trusts(role, "AWS", {f"arn:aws:iam::{ACCOUNT_ID}:root", ACCOUNT_ID, caller}):
        message = f"User: {caller} is not authorized to perform: sts:AssumeRole on resource: {arn}"
        raise AwsError("AccessDenied", message, status=_FORBIDDEN)
    lasts_s = float(call.params.get("DurationSeconds", _DURATION_S))
    if lasts_s > float(role.max_session_duration or _DURATION_S):
        message = "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
        raise AwsError("ValidationError", message)
    made = sessions.begin(world, role=role.name, name=call.params["RoleSessionName"], lasts_s=lasts_s)
    text = _ANSWER.format(
        arn=made.arn, name=made.name, key=made.access_key_id, secret=made.secret_access_key, token=made.token,
        expires=datetime.fromtimestamp(made.expires_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), request_id=uuid4(),
    )  # fmt: skip
    return Reply(text.encode())
