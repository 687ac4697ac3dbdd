"""The SHA-256 sums of the nodes' archives: configured, cached by an earlier run, or fetched now."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from bacalhau_spot.cloud.web import FetchError
from bacalhau_spot.core.addresses import shown_address
from bacalhau_spot.core.model import Arch, arch_of_name
from bacalhau_spot.engine.aws_calls.cache import ARCHIVE_AGE, ARCHIVES
from bacalhau_spot.errors import ExitCode, UserError
from bacalhau_spot.instance.user_data import DOWNLOAD_URL

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from bacalhau_spot.core.model import BacalhauSpec, ClusterSpec
    from bacalhau_spot.engine.aws_calls.cache import Cache

_SPELLED: Final = {Arch.X86_64: "amd64", Arch.ARM64: "arm64"}  # in the names of Bacalhau's archives
_SUM: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class ArchiveSource:
    """The source of the archive's sum. `url` None: the URL that the nodes use. `digest` raises FetchError."""

    digest: Callable[[str], Awaitable[str]]
    url: str | None = None


async def with_sums(
    bacalhau: BacalhauSpec, archs: Iterable[Arch], *, source: ArchiveSource, memory: Cache
) -> BacalhauSpec:
    """With a sum for each architecture, unless `verify_archive` is off. Raises UserError if one is not available."""
    if not bacalhau.verify_archive:
        return bacalhau
    sums = dict(bacalhau.sha256)
    template = source.url or bacalhau.download_url or DOWNLOAD_URL
    for arch in sorted(set(archs)):
        if arch in sums:
            _check_version(bacalhau, arch, sums[arch], memory=memory)
            continue
        url = template.replace("{version}", bacalhau.version).replace("{arch}", _SPELLED[arch])
        sums[arch] = await _sum(url, arch, source=source, memory=memory)
        memory.put(ARCHIVES, sums[arch], bacalhau.version)
    return replace(bacalhau, sha256=tuple(sorted(sums.items())))


def architectures_from_names(spec: ClusterSpec) -> tuple[Arch, ...]:
    """The architectures of the configured instance types, by their names, without a call to AWS."""
    wanted = spec.requirements
    if wanted is not None:
        return (wanted.arch,) if wanted.arch else tuple(sorted(Arch))
    types = {*spec.instance_types, *(name for region in spec.regions for name in region.instance_types)}
    return tuple(sorted({arch_of_name(name) for name in types}))


def _check_version(bacalhau: BacalhauSpec, arch: Arch, digest: str, *, memory: Cache) -> None:
    """Raises UserError for a sum that the cache has for another version: every node would refuse its archive."""
    version = memory.get(ARCHIVES, digest, max_age=ARCHIVE_AGE)
    by_version = "{version}" in (bacalhau.download_url or DOWNLOAD_URL)
    if not isinstance(version, str) or version == bacalhau.version or not by_version:
        return
    raise UserError(
        f"`bacalhau.sha256.{arch}` is the sum of version {version}, and `bacalhau.version` is {bacalhau.version}",
        why="every node would refuse the archive",
        hint=f"`bacalhau-spot configure --set bacalhau.version={bacalhau.version}` writes the version's sums",
        docs="docs/nodes.md",
        exit_code=ExitCode.USAGE,
    )


async def _sum(url: str, arch: Arch, *, source: ArchiveSource, memory: Cache) -> str:
    kept = memory.get(ARCHIVES, url, max_age=ARCHIVE_AGE)
    if isinstance(kept, str) and _SUM.fullmatch(kept):
        return kept
    try:
        fresh = await source.digest(url)
    except FetchError as error:
        raise _unknown(url, arch, str(error)) from error
    memory.put(ARCHIVES, url, fresh)
    return fresh


def _unknown(url: str, arch: Arch, why: str) -> UserError:
    return UserError(
        f"cannot fetch the SHA-256 sum of Bacalhau's archive for {arch}: {shown_address(url)}",
        why=why,
        hint=f"write the sum into the configuration as `bacalhau.sha256.{arch}`, or set `bacalhau.verify_archive: false` "
        "to let the nodes run an unverified archive",
        docs="docs/nodes.md",
        exit_code=ExitCode.FAILED,
    )
