"""One pass of `reconcile`: the plan from the cluster's status, carried out once and without waiting for nodes to join.

The launch reads everything again, as `create` does: the status may be minutes old by then, and another process may have
launched the missing nodes meanwhile. Two passes at once use the same client tokens, as two `create` do.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from bacalhau_spot.cloud.cloud_error import CloudError
from bacalhau_spot.core.error_catalog.classifier import Category, classify, most_severe
from bacalhau_spot.core.launch import planner
from bacalhau_spot.core.launch.refusals import Refusal
from bacalhau_spot.core.reconcile.pass_result import Hindrance, PassActions
from bacalhau_spot.core.reconcile.region_backoff import RegionBackoff, launch_spec
from bacalhau_spot.engine.aws_calls.caller import Cancelled, api_failure
from bacalhau_spot.engine.launch.create import apply_plan
from bacalhau_spot.engine.launch.facts_gathering import gather_facts
from bacalhau_spot.engine.lifecycle.expiry_tags import holders_of_expiry, write_everywhere
from bacalhau_spot.engine.orchestrator.managed import ensure_orchestrator
from bacalhau_spot.engine.orchestrator.orchestrator_sync import find_stale, orchestrator_failure, remove_nodes
from bacalhau_spot.engine.reconcile.node_removal import begin_drain, remove_instances, replace_instances
from bacalhau_spot.engine.reconcile.template_check import (
    existence_problem,
    find_templates,
    recorded_end,
    with_recorded_expiry,
)
from bacalhau_spot.errors import UserError
from bacalhau_spot.orchestrator.port import OrchestratorError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from bacalhau_spot.cloud.port import FoundTemplate
    from bacalhau_spot.core.health.cluster_status import ClusterStatus
    from bacalhau_spot.core.launch.create_result import CreateResult
    from bacalhau_spot.core.launch.facts import LaunchFacts
    from bacalhau_spot.core.launch.plan import Plan
    from bacalhau_spot.core.model import ClusterSpec
    from bacalhau_spot.core.pricing.cost import Rates
    from bacalhau_spot.core.pricing.list_prices import Prices
    from bacalhau_spot.core.problem import ApiFailure
    from bacalhau_spot.core.reconcile.reconcile_plan import ReconcilePlan
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls
    from bacalhau_spot.engine.launch.facts_gathering import FactSources
    from bacalhau_spot.engine.orchestrator.readiness import OrchestratorAccess
    from bacalhau_spot.orchestrator.port import Orchestrator

# Refusals by AWS's market: nothing is wrong with the configuration, and the next pass asks again.
_MARKET = frozenset({Category.CAPACITY, Category.QUOTA, Category.PRICE})


@dataclass(slots=True)
class PassMemory:
    """What one pass learns for the next ones of the same process. `prices`, `rates`: of the last launch.

    `budget_key`: of the last launch, if its budget refused it, so that one refusal is told once.
    """

    backoff: RegionBackoff = field(default_factory=RegionBackoff)
    prices: Prices = field(default_factory=dict)
    rates: Rates | None = None
    budget_key: str | None = None


@dataclass(frozen=True, slots=True)
class PassSources:
    """The means of a pass besides AWS. `label`: of the cluster's nodes in the orchestrator, which is None without an API.

    `regions`: all enabled ones. `on_orchestrator`: the pass runs on the orchestrator's machine, which it does not change.
    """

    facts: FactSources
    access: OrchestratorAccess
    orchestrator: Orchestrator | None
    label: str
    regions: Sequence[str]
    on_orchestrator: bool = False


async def carry_out(
    calls: AwsCalls,
    spec: ClusterSpec,
    status: ClusterStatus,
    plan: ReconcilePlan,
    sources: PassSources,
    memory: PassMemory,
) -> PassActions:
    """Carry out the plan of a cluster that has not expired: write its expiry, prune, replace and drain, then launch.

    AWS's refusals are in the result. After everything else is done, it raises UserError or CloudError for a launch whose facts
    cannot be read.
    """
    written, not_written = await _write_expiry(calls, spec, plan)
    pruned, prune_failures = await _prune(calls, plan, sources)
    replaced = await replace_instances(calls, spec.naming, [node.instance for node in plan.replace])
    overdue = await remove_instances(calls, spec.naming, plan.overdue)
    drained = await begin_drain(calls, spec.naming, plan.drain)
    done = PassActions(
        drained=drained.removed,
        replaced=replaced.removed,
        pruned=pruned,
        failures=(*not_written, *prune_failures, *replaced.failures, *overdue.failures, *drained.failures),
        missing=plan.missing,
        expiry_written=written,
    )
    if plan.launches:
        return await _Launch(calls, spec, status, plan, sources, memory).run(done)
    return _not_launched(plan, done)


async def _write_expiry(
    calls: AwsCalls, spec: ClusterSpec, plan: ReconcilePlan
) -> tuple[tuple[str, ...], tuple[ApiFailure, ...]]:
    """For the Auto Scaling groups and their nodes: the regions, and the refusals."""
    planned = plan.expiry
    if planned is None:
        return (), ()
    holders = holders_of_expiry(planned.retag, {}, groups=planned.groups)
    try:
        failures = await write_everywhere(calls, spec.naming, planned, holders)
    except Cancelled:
        return (), ()
    return tuple(region for region in planned.regions if region not in failures), tuple(failures.values())


def _not_launched(plan: ReconcilePlan, done: PassActions) -> PassActions:
    if not plan.missing:
        return done
    if plan.not_scanned:
        return replace(done, hindrance=Hindrance.NOT_SCANNED, reason=", ".join(plan.not_scanned))
    return replace(done, hindrance=Hindrance.NO_CAPACITY, reason=", ".join(plan.closed))


async def _prune(
    calls: AwsCalls, plan: ReconcilePlan, sources: PassSources
) -> tuple[tuple[str, ...], tuple[ApiFailure, ...]]:
    """By the rules of `prune`: the instances are looked up by id, tagged or not."""
    if not plan.stale or sources.orchestrator is None:
        return (), ()
    try:
        nodes = await sources.orchestrator.nodes()
    except OrchestratorError as error:
        return (), (orchestrator_failure(error),)
    try:
        found = await find_stale(calls, nodes, cluster=sources.label, regions=sources.regions)
    except CloudError as error:
        return (), (api_failure(error),)
    names = [decision.member.id for decision in found.stale]
    result = await remove_nodes(sources.orchestrator, names, stop=calls.stop)
    return result.removed, result.problems


class _Launch:
    """The launch of a pass: `create` without questions and without waiting."""

    def __init__(
        self,
        calls: AwsCalls,
        spec: ClusterSpec,
        status: ClusterStatus,
        plan: ReconcilePlan,
        sources: PassSources,
        memory: PassMemory,
    ) -> None:
        self._calls = calls
        self._spec = launch_spec(spec, status.snapshot.instances, closed=plan.closed)
        self._sources = sources
        self._memory = memory

    async def run(self, done: PassActions) -> PassActions:
        """What is done so far, with the launch. Raises CloudError, UserError for facts that cannot be read."""
        facts = await gather_facts(self._calls, self._spec, self._sources.facts)
        if facts.inventory is not None:
            templates = await find_templates(self._calls, facts)
            hindered = _hindered(done, facts, templates, now=self._calls.clock.now())
            if hindered is not None:
                return hindered
            facts = with_recorded_expiry(facts, templates, now=self._calls.clock.now())
        planned = planner.plan(facts)
        if isinstance(planned, Refusal):
            return _refused(done, planned)
        if self._sources.on_orchestrator and planned.orchestrator is not None:
            planned = replace(planned, orchestrator=replace(planned.orchestrator, steps=()))
        self._learn_prices(facts)
        if planned.over_budget:
            return replace(
                done,
                hindrance=Hindrance.OVER_BUDGET,
                reason=_cost(planned),
                budget=planned.budget,
                not_launched=planned.launch,
            )
        if planned.empty:
            return replace(done, missing=0)
        return await self._apply(facts, planned, done)

    async def _apply(self, facts: LaunchFacts, planned: Plan, done: PassActions) -> PassActions:
        try:
            ready = await ensure_orchestrator(self._calls, facts, planned, self._sources.access, wait=False)
        except CloudError as error:
            return replace(done, failures=(*done.failures, api_failure(error)))
        except Cancelled:
            return done
        except UserError as error:
            return replace(done, hindrance=Hindrance.REFUSED, reason=error.what)
        facts = replace(facts, spec=ready.spec)
        result = await apply_plan(self._calls, facts, planned, wait=False, created_networks=ready.networks)
        self._memory.backoff = self._memory.backoff.after(result, now=self._calls.clock.now())
        repaired = planned.orchestrator is not None and not planned.orchestrator.empty
        return _launched(replace(done, orchestrator_repaired=repaired), planned, result)

    def _learn_prices(self, facts: LaunchFacts) -> None:
        memory = self._memory
        offers = {
            (name, offer.pool.type, offer.pool.zone): offer.usd_per_hour
            for name, market in (facts.markets or {}).items()
            for offer in market.offers
            if offer.usd_per_hour is not None
        }
        memory.prices = {**memory.prices, **facts.pool_prices, **offers}
        memory.rates = facts.rates


def _cost(planned: Plan) -> str:
    budget = planned.budget
    if budget is None or budget.total_usd is None:
        return ""
    return f"{budget.total_usd.normalize():f}"


def _hindered(
    done: PassActions,
    facts: LaunchFacts,
    templates: Mapping[str, FoundTemplate | None],
    *,
    now: datetime,
) -> PassActions | None:
    """None for a cluster that exists."""
    hindrance = existence_problem(facts, templates, now=now)
    if hindrance is None:
        return None
    if hindrance is Hindrance.NOT_SCANNED and facts.inventory is not None:
        failures = facts.inventory.failed_regions
        regions = ", ".join(failure.region for failure in failures)
        return replace(done, hindrance=hindrance, reason=regions, failures=(*done.failures, *failures))
    ends_at = recorded_end(templates) if hindrance is Hindrance.EXPIRED else None
    return replace(done, hindrance=hindrance, expired_at=ends_at)


def _refused(done: PassActions, refused: Refusal) -> PassActions:
    if refused.failure is not None:
        return replace(done, failures=(*done.failures, refused.failure))
    return replace(done, hindrance=Hindrance.REFUSED, reason=refused.what)


def _launched(done: PassActions, planned: Plan, result: CreateResult) -> PassActions:
    launched = tuple(instance_id for region in result.regions for instance_id in region.launched)
    missing = max(0, planned.wanted - planned.present - len(launched))
    failures = (*done.failures, *(result.unresolved if missing else ()))
    done = replace(
        done,
        launched=launched,
        moved=sum(region.reassigned for region in result.regions),
        missing=missing,
        failures=failures,
    )
    regions = _refusing(result) if missing else ()
    if regions:
        return replace(done, hindrance=Hindrance.NO_CAPACITY, reason=", ".join(regions))
    return done


def _refusing(result: CreateResult) -> tuple[str, ...]:
    """The regions that refused, if the market is the reason."""
    codes = {region.region: code for region in result.regions if (code := region.code) is not None}
    worst = most_severe(codes.values())
    if worst is None or classify(worst).category not in _MARKET:
        return ()
    return tuple(sorted(codes))
