"""Renders the user data of a machine from which an image is made. Pure, and without secrets."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from bacalhau_spot.instance import template
from bacalhau_spot.instance.user_data import DOWNLOAD_URL

if TYPE_CHECKING:
    from bacalhau_spot.core.model import ClusterSpec

_TEMPLATE: Final = "cloud-init/image-template.yml"


def render_image(spec: ClusterSpec) -> bytes:
    """The user data as sent to EC2."""
    return template.compressed(image_cloud_config(spec))


def image_cloud_config(spec: ClusterSpec) -> str:
    """The user data as cloud-init reads it."""
    facts = json.dumps(image_facts(spec), indent=1, sort_keys=True) + "\n"
    return template.filled(_TEMPLATE, {"image_json": facts})


def image_facts(spec: ClusterSpec) -> dict[str, object]:
    """The facts that the machine's program needs."""
    bacalhau = spec.bacalhau
    return {
        "version": bacalhau.version,
        "download_url": bacalhau.download_url or DOWNLOAD_URL,
        "sha256": {arch.value: digest for arch, digest in bacalhau.sha256},
    }
