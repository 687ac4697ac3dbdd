"""The end of a cluster's lifetime: in the plan, in lists, before and after a change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group

from bacalhau_spot.core.lifecycle.durations import duration_text
from bacalhau_spot.core.lifecycle.expiry import NEVER
from bacalhau_spot.ui.formatting import age, error_label, plural
from bacalhau_spot.ui.views.blocks import Paragraph

if TYPE_CHECKING:
    from datetime import datetime

    from rich.console import RenderableType

    from bacalhau_spot.core.lifecycle.expiry import ClusterExpiry, ExpiryPlan
    from bacalhau_spot.core.lifecycle.extension import ExpiryChange


def end_text(at: datetime, *, now: datetime) -> str:
    """`2026-11-28 20:00 UTC, in 7 h 59 min`; `… UTC, 5 min ago`."""
    when = f"{at:%Y-%m-%d %H:%M} UTC"
    return f"{when}, in {age(at - now)}" if at > now else f"{when}, {age(now - at)} ago"


def expiry_text(expiry: ClusterExpiry, *, now: datetime) -> str:
    """Of a cluster: its end, `never`, or `none` if it has no expiry."""
    if expiry.at is not None:
        return end_text(expiry.at, now=now)
    return NEVER if expiry.value else "none"


def expiry_line(expiry: ClusterExpiry, *, now: datetime) -> list[Paragraph]:
    """`expiry: 2026-11-28 20:00 UTC, in 8 h`; nothing for a cluster without one."""
    if not expiry.value:
        return []
    return [
        Paragraph(
            expiry_text(expiry, now=now), prefix="expiry: ", style="yellow" if expiry.has_passed(now) else ""
        ),
        *_group_holders(expiry),
    ]


def _group_holders(expiry: ClusterExpiry) -> list[Paragraph]:
    """What ends a cluster with Auto Scaling groups at this time, and which groups go on."""
    lines: list[Paragraph] = []
    if expiry.groups and expiry.at is not None:
        by = f"{plural(len(expiry.groups), 'Auto Scaling group')} and {plural(len(expiry.held_by), 'instance')}"
        lines.append(Paragraph(f"held by {by}", style="dim"))
    lines += [
        Paragraph(
            f"the Auto Scaling group in {group.region} has another expiry: `bacalhau-spot create` sets it",
            style="yellow",
        )
        for group in expiry.open_groups
    ]
    return lines


def expiry_lines(
    planned: ExpiryPlan | None, *, idle_ttl_s: int | None = None, healed: bool = False
) -> list[Paragraph]:
    """The end after a `create`, and how it is held; nothing for a cluster without one. `healed`: with Auto Scaling groups."""
    lines: list[Paragraph] = []
    if planned is not None and planned.value:
        lines.append(Paragraph(_planned(planned, healed=healed), prefix="expiry: "))
    if planned is not None and planned.retag and not planned.is_new:
        lines.append(Paragraph(f"{plural(len(planned.retag), 'running instance')} get this expiry"))
    if planned is not None and planned.groups and planned.before.value:
        lines.append(Paragraph(f"{plural(len(planned.groups), 'Auto Scaling group')} get this expiry"))
    if idle_ttl_s is not None:
        lines.append(
            Paragraph(
                f"after {duration_text(idle_ttl_s)} without a job, as long as `bacalhau-spot reconcile --every 60s` runs "
                "somewhere: nodes do not know of the cluster's jobs",
                prefix="idle expiry: ",
            )
        )
    return lines


def _planned(planned: ExpiryPlan, *, healed: bool) -> str:
    if planned.at is None:
        return "never, which removes the present one" if planned.moves else "never, as chosen"
    end = end_text(planned.at, now=planned.now)
    if planned.moves:
        return f"{end}, instead of {expiry_text(planned.before, now=planned.now)}"
    if planned.is_new:
        how = (
            "AWS terminates the nodes of the Auto Scaling groups"
            if healed
            else "the nodes terminate themselves"
        )
        return f"{end}: then {how}, and a managed orchestrator stops"
    return f"{end}, that of the existing instances; `bacalhau-spot extend` moves it"


def extension_view(planned: ExpiryPlan) -> Group:
    """The change of `extend`, before it."""
    return Group(Paragraph(f"expiry: {_change(planned)}", style="bold"), *_counts(planned))


def extension_result_view(change: ExpiryChange) -> Group:
    """The change of `extend`, as far as AWS accepted it."""
    planned, changed = change.planned, change.changed
    if not planned.changes:
        return Group(Paragraph(f"nothing to do: the expiry is {_end(planned)}"))
    parts: list[RenderableType] = []
    if changed or change.changed_groups:
        of = _counted(len(changed), len(change.changed_groups))
        parts.append(Paragraph(f"expiry: {_change(planned)}, of {of}", style="bold"))
    parts += [
        Paragraph(
            f"{failure.region}: the expiry is not completely changed ({error_label(failure.code)})",
            style="red",
        )
        for failure in change.failed
    ]
    if change.interrupted:
        parts.append(Paragraph("interrupted: some regions may keep their expiry", style="yellow"))
    if change.failed or change.interrupted:
        parts.append(Paragraph("the same command again changes the rest"))
    return Group(*parts)


def _end(planned: ExpiryPlan) -> str:
    return NEVER if planned.at is None else end_text(planned.at, now=planned.now)


def _change(planned: ExpiryPlan) -> str:
    """`none -> 2026-11-28 20:00 UTC, in 8 h`"""
    return f"{expiry_text(planned.before, now=planned.now)} -> {_end(planned)}"


def _counts(planned: ExpiryPlan) -> list[Paragraph]:
    return [Paragraph(f"{expiry_holders(planned)} in {plural(len(planned.regions), 'region')}")]


def expiry_holders(planned: ExpiryPlan | None) -> str:
    """The instances and groups that change: `4 instances and 2 Auto Scaling groups`."""
    if planned is None:
        return _counted(0, 0)
    return _counted(len(planned.retag), len(planned.groups))


def _counted(instances: int, groups: int) -> str:
    words = [plural(instances, "instance")] if instances or not groups else []
    return " and ".join([*words, *([plural(groups, "Auto Scaling group")] if groups else [])])
