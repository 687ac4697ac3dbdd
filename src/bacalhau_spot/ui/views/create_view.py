"""The result of a create: requested, launched, running and failed nodes with reasons, per region and zone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group

from bacalhau_spot.core.error_catalog.classifier import classify, denied_action
from bacalhau_spot.core.health.termination_reasons import ENDED_BY, LOCKED_DISK, LOCKED_DISK_HINT
from bacalhau_spot.core.placement.quotas import quotas_of
from bacalhau_spot.ui.formatting import (
    comma_list,
    count_of_kind,
    elapsed_text,
    error_label,
    first_few,
    plural,
    usd_sum,
)
from bacalhau_spot.ui.state_styles import GOOD, WAITING
from bacalhau_spot.ui.views.blocks import Cell, Paragraph, TextTable, next_commands
from bacalhau_spot.ui.views.drain_view import drained_nodes
from bacalhau_spot.ui.views.groups_view import still_launching
from bacalhau_spot.ui.views.pools_view import pools_line
from bacalhau_spot.ui.views.ssh_view import PRIVATE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from bacalhau_spot.core.launch.create_result import CreateResult, RegionResult
    from bacalhau_spot.core.model import Instance


def create_result_view(result: CreateResult, *, options: str = "") -> Group:
    """The total, a row for each region, the reasons for missing nodes, and the next commands.

    `options`: those of this run that the next `create` needs, too.
    """
    parts: list[RenderableType] = [_total(result)]
    regions = [region for region in result.regions if region.requested or region.extra or region.problem]
    if regions:
        parts.append(_table(result, regions))
    parts.extend(_reasons(result))
    parts.extend(_lost(result))
    parts.extend(_surplus(result))
    parts.extend(still_launching(result))
    parts.extend(_joined(result))
    parts.extend(pools_line(result.pools))
    parts.extend(_after(result, options))
    return Group(*parts)


def dry_run_view(plan: RenderableType, *, options: str) -> Group:
    """The plan of a run that changes nothing, and the command that carries it out."""
    command = f"bacalhau-spot create{options}"
    return Group(
        plan, Paragraph("nothing was changed"), *next_commands((command,), label="to carry it out: ")
    )


def _table(result: CreateResult, regions: list[RegionResult]) -> RenderableType:
    rows = [_region_row(region, movers=_movers(result), takers=_takers(result)) for region in regions]
    return TextTable(("region", "running", "zones", "remarks"), rows, right=("running",), spare=("zones",))


def _movers(result: CreateResult) -> list[str]:
    return [region.region for region in result.regions if region.reassigned]


def _takers(result: CreateResult) -> list[str]:
    return [region.region for region in result.regions if region.extra]


def _region_row(region: RegionResult, *, movers: list[str], takers: list[str]) -> tuple[str, ...]:
    """`eu-west-1  4/4  a:1 b:3`"""
    of = region.requested + region.extra - region.reassigned
    running = Cell(f"{len(region.running)}/{of}", GOOD if len(region.running) >= of else WAITING)
    zones = " ".join(
        f"{zone.removeprefix(region.region)}:{count}" for zone, count in sorted(region.zones.items())
    )
    return (region.region, running, zones, _remark(region, movers=movers, takers=takers))


def _failed(region: RegionResult) -> int:
    """Nodes that are permanently missing; a pending node has not failed."""
    return max(0, region.missing - region.pending)


def _remark(region: RegionResult, *, movers: list[str], takers: list[str]) -> str:
    """A region's name appears only where one side of a transfer is a single region."""
    remarks = []
    if region.reassigned:
        exact = len(takers) == 1 or len(movers) == 1
        remarks.append(f"{region.reassigned} moved to {comma_list(takers) if exact else 'other regions'}")
    if region.extra:
        exact = len(takers) == 1 or len(movers) == 1
        remarks.append(f"{region.extra} more from {comma_list(movers) if exact else 'other regions'}")
    return ", ".join((*remarks, *_unsettled([region]), *_fallen_short(region), *_refused_pools(region)))


