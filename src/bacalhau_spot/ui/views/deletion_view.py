"""Resources to delete, and the result of a deletion."""

from __future__ import annotations

import shlex
from collections import Counter
from typing import TYPE_CHECKING

from rich.console import Group

from bacalhau_spot.core.cleanup.deletion_result import AWS_SERVICE_OWNER, DeletionStatus, resources_by_region
from bacalhau_spot.core.cleanup.nuke_preview import sort_resources
from bacalhau_spot.core.cleanup.orchestrator_loss import NO_LOSS
from bacalhau_spot.core.error_catalog.internal import TIME_OVER
from bacalhau_spot.core.kinds import GLOBAL
from bacalhau_spot.ui.formatting import (
    comma_list,
    count_of_kind,
    elapsed_text,
    error_label,
    first_few,
    kind_label,
    plural,
    usd_sum,
)
from bacalhau_spot.ui.views.blocks import (
    Paragraph,
    TextTable,
    failed_regions_text,
    next_commands,
    unsupported_text,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from decimal import Decimal

    from rich.console import RenderableType

    from bacalhau_spot.core.cleanup.deletion_result import DeletionOutcome, DeletionResult, Dependency
    from bacalhau_spot.core.cleanup.orchestrator_loss import OrchestratorLoss, ResultsBucket
    from bacalhau_spot.core.model import Naming, Resource
    from bacalhau_spot.core.problem import ApiFailure


def deletion_preview_view(
    resources: Sequence[Resource],
    *,
    unknown: Sequence[Resource],
    cluster: str,
    loss: OrchestratorLoss = NO_LOSS,
    delete_results: str = "",
    unseen: Sequence[ApiFailure] = (),
    silent: Sequence[ApiFailure] = (),
    usd_per_hour: Decimal | None = None,
) -> Group:
    """The orchestrator first, then the resources by region and kind, job results, and regions that could not be scanned.

    `delete_results`: the command that deletes the job results too. `usd_per_hour`: what stops; None: unknown.
    """
    parts: list[RenderableType] = [*_loss_text(loss)]
    if resources:
        shown = TextTable(
            ("region", "to delete"),
            [
                (region, _kinds(has_outcomes))
                for region, has_outcomes in resources_by_region(resources).items()
            ],
        )
        parts += [Paragraph(f"resources of cluster {cluster}:", style="bold"), shown]
        regions = plural(len({resource.region for resource in resources} - {GLOBAL}), "region")
        saves = f"; the deletion saves about {usd_sum(usd_per_hour)} an hour" if usd_per_hour else ""
        parts.append(Paragraph(f"{plural(len(resources), 'resource')} in {regions}{saves}", style="bold"))
    elif not loss.results:
        where = " in the scanned regions" if unseen else ""
        parts.append(Paragraph(f"nothing of {cluster} was found{where}"))
    parts += results_text(loss.results, command=delete_results)
    parts.extend(_unknown(unknown))
    return Group(*parts, *failed_regions_text(unseen), *_partial_failures(silent))


def _loss_text(loss: OrchestratorLoss) -> list[RenderableType]:
    """The orchestrators to be deleted, and the other clusters that use them."""
    lines: list[RenderableType] = [
        Paragraph(
            f"the orchestrator {resource.id} in {resource.region} is deleted after the nodes, with its jobs and its keys",
            style="bold yellow",
        )
        for resource in loss.instances
    ]
    if loss.users:
        users = ", ".join(f"{name} ({plural(count, 'node')})" for name, count in loss.users.items())
        text = (
            f"other clusters use it, and their nodes receive no more jobs: {users}"
            if loss.certain
            else f"it does not answer; other clusters may use it: {users}"
        )
        lines.append(Paragraph(text, style="bold yellow"))
    return lines


def excluded_text(excluded: Iterable[tuple[Resource, str]]) -> list[RenderableType]:
    """What stays by the user's choice or by a rule, a line for each reason."""
    reasons: dict[str, list[Resource]] = {}
    for resource, why in excluded:
        reasons.setdefault(why, []).append(resource)
    return [
        Paragraph(f"stays: {first_few(_names(resources), at_most=6)} ({why})", style="dim")
        for why, resources in sorted(reasons.items())
    ]


def _names(resources: Iterable[Resource]) -> list[str]:
    return [f"{kind_label(resource.kind)} {resource.id}" for resource in sort_resources(resources)]


def results_text(buckets: Sequence[ResultsBucket], *, command: str) -> list[RenderableType]:
    """The buckets with job results, and whether they are deleted. `command`: deletes the retained ones."""
    lines: list[RenderableType] = []
    for bucket in (bucket for bucket in buckets if not bucket.contents.empty):
        name = f"bucket {bucket.resource.id} in {bucket.resource.region}"
        fate = "job results are deleted" if bucket.deleted else "job results stay"
        lines.append(Paragraph(f"{fate}: {bucket.contents.text} in {name}", style="bold yellow"))
    if any(not bucket.deleted for bucket in buckets):
        lines += next_commands((command,), label="to delete them: ")
    return lines


def _kinds(resources: Iterable[Resource]) -> str:
    counts = Counter(resource.kind for resource in resources)
    return ", ".join(count_of_kind(count, name) for name, count in sorted(counts.items()))


def _unknown(unknown: Sequence[Resource]) -> list[Paragraph]:
    return [Paragraph(unsupported_text(resource)) for resource in unknown]


def deletion_result_view(
    result: DeletionResult,
    *,
    naming: Naming,
    command: str = "destroy",
    delete_results: str = "",
    elapsed_s: float | None = None,
    usd_per_hour: Decimal | None = None,
) -> Group:
    """The number of deleted resources, remaining ones with reasons, and the result of the verifying scan.

    A table only where something is left: the preview has had the same one. `delete_results`: the command that deletes retained
    job results. `usd_per_hour`: of the deleted resources; None: unknown.
    """
    parts: list[RenderableType] = []
    if result.outcomes:
        if result.remaining:
            parts.append(_table(result))
        parts.append(_deleted_count(result, elapsed_s=elapsed_s, usd_per_hour=usd_per_hour))
    if all(outcome.status == DeletionStatus.SKIPPED for outcome in result.outcomes):
        # Nobody was asked, so that no list of these was shown.
        parts.extend(excluded_text((outcome.resource, outcome.reason) for outcome in result.outcomes))
    parts.extend(_remaining(result))
    parts.extend(_unknown(result.unsupported))
    parts.extend(failed_regions_text(result.failed_regions))
    parts.extend(_partial_failures(result.partial_failures))
    parts.extend(results_text(result.kept_results, command=delete_results))
    parts.extend(_ending(result, naming, has_outcomes=bool(result.outcomes), command=command))
    return Group(*parts)


def _deleted_count(
    result: DeletionResult, *, elapsed_s: float | None, usd_per_hour: Decimal | None
) -> Paragraph:
    """`52 of 52 resources deleted in 5 regions after 31 s, which saves about $0.31 an hour`"""
    gone = [outcome for outcome in result.outcomes if outcome.status in _GONE]
    asked = [outcome for outcome in result.outcomes if outcome.status is not DeletionStatus.SKIPPED]
    regions = plural(len({outcome.resource.region for outcome in gone} - {GLOBAL}), "region")
    took = "" if elapsed_s is None else f" after {elapsed_text(elapsed_s)}"
    cost = (
        f", which saves about {usd_sum(usd_per_hour)} an hour"
        if usd_per_hour and len(gone) == len(asked)
        else ""
    )
    complete = len(gone) == len(asked)
    return Paragraph(
        f"{len(gone)} of {plural(len(asked), 'resource')} deleted in {regions}{took}{cost}",
        style="bold green" if complete else "bold yellow",
    )


_GONE = frozenset({DeletionStatus.DELETED, DeletionStatus.NOT_FOUND})
_HEADS = {
    "already gone": {DeletionStatus.NOT_FOUND},
    "skipped": {DeletionStatus.SKIPPED},
    "blocked": {DeletionStatus.BLOCKED},
    "failed": {DeletionStatus.FAILED},
    "left": {DeletionStatus.NOT_ATTEMPTED},
}


def _table(result: DeletionResult) -> TextTable:
    """A row for each region: deleted resources by kind, and the number of other outcomes; empty columns are not shown."""
    regions: dict[str, list[DeletionOutcome]] = {}
    for outcome in result.outcomes:
        regions.setdefault(outcome.resource.region, []).append(outcome)
    rows = [
        (region, *_counts(has_outcomes), _deleted(has_outcomes))
        for region, has_outcomes in sorted(regions.items())
    ]
    every = f"{len(result.deleted)} in all"
    total = ("total", *_counts(result.outcomes), every) if len(regions) > 1 else None
    return TextTable(("region", *_HEADS, "deleted"), rows, right=tuple(_HEADS), total=total)


def _counts(outcomes: Sequence[DeletionOutcome]) -> list[str]:
    numbers = (sum(outcome.status in fates for outcome in outcomes) for fates in _HEADS.values())
    return [str(number) if number else "" for number in numbers]


def _deleted(outcomes: Sequence[DeletionOutcome]) -> str:
    return _kinds(outcome.resource for outcome in outcomes if outcome.status == DeletionStatus.DELETED)


def _partial_failures(failures: Sequence[ApiFailure]) -> list[Paragraph]:
    """Services that this configuration never uses, and that did not answer."""
    operations = sorted({failure.operation for failure in failures})
    if not operations:
        return []
    why = error_label(failures[0].code)
    return [
        Paragraph(
            f"not scanned, and not used by the configuration: {comma_list(operations)} ({why})", style="dim"
        )
    ]


_ONE_BY_ONE = 10


def other_cluster_warnings(clusters: Mapping[str, int], *, tag_key: str, command: str) -> tuple[str, ...]:
    """One for each cluster other than the requested one, with the command for it."""
    return tuple(
        f"{plural(count, 'instance')} of another cluster under {tag_key}: {name}; {_for_cluster(command, name)}"
        for name, count in clusters.items()
    )


def _for_cluster(command: str, name: str) -> str:
    """The command for another cluster. `env` and `smoke-test` need the settings of its configuration."""
    quoted = shlex.quote(name)
    return {
        "console": f"`bacalhau-spot console --cluster {quoted}`",
        "cost": f"`bacalhau-spot cost --cluster {quoted}`",
        "destroy": f"`bacalhau-spot destroy --cluster {quoted}`",
        "list": f"`bacalhau-spot list --cluster {quoted}`",
        "prune": f"`bacalhau-spot prune --cluster {quoted}`",
        "ssh": f"`bacalhau-spot ssh --cluster {quoted}`",
        "status": f"`bacalhau-spot status --cluster {quoted}`",
    }.get(command, "add --config with its configuration file")


def other_label_warnings(clusters: Mapping[str, int], *, address: str, command: str) -> tuple[str, ...]:
    """As `other_cluster_warnings`, for nodes in the list of the orchestrator at `address`."""
    return tuple(
        f"{plural(count, 'node')} of another cluster in the orchestrator {address}: {name}; {_for_cluster(command, name)}"
        for name, count in clusters.items()
    )


def rescan_notice_view(lag_s: float) -> RenderableType:
    """Why nothing happens for some seconds."""
    return Paragraph(
        f"nothing found yet; checking again in {lag_s:.0f} s, because AWS may list new resources late",
        style="dim",
    )


_REMAINING = frozenset({DeletionStatus.FAILED, DeletionStatus.BLOCKED, DeletionStatus.NOT_ATTEMPTED})


def _remaining(result: DeletionResult) -> list[RenderableType]:
    """Each remaining resource, the reason, and the blocking resource with the command that unblocks it."""
    left = [outcome for outcome in result.outcomes if outcome.status in _REMAINING]
    grouped = _grouped_outcomes(left)
    lines: list[RenderableType] = [
        Paragraph(f"left in {region}: {_kinds(resources)}", style="yellow")
        for region, resources in resources_by_region(outcome.resource for outcome in grouped).items()
    ]
    shown: set[str] = set()
    for outcome in (outcome for outcome in left if outcome not in grouped):
        name = f"{kind_label(outcome.resource.kind)} {outcome.resource.id} in {outcome.resource.region}"
        lines.append(Paragraph(f"left: {name}{_why(outcome)}", style="yellow"))
        for dependency in outcome.dependencies:
            lines += _dependency_text(dependency, again=dependency.fix_command in shown)
            shown.add(dependency.fix_command)
    return lines


def _grouped_outcomes(left: Sequence[DeletionOutcome]) -> list[DeletionOutcome]:
    """Resources without an attempt have no reason of their own: of many only the kinds are shown."""
    waiting = [
        outcome
        for outcome in left
        if outcome.status == DeletionStatus.NOT_ATTEMPTED
        and (outcome.problem is None or outcome.problem.code == TIME_OVER)
    ]
    return waiting if len(waiting) > _ONE_BY_ONE else []


def _dependency_text(dependency: Dependency, *, again: bool) -> list[RenderableType]:
    """`again`: its command has been shown already."""
    owner = f", {dependency.owner}" if dependency.owner else ""
    lines: list[RenderableType] = [
        Paragraph(f"  blocked by {kind_label(dependency.kind)} {dependency.id}{owner}")
    ]
    if dependency.fix_command and not again:
        lines.append(Paragraph(dependency.fix_command, style="cyan", prefix="    to unblock: ", whole=True))
    elif not dependency.fix_command and dependency.owner.startswith(AWS_SERVICE_OWNER):
        lines.append(Paragraph("delete it in the AWS service that created it", prefix="    to unblock: "))
    return lines


def _why(outcome: DeletionOutcome) -> str:
    if outcome.problem is None:
        return f" ({outcome.reason})" if outcome.reason else ""
    words = (
        outcome.problem.code if outcome.dependencies or outcome.problem.operation else outcome.problem.message
    )
    request = f", request {outcome.problem.request_id}" if outcome.problem.request_id else ""
    return f" ({words}{request})"


def _ending(
    result: DeletionResult, naming: Naming, *, has_outcomes: bool, command: str
) -> list[RenderableType]:
    tag = naming.tag_key if command == "nuke" else f"{naming.tag_key}={naming.tag_value}"
    where = plural(len(result.regions_scanned), "region")
    if result.interrupted or result.remaining:
        text = (
            f"{plural(len(result.remaining), 'resource')} left"
            if result.remaining
            else "the deletion is not fully verified"
        )
        text = f"interrupted: {text}" if result.interrupted else text
        return [
            Paragraph(text, style="bold yellow"),
            *next_commands((f"bacalhau-spot {command}",), label="to go on: "),
        ]
    if result.unsupported:
        return [
            Paragraph(f"{plural(len(result.unsupported), 'resource')} left in {where}", style="bold yellow")
        ]
    if result.failed_regions:
        return [Paragraph("the scan is incomplete", style="bold yellow")]
    if not has_outcomes:
        return [Paragraph(f"nothing to delete: nothing carries {tag} in {where}", style="bold green")]
    return [_verified(result, tag=tag, where=where)]


def _verified(result: DeletionResult, *, tag: str, where: str) -> Paragraph:
    kept = len(result.kept_results)
    results = f", except {plural(kept, 'bucket')} with job results" if kept else ""
    stay = sum(outcome.status == DeletionStatus.SKIPPED for outcome in result.outcomes) - kept
    verb = "stays" if stay == 1 else "stay"
    others, rest = (" else", f"; {plural(stay, 'resource')} {verb}") if stay else ("", "")
    return Paragraph(
        f"verified: nothing{others} with {tag} is left in {where}{results}{rest}", style="bold green"
    )
