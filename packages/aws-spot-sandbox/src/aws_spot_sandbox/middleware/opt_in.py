"""A region that the account has not enabled accepts no credentials (AWS: Account Management, "Enable or disable AWS
Regions").

Nor does a region in which the caller's token is not valid (IAM User Guide, "Managing AWS STS in an AWS Region").
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_spot_sandbox.middleware import error_responses
from aws_spot_sandbox.regions import ENABLED_BY_DEFAULT

if TYPE_CHECKING:
    from aws_spot_sandbox.http_types import Call, Handler, Reply
    from aws_spot_sandbox.state import World


class OptIn:
    def __init__(self, world: World, inner: Handler) -> None:
        self._world = world
        self._inner = inner

    def __call__(self, call: Call) -> Reply:
        if call.region not in ENABLED_BY_DEFAULT and call.region not in self._world.settings.opted_in:
            raise error_responses.unknown_key(call)
        if call.region in self._world.settings.tokens_not_valid:
            raise error_responses.unknown_key(call)
        return self._inner(call)
