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
from bacalhau_spot.core.placement.demand import node_demand
from bacalhau_spot.core.placement.region_selection import RegionReason, data_gaps, explain_no_region
from bacalhau_spot.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from bacalhau_spot.core.inventory import ClusterInventory
    from bacalhau_spot.core.launch.facts import LaunchFacts
    from bacalhau_spot.core.model import ClusterSpec, Market
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


def _unusable_regions(facts: LaunchFacts) -> Refusal | None:
    """Configured regions that do not exist or are not enabled, all at once."""
    configured = [region.name for region in facts.spec.regions]
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
    launch = node_demand(facts.spec, facts.instances).launch
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
    if not node_demand(facts.spec, facts.instances).launch:
        return None
    return Refusal(
        "the orchestrator would refuse the nodes"
        if len(checks) == 1
        else "every orchestrator address would refuse the nodes",
        details=tuple(check.message for check in checks),
        hint=checks[0].hint,
        docs="docs/nodes.md",
    )


_CHECKS: tuple[Callable[[LaunchFacts], Refusal | None], ...] = (
    _unusable_regions,
    _unscanned_regions,
    _no_region,
    _no_orchestrator_accepts,
    _unsuitable_markets,
    _networks_without_egress,
    _too_few_pools,
)
