"""Removes images that no container uses when the disk fills. Neither Docker nor Bacalhau removes any."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from .shell import CommandFailedError, output

if TYPE_CHECKING:
    from collections.abc import Callable

FULL = 0.8
_IMAGES = "/var/lib/docker"


def used(folder: str) -> float:
    """The used share of the folder's file system."""
    try:
        space = shutil.disk_usage(folder)
    except FileNotFoundError:  # Docker is not installed yet
        return 0.0
    return space.used / (space.used + space.free)


def docker_folder() -> str:
    """The folder of Docker's images: the image's own settings may name another disk."""
    try:
        shown = output(["docker", "info", "--format", "{{.DockerRootDir}}"], timeout_s=60)
    except CommandFailedError:
        return _IMAGES
    return shown.stdout.strip() if shown.returncode == 0 else _IMAGES


class DiskSpace:
    """`check` may run at any time."""

    def __init__(self, folder: str, *, say: Callable[[str, str], None]) -> None:
        self._folder = folder
        self._say = say
        self._told = False

    def check(self) -> None:
        """Remove the unused images if the disk is too full. Raises CommandFailedError."""
        before = used(self._folder)
        if before <= FULL:
            self._told = False
            return
        # Without --force a question; --all: also images with a name. Docker never removes the image of a container.
        done = output(["docker", "image", "prune", "--all", "--force"], timeout_s=300)
        if done.returncode:
            raise CommandFailedError(f"docker image prune: {done.stdout.strip()[-200:]}")
        after = used(self._folder)
        if after < before - 0.005:
            self._say("pruned", f"the disk was {before:.0%} full, without unused images {after:.0%}")
        elif not self._told:
            self._say("warning", f"the disk is {after:.0%} full, and no image is unused")
        self._told = after > FULL
