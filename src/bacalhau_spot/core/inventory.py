"""What AWS reported about the account and the cluster: the regions, the tagged resources, the instances."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bacalhau_spot.core.model import Identity, Instance, Region, TaggedId
    from bacalhau_spot.core.problem import ApiFailure


@dataclass(frozen=True, slots=True)
class AccountContext:
    """The identity of the credentials, and every region of the partition."""

    identity: Identity
    regions: tuple[Region, ...]

    @property
    def enabled_regions(self) -> tuple[str, ...]:
        return tuple(region.name for region in self.regions if region.enabled)


@dataclass(frozen=True, slots=True)
class ClusterInventory:
    """Resources with the cluster's tag, by region. `failed_regions`: regions that could not be scanned."""

    tagged: Mapping[str, tuple[TaggedId, ...]] = field(default_factory=dict)
    instances: tuple[Instance, ...] = ()
    failed_regions: tuple[ApiFailure, ...] = ()
