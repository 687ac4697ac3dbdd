"""Quotas that stopped something, with their numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from bacalhau_spot.ui.formatting import comma_list

if TYPE_CHECKING:
    from collections.abc import Sequence


class Quota(Protocol):
    """One quota of a region: its limit and its usage."""

    @property
    def region(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def unit(self) -> str: ...
    @property
    def limit(self) -> int: ...
    @property
    def used(self) -> int: ...


def quota_lines(quotas: Sequence[Quota]) -> tuple[str, ...]:
    """A sentence for each, regions with the same numbers together."""
    regions: dict[tuple[str, str, int, int], list[str]] = {}
    for quota in quotas:
        regions.setdefault((quota.name, quota.unit, quota.limit, quota.used), []).append(quota.region)
    return tuple(
        f'{comma_list(sorted(names))}: the quota "{name}" is {limit} {unit} now, of which {used} are in use'
        for (name, unit, limit, used), names in regions.items()
    )
