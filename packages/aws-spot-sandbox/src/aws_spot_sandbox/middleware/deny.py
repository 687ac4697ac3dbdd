"""Denied actions. All actions not named in `settings.deny` are allowed."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from aws_spot_sandbox.iam.authorization_requests import action_of
from aws_spot_sandbox.middleware import error_responses
from aws_spot_sandbox.middleware.identity import USER_ARN, WHO_AM_I
from aws_spot_sandbox.state import ACCOUNT_ID

if TYPE_CHECKING:
    from aws_spot_sandbox.http_types import Call, Handler, Reply
    from aws_spot_sandbox.state import World


class Deny:
    def __init__(self, world: World, inner: Handler) -> None:
        self._world = world
        self._inner = inner

    def __call__(self, call: Call) -> Reply:
        # AWS: STS API Reference, GetCallerIdentity: no policy can deny it
        user = call.access_key_id not in self._world.sessions
        if user and self._denied(call) and call.name != WHO_AM_I:
            raise error_responses.denied(call, user_arn=USER_ARN, resource=_resource(call))
        return self._inner(call)

    def _denied(self, call: Call) -> bool:
        return denied(self._world, call.name) or (bool(call.rest) and denied(self._world, action_of(call)))


def denied(world: World, action: str) -> bool:
    return any(fnmatchcase(action, pattern) for pattern in world.settings.deny)


def _resource(call: Call) -> str:
    if call.service != "ec2" or not call.mutates:
        return "*"
    return f"arn:aws:ec2:{call.region}:{ACCOUNT_ID}:*/*"
