"""The result of `image delete`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bacalhau_spot.errors import ExitCode

if TYPE_CHECKING:
    from bacalhau_spot.core.images.account_image import AccountImage
    from bacalhau_spot.core.model import Resource
    from bacalhau_spot.core.problem import ApiFailure


@dataclass(frozen=True, slots=True)
class ImageDeletion:
    """`chosen`: the images to delete; `orphans`: snapshots of images that are gone already; `deleted`: ids of both that are gone,
    the images with their snapshots. `snapshots`: ids of those with the tag of images; no other is deleted.
    """

    chosen: tuple[AccountImage, ...]
    snapshots: frozenset[str] = frozenset()
    orphans: tuple[Resource, ...] = ()
    deleted: tuple[str, ...] = ()
    failures: tuple[ApiFailure, ...] = ()
    failed_regions: tuple[ApiFailure, ...] = ()
    interrupted: bool = False

    @property
    def empty(self) -> bool:
        return not self.chosen and not self.orphans

    @property
    def left(self) -> dict[str, str]:
        """The regions of the snapshots of others that the chosen images were registered from, by id."""
        ids = ((one, image.region) for image in self.chosen for one in image.snapshot_ids)
        return {one: region for one, region in ids if one not in self.snapshots}

    @property
    def exit_code(self) -> ExitCode:
        if self.interrupted:
            return ExitCode.INTERRUPTED
        if self.failures:
            return ExitCode.FAILED
        return ExitCode.INCOMPLETE if self.failed_regions else ExitCode.DONE
