"""Executes the launches of a plan: in all regions in parallel; moves nodes that a region refuses; follows every instance."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING

from bacalhau_spot.cloud.cloud_error import CloudError
from bacalhau_spot.cloud.port import FleetResult
from bacalhau_spot.core.error_catalog.classifier import Category, Recovery, classify, most_severe
from bacalhau_spot.core.launch import events
from bacalhau_spot.core.launch.create_result import CreateResult, PoolFailure, RegionResult
from bacalhau_spot.core.launch.group_plan import GroupPlan
from bacalhau_spot.core.launch.planner import region_avoidance
from bacalhau_spot.core.launch.pool_limits import max_per_pool, nodes_per_pool
from bacalhau_spot.core.launch.refusals import unsuitable_markets
from bacalhau_spot.core.lifecycle.drain_result import without_draining
from bacalhau_spot.core.model import Market, Spread
from bacalhau_spot.core.placement.demand import spread_over
from bacalhau_spot.core.placement.pool_distribution import pool_distribution
from bacalhau_spot.core.pricing.estimate import affordable, estimate_nodes
from bacalhau_spot.core.problem import ApiFailure
from bacalhau_spot.engine.aws_calls.caller import Cancelled, api_failure
from bacalhau_spot.engine.aws_calls.consistency import FLEET_TAG
from bacalhau_spot.engine.launch.fleet import launched_of
from bacalhau_spot.engine.launch.node_secrets import NodeSecrets, node_secrets
from bacalhau_spot.engine.launch.region_launch import RegionLaunch, launch_region
from bacalhau_spot.engine.launch.wait_running import close_requests, wait_until_running
from bacalhau_spot.engine.lifecycle.expiry_tags import holders_of_expiry, write_expiry, write_in_region
from bacalhau_spot.engine.network.network_egress import checked_networks, network_facts
from bacalhau_spot.engine.placement.market import markets
from bacalhau_spot.engine.scaling_group.dissolve import dissolve
from bacalhau_spot.errors import UserError
from bacalhau_spot.instance.user_data import render

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence

    from bacalhau_spot.core.launch.facts import LaunchFacts
    from bacalhau_spot.core.launch.network_egress import NetworkCheck
    from bacalhau_spot.core.launch.plan import Plan
    from bacalhau_spot.core.model import ClusterSpec, Instance, Network, Pool, TaggedId
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls

_NO_TAGS: Mapping[str, str] = MappingProxyType({})
# Less time does not suffice to see whether AWS launches or refuses the nodes of a group.
_LEAST_ROUND_S = 10.0
# Refusals after which another region may have better results.
_OTHER_REGIONS_HELP = frozenset({Category.CAPACITY, Category.QUOTA, Category.PRICE})


@dataclass
class _Work:
    """The state of a running create. Each region uses only its own entries, except for moves between regions."""

    calls: AwsCalls
    facts: LaunchFacts
    plan: Plan
    markets: dict[str, Market]
    networks: dict[str, NetworkCheck]
    created_networks: Mapping[str, Network]
    more_tags: Mapping[str, str]
    sites: dict[str, RegionLaunch] = field(default_factory=dict)
    extra: dict[str, int] = field(default_factory=dict)
    reassigned: dict[str, int] = field(default_factory=dict)
    problems: dict[str, ApiFailure] = field(default_factory=dict)
    instances: dict[str, tuple[Instance, ...]] = field(default_factory=dict)
    secrets: NodeSecrets | None = None
    moved_usd: Decimal = Decimal(0)  # the cost an hour that moves between regions add to the plan's
    totals: dict[str, int] = field(default_factory=dict)  # by region, the nodes that its group is to have
    deadline_s: float = 0.0  # of AWS's launches by groups, monotonic

    @property
    def spec(self) -> ClusterSpec:
        return self.facts.spec


async def apply_plan(
    calls: AwsCalls,
    facts: LaunchFacts,
    plan: Plan,
    *,
    wait: bool = True,
    created_networks: Mapping[str, Network] | None = None,
    more_tags: Mapping[str, str] = _NO_TAGS,
    ended: Collection[str] = (),
) -> CreateResult:
    """Launch the nodes of the plan. Never raises for a refusal by AWS: the result contains it, region by region.

    Without `wait` each instance is listed once; those not yet running are reported as such. `created_networks`: by region,
    networks created after the facts were gathered. `more_tags`: of the launched instances. `ended`: ids of instances that have
    ended since then. The nodes to remove are left to `create_nodes` (surplus_drain.py).
    """
    work = _Work(
        calls=calls,
        facts=facts,
        plan=plan,
        markets=dict(facts.markets or {}),
        networks=dict(facts.networks or {}),
        created_networks=created_networks or {},
        more_tags=more_tags,
        secrets=node_secrets(calls, facts),
        totals=_group_sizes(plan),
        deadline_s=calls.clock.monotonic_s() + facts.spec.timeouts.fulfilment_s,
    )
    await _move_expiry(work, ended)
    await _dissolve_groups(work)
    await _launch_rounds(work)
    await _complete_expiry(work)
    await _follow_all(work, timeout_s=facts.spec.timeouts.fulfilment_s if wait else 0)
    regions = dict.fromkeys((*(region.region for region in plan.regions), *work.problems))
    return CreateResult(
        cluster=facts.spec.name,
        wanted=plan.wanted,
        existing=plan.existing,
        regions=tuple(_region_receipt(work, region) for region in regions),
        resources_created=tuple(sorted(Counter(made.kind for made in calls.made).items())),
        interrupted=calls.stop.by_user,
        waited=wait,
        pools=pool_distribution(_all_instances(work)),
    )


def _group_sizes(plan: Plan) -> dict[str, int]:
    return {group.region: group.desired for group in plan.groups if group.heals}


def _all_instances(work: _Work) -> list[Instance]:
    """The cluster's instances, existing and launched, as last listed; without those that the plan removes."""
    gone = {instance.id for instance in work.plan.remove}
    known = {instance.id: instance for instance in work.facts.instances if instance.id not in gone}
    known |= {instance.id: instance for instances in work.instances.values() for instance in instances}
    return list(known.values())