def _fallen_short(region: RegionResult) -> list[str]:
    """Nodes that do not run. After Ctrl-C a region may not have begun, which is no failure."""
    lost = [f"{len(region.lost)} terminated"] if region.lost else []
    if region.requested and not region.launched and region.code is None:
        return ["not begun", *lost]
    short = _failed(region) - len(region.lost)
    return [*lost, f"{short} not launched"] if short > 0 else lost


def _unsettled(regions: Sequence[RegionResult]) -> list[str]:
    """Instances listed as pending are starting; of those not listed only AWS's grant is known."""
    unseen = sum(region.not_visible for region in regions)
    starting = sum(region.pending for region in regions) - unseen
    return [
        *([f"{starting} still starting"] if starting else []),
        *([f"{unseen} granted by AWS, not yet visible"] if unseen else []),
    ]


def _refused_pools(region: RegionResult) -> list[str]:
    """`no capacity in a, c: t3.medium, m6a.large`"""
    zones: dict[str, list[str]] = {}
    types: dict[str, list[str]] = {}
    for failure in region.pool_failures:
        why = error_label(failure.code)
        zone = failure.zone.removeprefix(region.region)
        if zone not in zones.setdefault(why, []):
            zones[why].append(zone)
        if failure.type not in types.setdefault(why, []):
            types[why].append(failure.type)
    return [_refusal(why, zones[why], types[why]) for why in sorted(zones)]


def _refusal(why: str, zones: Sequence[str], types: Sequence[str]) -> str:
    """Groups name no type, and a refusal for a whole region names no zone."""
    where = f" in {', '.join(sorted(filter(None, zones)))}" if any(zones) else ""
    which = f": {first_few(sorted(filter(None, types)))}" if any(types) else ""
    return f"{why}{where}{which}"


def _reasons(result: CreateResult) -> list[RenderableType]:
    """Why regions fell short, each reason once; and the fix, where other regions did not make up for it.

    Problems without a substitute are reported as errors.
    """
    lines: list[RenderableType] = []
    for code, regions in sorted(_resolved_by_code(result).items()):
        names, message = sorted(region.region for region in regions), _message(code, regions)
        info = classify(code, message)
        lines.append(Paragraph(f"{info.message(comma_list(names))} ({code})", style="yellow"))
        if info.hint and any(_failed(region) for region in regions):
            hint = info.hint_for(names[0], action=denied_action(message), quota=_spot_quota(code, regions))
            lines.append(Paragraph(hint, prefix="  hint: "))
    return lines


def _resolved_by_code(result: CreateResult) -> dict[str, list[RegionResult]]:
    by_code: dict[str, list[RegionResult]] = {}
    for region in result.regions:
        resolved = region.problem not in result.unresolved and (region.reassigned or _failed(region))
        if region.code is not None and resolved:
            by_code.setdefault(region.code, []).append(region)
    return by_code


def _message(code: str, regions: Sequence[RegionResult]) -> str:
    """AWS's message for the code."""
    messages = [(failure.code, failure.message) for region in regions for failure in region.pool_failures]
    messages += [(region.problem.code, region.problem.message) for region in regions if region.problem]
    return next((message for known, message in messages if known == code), "")


def _spot_quota(code: str, regions: Sequence[RegionResult]) -> str:
    """The quota that counts the refused types; empty when the types are unknown."""
    types = (failure.type for region in regions for failure in region.pool_failures if failure.code == code)
    return next((quota.code for quota in quotas_of(types)), "")


def _lost(result: CreateResult) -> list[Paragraph]:
    lost = [instance for region in result.regions for instance in region.lost]
    lines = [
        Paragraph(f"{instance.id} in {instance.zone} terminated: {_why_ended(instance)}", style="yellow")
        for instance in lost
    ]
    locked = sorted({instance.region for instance in lost if instance.termination_reason == LOCKED_DISK})
    return lines + [Paragraph(LOCKED_DISK_HINT.format(region=region), prefix="hint: ") for region in locked]


def _why_ended(instance: Instance) -> str:
    code = instance.termination_reason or ""
    words = ENDED_BY.get(code) if code else None
    return f"ended {words} ({code})" if words else code or str(instance.state)


