"""Finds the managed resources of one region: the tag indexes first, then the list of each kind."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import TYPE_CHECKING

from bacalhau_spot.cloud.port import CloudError
from bacalhau_spot.core.cleanup.deletion_order import KIND_SPECS, SPEC_BY_KIND, is_known_kind, kinds_of
from bacalhau_spot.core.cleanup.orchestrator_loss import is_of_orchestrator
from bacalhau_spot.core.error_catalog.classifier import Category, classify
from bacalhau_spot.core.kinds import GLOBAL, ResourceKind
from bacalhau_spot.core.model import Naming, Resource
from bacalhau_spot.core.tags import bucket_arn, results_bucket
from bacalhau_spot.engine.aws_calls.caller import api_failure, gather_all
from bacalhau_spot.engine.cleanup.scan_result import TAG_INDEX, RegionScan

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from bacalhau_spot.core.model import TaggedId
    from bacalhau_spot.core.problem import ApiFailure
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls
    from bacalhau_spot.engine.cleanup.scan_result import ScanRequest

_LAUNCHERS = frozenset(
    {
        ResourceKind.SCALING_GROUP,
        ResourceKind.FLEET,
        ResourceKind.SPOT_FLEET,
        ResourceKind.SPOT_REQUEST,
    }
)
# Launchers, then the table's order, which is that of the report: a group's dependencies come before its VPC's.
_LISTING_ORDER = sorted(SPEC_BY_KIND, key=lambda kind: kind not in _LAUNCHERS)
_CREATED_BY_US = frozenset(row.kind for row in KIND_SPECS if row.created_by_us)


@dataclass
class _ScanFailures:
    """The refusals by services during one scan of one region."""

    region: str
    required: frozenset[str]
    failures: list[ApiFailure] = field(default_factory=list)
    partial_failures: list[ApiFailure] = field(default_factory=list)
    failed_kinds: dict[str, ApiFailure] = field(default_factory=dict)

    def add(self, error: CloudError, service: str, *, named: bool = False) -> None:
        """Raises `error` if it is from EC2 or concerns the credentials: without EC2 there is no scan of the region.

        `named`: a resource of this service is in a tag index, or was found before.
        """
        if service == "ec2" or classify(error.code).category is Category.CREDENTIALS:
            raise error
        needed = named or service in self.required
        (self.failures if needed else self.partial_failures).append(
            replace(api_failure(error), region=self.region)
        )


class RegionScanner:
    """Calls the services of one region, or the account-wide ones."""

    def __init__(self, calls: AwsCalls, request: ScanRequest, region: str) -> None:
        self._calls = calls
        self._request = request
        self._region = region

    async def scan(self, *, known: Sequence[TaggedId] = (), children: Iterable[str] = ()) -> RegionScan:
        """Everything, by both indexes and then by kind. `known`: resources found before, even if the indexes omit them.

        AWS's tag indexes are only eventually consistent and may omit every resource of a region: DescribeInstances
        decides whether instances exist. Raises CloudError when EC2 refuses, or the credentials are no longer valid.
        """
        failures = _ScanFailures(self._region, self._request.required)
        parents = frozenset(children)
        tagged, instances = await self._index(failures, children=parents)
        own = (tag for region, tag in self._request.candidates if region == self._region)
        candidates = tuple(dict.fromkeys((*tagged, *known, *own)))
        kinds = self._kinds_to_list(
            candidates, any_instance=not all(instance.is_gone for instance in instances)
        )
        resources = await self._list(kinds - {ResourceKind.INSTANCE}, failures, ids=_ids_by_kind(candidates))
        resources += await self._unindexed_buckets((*resources, *instances), failures)
        named = _children(resources) | parents
        # A launcher's instances may lack the tag.
        if named - parents - {instance.id for instance in instances}:
            instances = await self._list_kind(ResourceKind.INSTANCE, sorted(named), failures)
        unsupported = (
            Resource(kind=tag.kind, id=tag.id, region=self._region)
            for tag in tagged
            if not is_known_kind(tag.kind)
        )
        scan = _region_scan((*resources, *instances), failures, children=named)
        return replace(scan, unsupported=tuple(unsupported))

    async def scan_kinds(
        self, kinds: Collection[ResourceKind], *, known: Iterable[TaggedId], children: Iterable[str]
    ) -> RegionScan:
        """The existing resources of these kinds only. Launchers come first: they list instances that may lack the tag.

        Raises CloudError as `scan`.
        """
        failures = _ScanFailures(self._region, self._request.required)
        parents = frozenset(children)
        launch = not _LAUNCHERS.isdisjoint(kinds)
        first = frozenset(kinds) - ({ResourceKind.INSTANCE} if launch else set())
        ids = {**_ids_by_kind(known), ResourceKind.INSTANCE: sorted(parents)}
        resources = await self._list(first, failures, ids=ids)
        named = _children(resources) | parents
        if launch and (ResourceKind.INSTANCE in kinds or named):
            resources += await self._list_kind(ResourceKind.INSTANCE, sorted(named), failures)
        return _region_scan(resources, failures, children=named)

    def _kinds_to_list(
        self, candidates: Iterable[TaggedId], *, any_instance: bool
    ) -> frozenset[ResourceKind]:
        if self._region == GLOBAL:
            return frozenset(kinds_of(GLOBAL))
        regional = frozenset(kinds_of(self._region))
        # No tag index lists scaling groups.
        kinds = regional & {ResourceKind.SCALING_GROUP, *_ids_by_kind(candidates)}
        if any_instance or self._region in self._request.with_children or kinds & _CREATED_BY_US:
            kinds |= _CREATED_BY_US & regional
        return kinds

    async def _index(
        self, failures: _ScanFailures, *, children: frozenset[str]
    ) -> tuple[tuple[TaggedId, ...], tuple[Resource, ...]]:
        """The resources in the tag indexes, and the instances."""
        cloud, scope = self._calls.cloud, self._request.scope
        in_ec2, outside_ec2, instances = await asyncio.gather(
            self._calls.read(self._region, lambda: cloud.tagged(self._region, scope)),
            self._tagged_outside_ec2(failures),
            self._instances(failures, children=children),
        )
        return (*in_ec2, *outside_ec2), instances

    async def _tagged_outside_ec2(self, failures: _ScanFailures) -> tuple[TaggedId, ...]:
        cloud, scope = self._calls.cloud, self._request.scope
        try:
            return await self._calls.read(self._region, lambda: cloud.tagged_outside_ec2(self._region, scope))
        except CloudError as error:
            failures.add(error, TAG_INDEX)
            return ()

    async def _instances(self, failures: _ScanFailures, *, children: frozenset[str]) -> tuple[Resource, ...]:
        if self._region == GLOBAL:
            return ()
        return await self._list_kind(ResourceKind.INSTANCE, sorted(children), failures)

    async def _unindexed_buckets(
        self, listed: Sequence[Resource], failures: _ScanFailures
    ) -> tuple[Resource, ...]:
        """The buckets of the orchestrators in this region that the tag index omits."""
        if not self._request.account_id:
            return ()
        scope = self._request.scope
        names = {
            results_bucket(
                Naming(tag_key=scope.key, tag_value=resource.tags[scope.key]),
                account_id=self._request.account_id,
                region=self._region,
            )
            for resource in listed
            if is_of_orchestrator(resource) and scope.key in resource.tags and self._region != GLOBAL
        }
        names -= {resource.id for resource in listed if resource.kind == ResourceKind.BUCKET}
        if not names:
            return ()
        arns = [bucket_arn(name, region=self._region) for name in sorted(names)]
        return await self._list_kind(ResourceKind.BUCKET, arns, failures)

    async def _list(
        self,
        kinds: Collection[ResourceKind],
        failures: _ScanFailures,
        *,
        ids: Mapping[ResourceKind, Sequence[str]],
    ) -> list[Resource]:
        lists = await gather_all(
            *(self._list_kind(kind, ids.get(kind, ()), failures) for kind in _LISTING_ORDER if kind in kinds)
        )
        return list(chain.from_iterable(lists))

    async def _list_kind(
        self, kind: ResourceKind, ids: Sequence[str], failures: _ScanFailures
    ) -> tuple[Resource, ...]:
        cloud, scope = self._calls.cloud, self._request.scope
        try:
            resources = await self._calls.read(
                self._region, lambda: cloud.find(self._region, kind, scope, ids=ids)
            )
            return tuple(resource for resource in resources if resource.id not in self._request.held)
        except CloudError as error:
            failures.add(error, SPEC_BY_KIND[kind].service, named=bool(ids))
            failures.failed_kinds[kind] = api_failure(error)
            return ()


def _region_scan(
    resources: Iterable[Resource], failures: _ScanFailures, *, children: frozenset[str]
) -> RegionScan:
    return RegionScan(
        resources=tuple(resource for resource in resources if not resource.is_gone),
        failures=tuple(failures.failures),
        partial_failures=tuple(failures.partial_failures),
        failed_kinds=failures.failed_kinds,
        children=children,
    )


def _children(resources: Iterable[Resource]) -> frozenset[str]:
    return frozenset(chain.from_iterable(resource.children for resource in resources))


def _ids_by_kind(tags: Iterable[TaggedId]) -> dict[ResourceKind, list[str]]:
    ids: dict[ResourceKind, list[str]] = {}
    for tag in tags:
        if is_known_kind(tag.kind):
            ids.setdefault(ResourceKind(tag.kind), []).append(tag.id)
    return ids