async def _move_expiry(work: _Work, ended: Collection[str]) -> None:
    """The plan's expiry for the existing instances and groups. Before the launch: the old one may be near."""
    planned = work.plan.expiry
    if planned is None or not planned.changes:
        return
    holders = holders_of_expiry(
        (instance for instance in planned.retag if instance.id not in ended),
        _templates(work),
        groups=planned.groups,
    )
    naming = work.spec.naming
    await asyncio.gather(
        *(
            _contained(work, region, partial(write_in_region, work.calls, naming, planned, region, ids))
            for region, ids in holders.items()
        )
    )


async def _complete_expiry(work: _Work) -> None:
    """The plan's expiry for nodes that repeat the launch of a killed create, with the expiry of that one."""
    value = work.plan.expiry.value if work.plan.expiry else ""
    holders = {
        region: (*ids, work.sites[region].template_id or "")
        for region in work.sites
        if (ids := _launched_otherwise(work, region, value))
    }
    await asyncio.gather(
        *(
            _contained(work, region, partial(write_expiry, work.calls, region, ids, value))
            for region, ids in holders.items()
        )
    )


def _launched_otherwise(work: _Work, region: str, value: str) -> list[str]:
    """The region's new instances with another expiry."""
    site = work.sites[region]
    if site.expiry == value or site.template_id is None:
        return []
    return [launched.id for result in site.results for launched in result.launched]


def _templates(work: _Work) -> Mapping[str, tuple[TaggedId, ...]]:
    return work.facts.inventory.tagged if work.facts.inventory else {}


async def _dissolve_groups(work: _Work) -> None:
    """Of a cluster that is no longer self-healing. Nodes that a group has launched since the plan count as launched."""

    async def part(region: str) -> None:
        await dissolve(work.calls, work.spec.naming, region, deadline_s=work.deadline_s)
        key, value = work.spec.naming.tag_key, work.spec.naming.tag_value
        listed = await work.calls.read(
            region, lambda: work.calls.cloud.instances(region, key=key, value=value)
        )
        known = {instance.id for instance in work.facts.instances}
        late = launched_of(instance for instance in listed if instance.id not in known)
        if late and region in work.markets:
            _region_launch(work, region).results.append(FleetResult("", launched=late))

    regions = [group.region for group in work.plan.groups if not group.heals]
    await asyncio.gather(*(_contained(work, region, partial(part, region)) for region in regions))


