"""Before a create changes anything: look, choose, plan, and refuse whatever can be refused now."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from bacalhau_spot.cloud.port import CloudError
from bacalhau_spot.core.choose import choose
from bacalhau_spot.core.estimate import Budget
from bacalhau_spot.core.estimate import standing as standing_usd
from bacalhau_spot.core.model import CALLER, Market, RegionSpec
from bacalhau_spot.core.plan import Plan, demand, market_problems, plan
from bacalhau_spot.core.verdict import worst
from bacalhau_spot.engine.market import markets, price_lists
from bacalhau_spot.engine.observe import Standing, Survey, check_regions, enabled, standing, survey
from bacalhau_spot.engine.prices import prices_now, rates
from bacalhau_spot.errors import ExitCode, UserError
from bacalhau_spot.instance.gpu import image_warning
from bacalhau_spot.instance.user_data import render

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bacalhau_spot.core.cost import Rates
    from bacalhau_spot.core.model import ClusterSpec
    from bacalhau_spot.core.receipt import Problem
    from bacalhau_spot.engine.calls import Calls


@dataclass(frozen=True, slots=True)
class Prepared:
    """A create that is planned and not yet begun. Nothing has been changed."""

    spec: ClusterSpec
    plan: Plan
    standing: Standing
    survey: Survey
    markets: dict[str, Market] = field(default_factory=dict)
    cidrs: tuple[str, ...] = ()


async def prepare(
    calls: Calls,
    spec: ClusterSpec,
    *,
    caller_address: Callable[[], Awaitable[str | None]],
    allow_removal: bool = False,
) -> Prepared:
    """Look and plan. Raises CloudError, and UserError for whatever can be refused before anything is created."""
    here = await standing(calls)
    check_regions(spec, here.regions)
    seen, address = await asyncio.gather(
        survey(calls, spec.naming, regions=enabled(here.regions)), _address(spec, caller_address)
    )
    if spec.auto_regions is not None:
        spec = await _with_regions(calls, spec, here, seen)
    for region in spec.regions:
        render(spec, region=region.name)  # too long or unusable: said now
    _check_seen(spec, seen)
    wants = demand(spec, seen.instances)
    found = await markets(calls, spec, regions=list(wants.launch))
    _check_markets(spec, found)
    warnings = (
        *_blind_spots(spec, seen),
        *_ssh_warning(spec, address),
        *_join_warning(spec),
        *_gpu_warning(spec),
    )
    lists, refused = await _lists(calls, found)
    planned = plan(spec, wants, found, allow_removal=allow_removal, warnings=warnings, rates=lists)
    planned = replace(
        planned,
        no_list=refused[0].code if refused else "",
        budget=await _budget(calls, spec, planned, seen, lists=lists),
    )
    cidrs = tuple(
        f"{address}/32" if cidr == CALLER else cidr for cidr in spec.ssh_cidrs if cidr != CALLER or address
    )
    return Prepared(spec=spec, plan=planned, standing=here, survey=seen, markets=found, cidrs=cidrs)


async def _lists(calls: Calls, found: dict[str, Market]) -> tuple[Rates, tuple[Problem, ...]]:
    """AWS's price lists of the regions that launch: two calls for all together."""
    types = {offer.pool.type for market in found.values() for offer in market.offers}
    return await rates(calls, regions=sorted(found), types=sorted(types))


async def _budget(
    calls: Calls, spec: ClusterSpec, planned: Plan, seen: Survey, *, lists: Rates
) -> Budget | None:
    """What the cluster would come to beside what it may; asked only where there is a budget and something to launch."""
    if spec.budget_usd_per_hour is None or not planned.launch:
        return None
    removed = {one.id for one in planned.remove}
    staying = [one for one in seen.instances if one.alive and one.id not in removed]
    root_gib = spec.instance.root_volume_gib
    total = planned.estimate.total
    return Budget(
        usd_per_hour=spec.budget_usd_per_hour,
        standing_usd=standing_usd(staying, await prices_now(calls, staying), lists, root_volume_gib=root_gib),
        launch_usd=None if total is None else total.high,
    )


async def _with_regions(calls: Calls, spec: ClusterSpec, here: Standing, seen: Survey) -> ClusterSpec:
    """The regions that `auto` stands for now."""
    count = spec.auto_regions or 0
    present = {instance.region for instance in seen.instances if instance.alive}
    reachable = [name for name in enabled(here.regions) if name in seen.tagged]
    names = sorted(present)[:count]
    if len(present) < count:
        prices = await price_lists(calls, spec, regions=reachable)
        names = list(choose(count, present=present, prices=prices))
    if not names:
        raise UserError(
            "no enabled region offers the configured instance types",
            hint="change `instance_types`, or name the regions under `regions`",
            exit_code=ExitCode.USAGE,
        )
    return replace(spec, regions=tuple(RegionSpec(name) for name in names))


async def _address(spec: ClusterSpec, caller_address: Callable[[], Awaitable[str | None]]) -> str | None:
    return await caller_address() if CALLER in spec.ssh_cidrs else None


def _check_seen(spec: ClusterSpec, seen: Survey) -> None:
    """A configured region that cannot be looked into may hold nodes already: launching blindly could double them."""
    configured = {region.name for region in spec.regions}
    blind = [problem for problem in seen.unseen if problem.region in configured]
    if blind:
        code = worst(problem.code for problem in blind)
        first = next(problem for problem in blind if problem.code == code)
        raise CloudError(first.code, first.message, operation=first.operation, region=first.region)


def _check_markets(spec: ClusterSpec, found: dict[str, Market]) -> None:
    named = {region.name: region for region in spec.regions}
    problems: list[str] = []
    for name, market in found.items():
        region = named[name]
        types = region.instance_types or spec.instance_types or ("types that meet the requirements",)
        problems.extend(market_problems(market, image=region.image or spec.image, types=types))
    if problems:
        raise UserError(
            "the configured instance types and images do not fit",
            details=tuple(problems),
            hint="change `instance_types` or `image`, for all regions or for one under `regions`",
            exit_code=ExitCode.USAGE,
        )


def _blind_spots(spec: ClusterSpec, seen: Survey) -> tuple[str, ...]:
    configured = {region.name for region in spec.regions}
    blind = sorted(problem.region for problem in seen.unseen if problem.region not in configured)
    return (f"could not look into {', '.join(blind)}",) if blind else ()


def _ssh_warning(spec: ClusterSpec, address: str | None) -> tuple[str, ...]:
    if CALLER not in spec.ssh_cidrs or address:
        return ()
    return ("your public address could not be found out, so SSH stays closed; set `ssh_cidrs` to open it",)


def _gpu_warning(spec: ClusterSpec) -> tuple[str, ...]:
    warning = image_warning(spec)
    return (warning,) if warning else ()


def _join_warning(spec: ClusterSpec) -> tuple[str, ...]:
    if spec.bacalhau.orchestrators:
        return ()
    return ("no orchestrator is configured (`bacalhau.orchestrators`): the nodes will run but join nothing",)
