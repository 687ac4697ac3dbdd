"""AWS's handling of every call before a service receives it, one stage per file, configured by `World.settings`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_spot_sandbox.middleware.assume_role import AssumeRole
from aws_spot_sandbox.middleware.call_log import Record
from aws_spot_sandbox.middleware.client_token import ClientToken
from aws_spot_sandbox.middleware.credentials import Credentials
from aws_spot_sandbox.middleware.deny import Deny
from aws_spot_sandbox.middleware.dry_run import DryRun
from aws_spot_sandbox.middleware.encoded_denials import Decoder
from aws_spot_sandbox.middleware.faults import Faults
from aws_spot_sandbox.middleware.identity import Identity
from aws_spot_sandbox.middleware.latency import Latency
from aws_spot_sandbox.middleware.opt_in import OptIn
from aws_spot_sandbox.middleware.parameters import Parameters
from aws_spot_sandbox.middleware.policy import Policy
from aws_spot_sandbox.middleware.read_lag import ReadLag
from aws_spot_sandbox.middleware.service_role import ServiceRole
from aws_spot_sandbox.middleware.simulator import Simulator
from aws_spot_sandbox.middleware.throttle import Throttle

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from aws_spot_sandbox.http_types import Handler
    from aws_spot_sandbox.state import World

# In the order in which a call passes them
STAGES = (
    Record,
    Latency,
    Credentials,
    OptIn,
    Parameters,
    Deny,
    Policy,
    Throttle,
    Faults,
    DryRun,
    ServiceRole,
    Simulator,
    ClientToken,
    ReadLag,
    Identity,
    AssumeRole,
    Decoder,
)


def build(
    world: World, inner: Handler, *, stages: Sequence[Callable[[World, Handler], Handler]] = STAGES
) -> Handler:
    """All stages in front of `inner`, as one Handler. Stages have state: a new world needs new stages."""
    handler = inner
    for stage in reversed(stages):
        handler = stage(world, handler)
        if isinstance(handler, Policy):
            handler.last = inner
    return handler
