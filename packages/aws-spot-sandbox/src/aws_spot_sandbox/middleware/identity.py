"""The identity of the sandbox's user: moto would return `user/moto` for every caller."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

from aws_spot_sandbox.http_types import Reply
from aws_spot_sandbox.state import ACCOUNT_ID

if TYPE_CHECKING:
    from aws_spot_sandbox.http_types import Call, Handler
    from aws_spot_sandbox.state import World

USER_ARN = f"arn:aws:iam::{ACCOUNT_ID}:user/sandbox"
WHO_AM_I = "sts:GetCallerIdentity"
_ANSWER = (
    '<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>'
    "<Arn>{arn}</Arn><UserId>AIDASANDBOXSANDBOXSB</UserId><Account>{account}</Account></GetCallerIdentityResult>"
    "<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></GetCallerIdentityResponse>"
)


class Identity:
    def __init__(self, world: World, inner: Handler) -> None:
        del world
        self._inner = inner

    def __call__(self, call: Call) -> Reply:
        if call.name == WHO_AM_I:
            return Reply(_ANSWER.format(arn=USER_ARN, account=ACCOUNT_ID, request_id=uuid4()).encode())
        return self._inner(call)
