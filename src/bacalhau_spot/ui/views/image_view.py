"""The images that bacalhau-spot has made: the list, the plan of making them, and their deletion."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group

from bacalhau_spot.core.images.account_image import AVAILABLE
from bacalhau_spot.ui.formatting import age, comma_list, error_label, plural, usd
from bacalhau_spot.ui.views.blocks import Paragraph, TextTable, failed_regions_text, next_commands

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from rich.console import RenderableType

    from bacalhau_spot.core.images.account_image import AccountImage
    from bacalhau_spot.core.images.bake_plan import BakePlan, BakeResult
    from bacalhau_spot.core.images.image_deletion import ImageDeletion
    from bacalhau_spot.core.model import Resource
    from bacalhau_spot.engine.placement.image_list import ImageList

_HEADS = ("region", "image", "Bacalhau", "architecture", "state", "age", "size")
_SPARE = ("size", "architecture")
_USE = "bacalhau-spot configure --set image=baked"


def images_view(found: ImageList, *, version: str, now: datetime) -> Group:
    """A row an image, the total size, and hints on old ones. `version`: of Bacalhau in the configuration."""
    parts: list[RenderableType] = []
    if found.images:
        size = sum(image.size_gib for image in found.images)
        parts += [
            _table(found.images, now=now),
            Paragraph(f"{plural(len(found.images), 'image')}, {size} GiB at most", style="bold"),
        ]
    else:
        parts.append(Paragraph("no image of `image bake` in the regions that were scanned"))
    parts += _orphan_lines(found.orphans)
    parts += [*_warnings(found.images, version=version, now=now), *failed_regions_text(found.failed_regions)]
    commands = [] if any(image.version == version for image in found.images) else ["bacalhau-spot image bake"]
    if found.orphans:
        commands = ["bacalhau-spot image delete --older-than 3650d", *commands]
    return Group(*parts, *next_commands(commands))


def _warnings(images: Iterable[AccountImage], *, version: str, now: datetime) -> list[Paragraph]:
    images = tuple(images)
    old = [image.region for image in images if image.is_old(now)]
    other = [image for image in images if image.version != version]
    lines = []
    if old:
        lines.append(
            Paragraph(
                f"older than 90 days, in {comma_list(sorted(set(old)))}: `image bake --fresh` makes images with the security "
                "updates since then",
                style="yellow",
            )
        )
    if other:
        lines.append(
            Paragraph(
                f"{plural(len(other), 'image')} with another version of Bacalhau than the configuration's, {version}: "
                "`image delete` removes them",
                style="yellow",
            )
        )
    return lines


def _table(images: Iterable[AccountImage], *, now: datetime) -> TextTable:
    rows = [
        (
            image.region,
            image.id,
            image.version,
            image.arch.value,
            image.state,
            age(now - image.created_at),
            f"{image.size_gib} GiB",
        )
        for image in sorted(images, key=lambda image: (image.region, image.created_at))
    ]
    return TextTable(_HEADS, rows, right=("age", "size"), spare=_SPARE)


def bake_plan_view(plans: Sequence[BakePlan]) -> Group:
    """For each architecture: the machine with its price, the copies, and the images that exist."""
    lines: list[RenderableType] = []
    for plan in plans:
        lines.append(Paragraph(f"Bacalhau {plan.version} for {plan.arch}", style="bold"))
        lines += [Paragraph(text) for text in _steps(plan)]
    if any(plan.makes or plan.copies for plan in plans):
        lines.append(
            Paragraph(
                "AWS charges for the stored data of each image until it is deleted: about $0.05 per GiB and month"
            )
        )
    else:
        lines += next_commands([_USE])
    return Group(*lines)


def _steps(plan: BakePlan) -> list[str]:
    lines = _machine_steps(plan)
    if plan.copies:
        source = "it" if plan.source is None else f"{plan.source.id} in {plan.source.region}"
        lines.append(f"copy {source} to {comma_list(plan.copies)}")
    for image in plan.present.values():
        if image.state != AVAILABLE:
            lines.append(f"wait for {image.id} in {image.region}, which AWS is completing")
    usable = sorted(image.region for image in plan.present.values() if image.state == AVAILABLE)
    return [*lines, *([f"an image exists in {comma_list(usable)}"] if usable else [])]


def _machine_steps(plan: BakePlan) -> list[str]:
    why = ", which has another base or another version of Bacalhau" if plan.makes and not plan.builder else ""
    lines = [
        f"terminate {machine.id} in {machine.region}, the instance of an earlier run{why}"
        for machine in plan.unwanted
    ]
    if plan.builder is not None:
        return [*lines, f"complete {plan.builder.id} in {plan.home}, the instance of an earlier run"]
    if not plan.makes:
        return lines
    price = "" if plan.usd_per_hour is None else f", {usd(plan.usd_per_hour)} an hour"
    return [
        *lines,
        f"launch one on-demand {plan.instance_type} in {plan.home} for some minutes{price}, and make an image of it",
    ]


def bake_result_view(results: Sequence[BakeResult]) -> Group:
    """The new images, and the regions without one."""
    lines = [line for result in results for line in _result_lines(result)]
    is_done = all(not result.problems and not result.interrupted for result in results)
    return Group(*lines, *next_commands([_USE] if is_done else ["bacalhau-spot image bake"]))


def _result_lines(result: BakeResult) -> list[Paragraph]:
    plan = result.plan
    lines = [
        Paragraph(
            f"Bacalhau {plan.version} for {plan.arch}: {plural(len(result.made), 'new image')}, "
            f"images in {plural(len(result.images), 'region')}",
            style="bold",
        )
    ]
    lines += [Paragraph(f"{region}: {image.id}") for region, image in sorted(result.images.items())]
    lines += [
        Paragraph(f"{failure.region}: no image ({error_label(failure.code)})", style="red")
        for failure in result.failures
    ]
    if result.leftover:
        region = result.leftover_failure.region if result.leftover_failure else plan.home
        text = f"{result.leftover} in {region} is not terminated: repeat the command"
        lines.append(Paragraph(text, style="red"))
    if result.interrupted:
        lines.append(Paragraph("interrupted: the same command goes on", style="yellow"))
    return lines


def image_deletion_view(deletion: ImageDeletion, *, now: datetime) -> Group:
    """The images to delete."""
    if deletion.empty:
        return Group(Paragraph("no image to delete"), *failed_regions_text(deletion.failed_regions))
    parts: list[RenderableType] = []
    if deletion.chosen:
        title = f"to delete, with their snapshots: {plural(len(deletion.chosen), 'image')}"
        parts += [Paragraph(title, style="bold"), _table(deletion.chosen, now=now)]
    parts += _left_lines(deletion)
    parts += _orphan_lines(deletion.orphans)
    return Group(*parts, *failed_regions_text(deletion.failed_regions))


def _orphan_lines(orphans: Sequence[Resource]) -> list[Paragraph]:
    """Snapshots that remain from an interrupted deletion."""
    if not orphans:
        return []
    title = f"of deleted images: {plural(len(orphans), 'snapshot')}, which AWS charges for"
    return [
        Paragraph(title, style="yellow"),
        *(Paragraph(f"  {one.region}: {one.id}") for one in orphans),
    ]


def _left_lines(deletion: ImageDeletion) -> list[Paragraph]:
    """Snapshots that others made, and registered one of the images from."""
    left = deletion.left
    if not left:
        return []
    title = f"left, because they have no tag of `image bake`: {plural(len(left), 'snapshot')}"
    return [
        Paragraph(title, style="yellow"),
        *(Paragraph(f"  {region}: {one}") for one, region in left.items()),
    ]


def _deleted_count(deletion: ImageDeletion) -> str:
    """`1 of 2 images`, with `and 1 of 1 snapshot` for those without an image."""
    gone = set(deletion.deleted)
    images = sum(image.id in gone for image in deletion.chosen)
    snapshots = sum(one.id in gone for one in deletion.orphans)
    parts = [f"{images} of {plural(len(deletion.chosen), 'image')}"] if deletion.chosen else []
    if deletion.orphans:
        parts.append(f"{snapshots} of {plural(len(deletion.orphans), 'snapshot')}")
    return " and ".join(parts)


def image_deletion_result_view(deletion: ImageDeletion) -> Group:
    """The number of deleted images, and AWS's refusals."""
    lines: list[RenderableType] = [
        Paragraph(
            f"{_deleted_count(deletion)} deleted, with their snapshots",
            style="bold",
        )
    ]
    lines += _left_lines(deletion)
    lines += [
        Paragraph(f"{failure.region}: {error_label(failure.code)}: {failure.message}", style="red")
        for failure in deletion.failures
    ]
    if deletion.interrupted:
        lines.append(Paragraph("interrupted: the same command goes on", style="yellow"))
    return Group(*lines, *failed_regions_text(deletion.failed_regions))
