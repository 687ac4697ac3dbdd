"""Reasons not to launch, each known before anything is created. `create` and `doctor` report the same ones.

A reason whose facts are not gathered yet does not apply. The stages of gathering ask here whether to go on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bacalhau_spot.core.error_catalog.categories import MORE_TYPES
from bacalhau_spot.core.error_catalog.classifier import Category, classify, most_severe
from bacalhau_spot.core.launch.plan import unsuitable_images, unsuitable_images_hint
from bacalhau_spot.core.launch.pool_limits import nodes_per_pool, share_problems
from bacalhau_spot.core.model import OrchestratorMode
from bacalhau_spot.core.orchestrator.address_conflict import address_conflict
from bacalhau_spot.core.orchestrator.managed_plan import OrchestratorStep
from bacalhau_spot.core.orchestrator.managed_state import (
    LOST_CREDENTIALS,
    OrchestratorState,
    SharedOrchestratorState,
)
from bacalhau_spot.core.placement.quotas import ELASTIC_ADDRESSES, ON_DEMAND_STANDARD
from bacalhau_spot.core.placement.region_selection import RegionReason, data_gaps, explain_no_region
from bacalhau_spot.core.tags import orchestrator_parameter
from bacalhau_spot.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from bacalhau_spot.core.inventory import ClusterInventory
    from bacalhau_spot.core.launch.facts import LaunchFacts
    from bacalhau_spot.core.model import ClusterSpec, Market
    from bacalhau_spot.core.orchestrator.managed_plan import OrchestratorPlan
    from bacalhau_spot.core.problem import ApiFailure


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why nothing may be launched, and the fix.

    `failure`: an AWS error in a call that the plan depends on; its words come from the error catalogue.
    """

    what: str = ""
    why: str = ""
    hint: str = ""
    details: tuple[str, ...] = ()
    docs: str = ""
    exit_code: ExitCode = ExitCode.USAGE
    failure: ApiFailure | None = None


def refusal(facts: LaunchFacts) -> Refusal | None:
    """The first reason, in the order in which the facts are gathered; None when the launch may go on."""
    reasons = (check(facts) for check in _CHECKS)
    return next((reason for reason in reasons if reason is not None), None)


def no_orchestrator_chosen(spec: ClusterSpec) -> Refusal | None:
    """A configuration that names no orchestrator: its nodes would run and cost money without receiving jobs."""
    if spec.orchestrator.mode is not OrchestratorMode.UNSET:
        return None
    return Refusal(
        "the configuration names no orchestrator: the nodes would run and cost money, and receive no jobs",
        details=(
            "run by bacalhau-spot:    `bacalhau-spot configure --set orchestrator=managed`",
            "of another cluster:      `bacalhau-spot configure --set 'orchestrator={cluster: NAME}'`",
            "your own:                `bacalhau-spot configure --set 'bacalhau.orchestrators=[nats://HOST:4222]'`",
            "none, for this launch:   `bacalhau-spot create --without-orchestrator`",
        ),
        hint="choose one of the four; HOST is the machine that runs `bacalhau serve --orchestrator`, by a name or address that "
        "instances can reach",
        docs="docs/configuration.md",
    )


def _no_orchestrator_chosen(facts: LaunchFacts) -> Refusal | None:
    return no_orchestrator_chosen(facts.spec)


def unusable_configured_regions(facts: LaunchFacts) -> Refusal | None:
    """Configured regions that do not exist or are not enabled, all at once."""
    orchestrator = facts.spec.orchestrator
    home = [orchestrator.region] if orchestrator.region else []
    configured = list(dict.fromkeys([*(region.name for region in facts.spec.regions), *home]))
    unusable = facts.account.unusable(configured)
    if not unusable:
        return None
    return Refusal(
        f"{len(unusable)} of the configured regions cannot be used"
        if len(unusable) > 1
        else "a configured region cannot be used",
        details=(
            *(f"{name}: no such region" for name in unusable.unknown),
            *(f"{name}: not enabled in this account (OptInRequired)" for name in unusable.disabled),
        ),
        hint=unusable.hint,
    )


