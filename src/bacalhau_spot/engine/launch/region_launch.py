"""The launch in one region: template, network, and one fleet over every capacity pool, among which AWS chooses."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from bacalhau_spot.cloud.cloud_error import CloudError
from bacalhau_spot.cloud.port import FleetPool, FleetRequest, FleetResult, PoolError, TemplateContent
from bacalhau_spot.core.error_catalog.classifier import POOL_SHARE, Category, classify, most_severe
from bacalhau_spot.core.kinds import ResourceKind
from bacalhau_spot.core.launch import events
from bacalhau_spot.core.launch.node_spec import node_spec_tag
from bacalhau_spot.core.launch.pool_limits import LaunchBatch, headroom, next_batch
from bacalhau_spot.core.model import Network, Pool
from bacalhau_spot.core.placement.pool_distribution import burstable
from bacalhau_spot.core.tags import (
    expiry_tags,
    metadata_key_problems,
    node_name,
    node_tags,
    tags_for,
    template_name,
)
from bacalhau_spot.engine.aws_calls.caller import gather_all
from bacalhau_spot.engine.aws_calls.consistency import LAG_S
from bacalhau_spot.engine.iam.ownership import check_owner
from bacalhau_spot.engine.launch.fleet import FleetLaunch, launched_of, request_fleet
from bacalhau_spot.engine.lifecycle.expiry_tags import recorded_expiry
from bacalhau_spot.engine.network.network_builder import NetworkBuilder, merge

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from bacalhau_spot.cloud.port import FoundTemplate, LaunchedInstance
    from bacalhau_spot.core.model import ClusterSpec, Market, Naming, TaggedId
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls
    from bacalhau_spot.engine.launch.node_secrets import NodeSecrets

T = TypeVar("T")

# "For fleets with more than 1000 instances, the deletion request might fail" (EC2 API reference, DeleteFleets).
MAX_FLEET_SIZE = 1000

# Longer than the observed lag between AWS's lists: after it, resources created together with a template are listed.
SETTLED_S = 15.0
# More than a create needs from its template to its instances (a fleet: 41 s, karpenter-provider-aws#3922).
OTHER_CREATE_S = 60.0
_LOOK_PAUSE_S = 5.0
_NAME_TAKEN = "InvalidLaunchTemplateName.AlreadyExistsException"

_NETWORK_KINDS = frozenset({ResourceKind.VPC, ResourceKind.SUBNET, ResourceKind.GATEWAY, ResourceKind.GROUP})


@dataclass
class RegionLaunch:
    """The state of one region during a create: the existing resources, the created ones, AWS's answers."""

    region: str
    market: Market
    tagged: tuple[TaggedId, ...] = ()
    known: frozenset[str] = frozenset()  # ids of the cluster's instances before this create
    known_fleets: frozenset[str] = frozenset()  # by AWS's tag on those instances
    vpc_id: str | None = None  # a VPC of the user
    subnets: Mapping[str, str] = field(default_factory=dict)  # of that VPC, by zone: those with a route out
    user_data: bytes = b""
    network: Network = field(default_factory=Network)
    found: Network | None = (
        None  # the existing network, if an earlier create or the orchestrator's has left one
    )
    template_id: str | None = None
    profile: str | None = None  # the instance profile's name
    template_is_new: bool = False  # created by this create: no earlier one can have used its fleets' tokens
    versions: dict[bool, int] = field(
        default_factory=dict
    )  # of the template; key: whether it is for burstable types
    results: list[FleetResult] = field(default_factory=list)
    max_per_pool: int | None = None  # None: AWS decides
    avoided: frozenset[Pool] = frozenset()  # used only if the other pools have no capacity
    more_tags: Mapping[str, str] = field(default_factory=dict)  # of the instances
    existing_counts: Mapping[Pool, int] = field(default_factory=dict)  # by pool, before this create
    expiry: str = (
        ""  # the value of the nodes' tag; empty for none. From the template on, the one to launch with
    )

    @property
    def pool_counts(self) -> dict[Pool, int]:
        """The current number of nodes in each pool."""
        new = Counter(
            Pool(instance.type, instance.zone) for result in self.results for instance in result.launched
        )
        return dict(Counter(self.existing_counts) + new)


