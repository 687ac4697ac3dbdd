"""Finds the managed resources of one region: the tag indexes first, then the list of each kind."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import TYPE_CHECKING

from bacalhau_spot.cloud.cloud_error import CloudError
from bacalhau_spot.core.cleanup.deletion_order import KIND_SPECS, SPEC_BY_KIND, is_known_kind, kinds_of
from bacalhau_spot.core.cleanup.orchestrator_loss import is_of_orchestrator
from bacalhau_spot.core.error_catalog.classifier import Category, classify
from bacalhau_spot.core.kinds import GLOBAL, ResourceKind
from bacalhau_spot.core.model import Naming, Resource, TaggingApiIndex
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
        """Everything, by the indexes and then by kind. `known`: resources found before, even if the indexes omit them.

        A region in which three calls find nothing takes no others: the list of the instances, AWS's tag index of all
        services, and the list of the scaling groups, which no index has. AWS's tag indexes are only eventually
        consistent and may omit every resource of a region: DescribeInstances decides whether instances exist. Raises
        CloudError when EC2 refuses, or the credentials are no longer valid.
        """
        failures = _ScanFailures(self._region, self._request.required)
        parents = frozenset(children)
        if self._region == GLOBAL:
            everything = await self._list(kinds_of(GLOBAL), failures, ids=_ids_by_kind(known))
            return _region_scan(everything, failures, children=parents)
        (api, instances), groups = await asyncio.gather(
            self._index(failures, children=parents),
            self._list_kind(ResourceKind.SCALING_GROUP, (), failures),
        )
        candidates = (*api.outside_ec2, *known, *self._own_candidates())
        if not (instances or groups or candidates or api.any_in_ec2 or self._is_doubtful):
            return _region_scan((), failures, children=parents)
        in_ec2 = await self.index()
        scan = await self._scan_candidates(
            tuple(dict.fromkeys((*in_ec2, *candidates))),
            failures,
            instances=instances,
            groups=groups,
            parents=parents,
        )
        unsupported = (
            Resource(kind=tag.kind, id=tag.id, region=self._region)
            for tag in (*in_ec2, *api.outside_ec2)
            if not is_known_kind(tag.kind)
        )
        indexed = frozenset((tag.kind, tag.id) for tag in in_ec2)
        return replace(scan, unsupported=tuple(unsupported), indexed=indexed)

    def _own_candidates(self) -> list[TaggedId]:
        return [tag for region, tag in self._request.candidates if region == self._region]

    async def _scan_candidates(
        self,
        candidates: Sequence[TaggedId],
        failures: _ScanFailures,
        *,
        instances: Sequence[Resource],
        groups: Sequence[Resource],
        parents: frozenset[str],
    ) -> RegionScan:
        """The other kinds, and the instances that launchers list without the tag."""
        ids = _ids_by_kind(candidates)
        kinds = frozenset(ids) - {ResourceKind.INSTANCE, ResourceKind.SCALING_GROUP}
        resources = [*groups, *await self._list(kinds, failures, ids=ids)]
        # The index lists launchers for hours after their end: they alone are no sign of a cluster.
        exists = self._is_doubtful or not all(row.is_gone for row in (*resources, *instances))
        if exists and self._may_omit(candidates, instances):
            others = _CREATED_BY_US & frozenset(kinds_of(self._region)) - kinds - {ResourceKind.INSTANCE}
            resources += await self._list(others, failures, ids=ids)
        resources += await self._unindexed_buckets((*resources, *instances), failures)
        named = _children(resources) | parents
        if named - parents - {instance.id for instance in instances}:
            instances = await self._list_kind(ResourceKind.INSTANCE, sorted(named), failures)
        return _region_scan((*resources, *instances), failures, children=named)

    async def scan_again(
        self,
        *,
        known: Sequence[TaggedId] = (),
        children: Iterable[str] = (),
        ended: Collection[tuple[str, str]] = (),
    ) -> RegionScan:
        """Whether anything has appeared in a clear region: one or two calls if not, otherwise as `scan`.

        `known`: resources found before that EC2's index has never listed. `ended`: kind and id of launchers and instances
        that have ended, which the index lists for hours. With the lock, the index suffices: the first scan has listed the
        instances, and nobody else launches any.
        """
        parents = frozenset(children)
        if self._region == GLOBAL or known or self._is_doubtful:
            return await self.scan(known=known, children=parents)
        failures = _ScanFailures(self._region, self._request.required)
        in_ec2, instances = await asyncio.gather(self.index(), self._unlocked_instances(failures, parents))
        appeared = any((tag.kind, tag.id) not in ended for tag in in_ec2)
        if appeared or not all(instance.is_gone for instance in instances):
            return await self.scan(children=parents)
        return _region_scan((), failures, children=parents)

    async def _unlocked_instances(
        self, failures: _ScanFailures, parents: frozenset[str]
    ) -> tuple[Resource, ...]:
        if self._request.exclusive:
            return ()
        return await self._list_kind(ResourceKind.INSTANCE, sorted(parents), failures)

    async def scan_kinds(
        self, kinds: Collection[ResourceKind], *, known: Iterable[TaggedId], children: Iterable[str]
    ) -> RegionScan:
        """The existing resources of these kinds only. Launchers list instances that may lack the tag.

        Raises CloudError as `scan`.
        """
        failures = _ScanFailures(self._region, self._request.required)
        parents = frozenset(children)
        ids = {**_ids_by_kind(known), ResourceKind.INSTANCE: sorted(parents)}
        resources = await self._list(kinds, failures, ids=ids)
        named = _children(resources) | parents
        launched = [resource for resource in resources if resource.kind == ResourceKind.INSTANCE]
        if not _LAUNCHERS.isdisjoint(kinds) and named - parents - {instance.id for instance in launched}:
            others = [resource for resource in resources if resource.kind != ResourceKind.INSTANCE]
            resources = [*others, *await self._list_kind(ResourceKind.INSTANCE, sorted(named), failures)]
        return _region_scan(resources, failures, children=named)

    async def index(self) -> tuple[TaggedId, ...]:
        """EC2's own tag index, without the lock. Raises CloudError."""
        cloud, scope = self._calls.cloud, self._request.scope
        tagged = await self._calls.read(self._region, lambda: cloud.tagged(self._region, scope))
        return tuple(tag for tag in tagged if tag.id not in self._request.held)

    @property
    def _is_doubtful(self) -> bool:
        """Whether this region may have resources that no list and no index shows yet: those of a create a moment ago."""
        return self._region in self._request.with_children and not self._request.exclusive

    def _may_omit(self, candidates: Iterable[TaggedId], instances: Sequence[Resource]) -> bool:
        """Whether EC2's index may omit kinds of a cluster that exists: without the lock, or if it omits an instance."""
        living = {instance.id for instance in instances if not instance.is_gone}
        in_index = {tag.id for tag in candidates if tag.kind == ResourceKind.INSTANCE}
        return not (self._request.exclusive and living <= in_index)

    async def _index(
        self, failures: _ScanFailures, *, children: frozenset[str]
    ) -> tuple[TaggingApiIndex, tuple[Resource, ...]]:
        """The tagging API's index, and the instances."""
        return await asyncio.gather(
            self._tagging_api(failures),
            self._list_kind(ResourceKind.INSTANCE, sorted(children), failures),
        )

    async def _tagging_api(self, failures: _ScanFailures) -> TaggingApiIndex:
        """If it refuses, EC2's own index is asked."""
        cloud, scope = self._calls.cloud, self._request.scope
        try:
            return await self._calls.read(self._region, lambda: cloud.tagging_api(self._region, scope))
        except CloudError as error:
            failures.add(error, TAG_INDEX)
            return TaggingApiIndex(any_in_ec2=True)

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
