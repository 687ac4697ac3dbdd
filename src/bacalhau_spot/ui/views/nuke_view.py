"""The preview of a nuke: resources, regions, clusters, ages and costs."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING

from rich.console import Group

from bacalhau_spot.core.cleanup.deletion_order import SPEC_BY_KIND, levels
from bacalhau_spot.core.cleanup.nuke_preview import sort_resources
from bacalhau_spot.core.cleanup.orchestrator_loss import orchestrator_instances
from bacalhau_spot.core.kinds import GLOBAL
from bacalhau_spot.core.pricing.list_prices import HOURS_A_MONTH
from bacalhau_spot.core.problem import regions_by_failure
from bacalhau_spot.ui.formatting import (
    age,
    comma_list,
    count_of_kind,
    error_label,
    first_few,
    kind_label,
    plural,
    usd,
)
from bacalhau_spot.ui.views.blocks import Paragraph, TextTable, failed_regions_text, unsupported_text
from bacalhau_spot.ui.views.deletion_view import excluded_text, results_text

if TYPE_CHECKING:
    from decimal import Decimal

    from rich.console import RenderableType

    from bacalhau_spot.core.cleanup.nuke_preview import NukePreview
    from bacalhau_spot.core.model import Resource


# A create of many nodes takes about as long.
JUST_MADE = timedelta(minutes=2)


def nuke_preview_view(preview: NukePreview, *, delete_results: str = "") -> Group:
    """Identity and scope, the list, retained resources, missing permissions, savings.

    `delete_results`: the command that deletes job results too.
    """
    parts: list[RenderableType] = [*_where(preview)]
    if preview.to_delete:
        parts.append(_list(preview))
    elif not preview.to_adopt and not preview.results:
        parts.append(Paragraph(_nothing(preview)))
    parts += [
        Paragraph(f"{resource_id} in {region} is adopted: it is tagged, then deleted", style="yellow")
        for resource_id, region in sorted(preview.to_adopt.items())
    ]
    parts += _orchestrators(preview)
    parts += results_text(preview.results, command=delete_results)
    parts += excluded_text(preview.excluded)
    parts += [Paragraph(unsupported_text(resource), style="yellow") for resource in preview.unsupported]
    parts += _foreign(preview)
    parts += _denied(preview)
    parts += _cost(preview)
    return Group(*parts)


def _nothing(preview: NukePreview) -> str:
    if preview.excluded or preview.unsupported:
        return "nothing to delete"
    if preview.failed_regions:
        return "no managed resources were found in the regions that could be scanned"
    return f"no managed resources were found: nothing carries {preview.scope.key} with this value or the configured CreatedBy tag"


def order_view() -> Group:
    """The kinds of resources and their dependencies."""
    rows = [
        (
            str(number),
            kind_label(kind),
            "" if SPEC_BY_KIND[kind].service == "ec2" else SPEC_BY_KIND[kind].service,
            ", ".join(kind_label(other) for other in sorted(SPEC_BY_KIND[kind].after)),
        )
        for number, wave in enumerate(levels(), start=1)
        for kind in wave
    ]
    return Group(
        Paragraph(
            "Each kind is deleted after the kinds in its last column; independent kinds are deleted in parallel."
        ),
        TextTable(("step", "kind", "service", "after"), rows, right=("step",)),
        Paragraph("Global resources (iam) are deleted last, after all regions.", style="dim"),
    )


def _where(preview: NukePreview) -> list[RenderableType]:
    alias = f" ({preview.alias})" if preview.alias else ""
    lines: list[RenderableType] = [
        Paragraph(f"account {preview.identity.account_id}{alias} as {preview.identity.arn}", style="bold"),
        Paragraph(f"scanned {_scanned(preview)}", style="dim"),
    ]
    if preview.regions_skipped:
        lines.append(
            Paragraph(f"excluded by your options: {comma_list(preview.regions_skipped)}", style="yellow")
        )
        lines.append(
            Paragraph(
                "roles and instance profiles are retained: nodes of the regions may use them; without --region they are deleted",
                style="yellow",
            )
        )
    if preview.regions_not_enabled:
        lines.append(
            Paragraph(
                f"not scanned (not enabled in this account): {comma_list(preview.regions_not_enabled)}",
                style="dim",
            )
        )
    return [*lines, *failed_regions_text(preview.failed_regions)]


def _scanned(preview: NukePreview) -> str:
    """The names only where some regions are left out."""
    if preview.regions_skipped or preview.failed_regions:
        return comma_list(preview.regions_scanned)
    return f"all {plural(len(preview.regions_scanned), 'enabled region')}"


def _list(preview: NukePreview) -> TextTable:
    """A column with one value in all rows is left out: a single cluster is named below."""
    several = len(_clusters(preview)) > 1
    heads = ("region", "kind", "id", "name", *(("cluster",) if several else ()), "age", "remark")
    return TextTable(
        heads,
        [
            (
                resource.region,
                kind_label(resource.kind),
                resource.id,
                resource.name,
                *((preview.cluster_of(resource),) if several else ()),
                age(preview.scanned_at - resource.created_at) if resource.created_at else "",
                _remark(resource, preview),
            )
            for resource in sort_resources(preview.to_delete)
        ],
        spare=("name", "age", *(("cluster",) if several else ())),
    )


def _clusters(preview: NukePreview) -> list[str]:
    return sorted({preview.cluster_of(resource) for resource in preview.to_delete} - {""})


def _remark(resource: Resource, preview: NukePreview) -> str:
    if resource.protection:
        return f"{resource.protection}: {'will be lifted' if preview.disable_protection else 'add --disable-protection'}"
    if resource.region != GLOBAL and not preview.cluster_of(resource):
        return "untagged, launched by a managed resource"
    if orchestrator_instances([resource]):
        return "orchestrator: deleted after the nodes"
    return resource.state if resource.state in {"stopped", "stopping", "shutting-down", "deleting"} else ""


def _orchestrators(preview: NukePreview) -> list[RenderableType]:
    """Nodes in regions outside the scan may need an orchestrator that is deleted."""
    if not preview.regions_skipped:
        return []
    return [
        Paragraph(
            f"nodes in {comma_list(preview.regions_skipped)} that use the orchestrator {resource.id} receive no more jobs",
            style="bold yellow",
        )
        for resource in orchestrator_instances(preview.to_delete)
    ]


def _foreign(preview: NukePreview) -> list[RenderableType]:
    """Unmanaged resources are listed before the question: they are retained, and so are their VPCs."""
    lines: list[RenderableType] = []
    for vpc in dict.fromkeys(resource.id for resource, _ in preview.foreign):
        dependencies = [dependency for resource, dependency in preview.foreign if resource.id == vpc]
        names = [
            f"{kind_label(dependency.kind)} {dependency.id}{f' ({dependency.owner})' if dependency.owner else ''}"
            for dependency in dependencies
        ]
        lines.append(
            Paragraph(
                (
                    f"unmanaged resources block VPC {vpc}, which will be retained: {first_few(names)}; --adopt ID "
                    "deletes them, too"
                ),
                style="yellow",
            )
        )
    reasons = regions_by_failure(
        preview.partial_failures, lambda failed: f"{failed.operation}: {error_label(failed.code)}"
    )
    lines += [
        Paragraph(
            f"cannot check the VPCs of {comma_list(regions)} for unmanaged resources ({why}); "
            "resources that block a deletion will be listed and retained",
            style="yellow",
        )
        for why, regions in reasons.items()
    ]
    return lines


def _denied(preview: NukePreview) -> list[RenderableType]:
    """One line an action: the same refusal in twelve regions is one."""
    return [
        Paragraph(
            f"missing permission {action} in {comma_list(regions)}: affected resources will remain",
            style="bold yellow",
        )
        for action, regions in regions_by_failure(preview.denied, lambda failure: failure.operation).items()
    ]


def _cost(preview: NukePreview) -> list[RenderableType]:
    if not preview.to_delete:
        return []
    counts = Counter(resource.kind for resource in preview.to_delete)
    regions = len({resource.region for resource in preview.to_delete if resource.region != GLOBAL})
    what = ", ".join(count_of_kind(count, name) for name, count in sorted(counts.items()))
    whose = f" of {comma_list(_clusters(preview))}" if _clusters(preview) else ""
    lines: list[RenderableType] = [
        Paragraph(
            f"{plural(len(preview.to_delete), 'resource')}{whose} in {plural(regions, 'region')}: {what}",
            style="bold",
        )
    ]
    youngest = preview.youngest_age
    if youngest is not None and youngest < JUST_MADE:
        lines.append(
            Paragraph(
                f"the youngest is {age(youngest)} old: wait for a running create first, or use --min-age",
                style="bold yellow",
            )
        )
    return [*lines, *_savings(preview.usd_per_hour)]


def _savings(usd_per_hour: Decimal | None) -> list[RenderableType]:
    if usd_per_hour is None:
        return [Paragraph("savings unknown: some spot prices are not available")]
    if not usd_per_hour:
        return []
    month = usd(usd_per_hour * HOURS_A_MONTH)
    return [Paragraph(f"saves about {usd(usd_per_hour)} an hour, {month} a month", style="bold")]