async def launch_region(
    calls: AwsCalls,
    spec: ClusterSpec,
    region_launch: RegionLaunch,
    *,
    count: int,
    cidrs: Sequence[str],
    secrets: NodeSecrets | None = None,
) -> None:
    """Create the region's missing resources and request `count` instances. Raises CloudError, Cancelled, UserError.

    May be called again for the same `region_launch`: created resources are reused.
    """
    if not region_launch.versions:
        make_versions = partial(_make_versions, calls, spec, region_launch)
        template_id = await prepare_region(
            calls, spec, region_launch, count=count, cidrs=cidrs, secrets=secrets, with_group=make_versions
        )
        count = max(0, count - sum(len(result.launched) for result in region_launch.results))
        if not region_launch.versions:
            await make_versions(template_id)
    if region_launch.max_per_pool is None:
        await _launch_fleets(calls, spec, region_launch, count=count)
    else:
        await _launch_batches(calls, spec, region_launch, count=count, most=region_launch.max_per_pool)


async def prepare_region(
    calls: AwsCalls,
    spec: ClusterSpec,
    region_launch: RegionLaunch,
    *,
    count: int,
    cidrs: Sequence[str],
    secrets: NodeSecrets | None = None,
    with_group: Callable[[str], Awaitable[None]] | None = None,
) -> str:
    """Create the missing template, profile and network; the template's id. Raises CloudError, Cancelled, UserError.

    Instances that another create launches meanwhile are among the results: it waits for `count` of them. `with_group` gets the
    template's id when the profile and the security group exist, while the rest of the network is created.
    """
    if region_launch.template_id is None:
        # The template comes first: its name is unique in the region, so one of two concurrent creates is refused before
        # it has created a network or launched anything.
        template_id = await _template(calls, spec, region_launch, count=count)
        group: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

        async def profile() -> None:
            region_launch.profile = await _profile(region_launch, secrets)
            if with_group is not None and await group:
                await with_group(template_id)

        await gather_all(_whole_network(calls, spec, region_launch, cidrs=cidrs, group=group), profile())
        region_launch.template_id = template_id
    return region_launch.template_id


async def _whole_network(
    calls: AwsCalls,
    spec: ClusterSpec,
    region_launch: RegionLaunch,
    *,
    cidrs: Sequence[str],
    group: asyncio.Future[bool],
) -> None:
    """The region's network. `group`: whether its security group exists, as soon as this is certain."""

    def group_known(group_id: str) -> None:
        region_launch.network = replace(region_launch.network, group_id=group_id)
        if not group.done():
            group.set_result(True)

    try:
        region_launch.network = await _network(
            calls, spec, region_launch, cidrs=cidrs, group_known=group_known
        )
    finally:
        if not group.done():
            group.set_result(False)


async def _launch_fleets(
    calls: AwsCalls, spec: ClusterSpec, region_launch: RegionLaunch, *, count: int
) -> None:
    """Fleets small enough for AWS to delete, one after the other; none after a fleet that fell short in all pools."""
    choices = _pool_choices(region_launch)
    while count > 0:
        batch = LaunchBatch(choices[0], min(count, MAX_FLEET_SIZE))
        result = await _launch_batch(calls, spec, region_launch, batch)
        count -= len(result.launched)
        if len(result.launched) < batch.count:
            choices = choices[1:]
            if not choices or not _others_may_help(result):
                return


async def _launch_batches(
    calls: AwsCalls, spec: ClusterSpec, region_launch: RegionLaunch, *, count: int, most: int
) -> None:
    """One fleet after the other, each small enough for any one pool: the next depends on AWS's choice for this one."""
    first, *later = map(set, _pool_choices(region_launch))
    open_pools = first
    while count > 0:
        batch = next_batch(count, headroom(open_pools, region_launch.pool_counts, most))
        if batch is None and later:
            open_pools = later.pop(0)
            continue
        if batch is None:
            reached = PoolError("", "", POOL_SHARE, f"no pool may hold more than {most} nodes")
            region_launch.results.append(FleetResult("", pool_errors=(reached,)))
            return
        result = await _launch_batch(calls, spec, region_launch, batch)
        count -= len(result.launched)
        if len(result.launched) < batch.count:
            # A pool that has refused is not used again; if AWS names none, no pool of the batch is.
            refused = {Pool(pool_error.type, pool_error.zone) for pool_error in result.pool_errors} & set(
                batch.pools
            )
            open_pools -= refused or set(batch.pools)


