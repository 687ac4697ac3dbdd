"""All handlers, by kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bacalhau_spot.cloud.cleanup import fleets, iam, network, services, storage

if TYPE_CHECKING:
    from bacalhau_spot.cloud.cleanup.handler import Handler
    from bacalhau_spot.core.kinds import ResourceKind

HANDLERS: dict[ResourceKind, Handler] = {
    **fleets.HANDLERS,
    **storage.HANDLERS,
    **network.HANDLERS,
    **services.HANDLERS,
    **iam.HANDLERS,
}
