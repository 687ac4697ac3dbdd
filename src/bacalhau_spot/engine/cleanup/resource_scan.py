"""What there is to delete: everything with our tag, in every region and beside the regions, looked for kind by kind."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from bacalhau_spot.cloud.port import CloudError
from bacalhau_spot.core.cleanup.deletion_order import KIND_SPECS, SPEC_BY_KIND, is_known_kind, kinds_of
from bacalhau_spot.core.error_catalog.classifier import Category, classify
from bacalhau_spot.core.kinds import GLOBAL, ResourceKind
from bacalhau_spot.core.model import Resource, TaggedId
from bacalhau_spot.engine.aws_calls.caller import api_failure, gather_all
from bacalhau_spot.engine.aws_calls.consistency import LAG_S
from bacalhau_spot.engine.aws_calls.discovery import check_permitted, in_all_regions

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from bacalhau_spot.core.problem import ApiFailure
    from bacalhau_spot.core.tags import Scope
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls

_LAUNCHERS = (
    ResourceKind.SCALING_GROUP,
    ResourceKind.FLEET,
    ResourceKind.SPOT_FLEET,
    ResourceKind.SPOT_REQUEST,
)
_MADE = frozenset(row.kind for row in KIND_SPECS if row.created_by_us)
TAG_INDEX = "resourcegroupstaggingapi"
ALL_SERVICES = frozenset((TAG_INDEX, *(row.service for row in KIND_SPECS)))


@dataclass(frozen=True, slots=True)
class ScanRequest:
    """What to look for, and how hard.

    `with_children`: regions in which every kind that `create` makes is listed, whatever the tag index says, which lags.
    `required`: services without which the search is blind. That another one refuses is only told, unless the tag index names
    something of its. `shared`: also what is the same in all regions, which nodes of regions that are not scanned may use.
    """

    scope: Scope
    with_children: frozenset[str] = frozenset()
    required: frozenset[str] = ALL_SERVICES
    shared: bool = True


@dataclass(frozen=True, slots=True)
class RegionScan:
    """One region: what we can delete, and what is of a kind that we do not know.

    `failures`: what a service that we need would not tell; `partial_failures`: what another one would not; `failed_kinds`:
    the kinds that were
    therefore not checked, and why. `children`: instances that launchers of ours named as their own.
    """

    resources: tuple[Resource, ...] = ()
    unsupported: tuple[Resource, ...] = ()
    failures: tuple[ApiFailure, ...] = ()
    partial_failures: tuple[ApiFailure, ...] = ()
    failed_kinds: Mapping[str, ApiFailure] = field(default_factory=dict)
    children: frozenset[str] = frozenset()

    @property
    def empty(self) -> bool:
        return not self.resources and not self.unsupported


@dataclass(frozen=True, slots=True)
class ScanResult:
    """All regions, and GLOBAL. `failed_regions`: those that could not be scanned at all, and why. `at_s`: when, by the
    clock.
    """

    by_region: Mapping[str, RegionScan] = field(default_factory=dict)
    failed_regions: tuple[ApiFailure, ...] = ()
    at_s: float = 0.0
    settled_s: float = 0.0  # what was created before the first look is shown from then on

    @property
    def empty(self) -> bool:
        return all(scan.empty for scan in self.by_region.values())

    @property
    def resources(self) -> tuple[Resource, ...]:
        return tuple(resource for scan in self.by_region.values() for resource in scan.resources)

    @property
    def unsupported(self) -> tuple[Resource, ...]:
        return tuple(resource for scan in self.by_region.values() for resource in scan.unsupported)

    @property
    def failures(self) -> tuple[ApiFailure, ...]:
        """All that we should have seen and did not."""
        return (
            *self.failed_regions,
            *(failure for scan in self.by_region.values() for failure in scan.failures),
        )

    @property
    def partial_failures(self) -> tuple[ApiFailure, ...]:
        return tuple(failure for scan in self.by_region.values() for failure in scan.partial_failures)

    @property
    def ids(self) -> set[str]:
        """Of everything that is ours, tagged or launched by what is."""
        children = {child for scan in self.by_region.values() for child in scan.children}
        return children | {resource.id for resource in (*self.resources, *self.unsupported)}

    @property
    def busy(self) -> tuple[str, ...]:
        """Regions in which there is something to delete."""
        return tuple(region for region, scan in self.by_region.items() if scan.resources)


async def scan_regions(calls: AwsCalls, request: ScanRequest, *, regions: Sequence[str]) -> ScanResult:
    """Everything in scope in `regions`, and of what is the same everywhere.

    Raises CloudError only when the credentials are refused everywhere, or may look into no region.
    """

    async def one(region: str) -> RegionScan:
        return await scan_region(calls, request, region)

    at_s = calls.clock.monotonic_s()
    sights, dark = await in_all_regions((*regions, GLOBAL) if request.shared else regions, one)
    answered = {region: scan for region, scan in sights.items() if region != GLOBAL}
    check_permitted(answered, [failure for failure in dark if failure.region != GLOBAL])
    return ScanResult(by_region=sights, failed_regions=dark, at_s=at_s, settled_s=at_s + LAG_S)


async def look_after_lag(
    calls: AwsCalls, request: ScanRequest, first: ScanResult, *, regions: Sequence[str]
) -> ScanResult:
    """A second look, which may show what was created moments before the first. Raises CloudError as `look`; Stopped."""
    await calls.pause(max(0.0, first.settled_s - calls.clock.monotonic_s()))
    return replace(await scan_regions(calls, request, regions=regions), settled_s=first.settled_s)


async def scan_region(
    calls: AwsCalls,
    request: ScanRequest,
    region: str,
    *,
    also: Sequence[TaggedId] = (),
    children: Collection[str] = (),
) -> RegionScan:
    """One region, by both indexes and then kind by kind. `also`: what was there before, whatever the indexes say now.

    The indexes are AWS's secondary ones, and may hide all of a region: that nothing runs is DescribeInstances' to say.
    """
    visitor = RegionScanner(calls, request, region, children=children)
    tagged, runs = await visitor.index()
    candidates = (*tagged, *also)
    kinds = {ResourceKind(candidate.kind) for candidate in candidates if is_known_kind(candidate.kind)}
    if region == GLOBAL:
        kinds = set(kinds_of(GLOBAL))
    else:
        kinds = (kinds | {ResourceKind.SCALING_GROUP}) & set(kinds_of(region))  # groups are in no index
        if runs or region in request.with_children or kinds & _MADE:
            kinds |= _MADE & set(kinds_of(region))
    resources = await visitor.find(kinds, also=candidates)
    unknown = (
        Resource(kind=one.kind, id=one.id, region=region) for one in tagged if not is_known_kind(one.kind)
    )
    return RegionScan(
        resources=resources,
        unsupported=tuple(unknown),
        failures=tuple(visitor.unseen),
        partial_failures=tuple(visitor.silent),
        failed_kinds=visitor.blind,
        children=frozenset(visitor.children),
    )


class RegionScanner:
    """Asks one region's services, and remembers which of them would not say, and what the launchers launched."""

    def __init__(
        self, calls: AwsCalls, request: ScanRequest, region: str, *, children: Iterable[str] = ()
    ) -> None:
        self._calls = calls
        self._search = request
        self._region = region
        self.silent: list[ApiFailure] = []
        self.unseen: list[ApiFailure] = []
        self.blind: dict[str, ApiFailure] = {}
        self.children = set(children)

    async def index(self) -> tuple[tuple[TaggedId, ...], bool]:
        """What the tag indexes show, and whether an instance runs. Raises CloudError when EC2 would not say either."""
        in_ec2, beside, runs = await asyncio.gather(
            self._calls.read(
                self._region, lambda: self._calls.cloud.tagged(self._region, self._search.scope)
            ),
            self._outside_ec2(),
            self._runs(),
        )
        return (*in_ec2, *beside), runs

    async def _runs(self) -> bool:
        if self._region == GLOBAL:
            return False
        cloud, scope = self._calls.cloud, self._search.scope
        instances = await self._calls.read(
            self._region, lambda: cloud.find(self._region, ResourceKind.INSTANCE, scope)
        )
        return any(not instance.is_gone for instance in instances)

    async def find(
        self, kinds: Collection[ResourceKind], *, also: Sequence[TaggedId]
    ) -> tuple[Resource, ...]:
        """The live resources of these kinds. Launchers come first: they name instances that may lack the tag."""
        candidates: dict[ResourceKind, list[str]] = {}
        for tagged in also:
            if is_known_kind(tagged.kind):
                candidates.setdefault(ResourceKind(tagged.kind), []).append(tagged.id)
        first = [kind for kind in _LAUNCHERS if kind in kinds]
        # In the table's order, which is that of the report: what frees a group stands before what frees its VPC.
        rest = [kind for kind in SPEC_BY_KIND if kind in kinds and kind not in first]
        then = [kind for kind in rest if kind != ResourceKind.INSTANCE or not first]
        groups = await gather_all(*(self._kind(kind, candidates.get(kind, ())) for kind in (*first, *then)))
        resources = [resource for group in groups for resource in group]
        self.children.update(child for resource in resources for child in resource.children)
        if first and (ResourceKind.INSTANCE in kinds or self.children):
            resources += await self._kind(ResourceKind.INSTANCE, ())
        return tuple(resource for resource in resources if not resource.is_gone)

    async def _kind(self, kind: ResourceKind, ids: Sequence[str]) -> tuple[Resource, ...]:
        asked = sorted(self.children) if kind is ResourceKind.INSTANCE else ids
        cloud, scope = self._calls.cloud, self._search.scope
        try:
            return await self._calls.read(
                self._region, lambda: cloud.find(self._region, kind, scope, ids=asked)
            )
        except CloudError as error:
            self._tolerate(error, SPEC_BY_KIND[kind].service, named=bool(ids))
            self.blind[kind] = api_failure(error)
            return ()

    async def _outside_ec2(self) -> tuple[TaggedId, ...]:
        cloud, scope = self._calls.cloud, self._search.scope
        try:
            return await self._calls.read(self._region, lambda: cloud.tagged_outside_ec2(self._region, scope))
        except CloudError as error:
            self._tolerate(error, TAG_INDEX)
            return ()

    def _tolerate(self, error: CloudError, service: str, *, named: bool = False) -> None:
        """Without EC2 a region is unseen. Any other service may refuse, and the rest is scanned all the same.

        `named`: something of ours was shown to be there, or was there before.
        """
        if service == "ec2" or classify(error.code).category is Category.CREDENTIALS:
            raise error
        needed = named or service in self._search.required
        (self.unseen if needed else self.silent).append(replace(api_failure(error), region=self._region))
