"""DryRun on every EC2 action: a call that reaches this stage is permitted and ends here, unexecuted.

AWS: EC2 API Reference, "Common query parameters", DryRun.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_spot_sandbox.http_types import AwsError

if TYPE_CHECKING:
    from aws_spot_sandbox.http_types import Call, Handler, Reply
    from aws_spot_sandbox.state import World


class DryRun:
    def __init__(self, world: World, inner: Handler) -> None:
        del world
        self._inner = inner

    def __call__(self, call: Call) -> Reply:
        if call.service == "ec2" and call.params.get("DryRun", "").lower() == "true":
            message = "Request would have succeeded, but DryRun flag is set."
            raise AwsError("DryRunOperation", message, status=412)
        return self._inner(call)