def _pools(region_launch: RegionLaunch) -> tuple[Pool, ...]:
    """Every pool with a subnet, ordered by name and not by price: a repeated request must be identical."""
    pools = (
        offer.pool
        for offer in region_launch.market.offers
        if offer.pool.zone in region_launch.network.subnets
    )
    return tuple(sorted(pools, key=lambda pool: (pool.zone, pool.type)))


def _pool_choices(region_launch: RegionLaunch) -> list[tuple[Pool, ...]]:
    """The pools to use first; then, if there are any, those that the launch avoids."""
    pools = _pools(region_launch)
    preferred = tuple(pool for pool in pools if pool not in region_launch.avoided)
    avoided = tuple(pool for pool in pools if pool in region_launch.avoided)
    return [choice for choice in (preferred, avoided) if choice] or [()]


def _others_may_help(result: FleetResult) -> bool:
    """Whether other pools may have the missing nodes: for lack of capacity, or of a price within the limit."""
    code = most_severe(pool_error.code for pool_error in result.pool_errors)
    return code is None or classify(code).category in {Category.CAPACITY, Category.PRICE}


async def _launch_batch(
    calls: AwsCalls, spec: ClusterSpec, region_launch: RegionLaunch, batch: LaunchBatch
) -> FleetResult:
    fleet = FleetLaunch(
        region=region_launch.region,
        naming=spec.naming,
        request=lambda attempt, period: _request(spec, region_launch, batch, attempt=attempt, period=period),
        known={
            *region_launch.known,
            *(instance.id for result in region_launch.results for instance in result.launched),
        },
        repeatable=not region_launch.template_is_new,
    )
    result = await request_fleet(calls, fleet)
    region_launch.results.append(result)
    refusals = tuple((pool_error.type, pool_error.zone, pool_error.code) for pool_error in result.pool_errors)
    calls.emit(
        events.FleetResponded(
            region=region_launch.region,
            fleet_id=result.fleet_id,
            requested=batch.count,
            launched=len(result.launched),
            refusals=refusals,
        )
    )
    return result


async def _profile(region_launch: RegionLaunch, secrets: NodeSecrets | None) -> str | None:
    if secrets is None:
        return None
    return (await secrets.ready(region_launch.region)).name


async def _template(calls: AwsCalls, spec: ClusterSpec, region_launch: RegionLaunch, *, count: int) -> str:
    """The cluster's template in the region, created if missing.

    Raises CloudError if its name is taken but not listed, UserError for a template of others.
    """
    name = template_name(spec.naming)
    look = partial(_named_template, calls, spec.naming, region_launch.region)
    known = (
        await look() if any(found.kind == ResourceKind.TEMPLATE for found in region_launch.tagged) else None
    )
    if known is not None:
        await _settle(calls, spec, region_launch, known)
        return await _with_expiry(calls, region_launch, known)
    try:
        template_id = await _new_template(calls, spec, region_launch, name=name)
    except CloudError as error:
        if error.code != _NAME_TAKEN:
            raise
        # Another create is in progress, or one was interrupted so recently that its template is not listed yet.
        known = await _until(
            calls, region_launch.region, look, lambda shown: shown is not None, wait_s=OTHER_CREATE_S
        )
        if known is None:
            raise
    else:
        region_launch.template_is_new = True
        return template_id
    await _count_others(calls, spec, region_launch, known, count=count)
    await _settle(calls, spec, region_launch, known)
    return await _with_expiry(calls, region_launch, known)


async def _named_template(calls: AwsCalls, naming: Naming, region: str) -> FoundTemplate | None:
    """A name alone proves nothing: a template has its tags from its creation on."""
    name = template_name(naming)
    found = await calls.read(region, partial(calls.cloud.template, region, name))
    if found is not None:
        check_owner(f"the launch template {name} in {region}", found.tags, naming)
    return found


async def _with_expiry(calls: AwsCalls, region_launch: RegionLaunch, known: FoundTemplate) -> str:
    """The template's id, once the expiry of this launch is the recorded one."""
    region_launch.expiry = await recorded_expiry(calls, region_launch.region, known, region_launch.expiry)
    return known.id


async def _new_template(calls: AwsCalls, spec: ClusterSpec, region_launch: RegionLaunch, *, name: str) -> str:
    template_id = await calls.write(
        region_launch.region,
        partial(
            calls.cloud.create_template,
            region_launch.region,
            name=name,
            client_token=calls.run_token(region_launch.region, name),
            tags={**tags_for(spec.naming, name), **expiry_tags(region_launch.expiry)},
        ),
    )
    calls.emit(
        events.ResourceCreated(region=region_launch.region, kind=ResourceKind.TEMPLATE, id=template_id)
    )
    return template_id


