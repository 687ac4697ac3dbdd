"""The plan of `image bake`, and its result.

Rules:
1. An image is made once for each architecture, of a machine in one region, and copied to the other regions.
2. A region that has an image of this version keeps it, unless `fresh` images are wanted.
3. An image that another run has begun is waited for, and not made again.
4. A machine of an earlier run is completed if the image would be the same; every other one is terminated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bacalhau_spot.core.images.account_image import AVAILABLE, PENDING
from bacalhau_spot.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime
    from decimal import Decimal

    from bacalhau_spot.core.images.account_image import AccountImage
    from bacalhau_spot.core.model import Arch, Instance
    from bacalhau_spot.core.problem import ApiFailure


@dataclass(frozen=True, slots=True)
class BakePlan:
    """The images of one architecture.

    `home`: the region of the machine. `source`: an existing image to copy; None: one is made. `present`: by region, the
    usable image or one that AWS is completing. `copies`: the regions to copy it to. `builder`: the machine of an earlier
    run that is completed; `unwanted`: those that are terminated. `usd_per_hour`: of the machine; None: unknown.
    """

    arch: Arch
    version: str
    home: str
    instance_type: str
    source: AccountImage | None
    present: Mapping[str, AccountImage]
    copies: tuple[str, ...]
    builder: Instance | None = None
    unwanted: tuple[Instance, ...] = ()
    usd_per_hour: Decimal | None = None

    @property
    def makes(self) -> bool:
        """Whether a machine is launched, or that of an earlier run completed."""
        return self.source is None

    @property
    def image_regions(self) -> tuple[str, ...]:
        """Where an image is made, copied or waited for."""
        made = (self.home,) if self.source is None else (self.source.region,)
        others = (image.region for image in self.present.values() if image != self.source)
        return (*made, *others, *self.copies)

    @property
    def regions(self) -> tuple[str, ...]:
        """Where something changes."""
        return (self.home, *self.copies, *(machine.region for machine in self.unwanted))

    @property
    def is_complete(self) -> bool:
        """Whether every region has a usable image, and no machine of an earlier run is left."""
        return (
            not self.copies
            and not self.makes
            and not self.unwanted
            and all(one.state == AVAILABLE for one in self.present.values())
        )


def bake_plan(
    images: Iterable[AccountImage],
    *,
    arch: Arch,
    version: str,
    regions: Sequence[str],
    instance_type: str,
    builders: Sequence[Instance] = (),
    completable: Collection[str] = (),
    fresh: bool = False,
) -> BakePlan:
    """`regions`: those that are to have the image; the first one is the machine's, unless one is completed in another.

    `builders`: the machines of earlier runs; `completable`: ids of those with the same contents as a new one.
    """
    present = {} if fresh else _present(images, arch=arch, version=version)
    source = _source(present.values(), regions)
    builder, unwanted = _sorted_out(builders, () if source else completable)
    home = builder.region if builder else regions[0]
    has = {*present, *(() if source else (home,))}
    return BakePlan(
        arch=arch,
        version=version,
        home=home,
        instance_type=instance_type,
        source=source,
        present={region: image for region, image in present.items() if region in regions},
        copies=tuple(region for region in regions if region not in has),
        builder=builder,
        unwanted=unwanted,
    )


def _sorted_out(
    builders: Sequence[Instance], completable: Collection[str]
) -> tuple[Instance | None, tuple[Instance, ...]]:
    """The machine to complete, and those to terminate."""
    builder = next((one for one in builders if one.id in completable), None)
    return builder, tuple(one for one in builders if one is not builder)


def _present(images: Iterable[AccountImage], *, arch: Arch, version: str) -> dict[str, AccountImage]:
    """The newest image of each region, and one that AWS is completing only where there is no other."""
    fitting = (image for image in images if image.version == version and image.arch == arch)
    kept = [image for image in fitting if image.state in {AVAILABLE, PENDING}]
    return {
        image.region: image for image in sorted(kept, key=lambda one: (one.state == AVAILABLE, *_age(one)))
    }


def _source(images: Collection[AccountImage], regions: Sequence[str]) -> AccountImage | None:
    """The image to copy: a usable one, if there is one, and one of `regions`; the newest of several."""
    usable = [image for image in images if image.state == AVAILABLE] or images
    return max(usable, key=lambda one: (one.region in regions, *_age(one)), default=None)


def _age(image: AccountImage) -> tuple[datetime, str]:
    return image.created_at, image.id


@dataclass(frozen=True, slots=True)
class BakeResult:
    """`images`: the usable images of the wanted regions; `made`: ids of the new ones. `failures`: by region, why one is missing.

    `failed_regions`: regions that could not be scanned. `leftover`: the machine, if it could not be terminated, and
    `leftover_failure`, why.
    """

    plan: BakePlan
    images: Mapping[str, AccountImage]
    made: tuple[str, ...] = ()
    failures: tuple[ApiFailure, ...] = ()
    leftover: str = ""
    leftover_failure: ApiFailure | None = None
    interrupted: bool = False

    @property
    def problems(self) -> tuple[ApiFailure, ...]:
        """What the user is told as errors."""
        return (*self.failures, *filter(None, (self.leftover_failure,)))

    @property
    def exit_code(self) -> ExitCode:
        if self.interrupted:
            return ExitCode.INTERRUPTED
        return ExitCode.FAILED if self.problems else ExitCode.DONE
