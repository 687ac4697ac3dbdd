"""The identity of the caller, the sandbox's user or an instance: moto would return `user/moto` for everyone."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

from aws_spot_sandbox.http_types import Reply
from aws_spot_sandbox.state import ACCOUNT_ID

if TYPE_CHECKING:
    from aws_spot_sandbox.http_types import Call, Handler
    from aws_spot_sandbox.state import World

USER_ARN = f"arn:aws:iam::{ACCOUNT_ID}:user/sandbox"
USER_ID = "AIDASANDBOXSANDBOXSB"
WHO_AM_I = "sts:GetCallerIdentity"
_ANSWER = (
    '<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>'
    "<Arn>{arn}</Arn><UserId>{user_id}</UserId><Account>{account}</Account></GetCallerIdentityResult>"
    "<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></GetCallerIdentityResponse>"
)


class Identity:
    def __init__(self, world: World, inner: Handler) -> None:
        self._world = world
        self._inner = inner

    def __call__(self, call: Call) -> Reply:
        if call.name == WHO_AM_I:
            session = self._world.sessions.get(call.access_key_id)
            arn, user_id = (
                (session.arn, f"AROASANDBOXSANDBOXSB:{session.name}") if session else (USER_ARN, USER_ID)
            )
            text = _ANSWER.format(arn=arn, user_id=user_id, account=ACCOUNT_ID, request_id=uuid4())
            return Reply(text.encode())
        return self._inner(call)
