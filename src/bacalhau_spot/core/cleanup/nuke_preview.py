"""What a nuke found, before anybody agreed to anything: the list that is shown, and all that must be known with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime, timedelta
    from decimal import Decimal

    from bacalhau_spot.core.cleanup.deletion_result import Dependency
    from bacalhau_spot.core.model import Identity, Resource
    from bacalhau_spot.core.problem import ApiFailure
    from bacalhau_spot.core.tags import Scope


@dataclass(frozen=True, slots=True)
class NukePreview:
    """`to_delete` is to go; `excluded` is ours and stays, with the reason; `unsupported` is of kinds that we cannot delete.

    `denied`: what AWS says that we may not delete. `to_adopt`: id -> region of what is to be adopted. `regions_skipped`: regions
    that nobody scanned, by wish; `regions_not_enabled`: those that the account has not enabled; `failed_regions`: what
    could not be seen.
    `foreign`: what is in a VPC of ours and is not ours, by the VPC; `partial_failures`: what AWS would not say of that.
    `disable_protection`: protection is to be taken away.
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

    @property
    def empty(self) -> bool:
        return not self.to_delete and not self.to_adopt

    @property
    def youngest_age(self) -> timedelta | None:
        """How old the youngest is of those that are to go; None when none of them says."""
        births = [resource.created_at for resource in self.to_delete if resource.created_at is not None]
        return self.scanned_at - max(births) if births else None

    def cluster_of(self, resource: Resource) -> str:
        """Whose it is: the value of our tag; what a launcher of ours launched may lack it."""
        return resource.tags.get(self.scope.key, "")


def sort_resources(resources: Iterable[Resource]) -> list[Resource]:
    return sorted(resources, key=lambda resource: (resource.region, resource.kind, resource.id))
