"""An image of the account that bacalhau-spot has made, and the choice among several."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from bacalhau_spot.core.tags import IMAGE_KEY

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from bacalhau_spot.core.model import Arch

# The value of `image` in the configuration for the newest of these images.
BAKED: Final = "baked"
AVAILABLE: Final = "available"
PENDING: Final = "pending"
# Older images have no security updates of the last months: `image list` marks them.
OLD: Final = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class AccountImage:
    """An image as AWS returns it. `state`: AWS's. `size_gib`: of the root volume; `snapshot_ids`: of all its volumes."""

    id: str
    region: str
    name: str
    arch: Arch
    state: str
    created_at: datetime
    root_device: str
    size_gib: int
    snapshot_ids: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def version(self) -> str:
        """Of Bacalhau on it."""
        return self.tags.get(IMAGE_KEY, "")

    def is_old(self, now: datetime) -> bool:
        return now - self.created_at > OLD


def newest_image(images: Iterable[AccountImage], *, version: str, arch: Arch) -> AccountImage | None:
    """The newest usable image with this version of Bacalhau; None without one."""
    usable = (
        image
        for image in images
        if image.version == version and image.arch == arch and image.state == AVAILABLE
    )
    return max(usable, key=lambda image: (image.created_at, image.id), default=None)
