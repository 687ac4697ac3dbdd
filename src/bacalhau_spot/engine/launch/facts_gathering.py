"""The facts of a launch, gathered once, before anything is changed. `core/launch/planner.py` decides by them.

Each stage makes its calls to AWS in parallel and builds on the stages before it. The reasons to refuse are checked
after each stage. The last stage asks for everything else at once: what one call answers does not decide about another.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

from bacalhau_spot.cloud.cloud_error import CloudError
from bacalhau_spot.core.history.interruptions import interrupted_pools
from bacalhau_spot.core.history.node_records import node_records
from bacalhau_spot.core.launch.facts import LaunchFacts
from bacalhau_spot.core.launch.group_plan import is_outdated
from bacalhau_spot.core.launch.pool_avoidance import AVOIDED_FOR
from bacalhau_spot.core.launch.refusals import Refusal, refusal
from bacalhau_spot.core.model import CALLER, OrchestratorMode
from bacalhau_spot.core.placement.demand import nodes_by_region
from bacalhau_spot.core.pricing.usage_history import AwsInventory
from bacalhau_spot.engine.aws_calls.cache import NullCache
from bacalhau_spot.engine.aws_calls.caller import most_severe_error
from bacalhau_spot.engine.aws_calls.discovery import cluster_inventory, load_account
from bacalhau_spot.engine.launch.archive_checksums import ArchiveSource, with_sums
from bacalhau_spot.engine.network.network_egress import checked_networks, network_facts
from bacalhau_spot.engine.placement.market import markets_of, wanted_types
from bacalhau_spot.engine.pricing.heard_prices import remember_prices
from bacalhau_spot.engine.pricing.prices import prices_now, rates
from bacalhau_spot.engine.scaling_group.groups import group_regions, refused_groups, scaling_groups
from bacalhau_spot.errors import UserError
from bacalhau_spot.instance.user_data import render

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence

    from bacalhau_spot.core.model import BacalhauSpec, ClusterSpec, Identity, Market
    from bacalhau_spot.core.orchestrator.managed_plan import OrchestratorPlan
    from bacalhau_spot.core.orchestrator.managed_state import OrchestratorState
    from bacalhau_spot.core.orchestrator.nats_check import NatsCheck
    from bacalhau_spot.core.pricing.cost import Rates
    from bacalhau_spot.core.pricing.list_prices import Prices
    from bacalhau_spot.core.pricing.usage_history import LoggedInstance
    from bacalhau_spot.core.problem import ApiFailure
    from bacalhau_spot.engine.aws_calls.cache import Cache
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls
    from bacalhau_spot.engine.network.network_egress import NetworkFacts

T = TypeVar("T")


async def _no_address() -> str | None:
    return None


async def _no_checks(_bacalhau: BacalhauSpec) -> tuple[NatsCheck, ...]:
    return ()


@dataclass(frozen=True, slots=True)
class FactSources:
    """Sources of facts besides AWS.

    `caller_address`: this machine's public address, fetched only for `ssh_cidrs: caller`; None if it cannot be
    determined. `nats_checks`: connections to each orchestrator address, as a node makes them. `launched_in`: regions in
    which this machine has launched nodes of the cluster that have no recorded termination. `logged`: this machine's records
    of the cluster's instances.
    """

    archive: ArchiveSource
    caller_address: Callable[[], Awaitable[str | None]] = _no_address
    nats_checks: Callable[[BacalhauSpec], Awaitable[tuple[NatsCheck, ...]]] = _no_checks
    launched_in: Callable[[Identity], Collection[str]] = lambda _: ()
    logged: Callable[[Identity], Sequence[LoggedInstance]] = lambda _: ()
    cache: Cache = field(default_factory=NullCache)


async def gather_facts(calls: AwsCalls, spec: ClusterSpec, sources: FactSources) -> LaunchFacts:
    """Read-only. Raises CloudError for a call that every plan needs, UserError for an invalid configuration."""
    account = await load_account(calls)
    launched_in = () if spec.auto_regions is None else sources.launched_in(account.identity)
    facts = LaunchFacts(spec=spec, account=account, launched_in=launched_in, now=calls.clock.now())
    for stage in (_inventory, _regions, _shared, _groups, _launch):
        if refusal(facts) is not None:
            break
        facts = await stage(calls, facts, sources)
    return facts


def refusal_error(refused: Refusal) -> CloudError | UserError:
    """The refusal as an exception to raise."""
    if refused.failure is not None:
        return most_severe_error([refused.failure])
    return UserError(
        refused.what,
        why=refused.why,
        hint=refused.hint,
        details=refused.details,
        docs=refused.docs,
        exit_code=refused.exit_code,
    )


def _configured(spec: ClusterSpec) -> frozenset[str] | None:
    """The regions that may get nodes or the orchestrator; None for all."""
    if spec.auto_regions is not None:
        return None
    return frozenset(filter(None, (*(region.name for region in spec.regions), spec.planned_home)))


async def _inventory(calls: AwsCalls, facts: LaunchFacts, sources: FactSources) -> LaunchFacts:
    async def address() -> str | None:
        return await sources.caller_address() if CALLER in facts.spec.ssh_cidrs else None

    inventory, caller_address, nats_checks = await asyncio.gather(
        cluster_inventory(
            calls,
            facts.spec.naming,
            regions=facts.account.enabled_regions,
            configured=_configured(facts.spec),
        ),
        address(),
        sources.nats_checks(facts.spec.bacalhau),
    )
    now = calls.clock.now()
    records = node_records(
        AwsInventory(instances=inventory.instances), sources.logged(facts.account.identity), now=now
    )
    return replace(
        facts,
        inventory=inventory,
        interrupted_pools=interrupted_pools(records, now=now, within=AVOIDED_FOR),
        caller_address=caller_address,
        nats_checks=nats_checks,
    )


async def _shared(calls: AwsCalls, facts: LaunchFacts, sources: FactSources) -> LaunchFacts:
    """Another cluster's orchestrator, tested with its own address and token."""
    if facts.spec.orchestrator.mode is not OrchestratorMode.SHARED:
        return facts
    from bacalhau_spot.engine.orchestrator.managed_facts import shared_state  # noqa: PLC0415 - for this mode alone

    spec, shared = await shared_state(calls, facts.spec)
    checks = await sources.nats_checks(spec.bacalhau)
    return replace(facts, spec=spec, orchestrator=shared, nats_checks=checks)