async def _contained(work: _Work, region: str, part: Callable[[], Awaitable[object]]) -> bool:
    """The boundary of a region: a failure in one is in its result and does not stop the others."""
    try:
        await part()
    except CloudError as error:
        _failed(work, region, api_failure(error))
    except Cancelled:
        pass
    except UserError as error:
        _failed(
            work, region, ApiFailure(code="Configuration", message=error.what, operation="", region=region)
        )
    except Exception as error:  # noqa: BLE001 - the boundary of a region: our own mistake here must not lose the others' receipts
        _failed(work, region, work.calls.internal_error(error, region=region))
    else:
        return True
    return False


def _failed(work: _Work, region: str, failure: ApiFailure) -> None:
    work.problems[region] = failure
    work.calls.emit(
        events.RegionFailed(
            region=region, operation=failure.operation, code=failure.code, message=failure.message
        )
    )
    if classify(failure.code).recovery is Recovery.STOP:
        # Every other call would be refused too: start nothing more in any region.
        work.calls.stop.set(by_user=False)


async def _launch_rounds(work: _Work) -> None:
    """Launch in all regions in parallel; move refused nodes to regions that have not refused, until none is left."""
    todo = {region.region: region.launch for region in work.plan.regions if region.launch}
    todo = {region: count - _launched_before(work, region) for region, count in todo.items()}
    todo = {region: count for region, count in todo.items() if count > 0}
    todo |= {group.region: todo.get(group.region, 0) for group in work.plan.group_changes if group.heals}
    refused: set[str] = set()
    while todo and not work.calls.stop.is_set:
        short = await _launch_round(work, todo)
        refused |= set(short) | set(work.problems)
        todo = await _move(work, short, refused)


def _launched_before(work: _Work, region: str) -> int:
    """By a group that was dissolved."""
    site = work.sites.get(region)
    return sum(len(result.launched) for result in site.results) if site else 0


async def _launch_round(work: _Work, todo: dict[str, int]) -> dict[str, int]:
    """The number of nodes that each region refused, for regions whose nodes may move."""
    if work.spec.self_heal:
        known = await _launchable(work, list(todo))
        todo = {region: todo[region] for region in known}

    async def launch(region: str) -> int:
        count = todo[region]
        work.calls.emit(events.RegionStarted(region=region, requested=count))
        site = _region_launch(work, region)
        before = len(site.results)
        await _contained(work, region, lambda: _launch(work, site, count=count))
        launched = sum(len(result.launched) for result in site.results[before:])
        return max(0, count - launched)

    missing = await asyncio.gather(*(launch(region) for region in todo))
    return {
        region: count
        for region, count in zip(todo, missing, strict=True)
        if count and _may_move(work, region)
    }


async def _launch(work: _Work, site: RegionLaunch, *, count: int) -> None:
    cidrs = work.facts.ssh_ranges
    if not work.spec.self_heal:
        await launch_region(work.calls, work.spec, site, count=count, cidrs=cidrs, secrets=work.secrets)
        return
    from bacalhau_spot.engine.launch.group_launch import GroupTarget, launch_in_group  # noqa: PLC0415 - self_heal alone

    plans = {group.region: group for group in work.plan.groups}
    target = GroupTarget(
        plans.get(site.region, GroupPlan(site.region)),
        total=_total(work, site.region),
        launch=count,
        expiry=work.plan.expiry.value if work.plan.expiry else "",
    )
    await launch_in_group(
        work.calls,
        work.spec,
        site,
        target,
        cidrs=cidrs,
        deadline_s=_round_deadline_s(work),
        secrets=work.secrets,
    )


def _round_deadline_s(work: _Work) -> float:
    """Half of the time that is left, where other regions may still take the nodes."""
    left_s = work.deadline_s - work.calls.clock.monotonic_s()
    if work.spec.spread is Spread.STRICT or len(work.spec.regions) == 1:
        return work.deadline_s
    return work.deadline_s - max(0.0, left_s) / 2


def _total(work: _Work, region: str) -> int:
    """The nodes that the region's group is to have: as planned, and as moved since."""
    return work.totals.setdefault(
        region, sum(instance.alive for instance in without_draining(_not_moved(work, region)))
    )


def _region_launch(work: _Work, region: str) -> RegionLaunch:
    if region not in work.sites:
        named = {region.name: region for region in work.spec.regions}
        before = [instance for instance in work.facts.instances if instance.region == region]
        work.sites[region] = RegionLaunch(
            region=region,
            market=work.markets[region],
            tagged=_tagged(work.facts, region),
            found=work.created_networks.get(region),
            known=frozenset(instance.id for instance in before),
            known_fleets=frozenset(filter(None, (instance.tags.get(FLEET_TAG) for instance in before))),
            vpc_id=named[region].vpc_id,
            subnets=work.networks[region].subnets if region in work.networks else {},
            user_data=render(work.spec, region=region),
            max_per_pool=max_per_pool(work.spec),
            more_tags=work.more_tags,
            existing_counts=nodes_per_pool(_not_moved(work, region)),
            avoided=_avoided(work, region),
            expiry=work.plan.expiry.value if work.plan.expiry else "",
        )
    return work.sites[region]


