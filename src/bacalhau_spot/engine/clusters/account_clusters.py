"""All resources with the tag key, in all regions, and the prices of the instances among them."""

from __future__ import annotations

import asyncio
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING

from bacalhau_spot.cloud.cloud_error import CloudError
from bacalhau_spot.core.cleanup.deletion_order import is_known_kind
from bacalhau_spot.core.clusters.cluster_summary import AccountResources, CurrentPrices
from bacalhau_spot.core.kinds import ResourceKind
from bacalhau_spot.core.model import Resource, TaggingApiIndex
from bacalhau_spot.core.tags import EXPIRES_KEY, tag_key_scope
from bacalhau_spot.engine.aws_calls.caller import api_failure, gather_all
from bacalhau_spot.engine.aws_calls.discovery import check_permitted, in_all_regions
from bacalhau_spot.engine.pricing.prices import pool_prices, rates

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from bacalhau_spot.core.model import Instance, Naming, TaggedId
    from bacalhau_spot.core.pricing.list_prices import Prices
    from bacalhau_spot.core.problem import ApiFailure
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls

_SPOT = "spot"


async def account_resources(
    calls: AwsCalls, naming: Naming, *, regions: Sequence[str], certain: Collection[str] = ()
) -> AccountResources:
    """One call in a region without tagged resources; otherwise three, one more for each of their kinds, and one for each
    Auto Scaling group with an expiry.

    `certain`: regions that are not judged by the tagging API alone, which lags more than EC2's lists.

    AWS's tag indexes list deleted resources for hours, so that each kind is listed by its own service. IAM's resources cost
    nothing and are not listed. Raises CloudError only when the credentials are refused everywhere, or no region permits the
    calls.
    """
    answers, failed = await in_all_regions(regions, partial(_region_resources, calls, naming, certain))
    check_permitted(answers, failed)
    return AccountResources(
        instances=tuple(chain.from_iterable(part.instances for part in answers.values())),
        others=tuple(chain.from_iterable(part.others for part in answers.values())),
        unknown=tuple(chain.from_iterable(part.unknown for part in answers.values())),
        regions_scanned=tuple(answers),
        failed_regions=failed,
        partial_failures=tuple(chain.from_iterable(part.partial_failures for part in answers.values())),
        group_ends={key: at for part in answers.values() for key, at in part.group_ends.items()},
    )


async def _region_resources(
    calls: AwsCalls, naming: Naming, certain: Collection[str], region: str
) -> AccountResources:
    """Raises CloudError if EC2 refuses its instances or its tag index."""
    cloud, scope = calls.cloud, tag_key_scope(naming)
    failures: list[ApiFailure] = []

    async def tagging_api() -> TaggingApiIndex | None:
        try:
            return await calls.read(region, lambda: cloud.tagging_api(region, scope))
        except CloudError as error:
            failures.append(api_failure(error))
            return None

    async def of_kind(kind: ResourceKind, ids: Sequence[str]) -> Sequence[Resource]:
        try:
            return await calls.read(region, lambda: cloud.find(region, kind, scope, ids=ids))
        except CloudError as error:
            failures.append(api_failure(error))
            return ()

    api = await tagging_api()
    if api == TaggingApiIndex() and region not in certain:
        return AccountResources()
    instances, in_ec2 = await asyncio.gather(
        calls.read(region, lambda: cloud.instances_with_key(region, naming.tag_key)),
        calls.read(region, lambda: cloud.tagged(region, scope)),
    )
    tagged = (*in_ec2, *(api.outside_ec2 if api else ()))
    listed = await gather_all(
        *(of_kind(kind, ids) for kind, ids in _kinds_to_list(tagged, instances).items())
    )
    others = tuple(resource for resources in listed for resource in resources if not resource.is_gone)
    group_ends = await _group_ends(calls, others, failures)
    return AccountResources(
        instances=instances,
        others=others,
        group_ends=group_ends,
        unknown=tuple(
            Resource(kind=tag.kind, id=tag.id, region=region) for tag in tagged if not is_known_kind(tag.kind)
        ),
        partial_failures=tuple(failures),
    )


async def _group_ends(
    calls: AwsCalls, resources: Sequence[Resource], failures: list[ApiFailure]
) -> dict[tuple[str, str], datetime]:
    """By region and name, the scheduled ends of the groups with an expiry. Refusals are added to `failures`."""

    async def end(group: Resource) -> datetime | None:
        try:
            return await calls.read(
                group.region, partial(calls.cloud.scheduled_group_end, group.region, group.id)
            )
        except CloudError as error:
            failures.append(api_failure(error))
            return None

    groups = [
        resource
        for resource in resources
        if resource.kind == ResourceKind.SCALING_GROUP and EXPIRES_KEY in resource.tags
    ]
    ends = await gather_all(*map(end, groups))
    return {(group.region, group.id): at for group, at in zip(groups, ends, strict=True) if at is not None}


def _kinds_to_list(
    tagged: Sequence[TaggedId], instances: Sequence[Instance]
) -> dict[ResourceKind, list[str]]:
    """The ids in the indexes, by kind. No index lists Auto Scaling groups."""
    kinds: dict[ResourceKind, list[str]] = {}
    for tag in tagged:
        if is_known_kind(tag.kind):
            kinds.setdefault(ResourceKind(tag.kind), []).append(tag.id)
    if tagged or instances:
        kinds.setdefault(ResourceKind.SCALING_GROUP, [])
    kinds.pop(ResourceKind.INSTANCE, None)
    return kinds


async def current_prices(calls: AwsCalls, found: AccountResources) -> CurrentPrices:
    """The current prices of living instances and of volumes. Refusals are in the result."""
    living = [instance for instance in found.instances if instance.alive]
    places = {instance.region for instance in living}
    places |= {resource.region for resource in found.others if resource.kind == ResourceKind.VOLUME}
    (spot, failures), (listed, refused) = await asyncio.gather(
        _spot_prices(calls, [instance for instance in living if instance.lifecycle == _SPOT]),
        rates(
            calls,
            regions=sorted(places),
            types=sorted({instance.type for instance in living if instance.lifecycle != _SPOT}),
        ),
    )
    return CurrentPrices(spot=spot, rates=listed, unpriced=(*failures, *refused))


async def _spot_prices(
    calls: AwsCalls, instances: Sequence[Instance]
) -> tuple[Prices, tuple[ApiFailure, ...]]:
    """The current prices of the instances' pools, one call per region, and AWS's refusals."""
    types: dict[str, set[str]] = {}
    for instance in instances:
        types.setdefault(instance.region, set()).add(instance.type)
    failures: list[ApiFailure] = []

    async def ask(region: str) -> Prices:
        try:
            return await pool_prices(calls, region, types[region])
        except CloudError as error:
            failures.append(api_failure(error))
            return {}

    parts = await gather_all(*map(ask, types))
    return {pool: usd for part in parts for pool, usd in part.items()}, tuple(failures)
