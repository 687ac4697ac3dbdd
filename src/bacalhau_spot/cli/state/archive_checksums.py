"""The values that `configure` writes into `bacalhau.sha256`: sums of the archives that this machine downloads."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bacalhau_spot import config as configuration
from bacalhau_spot.cli.state.cache import FileCache
from bacalhau_spot.cloud import archive
from bacalhau_spot.engine.launch.archive_checksums import ArchiveSource, architectures_from_names, with_sums
from bacalhau_spot.errors import UserError
from bacalhau_spot.ui.views import sentence_text

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from bacalhau_spot.cli.runtime.context import CommandContext
    from bacalhau_spot.core.model import Arch, ClusterSpec

_KEY = "bacalhau.sha256"
_RELEASE = frozenset({"bacalhau.version", "bacalhau.download_url"})


@dataclass(frozen=True, slots=True)
class ArchiveSums:
    """`text`: the configuration with the sums. `warnings`: why some are missing."""

    text: str
    sums: tuple[tuple[Arch, str], ...] = ()
    warnings: tuple[str, ...] = ()


def with_archive_sums(
    context: CommandContext, text: str, *, path: Path, changed: Collection[str] | None = None
) -> ArchiveSums:
    """`text` with the sum of each archive that its nodes will download.

    `changed`: the keys set in an existing file; None for a new file. A new version or address in an existing file
    removes the old archive's sums.
    """
    same_archive = changed is not None and _RELEASE.isdisjoint(changed)
    if (
        context.common.sandbox or same_archive
    ):  # the sandbox has its own archive, whose sum does not match real nodes' archives
        return ArchiveSums(text)
    runtime = context.runtime
    spec = configuration.load_text(
        text, path=path, environ=runtime.environ, home=runtime.home, lenient=True
    ).spec
    renewed = changed is not None and not any(key.startswith(_KEY) for key in changed)
    if renewed and spec.bacalhau.sha256:
        if _is_unproven(spec):
            warning = (
                f"`{_KEY}` has the old archive's sums, and an http:// address proves no new ones: set them"
            )
            return ArchiveSums(text, warnings=(warning,))
        text = configuration.set_values(text, {_KEY: {}}, file=path.name)
        spec = replace(spec, bacalhau=replace(spec.bacalhau, sha256=()))
    sums, warnings = _fetched(context, spec)
    values = {f"{_KEY}.{arch}": digest for arch, digest in sums}
    return ArchiveSums(configuration.set_values(text, values, file=path.name), sums, warnings)


def _is_unproven(spec: ClusterSpec) -> bool:
    """The content of an http:// address cannot be authenticated."""
    return (spec.bacalhau.download_url or "").startswith("http://")


def _fetched(
    context: CommandContext, spec: ClusterSpec
) -> tuple[tuple[tuple[Arch, str], ...], tuple[str, ...]]:
    """The sums that are not configured, and the reasons for missing ones."""
    bacalhau = spec.bacalhau
    source = ArchiveSource(archive.digest)
    memory = FileCache(context.cache_dir, clock=context.runtime.clock)
    sums: list[tuple[Arch, str]] = []
    warnings: list[str] = []
    for arch in architectures_from_names(spec) if bacalhau.verify_archive else ():
        if arch in dict(bacalhau.sha256):
            continue
        context.print_status(
            sentence_text(f"fetching Bacalhau {bacalhau.version} for {arch}, for its SHA-256 sum")
        )
        try:
            summed = asyncio.run(with_sums(bacalhau, (arch,), source=source, memory=memory))
        except UserError as error:
            warnings.append(
                f"`{_KEY}.{arch}` is not written: {error.what} ({error.why}); `create` fetches it before the launch, "
                "and `create --sandbox` does not need it"
            )
            continue
        sums.append((arch, dict(summed.sha256)[arch]))
    return tuple(sums), tuple(warnings)