def _avoided(work: _Work, region: str) -> frozenset[Pool]:
    """As planned. A region that launches only the nodes of others decides in the same way."""
    avoidance = work.plan.avoidances.get(region) or region_avoidance(
        replace(work.facts, markets=work.markets), region, launch=work.extra.get(region, 0)
    )
    return frozenset(found.pool for found in avoidance.avoided)


def _tagged(facts: LaunchFacts, region: str) -> tuple[TaggedId, ...]:
    """Without the orchestrator's instances: they do not distinguish one launch of nodes from the next."""
    listed = facts.inventory.tagged.get(region, ()) if facts.inventory else ()
    return tuple(row for row in listed if row.id not in facts.orchestrator_instances)


def _not_moved(work: _Work, region: str) -> list[Instance]:
    """The region's existing instances, without those that the plan removes."""
    going = {instance.id for instance in work.plan.remove}
    return [
        instance
        for instance in work.facts.instances
        if instance.region == region and instance.id not in going
    ]


def _may_move(work: _Work, region: str) -> bool:
    """Whether another region may accept the missing nodes. Configuration and permission errors apply everywhere."""
    if work.spec.spread is Spread.STRICT:
        return False
    codes = [pool_error.code for result in work.sites[region].results for pool_error in result.pool_errors]
    if region in work.problems:
        codes.append(work.problems[region].code)
    code = most_severe(codes)
    return code is None or classify(code).category in _OTHER_REGIONS_HELP


async def _move(work: _Work, short: dict[str, int], refused: set[str]) -> dict[str, int]:
    """Distribute the missing nodes over the regions that have not refused yet."""
    takers = [region.name for region in work.spec.regions if region.name not in refused]
    if not short or not takers or work.calls.stop.is_set:
        return {}
    takers = await _launchable(work, takers)
    if work.spec.self_heal:
        short = await _give_up(work, short) if takers and _has_time(work) else {}
    dealt = _dealt(work, short, takers)
    for name, count in dealt.items():
        work.extra[name] = work.extra.get(name, 0) + count
        work.totals[name] = _total(work, name) + count
    _report_moves(work, short, dealt)
    return dealt


def _dealt(work: _Work, short: dict[str, int], takers: Sequence[str]) -> dict[str, int]:
    """The missing nodes over the takers; with a budget, as many as it allows: another region may be dearer."""
    total = sum(short.values())
    budget = work.plan.budget
    if budget is None or budget.total_usd is None:
        return spread_over(total, dict.fromkeys(takers, total))
    usd = {name: _most_usd(work, name) for name in {*takers, *short}}
    # What AWS refused is not paid.
    refused_usd = sum((usd[name] or Decimal(0)) * count for name, count in short.items())
    left_usd = budget.usd_per_hour - budget.total_usd - work.moved_usd + refused_usd
    prices = {name: price for name in takers if (price := usd[name]) is not None}
    names, count = affordable(prices, left_usd=left_usd, most=total)
    dealt = spread_over(count, dict.fromkeys(names, count))
    work.moved_usd += sum((prices[name] * taken for name, taken in dealt.items()), -refused_usd)
    return dealt


def _most_usd(work: _Work, region: str) -> Decimal | None:
    """The highest cost of one node there, an hour; None if unknown."""
    found = estimate_nodes(work.spec, region, 1, work.markets[region].offers, work.facts.rates).total
    return None if found is None else found.high


def _has_time(work: _Work) -> bool:
    """Otherwise AWS goes on trying where the nodes are."""
    return work.calls.clock.monotonic_s() + _LEAST_ROUND_S <= work.deadline_s


async def _give_up(work: _Work, short: dict[str, int]) -> dict[str, int]:
    """The nodes that the groups of these regions no longer ask for: the groups together never ask for more than the plan."""
    from bacalhau_spot.engine.launch.group_launch import give_up  # noqa: PLC0415 - self_heal alone

    freed: dict[str, int] = {}

    async def part(region: str) -> None:
        total = _total(work, region)
        number = await give_up(work.calls, work.spec, region, total=total)
        work.totals[region] = total - number
        freed[region] = number

    await asyncio.gather(*(_contained(work, region, partial(part, region)) for region in short))
    return {region: freed[region] for region in short if freed.get(region)}


