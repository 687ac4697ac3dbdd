"""The account's images that bacalhau-spot has made, in all regions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from bacalhau_spot.core.images.account_image import PENDING, newest_image
from bacalhau_spot.core.kinds import ResourceKind
from bacalhau_spot.core.model import Image
from bacalhau_spot.core.tags import cluster_scope, images_naming
from bacalhau_spot.engine.aws_calls.discovery import (
    check_permitted,
    in_all_regions,
    load_account,
    requested_regions,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bacalhau_spot.core.images.account_image import AccountImage
    from bacalhau_spot.core.model import Arch, Identity, Naming, Resource
    from bacalhau_spot.core.problem import ApiFailure
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls


@dataclass(frozen=True, slots=True)
class ImageList:
    """`snapshots`: ids of all snapshots with the tag of images; `orphans`: those of them whose image is deleted.

    `failed_regions`: regions that could not be scanned.
    """

    identity: Identity
    images: tuple[AccountImage, ...]
    snapshots: frozenset[str] = frozenset()
    orphans: tuple[Resource, ...] = ()
    failed_regions: tuple[ApiFailure, ...] = ()


async def list_images(calls: AwsCalls, naming: Naming, *, only: Sequence[str]) -> ImageList:
    """Two calls per region of `only`, or of all. Raises CloudError if no region permits it, UserError for one not enabled."""
    account = await load_account(calls)
    regions = requested_regions(account.regions, only)
    answers, failed = await in_all_regions(regions, partial(_images_and_snapshots, calls, naming))
    check_permitted(answers, failed)
    return ImageList(
        account.identity,
        images=tuple(image for images, _ in answers.values() for image in images),
        snapshots=frozenset(one.id for _, snapshots in answers.values() for one in snapshots),
        orphans=tuple(one for images, snapshots in answers.values() for one in _orphans(images, snapshots)),
        failed_regions=failed,
    )


async def _images_and_snapshots(
    calls: AwsCalls, naming: Naming, region: str
) -> tuple[tuple[AccountImage, ...], tuple[Resource, ...]]:
    """Each with its own tag: an image can have been registered from a snapshot of others."""
    scope = cluster_scope(images_naming(naming))
    snapshots = await calls.read(region, partial(calls.cloud.find, region, ResourceKind.SNAPSHOT, scope))
    return await images_in(calls, naming, region), snapshots


def _orphans(images: Sequence[AccountImage], snapshots: Sequence[Resource]) -> tuple[Resource, ...]:
    """A snapshot costs money after its image is gone. While an image is being made, AWS may not name its snapshot yet."""
    if any(image.state == PENDING for image in images):
        return ()
    used = {snapshot_id for image in images for snapshot_id in image.snapshot_ids}
    return tuple(snapshot for snapshot in snapshots if snapshot.id not in used)


async def images_in(calls: AwsCalls, naming: Naming, region: str) -> tuple[AccountImage, ...]:
    """Of one region. Raises CloudError."""
    own = images_naming(naming)
    return await calls.read(
        region,
        partial(calls.cloud.account_images, region, key=own.tag_key, value=own.tag_value),
    )


async def baked_images(
    calls: AwsCalls, naming: Naming, region: str, *, version: str, archs: Sequence[Arch]
) -> tuple[Image, ...]:
    """The newest usable image of each architecture; none for one without an image. Raises CloudError.

    `image bake` encrypts them with AWS's own key.
    """
    found = await images_in(calls, naming, region)
    newest = (newest_image(found, version=version, arch=arch) for arch in archs)
    return tuple(
        Image(
            id=image.id,
            arch=image.arch,
            root_device=image.root_device,
            volume_gib=image.size_gib,
        )
        for image in newest
        if image is not None
    )