def _unscanned_regions(facts: LaunchFacts) -> Refusal | None:
    """A region that could not be scanned may have nodes already, which a launch would double.

    With `auto` that is every region, except those that these credentials may not read: nothing can have been launched there,
    unless no region can be read, or this machine launched nodes there before (`launched_in`).
    """
    if facts.inventory is None:
        return None
    failed = facts.inventory.failed_regions
    if facts.spec.auto_regions is None:
        configured = {region.name for region in facts.spec.regions}
        return _failed(failure for failure in failed if failure.region in configured)
    return _failed(_unexplained(facts.inventory)) or _hidden_nodes(
        [failure for failure in failed if failure.region in facts.launched_in]
    )


def _unexplained(inventory: ClusterInventory) -> Iterable[ApiFailure]:
    seen = bool(inventory.tagged)
    return (failure for failure in inventory.failed_regions if not (seen and _is_permission(failure)))


def _is_permission(failure: ApiFailure) -> bool:
    return classify(failure.code).category is Category.PERMISSION


def _failed(failures: Iterable[ApiFailure]) -> Refusal | None:
    by_code = {failure.code: failure for failure in reversed(tuple(failures))}
    code = most_severe(by_code)
    return None if code is None else Refusal(failure=by_code[code])


def _hidden_nodes(failures: Sequence[ApiFailure]) -> Refusal | None:
    if not failures:
        return None
    regions = ", ".join(sorted({failure.region for failure in failures}))
    return Refusal(
        f"nodes of this cluster may run in {regions}: this machine launched them, but these credentials cannot list them; "
        "nothing was launched",
        why=f"{failures[0].operation}: {failures[0].code}: {failures[0].message}",
        hint="use credentials with access there, or terminate those nodes with `bacalhau-spot destroy`; to launch in "
        "other regions anyway, list them in `regions`",
        exit_code=ExitCode.DENIED,
    )


def _needs_group(facts: LaunchFacts) -> bool:
    """Whether a region is to get its Auto Scaling group, whose scheduled action needs a time to come."""
    regions = {instance.region for instance in facts.instances if instance.alive}
    return facts.spec.self_heal and not regions <= set(facts.groups)