async def _launchable(work: _Work, regions: Sequence[str]) -> list[str]:
    """Those with a market and a suitable network. Both are fetched for regions that had no nodes to launch."""
    unknown = [name for name in regions if name not in work.markets]
    await asyncio.gather(*(_contained(work, name, partial(_gather_region, work, name)) for name in unknown))
    return [name for name in regions if name in work.markets]


async def _gather_region(work: _Work, region: str) -> None:
    """Add the facts of one more region, unless they prevent a launch."""
    gathered, found = await asyncio.gather(
        markets(work.calls, work.spec, regions=[region]),
        network_facts(work.calls, work.spec, regions=[region]),
    )
    networks = checked_networks(work.spec, found, gathered)
    if unsuitable_markets(work.spec, gathered.values()) is None and networks[region].problem is None:
        work.markets.update(gathered)
        work.networks.update(networks)


def _report_moves(work: _Work, short: dict[str, int], dealt: dict[str, int]) -> None:
    """Report the source and destination of moved nodes, in the order of the regions."""
    rooms = dict(dealt)
    for region, count in short.items():
        if not rooms:
            return
        to: dict[str, int] = {}
        left = count
        for name in list(rooms):
            taken = min(left, rooms[name])
            if taken:
                to[name] = taken
            left -= taken
            rooms[name] -= taken
            if rooms[name] == 0:
                del rooms[name]
        moved = count - left
        if moved:
            work.reassigned[region] = work.reassigned.get(region, 0) + moved
            code = most_severe(_codes(work, region)) or "UnfulfillableCapacity"
            work.calls.emit(
                events.NodesReassigned(region=region, count=moved, to=tuple(to.items()), code=code)
            )


def _codes(work: _Work, region: str) -> list[str]:
    codes = [pool_error.code for result in work.sites[region].results for pool_error in result.pool_errors]
    return codes + ([work.problems[region].code] if region in work.problems else [])


async def _follow_all(work: _Work, *, timeout_s: int) -> None:
    deadline_s = work.calls.clock.monotonic_s() + timeout_s

    async def follow(region: str, site: RegionLaunch) -> None:
        ids = [launched.id for result in site.results for launched in result.launched]
        if ids:
            work.instances[region] = await wait_until_running(
                work.calls, work.spec.naming, region=region, ids=ids, deadline_s=deadline_s
            )
        if not work.spec.self_heal and len(work.instances.get(region, ())) < sum(
            len(result.launched) for result in site.results
        ):
            await close_requests(work.calls, work.spec.naming, region=region)

    await asyncio.gather(
        *(_contained(work, region, partial(follow, region, site)) for region, site in work.sites.items())
    )


def _region_receipt(work: _Work, region: str) -> RegionResult:
    launch = next(
        (region_plan.launch for region_plan in work.plan.regions if region_plan.region == region), 0
    )
    site = work.sites.get(region)
    results = site.results if site else []
    return RegionResult(
        region=region,
        requested=launch,
        extra=work.extra.get(region, 0),
        reassigned=work.reassigned.get(region, 0),
        launched=tuple(launched.id for result in results for launched in result.launched),
        instances=work.instances.get(region, ()),
        pool_failures=tuple(
            PoolFailure(
                type=pool_error.type, zone=pool_error.zone, code=pool_error.code, message=pool_error.message
            )
            for result in results
            for pool_error in result.pool_errors
        ),
        problem=work.problems.get(region) or _not_allowed(region, results),
        group_desired=work.totals.get(region) if work.spec.self_heal else None,
    )


def _not_allowed(region: str, results: Sequence[FleetResult]) -> ApiFailure | None:
    """The permission error in a fleet's answer, also among capacity errors; another pool or region would not help."""
    pool_errors = [pool_error for result in results for pool_error in result.pool_errors]
    code = most_severe(refusal.code for refusal in pool_errors)
    if code is None or classify(code).category not in {Category.CREDENTIALS, Category.PERMISSION}:
        return None
    pool_error = next(pool_error for pool_error in pool_errors if pool_error.code == code)
    return ApiFailure(code=code, message=pool_error.message, operation="CreateFleet", region=region)