async def _until(
    calls: AwsCalls,
    region: str,
    look: Callable[[], Awaitable[T]],
    done: Callable[[T], bool],
    *,
    wait_s: float,
) -> T:
    """The result of `look` when `done`, or after `wait_s`: another create is in progress, or lists lag behind it."""
    deadline_s = calls.clock.monotonic_s() + wait_s
    attempt = 0
    while not done(shown := await look()) and calls.clock.monotonic_s() < deadline_s:
        attempt += 1
        calls.emit(
            events.Retrying(
                region=region,
                operation="CreateLaunchTemplate",
                code=_NAME_TAKEN,
                attempt=attempt,
                wait_s=_LOOK_PAUSE_S,
            )
        )
        await calls.pause(_LOOK_PAUSE_S)
    return shown


async def _settle(
    calls: AwsCalls, spec: ClusterSpec, region_launch: RegionLaunch, known: FoundTemplate
) -> None:
    """Wait for the network that follows the template in another create: otherwise a second network would be created.

    If the cluster has instances, its network exists already.
    """
    region, key, value = region_launch.region, spec.naming.tag_key, spec.naming.tag_value

    async def look() -> Network | None:
        if region_launch.vpc_id is not None:
            return region_launch.found
        seen = await calls.read(region, lambda: calls.cloud.network(region, key=key, value=value))
        return merge(region_launch.found, seen) if region_launch.found is not None else seen

    def done(network: Network | None) -> bool:
        return bool(region_launch.known) or (network is not None and network.group_id is not None)

    wait_s = SETTLED_S - known.age.total_seconds()
    found = await _until(calls, region, look, done, wait_s=wait_s)
    if region_launch.vpc_id is None and not region_launch.known and not _has_vpc(found):
        # A create that was killed may have made its VPC long after the template, and a moment ago.
        found = await _until(calls, region, look, _has_vpc, wait_s=LAG_S)
    region_launch.found = found


def _has_vpc(network: Network | None) -> bool:
    return network is not None and network.vpc_id is not None


async def _count_others(
    calls: AwsCalls, spec: ClusterSpec, region_launch: RegionLaunch, known: FoundTemplate, *, count: int
) -> None:
    """Instances launched by another create count as launched: the cluster is the same. Waits until it has launched
    `count`, or its template is so old that it never will.
    """
    region, key, value = region_launch.region, spec.naming.tag_key, spec.naming.tag_value

    async def look() -> tuple[LaunchedInstance, ...]:
        instances = await calls.read(region, lambda: calls.cloud.instances(region, key=key, value=value))
        return launched_of(instance for instance in instances if instance.id not in region_launch.known)

    def done(others: tuple[LaunchedInstance, ...]) -> bool:
        return bool(region_launch.known) or len(others) >= count

    others = await _until(calls, region, look, done, wait_s=OTHER_CREATE_S - known.age.total_seconds())
    if others:
        region_launch.results.append(FleetResult("", launched=others))


async def _network(
    calls: AwsCalls,
    spec: ClusterSpec,
    region_launch: RegionLaunch,
    *,
    cidrs: Sequence[str],
    group_known: Callable[[str], None],
) -> Network:
    key, value = spec.naming.tag_key, spec.naming.tag_value
    zones = region_launch.market.zones
    start = Network()
    if region_launch.vpc_id is not None:
        vpc_id = region_launch.vpc_id
        start = await calls.read(
            region_launch.region,
            lambda: calls.cloud.foreign_group(region_launch.region, vpc_id, key=key, value=value),
        )
        start = replace(start, subnets=region_launch.subnets)
        zones = tuple(zone for zone in zones if zone in start.subnets)
    elif region_launch.found is not None:
        start = region_launch.found
    elif any(found.kind in _NETWORK_KINDS for found in region_launch.tagged):
        start = await calls.read(
            region_launch.region, lambda: calls.cloud.network(region_launch.region, key=key, value=value)
        )
    builder = NetworkBuilder(
        calls,
        region_launch.region,
        spec.naming,
        cidrs=cidrs,
        own=region_launch.vpc_id is None,
        group_known=group_known,
    )
    network = await builder.complete(start, zones=zones)
    closed = tuple(
        PoolError("", zone, error.code, error.message) for zone, error in builder.closed_zones.items()
    )
    if closed:
        region_launch.results.append(FleetResult("", pool_errors=closed))
    return network