async def _regions(calls: AwsCalls, facts: LaunchFacts, sources: FactSources) -> LaunchFacts:
    """Chooses the regions for `auto`."""
    if facts.spec.auto_regions is None or facts.inventory is None:
        return facts
    from bacalhau_spot.engine.placement.region_selection import choose_regions, with_regions  # noqa: PLC0415 - `auto` alone

    tagged = facts.inventory.tagged
    decisions, notes = await choose_regions(
        calls,
        facts.spec,
        reachable=[name for name in facts.account.enabled_regions if name in tagged],
        present={instance.region for instance in facts.instances if instance.alive},
        identity=facts.account.identity,
        cache=sources.cache,
    )
    return replace(facts, spec=with_regions(facts.spec, decisions), decisions=decisions, notes=notes)


async def _groups(calls: AwsCalls, facts: LaunchFacts, sources: FactSources) -> LaunchFacts:
    """Auto Scaling groups, where the configuration or an instance shows that there may be one."""
    del sources
    regions = group_regions(facts.spec, facts.instances)
    groups = await scaling_groups(calls, facts.spec.naming, regions=regions)
    return replace(facts, groups=groups, refused_groups=await refused_groups(calls, groups, facts.instances))


def _new_groups(facts: LaunchFacts) -> set[str]:
    """The regions whose group is created or changed; with a budget all, because a group may launch in any pool."""
    if not facts.spec.self_heal:
        return set()
    wanted = {region for region, number in nodes_by_region(facts.spec).items() if number}
    wanted |= {instance.region for instance in facts.instances if instance.alive}
    if facts.spec.budget_usd_per_hour is not None:
        return wanted
    groups = facts.groups
    return {name for name in wanted if name not in groups or is_outdated(facts.spec, groups[name])}


