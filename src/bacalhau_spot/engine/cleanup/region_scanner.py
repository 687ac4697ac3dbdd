"""What one region shows of ours: the tag indexes first, then each kind by its own list."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import TYPE_CHECKING

from bacalhau_spot.cloud.port import CloudError
from bacalhau_spot.core.cleanup.deletion_order import KIND_SPECS, SPEC_BY_KIND, is_known_kind, kinds_of
from bacalhau_spot.core.error_catalog.classifier import Category, classify
from bacalhau_spot.core.kinds import GLOBAL, ResourceKind
from bacalhau_spot.core.model import Resource
from bacalhau_spot.engine.aws_calls.caller import api_failure, gather_all
from bacalhau_spot.engine.cleanup.scan_result import TAG_INDEX, RegionScan

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from bacalhau_spot.core.model import TaggedId
    from bacalhau_spot.core.problem import ApiFailure
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls
    from bacalhau_spot.engine.cleanup.scan_result import ScanRequest

_LAUNCHERS = (
    ResourceKind.SCALING_GROUP,
    ResourceKind.FLEET,
    ResourceKind.SPOT_FLEET,
    ResourceKind.SPOT_REQUEST,
)
_CREATED_BY_US = frozenset(row.kind for row in KIND_SPECS if row.created_by_us)


@dataclass
class _Gaps:
    """What services refused to show during one scan of one region."""

    region: str
    required: frozenset[str]
    failures: list[ApiFailure] = field(default_factory=list)
    partial_failures: list[ApiFailure] = field(default_factory=list)
    failed_kinds: dict[str, ApiFailure] = field(default_factory=dict)

    def add(self, error: CloudError, service: str, *, named: bool = False) -> None:
        """Raises `error` if it is EC2's or of the credentials: without EC2 a region is not scanned at all.

        `named`: a resource of this service was named by an index, or was there before.
        """
        if service == "ec2" or classify(error.code).category is Category.CREDENTIALS:
            raise error
        needed = named or service in self.required
        (self.failures if needed else self.partial_failures).append(
            replace(api_failure(error), region=self.region)
        )


class RegionScanner:
    """Asks the services of one region, or those of the whole account."""

    def __init__(self, calls: AwsCalls, request: ScanRequest, region: str) -> None:
        self._calls = calls
        self._request = request
        self._region = region

    async def scan(self, *, known: Sequence[TaggedId] = (), children: Iterable[str] = ()) -> RegionScan:
        """Everything, by both indexes and then kind by kind. `known`: what was there before, whatever the indexes say now.

        The indexes are AWS's secondary ones, and may hide all of a region: DescribeInstances decides whether nothing runs.
        Raises CloudError when EC2 refuses, or the credentials are no longer valid.
        """
        gaps = self._no_gaps()
        tagged, any_instance = await self._index(gaps)
        candidates = (*tagged, *known)
        kinds = self._kinds_to_list(candidates, any_instance=any_instance)
        scan = await self._list(kinds, gaps, known=candidates, children=children)
        unsupported = (
            Resource(kind=tag.kind, id=tag.id, region=self._region)
            for tag in tagged
            if not is_known_kind(tag.kind)
        )
        return replace(scan, unsupported=tuple(unsupported))

    async def scan_kinds(
        self, kinds: Collection[ResourceKind], *, known: Sequence[TaggedId], children: Iterable[str]
    ) -> RegionScan:
        """The live resources of these kinds alone. Raises CloudError as `scan`."""
        return await self._list(kinds, self._no_gaps(), known=known, children=children)

    def _no_gaps(self) -> _Gaps:
        return _Gaps(self._region, self._request.required)

    def _kinds_to_list(
        self, candidates: Iterable[TaggedId], *, any_instance: bool
    ) -> Collection[ResourceKind]:
        if self._region == GLOBAL:
            return kinds_of(GLOBAL)
        regional = frozenset(kinds_of(self._region))
        named = {ResourceKind(tag.kind) for tag in candidates if is_known_kind(tag.kind)}
        kinds = (named | {ResourceKind.SCALING_GROUP}) & regional  # groups are in no index
        if any_instance or self._region in self._request.with_children or kinds & _CREATED_BY_US:
            kinds |= _CREATED_BY_US & regional
        return kinds

    async def _index(self, gaps: _Gaps) -> tuple[tuple[TaggedId, ...], bool]:
        """What the tag indexes show, and whether an instance runs."""
        cloud, scope = self._calls.cloud, self._request.scope
        in_ec2, outside_ec2, any_instance = await asyncio.gather(
            self._calls.read(self._region, lambda: cloud.tagged(self._region, scope)),
            self._tagged_outside_ec2(gaps),
            self._any_instance(),
        )
        return (*in_ec2, *outside_ec2), any_instance

    async def _tagged_outside_ec2(self, gaps: _Gaps) -> tuple[TaggedId, ...]:
        cloud, scope = self._calls.cloud, self._request.scope
        try:
            return await self._calls.read(self._region, lambda: cloud.tagged_outside_ec2(self._region, scope))
        except CloudError as error:
            gaps.add(error, TAG_INDEX)
            return ()

    async def _any_instance(self) -> bool:
        if self._region == GLOBAL:
            return False
        cloud, scope = self._calls.cloud, self._request.scope
        instances = await self._calls.read(
            self._region, lambda: cloud.find(self._region, ResourceKind.INSTANCE, scope)
        )
        return any(not instance.is_gone for instance in instances)

    async def _list(
        self,
        kinds: Collection[ResourceKind],
        gaps: _Gaps,
        *,
        known: Iterable[TaggedId],
        children: Iterable[str],
    ) -> RegionScan:
        """Launchers come first: they name instances that may lack the tag."""
        children = set(children)
        ids = {**_ids_by_kind(known), ResourceKind.INSTANCE: sorted(children)}
        first, instances_last = _listing_order(kinds)
        lists = await gather_all(*(self._list_kind(kind, ids.get(kind, ()), gaps) for kind in first))
        resources = list(chain.from_iterable(lists))
        children.update(chain.from_iterable(resource.children for resource in resources))
        if instances_last and (ResourceKind.INSTANCE in kinds or children):
            resources += await self._list_kind(ResourceKind.INSTANCE, sorted(children), gaps)
        return RegionScan(
            resources=tuple(resource for resource in resources if not resource.is_gone),
            failures=tuple(gaps.failures),
            partial_failures=tuple(gaps.partial_failures),
            failed_kinds=gaps.failed_kinds,
            children=frozenset(children),
        )

    async def _list_kind(self, kind: ResourceKind, ids: Sequence[str], gaps: _Gaps) -> tuple[Resource, ...]:
        cloud, scope = self._calls.cloud, self._request.scope
        try:
            return await self._calls.read(
                self._region, lambda: cloud.find(self._region, kind, scope, ids=ids)
            )
        except CloudError as error:
            gaps.add(error, SPEC_BY_KIND[kind].service, named=bool(ids))
            gaps.failed_kinds[kind] = api_failure(error)
            return ()


def _ids_by_kind(tags: Iterable[TaggedId]) -> dict[ResourceKind, list[str]]:
    ids: dict[ResourceKind, list[str]] = {}
    for tag in tags:
        if is_known_kind(tag.kind):
            ids.setdefault(ResourceKind(tag.kind), []).append(tag.id)
    return ids


def _listing_order(kinds: Collection[ResourceKind]) -> tuple[tuple[ResourceKind, ...], bool]:
    """The kinds that can be listed at once, and whether the instances are listed after them: when there are launchers.

    Otherwise the order is the table's, which is that of the report: what frees a group stands before what frees its VPC.
    """
    launchers = [kind for kind in _LAUNCHERS if kind in kinds]
    later = {*launchers, ResourceKind.INSTANCE} if launchers else set()
    others = [kind for kind in SPEC_BY_KIND if kind in kinds and kind not in later]
    return (*launchers, *others), bool(launchers)
