"""The Auto Scaling groups of a self-healing cluster: their changes in a plan, and their present state."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bacalhau_spot.core.error_catalog.classifier import classify
from bacalhau_spot.core.launch.group_plan import GroupStep
from bacalhau_spot.ui.formatting import comma_list, plural
from bacalhau_spot.ui.views.blocks import Paragraph

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bacalhau_spot.core.launch.create_result import CreateResult
    from bacalhau_spot.core.launch.group_plan import GroupPlan
    from bacalhau_spot.core.launch.plan import Plan
    from bacalhau_spot.core.scaling_group.groups import GroupState

_HEALS = "self-healing: "


def group_steps(plan: Plan) -> list[Paragraph]:
    """A line for each group that the plan changes, and the most instances that AWS may run."""
    changes = plan.group_changes
    lines = [Paragraph(f"{group.region}: {comma_list(_steps(group))}", prefix=_HEALS) for group in changes]
    healing = [group for group in plan.groups if group.heals]
    if changes and healing:
        most = sum(group.most for group in healing)
        kept = sum(group.desired for group in healing)
        lines.append(
            Paragraph(
                f"AWS keeps {plural(kept, 'node')}, and replaces {'it' if kept == 1 else 'them'} without asking; "
                f"while it does, up to {plural(most, 'instance')} run"
            )
        )
    return lines


def _steps(group: GroupPlan) -> list[str]:
    keep = "it keeps" if len(group.detach) == 1 else "they keep"
    words = {
        GroupStep.CREATE: f"create an Auto Scaling group of {plural(group.desired, 'node')}",
        GroupStep.ATTACH: f"attach {plural(len(group.attach), 'running node')}",
        GroupStep.UPDATE: "launch new nodes with the present configuration",
        GroupStep.RESIZE: f"resize the Auto Scaling group to {plural(group.desired, 'node')}",
        GroupStep.DETACH: f"detach {plural(len(group.detach), 'node')} ({keep} running)",
        GroupStep.DELETE: "delete the Auto Scaling group",
    }
    return [words[step] for step in group.steps]


def changed_groups(plan: Plan) -> str:
    """For a question: `create 2 Auto Scaling groups`; empty if the plan changes none."""
    changes = plan.group_changes
    if not changes:
        return ""
    first = [group.steps[0] for group in changes]
    verb = "change"
    if set(first) == {GroupStep.CREATE}:
        verb = "create"
    elif all(not group.heals for group in changes):
        verb = "delete"
    return f"{verb} {plural(len(changes), 'Auto Scaling group')}"


def still_launching(result: CreateResult) -> list[Paragraph]:
    """The missing nodes that AWS goes on trying to launch."""
    short = [region for region in result.regions if region.healing]
    if not short:
        return []
    where = comma_list([f"{region.healing} in {region.region}" for region in short])
    return [Paragraph(f"AWS goes on trying to launch the missing nodes: {where}", style="yellow")]


def groups_lines(states: Sequence[GroupState]) -> list[Paragraph]:
    """The groups in one line, and a line for each that AWS refuses nodes."""
    if not states:
        return []
    counts = ", ".join(
        f"{state.group.region} {state.group.in_service} of {state.group.desired}" for state in states
    )
    lines = [Paragraph(f"Auto Scaling groups keep the nodes: {counts} in service", style="dim")]
    for state in states:
        if state.refusal is not None:
            text = classify(state.refusal.code, state.refusal.message).message(state.group.region)
            zone = f", last in {state.refusal.zone}" if state.refusal.zone else ""
            lines.append(
                Paragraph(
                    f"AWS goes on trying to launch {plural(state.missing, 'node')} in {state.group.region}: {text} "
                    f"({state.refusal.code}{zone})",
                    style="yellow",
                )
            )
    return lines
