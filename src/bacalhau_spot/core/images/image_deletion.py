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
    the images with their snapshots.
    """

    chosen: tuple[AccountImage, ...]
    orphans: tuple[Resource, ...] = ()
    deleted: tuple[str, ...] = ()
    failures: tuple[ApiFailure, ...] = ()
    failed_regions: tuple[ApiFailure, ...] = ()
    interrupted: bool = False

    @property
    def empty(self) -> bool:
        return not self.chosen and not self.orphans

    @property
    def exit_code(self) -> ExitCode:
        if self.interrupted:
            return ExitCode.INTERRUPTED
        if self.failures:
            return ExitCode.FAILED
        return ExitCode.INCOMPLETE if self.failed_regions else ExitCode.DONE
