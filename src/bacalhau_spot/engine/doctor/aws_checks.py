"""The checks of `doctor` in the account: identity, permissions, regions, offers and quotas."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from bacalhau_spot.cloud.cloud_error import CloudError
from bacalhau_spot.cloud.diagnostics import DRY_RUNS, SPOT_ROLE
from bacalhau_spot.core.doctor import account_checks, orchestrator_checks
from bacalhau_spot.core.doctor.account_checks import AccountCheck, Finding, SimulatedPermissions, aws_message
from bacalhau_spot.core.error_catalog.classifier import Category, classify
from bacalhau_spot.core.iam.permissions import COMMANDS
from bacalhau_spot.core.iam.policy import simulation_queries
from bacalhau_spot.core.inventory import nodes_only, unusable_regions
from bacalhau_spot.core.launch import planner
from bacalhau_spot.core.launch.plan import unsuitable_images, unsuitable_images_hint
from bacalhau_spot.core.launch.plan_warnings import WITHOUT_ORCHESTRATOR
from bacalhau_spot.core.launch.pool_avoidance import avoidance_notes
from bacalhau_spot.core.launch.refusals import (
    Refusal,
    orchestrator_missing,
    refusal,
    unusable_configured_regions,
)
from bacalhau_spot.core.model import OrchestratorMode
from bacalhau_spot.core.orchestrator.managed_state import OrchestratorState
from bacalhau_spot.core.partitions import partition_in
from bacalhau_spot.core.placement.demand import nodes_by_region
from bacalhau_spot.core.placement.region_selection import data_gaps
from bacalhau_spot.core.sanitize import without_sequences
from bacalhau_spot.core.tags import tags_for
from bacalhau_spot.engine.aws_calls.caller import api_failure
from bacalhau_spot.engine.aws_calls.discovery import (
    count_other_clusters,
    enabled_names,
    get_identity,
)
from bacalhau_spot.engine.doctor.doctor_runner import run_check, run_checks_together, try_fetch
from bacalhau_spot.engine.launch.facts_gathering import gather_facts, refusal_error
from bacalhau_spot.engine.placement.market import markets
from bacalhau_spot.engine.placement.placement_scores import headrooms
from bacalhau_spot.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bacalhau_spot.core.iam.policy import SimulationQuery
    from bacalhau_spot.core.launch.facts import LaunchFacts
    from bacalhau_spot.core.launch.plan import Plan
    from bacalhau_spot.core.model import ClusterSpec, Identity, Market, Region
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls
    from bacalhau_spot.engine.launch.facts_gathering import FactSources

# The name in the error catalog. The refusal concerns the region, not the permission.
_REGION_REFUSES = "token-not-valid-in-region"
# After a refusal of these categories, the permission is unknown. EC2 returns every other refusal after the permission
# check.
_NO_ANSWER = frozenset(
    {Category.CREDENTIALS, Category.THROTTLED, Category.NETWORK, Category.AWS, Category.UNKNOWN}
)

_AWS = (
    AccountCheck.CLOCK,
    AccountCheck.REGIONS,
    AccountCheck.PERMISSIONS,
    AccountCheck.SPOT_ROLE,
    AccountCheck.MARKET,
    AccountCheck.QUOTAS,
    AccountCheck.CREATE,
    AccountCheck.OTHER_CLUSTERS,
)
# Those whose calls go to each region of the configuration.
_IN_REGIONS = (AccountCheck.PERMISSIONS, AccountCheck.MARKET, AccountCheck.QUOTAS)


class _SharedFacts:
    """The facts of a create, gathered once for all checks that use them."""

    def __init__(self, calls: AwsCalls, spec: ClusterSpec, sources: FactSources) -> None:
        self._task = asyncio.ensure_future(gather_facts(calls, spec, sources))

    async def get(self) -> LaunchFacts:
        """Raises CloudError, UserError. The timeout of one check does not cancel the gathering for the others."""
        return await asyncio.shield(self._task)

    async def with_regions(self) -> LaunchFacts:
        """The facts with regions in place of `auto`. Raises also if no regions can be chosen."""
        facts = await self.get()
        refused = refusal(facts) if facts.decisions is None else None
        if refused is not None:
            raise refusal_error(refused)
        return facts

    async def market(self, region: str) -> Market | None:
        """None if a create would not launch in the region, or if its facts are not available."""
        with suppress(CloudError, UserError):
            return ((await self.get()).markets or {}).get(region)
        return None

    async def close(self) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError, CloudError, UserError):
            await self._task


async def account_findings(
    calls: AwsCalls,
    spec: ClusterSpec | None,
    *,
    sources: FactSources,
    over_budget: Callable[[Plan], UserError],
    endpoint: str = "",
) -> tuple[Finding, ...]:
    """All checks of the account, or only the credentials if invalid. `spec` None: only those without configuration."""
    who = _identity(calls)
    blind = "AWS did not confirm the identity"
    known, why = await try_fetch(calls, AccountCheck.CREDENTIALS, who, blind=blind, needed=True)
    if known is None:
        waiting = (account_checks.waits_for_credentials(check) for check in (*_AWS, *_managed_check(spec)))
        return (*why, *waiting)
    identity, origin = known
    account = (
        run_check(calls, AccountCheck.CLOCK, _clock(calls)),
        run_check(calls, AccountCheck.SPOT_ROLE, _spot_role(calls)),
    )
    first = account_checks.credentials(identity, origin=origin, endpoint=endpoint)
    if spec is None:
        return (first, *await run_checks_together(*account))
    facts = _SharedFacts(calls, spec, sources)
    try:
        return (
            first,
            *await run_checks_together(
                *account,
                _regions(calls, spec, identity, facts),
                _create(calls, facts, over_budget),
                *(run_check(calls, check, _managed(calls, spec, facts)) for check in _managed_check(spec)),
                run_check(calls, AccountCheck.OTHER_CLUSTERS, _other_clusters(calls, spec)),
            ),
        )
    finally:
        await facts.close()


def _managed_check(spec: ClusterSpec | None) -> tuple[AccountCheck, ...]:
    is_managed = spec is not None and spec.orchestrator.mode is OrchestratorMode.MANAGED
    return (AccountCheck.ORCHESTRATOR,) if is_managed else ()


async def _managed(calls: AwsCalls, spec: ClusterSpec, facts: _SharedFacts) -> Sequence[Finding]:
    known: LaunchFacts | None = None
    with suppress(CloudError, UserError):
        known = await facts.get()
    if known is not None and _misnames_regions(known):
        return (account_checks.waits_for_regions(AccountCheck.ORCHESTRATOR),)
    if known is None or known.inventory is None:
        return (orchestrator_checks.managed_orchestrator(spec, None),)
    state = known.orchestrator if isinstance(known.orchestrator, OrchestratorState) else None
    return (
        orchestrator_checks.managed_orchestrator(
            known.spec,
            known.inventory.orchestrators,
            state=state,
            planned=known.orchestrator_plan,
            console=await _console(calls, state),
        ),
    )


async def _console(calls: AwsCalls, state: OrchestratorState | None) -> str | None:
    """Of a machine that is to run `reconcile`; None for others, and if it cannot be read."""
    if state is None or state.instance is None or state.published is None or not state.published.is_on:
        return None
    with suppress(CloudError):
        look = partial(calls.cloud.console, state.region, state.instance.id)
        return without_sequences(await calls.read(state.region, look))
    return None


async def _identity(calls: AwsCalls) -> tuple[Identity, str]:
    identity = await get_identity(calls)
    return identity, await calls.cloud.credentials_origin()


async def _clock(calls: AwsCalls) -> Sequence[Finding]:
    at_aws = await calls.read("", calls.cloud.time_at_aws)
    return (account_checks.clock(here=calls.clock.now(), at_aws=at_aws),)


async def _create(
    calls: AwsCalls, facts: _SharedFacts, over_budget: Callable[[Plan], UserError]
) -> tuple[Finding, ...]:
    """Every reason for which `create` would refuse before it creates resources, from the same functions."""
    planning = _plan_findings(facts, over_budget)
    findings, why = await try_fetch(
        calls, AccountCheck.CREATE, planning, blind="the plan failed", needed=True
    )
    return why if findings is None else findings


async def _plan_findings(
    facts: _SharedFacts, over_budget: Callable[[Plan], UserError]
) -> tuple[Finding, ...]:
    try:
        known = await facts.get()
        planned = planner.plan(known)
        if isinstance(planned, Refusal):
            if planned == orchestrator_missing(known):
                return (orchestrator_checks.waits_for_orchestrator(AccountCheck.CREATE),)
            if _misnames_regions(known) and planned == unusable_configured_regions(known):
                return (account_checks.waits_for_regions(AccountCheck.CREATE),)
            raise refusal_error(planned)
    except UserError as error:
        return (account_checks.create_refused(error),)
    if planned.over_budget:
        return (account_checks.create_refused(over_budget(planned)),)
    return (
        account_checks.create_planned(planned.launch, notes=avoidance_notes(planned.avoidances)),
        # The check of the orchestrator has the one about none.
        *(account_checks.create_warns(text) for text in planned.warnings if text != WITHOUT_ORCHESTRATOR),
    )


async def _other_clusters(calls: AwsCalls, spec: ClusterSpec) -> Sequence[Finding]:
    """The nodes of a cluster keep running under its old name after a rename (complaint 10, flintrock#113)."""
    regions = enabled_names(await calls.read("", calls.cloud.regions))
    counts = await count_other_clusters(calls, spec.naming, regions=regions)
    return account_checks.other_clusters(counts, tag_key=spec.naming.tag_key)


async def _spot_role(calls: AwsCalls) -> Sequence[Finding]:
    arn = await calls.read("", partial(calls.cloud.role_arn, SPOT_ROLE))
    return (account_checks.spot_role(arn),)


# --- The regions, and the checks that depend on the usable ones


def _misnames_regions(facts: LaunchFacts) -> bool:
    """Whether the check of the regions fails: for `regions`, not for the orchestrator's own."""
    return bool(facts.account.unusable([region.name for region in facts.spec.regions]))


async def regions_usable(calls: AwsCalls, spec: ClusterSpec) -> bool:
    """Whether all configured regions, the orchestrator's included, exist and are enabled. Raises CloudError."""
    own = [spec.orchestrator.region] if spec.orchestrator.region else []
    known = await calls.read("", calls.cloud.regions)
    return not unusable_regions([*(region.name for region in spec.regions), *own], known)


async def _regions(
    calls: AwsCalls, spec: ClusterSpec, identity: Identity, facts: _SharedFacts
) -> tuple[Finding, ...]:
    listing = calls.read("", calls.cloud.regions)
    blind = "the regions could not be listed"
    known, why = await try_fetch(calls, AccountCheck.REGIONS, listing, blind=blind, needed=True)
    if known is None:
        return (*why, *await _simulated_permissions(calls, spec, identity))
    if spec.auto_regions is None:
        names = [region.name for region in spec.regions]
        return (account_checks.regions(names, known), *await _within(calls, spec, identity, known, facts))
    blind = "no regions could be chosen"
    chosen, why = await try_fetch(calls, AccountCheck.MARKET, facts.with_regions(), blind=blind, needed=True)
    if chosen is None or chosen.decisions is None:
        quotas = account_checks.not_checked(
            AccountCheck.QUOTAS, why="no regions could be chosen", fix=f"see {AccountCheck.MARKET}"
        )
        return (
            account_checks.regions([], known),
            *why,
            quotas,
            *await _simulated_permissions(calls, spec, identity),
        )
    gaps = data_gaps(chosen.inventory.failed_regions) if chosen.inventory else ()
    findings = account_checks.region_choice(
        chosen.decisions, (*chosen.notes, *gaps), count=spec.auto_regions, known=known
    )
    return (*findings, *await _within(calls, chosen.spec, identity, known, facts))


async def _within(
    calls: AwsCalls, spec: ClusterSpec, identity: Identity, known: Sequence[Region], facts: _SharedFacts
) -> tuple[Finding, ...]:
    """The permissions, and the offers and quotas of each usable region. AWS answers calls in another one with an error."""
    names = set(enabled_names(known))
    usable = tuple(region for region in spec.regions if region.name in names)
    if not usable:
        return tuple(account_checks.waits_for_regions(check) for check in _IN_REGIONS)
    return await run_checks_together(
        _simulated_permissions(calls, replace(spec, regions=usable), identity),
        *(_region(calls, spec, region.name, facts) for region in usable),
    )


# --- Permissions


async def _simulated_permissions(
    calls: AwsCalls, spec: ClusterSpec, identity: Identity
) -> tuple[Finding, ...]:
    return await run_check(calls, AccountCheck.PERMISSIONS, _permissions(calls, spec, identity))


async def _permissions(calls: AwsCalls, spec: ClusterSpec, identity: Identity) -> Sequence[Finding]:
    """IAM's simulator for every action, and dry runs in every region, which include policies beyond the identity's."""
    queries = simulation_queries(
        spec, commands=COMMANDS, account=identity.account_id, partition=partition_in(identity.arn).id
    )
    actions = {action for query in queries for action in query.actions}
    missing, dry, doubtful = await _dry_runs(calls, spec, actions)
    why = next(iter(sorted(doubtful.values())), "")
    try:
        principal = await _principal(calls, identity)
        answers = await asyncio.gather(
            *(calls.read("", partial(calls.cloud.simulate, principal, query)) for query in queries)
        )
        answered, refused = _tally(queries, answers)
        answered, why = answered | dry, why or account_checks.UNCERTAIN
        for action in refused:
            missing.setdefault(action, "")
    except CloudError as error:
        fault = classify(error.code, error.message).category
        if fault is Category.CREDENTIALS:
            raise
        answered, why = dry, aws_message(api_failure(error))
        if fault is Category.PERMISSION:
            why = f"{error.operation}: {error.code}"
            missing[f"iam:{error.operation}"] = error.code
    answered = answered - set(doubtful)
    unasked = tuple(sorted(actions - answered - set(missing)))
    rights = SimulatedPermissions(
        required=len(answered - set(missing)), missing=missing, unknown=unasked, reason=why
    )
    return (account_checks.permissions(rights),)


def _tally(
    queried: Sequence[SimulationQuery], answers: Sequence[dict[str, bool]]
) -> tuple[set[str], set[str]]:
    """The actions with an answer for every query, and the actions that any answer denies."""
    pairs = [
        (action, answer) for query, answer in zip(queried, answers, strict=True) for action in query.actions
    ]
    silent = {action for action, answer in pairs if action not in answer}
    refused = {action for action, answer in pairs if not answer.get(action, True)}
    return {action for action, _ in pairs} - silent, refused


async def _principal(calls: AwsCalls, identity: Identity) -> str:
    """An ARN that the simulator accepts: that of a user, or of the role behind a session. Raises CloudError."""
    if identity.role is None:
        return identity.arn
    arn = await calls.read("", partial(calls.cloud.role_arn, identity.role))
    return arn or identity.arn


async def _dry_runs(
    calls: AwsCalls, spec: ClusterSpec, actions: set[str]
) -> tuple[dict[str, str], set[str], dict[str, str]]:
    """The actions that EC2 denies, and in which region; the tested actions; those without an answer, and why."""
    tags = tags_for(spec.naming, "doctor")
    missing: dict[str, str] = {}
    doubtful: dict[str, str] = {}
    queried = [action for action in DRY_RUNS if action in actions]

    async def dry_run(region: str, action: str) -> None:
        refused = await calls.read(region, partial(calls.cloud.dry_run_create, region, action, tags=tags))
        info = None if refused is None else classify(refused.code)
        fault = None if info is None else info.category
        if refused is not None and info is not None and info.name == _REGION_REFUSES:
            doubtful.setdefault(action, aws_message(api_failure(refused)))
        elif refused is not None and fault is Category.PERMISSION:
            missing.setdefault(action, f"in {region}: {refused.code}")
        elif refused is not None and fault in _NO_ANSWER:
            doubtful.setdefault(action, aws_message(api_failure(refused)))

    await asyncio.gather(*(dry_run(region.name, action) for region in spec.regions for action in queried))
    return missing, set(queried) if spec.regions else set(), doubtful


# --- A region


async def _market(calls: AwsCalls, spec: ClusterSpec, name: str, facts: _SharedFacts) -> Market:
    return await facts.market(name) or (await markets(calls, spec, regions=[name]))[name]


async def _region(calls: AwsCalls, spec: ClusterSpec, name: str, facts: _SharedFacts) -> tuple[Finding, ...]:
    market, why = await try_fetch(
        calls,
        AccountCheck.MARKET,
        _market(calls, spec, name, facts),
        blind=f"{name}: could not be checked",
        needed=True,
    )
    if market is None:
        fix = f"see {AccountCheck.MARKET}"
        return (
            *why,
            account_checks.not_checked(AccountCheck.QUOTAS, why=f"{name}: needs its offers first", fix=fix),
        )
    quotas = await run_check(calls, AccountCheck.QUOTAS, _quotas(calls, spec, name, market))
    return (
        account_checks.market(
            market, problems=unsuitable_images(spec, market), advice=unsuitable_images_hint(spec)
        ),
        *quotas,
    )


async def _quotas(calls: AwsCalls, spec: ClusterSpec, name: str, market: Market) -> Sequence[Finding]:
    names = sorted({offer.pool.type for offer in market.offers})
    if not names:
        return ()
    key, value = spec.naming.tag_key, spec.naming.tag_value
    infos = {info.name: info for info in await calls.read(name, partial(calls.cloud.types, name, names))}
    instances, room = await asyncio.gather(
        calls.read(name, partial(calls.cloud.instances, name, key=key, value=value)),
        headrooms(calls, name, infos),
    )
    more = max(
        0, nodes_by_region(spec).get(name, 0) - sum(instance.alive for instance in nodes_only(instances))
    )
    findings = [account_checks.spot_quota(name, nodes=more, types=infos, headrooms=room)]
    if all(region.vpc_id is None for region in spec.regions if region.name == name):
        count, ours = await calls.read(name, partial(calls.cloud.vpcs, name, key=key, value=value))
        limit = await calls.read(
            name, partial(calls.cloud.quota, name, service="vpc", code=account_checks.VPC_QUOTA)
        )
        full = account_checks.vpc_quota(name, count=count, ours=ours, limit=limit)
        findings += [full] if full is not None else []
    return findings
