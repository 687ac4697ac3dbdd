"""The output of `image bake`, `image list` and `image delete` for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from bacalhau_spot.core.images.bake_plan import BakeResult
from bacalhau_spot.ui.json_output.values import (
    Amount,
    Count,
    ProblemOutput,
    Time,
    exact,
    problem_data,
    time_text,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bacalhau_spot.core.images.account_image import AccountImage
    from bacalhau_spot.core.images.bake_plan import BakePlan
    from bacalhau_spot.core.images.image_deletion import ImageDeletion
    from bacalhau_spot.engine.placement.image_list import ImageList


class AccountImageOutput(TypedDict):
    """An image that `image bake` has made."""

    id: str
    region: str
    name: str
    version: str
    """of Bacalhau on it"""
    arch: str
    state: str
    """AWS's: `available`, `pending` or `failed`"""
    created_at: Time
    size_gib: Count
    """of the root volume"""
    snapshots: list[str]


class ImagesOutput(TypedDict):
    """The images in all regions."""

    images: list[AccountImageOutput]
    orphans: list[str]
    """ids of snapshots of deleted images"""
    failed_regions: list[ProblemOutput]
    """regions that could not be scanned"""


class BakePlanOutput(TypedDict):
    """The images of one architecture, and the result of making them."""

    arch: str
    version: str
    """of Bacalhau"""
    region: str
    """where the instance runs"""
    instance_type: str | None
    """of the instance; null if no instance is needed"""
    usd_per_hour: Amount | None
    """of the instance on demand; null if unknown"""
    source: str | None
    """id of the existing image that is copied"""
    copies: list[str]
    """the regions to copy it to"""
    existing: list[str]
    """regions that have an image already"""
    images: list[AccountImageOutput]
    """the usable images afterwards; empty with `--dry-run`"""
    made: list[str]
    """ids of the new images"""
    failed: list[ProblemOutput]
    """by region, why an image is missing"""
    leftover: str | None
    """id of the instance if AWS refused to terminate it"""
    interrupted: bool


class BakeOutput(TypedDict):
    """One entry for each architecture."""

    architectures: list[BakePlanOutput]


class ImageDeletionOutput(TypedDict):
    """The deletion of images."""

    images: list[AccountImageOutput]
    """the images to delete"""
    orphans: list[str]
    """ids of snapshots of images that are gone already, also to delete"""
    deleted: list[str]
    """ids of the images that are gone with their snapshots, and of those snapshots; empty with `--dry-run`"""
    left: list[str]
    """ids of snapshots of these images that stay: another program made them, because they have no tag of `image bake`"""
    carried_out: bool
    """false with `--dry-run`"""
    failed: list[ProblemOutput]
    failed_regions: list[ProblemOutput]
    """regions that could not be scanned"""
    interrupted: bool


def images_data(found: ImageList) -> ImagesOutput:
    return {
        "images": [_image(image) for image in found.images],
        "orphans": [one.id for one in found.orphans],
        "failed_regions": [problem_data(failure) for failure in found.failed_regions],
    }


def bake_data(plans: Sequence[BakePlan], results: Sequence[BakeResult]) -> BakeOutput:
    """`results`: empty with `--dry-run`."""
    by_arch = {result.plan.arch: result for result in results}
    return {
        "architectures": [_bake(plan, by_arch.get(plan.arch, BakeResult(plan, images={}))) for plan in plans]
    }


def _bake(plan: BakePlan, result: BakeResult) -> BakePlanOutput:
    return {
        "arch": plan.arch.value,
        "version": plan.version,
        "region": plan.home,
        "instance_type": plan.instance_type if plan.makes else None,
        "usd_per_hour": exact(plan.usd_per_hour),
        "source": plan.source.id if plan.source else None,
        "copies": list(plan.copies),
        "existing": sorted(plan.present),
        "images": [_image(image) for image in result.images.values()],
        "made": list(result.made),
        "failed": [problem_data(failure) for failure in result.failures],
        "leftover": result.leftover or None,
        "interrupted": result.interrupted,
    }


def image_deletion_data(deletion: ImageDeletion, *, carried_out: bool) -> ImageDeletionOutput:
    return {
        "images": [_image(image) for image in deletion.chosen],
        "orphans": [one.id for one in deletion.orphans],
        "deleted": list(deletion.deleted),
        "left": list(deletion.left),
        "carried_out": carried_out,
        "failed": [problem_data(failure) for failure in deletion.failures],
        "failed_regions": [problem_data(failure) for failure in deletion.failed_regions],
        "interrupted": deletion.interrupted,
    }


def _image(image: AccountImage) -> AccountImageOutput:
    return {
        "id": image.id,
        "region": image.region,
        "name": image.name,
        "version": image.version,
        "arch": image.arch.value,
        "state": image.state,
        "created_at": time_text(image.created_at),
        "size_gib": image.size_gib,
        "snapshots": list(image.snapshot_ids),
    }