async def _make_versions(
    calls: AwsCalls, spec: ClusterSpec, region_launch: RegionLaunch, template_id: str
) -> None:
    """One for burstable types and one for the others: AWS accepts CPU credits only for T instances."""
    versions = {}
    for for_burstable in sorted({burstable(offer.pool.type) for offer in region_launch.market.offers}):
        content = template_content(spec, region_launch, with_credits=for_burstable)
        versions[for_burstable] = await template_version(
            calls, region_launch.region, template_id, content=content
        )
    region_launch.versions = versions


async def template_version(
    calls: AwsCalls, region: str, template_id: str, *, content: TemplateContent
) -> int:
    """The number of the version with this content. Raises CloudError, Cancelled."""
    return await calls.write(
        region,
        partial(
            calls.cloud.create_template_version,
            region,
            template_id,
            content=content,
            client_token=_token("version", template_id, repr(content)),
        ),
    )


def template_content(
    spec: ClusterSpec,
    region_launch: RegionLaunch,
    *,
    with_credits: bool,
    image_id: str = "",
    tags: Mapping[str, str] | None = None,
) -> TemplateContent:
    """The content for a fleet, whose request has image and tags of the instances; a group's template has both itself."""
    images = list(region_launch.market.images.values())
    return TemplateContent(
        user_data=region_launch.user_data,
        group_id=region_launch.network.group_id or "",
        root_device=images[0].root_device,
        root_volume_gib=spec.instance.root_volume_gib,
        tags=tags_for(spec.naming, node_name(spec.naming, region_launch.region)),
        profile=region_launch.profile,
        public_ip=spec.instance.public_ip,
        cpu_credits=spec.instance.cpu_credits.value if with_credits else "",
        metadata_tags=not metadata_key_problems(spec.naming),
        image_id=image_id,
        node_tags=tags,
    )


def _request(
    spec: ClusterSpec, region_launch: RegionLaunch, batch: LaunchBatch, *, attempt: int, period: str
) -> FleetRequest:
    if region_launch.template_id is None:
        raise AssertionError("a fleet needs its template")
    archs = {offer.pool: offer.arch for offer in region_launch.market.offers}
    pools = tuple(
        FleetPool(
            type=pool.type,
            zone=pool.zone,
            subnet_id=region_launch.network.subnets[pool.zone],
            image_id=region_launch.market.images[archs[pool]].id,
            template_version=region_launch.versions[burstable(pool.type)],
            max_usd_per_hour=spec.max_price_usd_per_hour,
        )
        for pool in batch.pools
    )
    return FleetRequest(
        template_id=region_launch.template_id,
        pools=pools,
        count=batch.count,
        client_token=_token(
            *(
                "fleet",
                region_launch.region,
                region_launch.template_id,
                *_idempotency_context(region_launch),
                str(batch.count),
            ),
            *([f"attempt {attempt}"] if attempt > 1 else []),
            *filter(None, [period]),
        ),
        fleet_tags=tags_for(spec.naming, f"{spec.naming.resource_prefix}fleet"),
        instance_tags={
            **node_tags(
                spec.naming,
                region=region_launch.region,
                node_spec=node_spec_tag(spec, region=region_launch.region),
                expiry=region_launch.expiry,
            ),
            **region_launch.more_tags,
        },
    )


def _idempotency_context(region_launch: RegionLaunch) -> tuple[str, ...]:
    """Distinguishes this launch of the cluster from the next: the fleets and instances that existed before it.

    After a create that was killed before its launch was listed, the context is the same, and AWS answers with the same
    fleet. Instances carry the id of their fleet, which the tag index may not list yet. Of several fleets in one launch,
    the later ones include the earlier with their instances, as the next create would.
    """
    tagged = (
        row.id for row in region_launch.tagged if row.kind in {ResourceKind.FLEET, ResourceKind.INSTANCE}
    )
    before = {*region_launch.known, *region_launch.known_fleets, *tagged}
    since = [result.fleet_id for result in region_launch.results if result.fleet_id]
    return tuple(
        sorted(
            {
                *before,
                *since,
                *(instance.id for result in region_launch.results for instance in result.launched),
            }
        )
    )


def _token(*parts: str) -> str:
    """A client token: at most 64 characters (EC2 API reference, "Ensuring idempotency")."""
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()
