"""GPU instance types need an image with their driver. Checked before the launch, because the launch costs money."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bacalhau_spot.core.model import ClusterSpec

# Families with NVIDIA GPUs: g3, g4dn, g5g, g6e, gr6, p3dn, p5 …, but not g4ad, which has AMD GPUs.
_NVIDIA: Final = re.compile(r"(?!g4ad\.)(?:gr?|p)[0-9][a-z0-9-]*\.")
# EC2 user guide, "Instance type naming conventions": G and P are the families with GPUs.
_ANY_GPU: Final = re.compile(r"(?:gr?|p)[0-9][a-z0-9-]*\.")

_NAMED: Final = 5  # limits the length of the message


def gpu_types(types: Iterable[str]) -> tuple[str, ...]:
    """The instance types with NVIDIA GPUs."""
    return tuple(dict.fromkeys(name for name in types if _NVIDIA.match(name)))


def has_gpu(instance_type: str) -> bool:
    """Whether instances of the type have a GPU, of any make."""
    return _ANY_GPU.match(instance_type) is not None


def image_warning(spec: ClusterSpec, types: Mapping[str, Iterable[str]]) -> str | None:
    """A warning if GPU types would run the plain Ubuntu image, else None.

    `types`: by region, those that may be launched, listed or matched by requirements.
    """
    gpu_names: set[str] = set()
    for region in spec.regions:
        if (region.image or spec.image) == "auto":
            gpu_names.update(gpu_types(types.get(region.name, ())))
    if not gpu_names:
        return None
    names = sorted(gpu_names)
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return (
        f"the image `auto` has no GPU driver: nodes of type {', '.join(names[:_NAMED])}{more} would join without their GPU; "
        "set `image` to one with NVIDIA's driver and container toolkit, such as an AWS Deep Learning Base GPU image"
    )
