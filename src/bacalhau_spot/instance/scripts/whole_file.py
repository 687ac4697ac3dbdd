"""Writes a file in one step: after a loss of power it has its former content or the new one, never a part."""

from __future__ import annotations

import os
from pathlib import Path


def write_whole(
    path: str | Path, text: str, *, mode: int = 0o644, owner: tuple[int, int] | None = None
) -> None:
    """At no moment readable by others than `mode` permits. Raises OSError."""
    target = Path(path)
    fresh = target.with_name(f"{target.name}.new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as out:
        if owner:
            os.fchown(descriptor, *owner)
        os.fchmod(descriptor, mode)
        out.write(text)
        out.flush()
        os.fsync(descriptor)
    fresh.replace(target)


def sync(path: str | Path) -> None:
    """Wait until the file's content is on the disk. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
