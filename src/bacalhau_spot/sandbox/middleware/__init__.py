"""What AWS does to every call before a service sees it, one stage a file. Each is switched by `World.settings`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bacalhau_spot.sandbox.middleware.call_log import Record
from bacalhau_spot.sandbox.middleware.client_token import ClientToken
from bacalhau_spot.sandbox.middleware.credentials import Credentials
from bacalhau_spot.sandbox.middleware.deny import Deny
from bacalhau_spot.sandbox.middleware.dry_run import DryRun
from bacalhau_spot.sandbox.middleware.encoded_denials import Decoder
from bacalhau_spot.sandbox.middleware.faults import Faults
from bacalhau_spot.sandbox.middleware.identity import Identity
from bacalhau_spot.sandbox.middleware.latency import Latency
from bacalhau_spot.sandbox.middleware.opt_in import OptIn
from bacalhau_spot.sandbox.middleware.parameters import Parameters
from bacalhau_spot.sandbox.middleware.policy import Policy
from bacalhau_spot.sandbox.middleware.read_lag import ReadLag
from bacalhau_spot.sandbox.middleware.service_role import ServiceRole
from bacalhau_spot.sandbox.middleware.simulator import Simulator
from bacalhau_spot.sandbox.middleware.throttle import Throttle

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bacalhau_spot.sandbox.http_types import Handler
    from bacalhau_spot.sandbox.state import World

# In the order in which a call meets them
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
    Decoder,
)


def build(
    world: World, inner: Handler, *, stages: Sequence[Callable[[World, Handler], Handler]] = STAGES
) -> Handler:
    """All stages before `inner`, as one Handler. Stages remember: a new world needs a new layer."""
    handler = inner
    for stage in reversed(stages):
        handler = stage(world, handler)
        if isinstance(handler, Policy):
            handler.last = inner
    return handler