def _expires_soon(facts: LaunchFacts) -> Refusal | None:
    """New nodes would end before they could work."""
    planned = facts.expiry_plan
    if planned is None or planned.left is None or not planned.is_near:
        return None
    if facts.spec.self_heal and facts.markets is None:
        return None  # the groups, which may have another end, are not listed yet
    if not facts.demand.launch and not _needs_group(facts):
        return None
    minutes = int(planned.left.total_seconds() // 60)
    state = f"ends in {minutes} minutes" if minutes > 0 else "has reached the end of its lifetime"
    return Refusal(
        f"the cluster {state}, and new nodes would end with it",
        details=(f"its expiry is {planned.value}",),
        hint="`bacalhau-spot create --ttl 8h` moves the end and launches; `bacalhau-spot destroy` removes the cluster",
        docs="docs/lifetime.md",
    )


def _no_region(facts: LaunchFacts) -> Refusal | None:
    none = explain_no_region(facts.decisions) if facts.decisions is not None else None
    if none is None or facts.inventory is None:
        return None
    return Refusal(
        none.message,
        details=(*facts.notes, *data_gaps(facts.inventory.failed_regions)),
        hint=none.hint,
        exit_code=ExitCode.USAGE if none.reason is RegionReason.NO_OFFER else ExitCode.FAILED,
    )


def unsuitable_markets(spec: ClusterSpec, markets: Iterable[Market]) -> Refusal | None:
    """Regions without any of the types, and images that do not fit the types or the volume."""
    problems = tuple(problem for market in markets for problem in unsuitable_images(spec, market))
    if not problems:
        return None
    return Refusal(
        "the configured instance types and images do not fit",
        details=problems,
        hint=unsuitable_images_hint(spec),
    )


def _unsuitable_markets(facts: LaunchFacts) -> Refusal | None:
    return unsuitable_markets(facts.spec, (facts.markets or {}).values())


def _networks_without_egress(facts: LaunchFacts) -> Refusal | None:
    problems = [check.problem for check in (facts.networks or {}).values() if check.problem]
    if not problems:
        return None
    return Refusal(
        "nodes could not join from the network that they would be launched into",
        details=tuple(problem.what for problem in problems),
        hint=problems[0].hint,
    )


def _too_few_pools(facts: LaunchFacts) -> Refusal | None:
    if facts.markets is None:
        return None
    launch = facts.demand.launch
    problems = share_problems(facts.spec, facts.markets, launch, nodes_per_pool(facts.instances))
    if not problems:
        return None
    return Refusal(
        "too few capacity pools for `max_share_per_pool`",
        details=problems,
        hint=f"raise `max_share_per_pool`, or add to `instance_types` or `regions` ({MORE_TYPES} shows the offers "
        "by region)",
    )


def _no_orchestrator_accepts(facts: LaunchFacts) -> Refusal | None:
    """Nodes would run and cost money, and none could join. One address that may accept them is enough."""
    checks = facts.nats_checks
    if facts.inventory is None or not checks or not all(check.refuses_nodes for check in checks):
        return None
    if not facts.demand.launch:
        return None
    return Refusal(
        "the orchestrator would refuse the nodes"
        if len(checks) == 1
        else "every orchestrator address would refuse the nodes",
        details=tuple(check.message for check in checks),
        hint=checks[0].hint,
        docs="docs/nodes.md",
    )


def _no_shared_orchestrator(facts: LaunchFacts) -> Refusal | None:
    shared = facts.orchestrator
    if not isinstance(shared, SharedOrchestratorState) or shared.region is not None:
        return None
    return no_shared_orchestrator(shared.cluster)


def orchestrator_missing(facts: LaunchFacts) -> Refusal | None:
    """A configuration without the choice of an orchestrator, or one that chooses another cluster's, which has none."""
    return _no_orchestrator_chosen(facts) or _no_shared_orchestrator(facts)


def no_shared_orchestrator(cluster: str) -> Refusal:
    """The cluster that `orchestrator: {cluster: NAME}` names has no orchestrator."""
    return Refusal(
        f"cluster {cluster} has no managed orchestrator in this account",
        hint="correct `orchestrator: {cluster: NAME}`, or create that cluster first, with `orchestrator: managed`",
        docs=_ORCHESTRATOR_DOCS,
    )


def _unusable_home_region(facts: LaunchFacts) -> Refusal | None:
    """The orchestrator's region does not exist or is not enabled."""
    state = facts.orchestrator
    region = state.region if isinstance(state, OrchestratorState) else facts.spec.orchestrator.region
    if facts.spec.orchestrator.mode is not OrchestratorMode.MANAGED or region is None:
        return None
    unusable = facts.account.unusable([region])
    if not unusable:
        return None
    return Refusal(
        "the orchestrator's region cannot be used",
        details=(f"`orchestrator.region` is {region}",),
        hint=unusable.hint,
        docs=_ORCHESTRATOR_DOCS,
    )


def _no_place_for_orchestrator(facts: LaunchFacts) -> Refusal | None:
    """The instance type, the zone or the network does not permit a new instance."""
    state = facts.orchestrator
    planned = facts.orchestrator_plan
    if not isinstance(state, OrchestratorState) or state.site is None or planned is None:
        return None
    site, type_name, region = state.site, planned.instance_type, state.region
    if site.unreachable is not None:
        problem, hint = site.unreachable
        return Refusal(
            "the orchestrator could not be reached in the network that it would be launched into",
            details=(problem,),
            hint=hint,
            docs=_ORCHESTRATOR_DOCS,
        )
    if planned.zone in site.zones:
        return None
    where = f"{planned.zone}, where the orchestrator's data volume is" if planned.zone else region
    return Refusal(
        f"AWS does not offer {type_name} in {where}",
        details=(f"{region} offers it in {', '.join(site.zones)}",) if site.zones else (),
        hint=f"`bacalhau-spot configure --set orchestrator.instance_type=TYPE`; `aws ec2 describe-instance-type-offerings "
        f"--region {region} --location-type availability-zone` lists the types of each zone",
        docs=_ORCHESTRATOR_DOCS,
    )


def _address_of_others(facts: LaunchFacts) -> Refusal | None:
    """The orchestrator's address cannot be associated without a change to a resource of others."""
    state = facts.orchestrator
    conflict = address_conflict(state) if isinstance(state, OrchestratorState) else None
    if conflict is None:
        return None
    return Refusal(conflict.what, hint=conflict.hint, docs=_ORCHESTRATOR_DOCS, exit_code=ExitCode.FAILED)


def _no_quota_for_orchestrator(facts: LaunchFacts) -> Refusal | None:
    """The on-demand or address quota of the home region is used up."""
    state, planned = facts.orchestrator, facts.orchestrator_plan
    if not isinstance(state, OrchestratorState) or state.site is None or planned is None:
        return None
    problems = (*_vcpus_missing(state, planned), *_addresses_missing(state, planned))
    if not problems:
        return None
    return Refusal(
        f"a quota in {state.region} does not permit the orchestrator",
        details=tuple(problem for problem, _ in problems),
        hint="; ".join(hint for _, hint in problems),
        docs=_ORCHESTRATOR_DOCS,
        exit_code=ExitCode.FAILED,
    )


def _vcpus_missing(state: OrchestratorState, planned: OrchestratorPlan) -> Iterator[tuple[str, str]]:
    site = state.site
    if site is None or not planned.launches or site.vcpu_quota is None or site.vcpus is None:
        return
    used = site.vcpus_used or 0
    if used + site.vcpus > site.vcpu_quota:
        yield (
            f"on-demand instances: {used} of {site.vcpu_quota} vCPUs are in use, and {planned.instance_type} needs {site.vcpus}",
            f"ask for more on-demand vCPUs at {_quota_page(state.region, ON_DEMAND_STANDARD)}",
        )


def _addresses_missing(state: OrchestratorState, planned: OrchestratorPlan) -> Iterator[tuple[str, str]]:
    limit = state.site.address_quota if state.site else None
    if limit is None or OrchestratorStep.ADDRESS not in planned.steps or state.addresses_used < limit:
        return
    yield (
        f"Elastic IP addresses: all {limit} are in use",
        f"release an unused one (`aws ec2 describe-addresses --region {state.region}` lists them), or ask for more at "
        + _quota_page(state.region, ELASTIC_ADDRESSES),
    )


def _quota_page(region: str, code: str) -> str:
    return f"https://{region}.console.aws.amazon.com/servicequotas/home/services/ec2/quotas/{code}"


def _lost_credentials(facts: LaunchFacts) -> Refusal | None:
    """With another token, running nodes could never join again: Bacalhau gives up after one refusal."""
    state = facts.orchestrator
    nodes = sum(instance.alive for instance in facts.instances)
    if not isinstance(state, OrchestratorState) or state.credentials is not None or not nodes:
        return None
    if state.volume is None and state.instance is None:
        return None
    return Refusal(
        f"the orchestrator's credentials are missing in {state.region}, and {nodes} running nodes use them",
        details=(f"the SSM parameter {orchestrator_parameter(facts.spec.naming)} does not exist",),
        hint=LOST_CREDENTIALS,
        docs=_ORCHESTRATOR_DOCS,
        exit_code=ExitCode.FAILED,
    )


_ORCHESTRATOR_DOCS = "docs/orchestrator.md"
_CHECKS: tuple[Callable[[LaunchFacts], Refusal | None], ...] = (
    _no_orchestrator_chosen,
    unusable_configured_regions,
    _unscanned_regions,
    _expires_soon,
    _no_region,
    _unusable_home_region,
    _no_shared_orchestrator,
    _no_orchestrator_accepts,
    _unsuitable_markets,
    _networks_without_egress,
    _too_few_pools,
    _lost_credentials,
    _address_of_others,
    _no_place_for_orchestrator,
    _no_quota_for_orchestrator,
)
