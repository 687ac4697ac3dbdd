"""The result of a nuke's scan before the confirmation: the list of resources and every limitation of the deletion."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime, timedelta
    from decimal import Decimal

    from bacalhau_spot.core.cleanup.deletion_result import Dependency
    from bacalhau_spot.core.cleanup.orchestrator_loss import ResultsBucket
    from bacalhau_spot.core.model import Identity, Resource
    from bacalhau_spot.core.problem import ApiFailure
    from bacalhau_spot.core.tags import Scope


@dataclass(frozen=True, slots=True)
class NukePreview:
    """`to_delete`: resources to delete; `excluded`: managed resources that are retained, with the reason;
    `unsupported`: of kinds that cannot be deleted.

    `denied`: deletions that AWS does not permit. `to_adopt`: id -> region. `regions_skipped`: regions that the options
    exclude; `regions_not_enabled`: regions that the account has not enabled; `failed_regions`: regions that could not
    be scanned. `foreign`: unmanaged resources in managed VPCs, by VPC; `partial_failures`: failed scans for them.
    `disable_protection`: whether protection is lifted. `results`: buckets with job results, to delete or retained.
    """

    identity: Identity
    alias: str
    scope: Scope
    scanned_at: datetime
    to_delete: tuple[Resource, ...] = ()
    excluded: tuple[tuple[Resource, str], ...] = ()
    unsupported: tuple[Resource, ...] = ()
    denied: tuple[ApiFailure, ...] = ()
    to_adopt: Mapping[str, str] = field(default_factory=dict)
    regions_scanned: tuple[str, ...] = ()
    regions_skipped: tuple[str, ...] = ()
    regions_not_enabled: tuple[str, ...] = ()
    failed_regions: tuple[ApiFailure, ...] = ()
    foreign: tuple[tuple[Resource, Dependency], ...] = ()
    partial_failures: tuple[ApiFailure, ...] = ()
    usd_per_hour: Decimal | None = None
    disable_protection: bool = False
    results: tuple[ResultsBucket, ...] = ()

    @property
    def empty(self) -> bool:
        return not self.to_delete and not self.to_adopt

    @property
    def youngest_age(self) -> timedelta | None:
        """Age of the youngest resource to delete; None when none has a creation time."""
        births = [resource.created_at for resource in self.to_delete if resource.created_at is not None]
        return self.scanned_at - max(births) if births else None

    def cluster_of(self, resource: Resource) -> str:
        """The cluster by the tag's value; a resource that a managed launcher created may have no tag."""
        return resource.tags.get(self.scope.key, "")


def sort_resources(resources: Iterable[Resource]) -> list[Resource]:
    return sorted(resources, key=lambda resource: (resource.region, resource.kind, resource.id))