@dataclass(frozen=True, slots=True)
class _Answers:
    """What AWS returned, or raised: a refusal by an earlier one comes before an error of a later one."""

    markets: dict[str, Market] | BaseException
    networks: dict[str, NetworkFacts] | BaseException
    orchestrator: OrchestratorState | BaseException | None
    rates: _Rates | BaseException


@dataclass(frozen=True, slots=True)
class _Rates:
    """List prices. `regions`, `types`: those that AWS was asked for."""

    regions: frozenset[str]
    types: frozenset[str]
    found: Rates
    failures: tuple[ApiFailure, ...]


async def _launch(calls: AwsCalls, facts: LaunchFacts, sources: FactSources) -> LaunchFacts:
    """Pools, prices, images and networks of the regions with nodes to launch, and the managed orchestrator."""
    _check_user_data(facts.spec, [region.name for region in facts.spec.regions][:1])  # the others are as long
    answers = await _ask(calls, facts, _launching(facts), sources.cache)
    if isinstance(answers.markets, dict):
        remember_prices(sources.cache, facts.account.identity.account_id, _heard(answers.markets))
    for add in (_add_markets, _add_networks, _add_orchestrator):
        facts = add(facts, answers)
        if refusal(facts) is not None:
            return facts
    return await _with_prices(calls, facts, sources, known=_returned(answers.rates))


def _heard(markets: Mapping[str, Market]) -> Prices:
    """The prices of the regions' pools, for later commands."""
    return {
        (region, offer.pool.type, offer.pool.zone): offer.usd_per_hour
        for region, market in markets.items()
        for offer in market.offers
        if offer.usd_per_hour is not None
    }


def _launching(facts: LaunchFacts) -> list[str]:
    """The regions with nodes to launch, and those whose group is created or changed."""
    regions = {*facts.demand.launch, *_new_groups(facts)}
    return [region.name for region in facts.spec.regions if region.name in regions]


async def _ask(calls: AwsCalls, facts: LaunchFacts, regions: Sequence[str], memory: Cache) -> _Answers:
    """Raises CloudError only for types that meet the requirements; nothing else waits for anything."""
    wanted = await wanted_types(calls, facts.spec, regions=regions)
    types = {name for names in wanted.values() for name in names}
    return _Answers(
        *await asyncio.gather(
            markets_of(calls, facts.spec, wanted),
            network_facts(calls, facts.spec, regions=regions),
            _managed_state(calls, facts),
            _rates(calls, *_with_home(facts, regions, types), memory=memory),
            return_exceptions=True,
        )
    )


def _with_home(
    facts: LaunchFacts, regions: Collection[str], types: Collection[str]
) -> tuple[set[str], set[str]]:
    """With the region and type of a managed orchestrator, if anything is to be launched."""
    spec = facts.spec
    if not regions or spec.orchestrator.mode is not OrchestratorMode.MANAGED:
        return set(regions), set(types)
    from bacalhau_spot.engine.orchestrator.managed_facts import managed_home  # noqa: PLC0415 - for this mode alone

    home = managed_home(facts)
    return {*regions, *filter(None, [home])}, {*types, spec.orchestrator.instance_type}


async def _managed_state(calls: AwsCalls, facts: LaunchFacts) -> OrchestratorState | None:
    if facts.spec.orchestrator.mode is not OrchestratorMode.MANAGED:
        return None
    from bacalhau_spot.engine.orchestrator.managed_facts import managed_state  # noqa: PLC0415 - for this mode alone

    return await managed_state(calls, facts)


async def _rates(
    calls: AwsCalls, regions: Collection[str], types: Collection[str], *, memory: Cache
) -> _Rates:
    found, failures = await rates(calls, regions=sorted(regions), types=sorted(types), memory=memory)
    return _Rates(frozenset(regions), frozenset(types), found, failures)


