"""The result of `image delete`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bacalhau_spot.errors import ExitCode

if TYPE_CHECKING:
    from bacalhau_spot.core.images.account_image import AccountImage
    from bacalhau_spot.core.problem import ApiFailure


@dataclass(frozen=True, slots=True)
class ImageDeletion:
    """`chosen`: the images to delete; `deleted`: ids of those that are gone with their snapshots."""

    chosen: tuple[AccountImage, ...]
    deleted: tuple[str, ...] = ()
    failures: tuple[ApiFailure, ...] = ()
    failed_regions: tuple[ApiFailure, ...] = ()
    interrupted: bool = False

    @property
    def exit_code(self) -> ExitCode:
        if self.interrupted:
            return ExitCode.INTERRUPTED
        if self.failures:
            return ExitCode.FAILED
        return ExitCode.INCOMPLETE if self.failed_regions else ExitCode.DONE
