"""What AWS does to every call before a service sees it, one stage a file. Each is switched by `World.settings`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bacalhau_spot.sandbox.layer.client_token import ClientToken
from bacalhau_spot.sandbox.layer.credentials import Credentials
from bacalhau_spot.sandbox.layer.deny import Deny
from bacalhau_spot.sandbox.layer.dry_run import DryRun
from bacalhau_spot.sandbox.layer.faults import Faults
from bacalhau_spot.sandbox.layer.identity import Identity
from bacalhau_spot.sandbox.layer.latency import Latency
from bacalhau_spot.sandbox.layer.opt_in import OptIn
from bacalhau_spot.sandbox.layer.parameters import Parameters
from bacalhau_spot.sandbox.layer.policy import Policy
from bacalhau_spot.sandbox.layer.proof import Decoder
from bacalhau_spot.sandbox.layer.read_lag import ReadLag
from bacalhau_spot.sandbox.layer.record import Record
from bacalhau_spot.sandbox.layer.service_role import ServiceRole
from bacalhau_spot.sandbox.layer.simulator import Simulator
from bacalhau_spot.sandbox.layer.throttle import Throttle

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bacalhau_spot.sandbox.wire import Handler
    from bacalhau_spot.sandbox.world import World

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