def _returned(answer: T | BaseException) -> T:
    """Raises what the call raised."""
    if isinstance(answer, BaseException):
        raise answer
    return answer


def _add_markets(facts: LaunchFacts, answers: _Answers) -> LaunchFacts:
    return replace(facts, markets=_returned(answers.markets))


def _add_networks(facts: LaunchFacts, answers: _Answers) -> LaunchFacts:
    networks = checked_networks(facts.spec, _returned(answers.networks), facts.markets or {})
    return replace(facts, networks=networks)


def _add_orchestrator(facts: LaunchFacts, answers: _Answers) -> LaunchFacts:
    """The managed orchestrator. Nodes join it under its present address, which `create` may still change."""
    state = _returned(answers.orchestrator)
    if state is None:
        return facts
    from bacalhau_spot.engine.orchestrator.resolve import with_orchestrator  # noqa: PLC0415 - for this mode alone

    spec = facts.spec
    if state.credentials is not None:
        spec = with_orchestrator(spec, state.credentials)
    return replace(facts, spec=spec, orchestrator=state)


async def _with_prices(
    calls: AwsCalls, facts: LaunchFacts, sources: FactSources, *, known: _Rates
) -> LaunchFacts:
    """List prices, the orchestrator's included, archive sums, and with a budget or surplus nodes the prices of existing nodes."""
    launching = facts.markets or {}
    archs = {offer.arch for market in launching.values() for offer in market.offers}
    bacalhau = await with_sums(facts.spec.bacalhau, archs, source=sources.archive, memory=sources.cache)
    spec = replace(facts.spec, bacalhau=bacalhau)
    _check_user_data(spec, launching)  # the sums make the user data longer
    regions, types = _priced(facts)
    if not (regions <= known.regions and types <= known.types):
        known = await _rates(calls, regions, types, memory=sources.cache)
    has_budget = spec.budget_usd_per_hour is not None and bool(regions)
    nodes = await _existing_prices(calls, facts) if has_budget else await _surplus_prices(calls, facts)
    return replace(
        facts,
        spec=spec,
        rates=known.found,
        rates_failure=next(iter(known.failures), None),
        pool_prices=nodes,
    )


def _priced(facts: LaunchFacts) -> tuple[set[str], set[str]]:
    """The regions and types whose list prices the plan needs."""
    markets, home = facts.markets or {}, _priced_orchestrator(facts)
    types = {offer.pool.type for market in markets.values() for offer in market.offers}
    return {*markets, *(one.region for one in home)}, types | {one.instance_type for one in home}


def _priced_orchestrator(facts: LaunchFacts) -> tuple[OrchestratorPlan, ...]:
    """The managed orchestrator, unless nothing is to be launched."""
    home = facts.orchestrator_plan
    return () if home is None or not (facts.markets or not home.empty) else (home,)


async def _existing_prices(calls: AwsCalls, facts: LaunchFacts) -> Prices:
    """Raises CloudError only for a configured region: nodes elsewhere may be removed, and then have no price in the plan."""
    configured = {region.name for region in facts.spec.regions}
    alive = [instance for instance in facts.instances if instance.alive]
    prices = await prices_now(calls, [instance for instance in alive if instance.region in configured])
    for region in {instance.region for instance in alive} - configured:
        with suppress(CloudError):
            prices |= await prices_now(calls, [instance for instance in alive if instance.region == region])
    return prices


async def _surplus_prices(calls: AwsCalls, facts: LaunchFacts) -> Prices:
    """In the regions with surplus nodes: the dearest leave first. Without a price, the newest do."""
    regions = {instance.region for instance in facts.demand.removable}
    there = [instance for instance in facts.instances if instance.alive and instance.region in regions]
    try:
        return await prices_now(calls, there) if there else {}
    except CloudError:
        return {}


def _check_user_data(spec: ClusterSpec, regions: Iterable[str]) -> None:
    """Raises UserError for user data that EC2 would not accept."""
    for name in regions:
        render(spec, region=name)