def _surplus(result: CreateResult) -> list[RenderableType]:
    """How the surplus nodes ended."""
    if result.drain is None or not result.drain.nodes:
        return []
    parts: list[RenderableType] = [
        Paragraph("nodes that are too many:", style="bold"),
        drained_nodes(result.drain.nodes),
    ]
    if result.leaving:
        names = first_few(result.leaving)
        parts.append(Paragraph(f"these end without another command: {names}", style="yellow"))
    if result.not_removed:
        parts.append(
            Paragraph(f"surplus, but not terminated: {first_few(result.not_removed)}", style="yellow")
        )
    return parts


def _joined(result: CreateResult) -> list[RenderableType]:
    """The nodes that have not joined the orchestrator, and the way to the reason."""
    if not result.not_joined:
        return []
    missing = plural(len(result.not_joined), "node")
    return [
        Paragraph(
            f"{missing} not connected to the orchestrator yet: {first_few(result.not_joined)}", style="yellow"
        ),
        *next_commands(("bacalhau-spot status",), label="the reasons: "),
    ]


def _total(result: CreateResult) -> Paragraph:
    """`12 of 12 nodes joined after 2 min 41 s, $0.27 an hour`"""
    text = ", ".join((_nodes_now(result), *_cost(result), *_unsettled(result.regions)))
    if result.interrupted:
        return Paragraph(
            f"interrupted: {plural(result.launched, 'instance')} launched, {text}", style="bold yellow"
        )
    short = result.missing or result.not_removed or result.not_joined
    return Paragraph(text, style="bold yellow" if short else "bold green")


def _nodes_now(result: CreateResult) -> str:
    """Running nodes, or joined ones if all of them are new, and the time that it took."""
    now = result.existing + result.running - len(result.removed) - len(result.leaving)
    took = "" if result.elapsed_s is None else f" after {elapsed_text(result.elapsed_s)}"
    if now > result.wanted:
        text = f"{plural(now, 'node')} running, {result.wanted} requested: {now - result.wanted} too many"
        return f"{text},{took}" if took else text
    if result.joined is None:
        return f"{now} of {plural(result.wanted, 'node')} running{took}"
    if not result.existing:
        return f"{result.joined} of {plural(result.wanted, 'node')} joined{took}"
    new = result.joined + len(result.not_joined)
    return f"{now} of {plural(result.wanted, 'node')} running, {result.joined} of {new} new ones joined{took}"


def _cost(result: CreateResult) -> list[str]:
    """Of the whole cluster, unless a price is unknown."""
    return [] if result.usd_per_hour is None else [f"{usd_sum(result.usd_per_hour)} an hour"]


def _after(result: CreateResult, options: str) -> list[RenderableType]:
    """The next commands. After a failure: the created resources, how to continue, and how to undo."""
    if not (result.interrupted or result.missing or result.not_removed):
        private = any(instance.public_ip is None for region in result.regions for instance in region.running)
        return [*_next_steps(result), *([Paragraph(PRIVATE)] if private else [])]
    made = ", ".join(count_of_kind(count, name) for name, count in result.resources_created)
    return [
        *([Paragraph(f"resources created: {made}")] if made else []),
        *next_commands((f"bacalhau-spot create{options}",), label="to go on: "),
        *(
            []
            if _another_create(result)
            else next_commands(("bacalhau-spot destroy",), label="to remove everything: ")
        ),
    ]


def _next_steps(result: CreateResult) -> list[Paragraph]:
    """The way to a job's output if nodes have joined an orchestrator."""
    if not result.joined:
        return [
            *next_commands(("bacalhau-spot status --watch",)),
            *next_commands(("bacalhau-spot destroy",), label="to remove everything: "),
        ]
    return [
        *next_commands(("bacalhau-spot smoke-test",)),
        *next_commands(("bacalhau-spot explain first-job",), label="to run a job: "),
        *next_commands(("bacalhau-spot explain jobs",), label="for jobs that survive an interruption: "),
        *next_commands(("bacalhau-spot destroy",), label="to remove everything: "),
    ]


def _another_create(result: CreateResult) -> bool:
    """Whether another create of the same cluster is running: `destroy` would delete its resources too."""
    problems = (region.problem for region in result.regions)
    return any(failure is not None and classify(failure.code).name == "other-create" for failure in problems)
