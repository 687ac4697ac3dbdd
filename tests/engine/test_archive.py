"""The archive that becomes a root service on every node is the one that the operator's machine received."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
from typing import TYPE_CHECKING, Any

import pytest

from bacalhau_spot.cli.state.cache import FileCache
from bacalhau_spot.cloud import archive
from bacalhau_spot.cloud.web import FetchError
from bacalhau_spot.core.model import Arch, BacalhauSpec, arch_of_name
from bacalhau_spot.engine.aws_calls.cache import NullCache
from bacalhau_spot.engine.aws_calls.clock import RealClock
from bacalhau_spot.engine.launch.archive_checksums import ArchiveSource, with_sums
from bacalhau_spot.errors import UserError
from support.misbehaving_servers import bad_server

if TYPE_CHECKING:
    from pathlib import Path

    from bacalhau_spot.engine.aws_calls.cache import Cache

BOTH = (Arch.ARM64, Arch.X86_64)


class Source:
    """Serves a text for each address, and notes what it is asked for."""

    def __init__(self) -> None:
        self.requests: list[str] = []

    async def digest(self, url: str) -> str:
        self.requests.append(url)
        return hashlib.sha256(url.encode()).hexdigest()


def sums(
    spec: BacalhauSpec, source: Any, *, memory: Cache | None = None, url: str | None = None
) -> dict[Arch, str]:
    completed = with_sums(spec, BOTH, source=ArchiveSource(source.digest, url), memory=memory or NullCache())
    return dict(asyncio.run(completed).sha256)


def test_each_architecture_in_use_is_fetched_once_and_kept(tmp_path: Path) -> None:
    """T8: the archive was checked only where the configuration gave a sum."""
    source, spec = Source(), BacalhauSpec(download_url="https://o/{version}/{arch}")
    memory = FileCache(tmp_path / "state", clock=RealClock())
    first = sums(spec, source, memory=memory)
    assert source.requests == ["https://o/v1.9.3/arm64", "https://o/v1.9.3/amd64"]
    assert sums(spec, source, memory=FileCache(tmp_path / "state", clock=RealClock())) == first
    assert len(source.requests) == 2
    assert (tmp_path / "state" / "cache" / "archives.json").stat().st_mode & 0o777 == 0o600
    sums(BacalhauSpec(version="v1.9.2", download_url=spec.download_url), source, memory=memory)
    assert len(source.requests) == 4


def test_a_given_sum_is_not_fetched() -> None:
    source = Source()
    completed = sums(
        BacalhauSpec(sha256=((Arch.X86_64, "ab" * 32),), download_url="https://o/{arch}"), source
    )
    assert completed[Arch.X86_64] == "ab" * 32
    assert source.requests == ["https://o/arm64"]


def test_the_address_to_look_at_may_be_another() -> None:
    source = Source()
    sums(BacalhauSpec(), source, url="http://127.0.0.1:9/{version}/{arch}")
    assert source.requests[0] == "http://127.0.0.1:9/v1.9.3/arm64"


def test_without_verification_nothing_is_fetched() -> None:
    source = Source()
    assert sums(BacalhauSpec(verify_archive=False), source) == {}
    assert source.requests == []


def test_a_sum_that_cannot_be_found_out_is_an_error_with_both_ways_out() -> None:
    """T8: no network on the operator's side."""

    async def digest(_url: str) -> str:
        raise FetchError("HTTP 404")

    with pytest.raises(UserError) as caught:
        asyncio.run(with_sums(BacalhauSpec(), BOTH, source=ArchiveSource(digest), memory=NullCache()))
    assert caught.value.why == "HTTP 404"
    assert "bacalhau.sha256.arm64" in caught.value.hint
    assert "verify_archive: false" in caught.value.hint


def test_a_sum_of_another_version_is_refused(tmp_path: Path) -> None:
    """T8: the version was changed in an editor, the sum was not; every node would refuse the archive."""
    source, memory = Source(), FileCache(tmp_path, clock=RealClock())
    old = tuple(sums(BacalhauSpec(version="v1.9.2"), source, memory=memory).items())
    with pytest.raises(UserError) as caught:
        sums(BacalhauSpec(version="v1.9.3", sha256=old), source, memory=memory)
    assert "is the sum of version v1.9.2" in caught.value.what
    assert sums(BacalhauSpec(version="v1.9.2", sha256=old), source, memory=memory) == dict(old)
    mirror = BacalhauSpec(version="v1.9.3", sha256=old, download_url="https://m/one.tar.gz")
    assert sums(mirror, source, memory=memory) == dict(old)


@pytest.mark.parametrize(
    ("name", "arch"),
    [
        ("t3.medium", Arch.X86_64), ("g5.xlarge", Arch.X86_64), ("m6a.large", Arch.X86_64), ("a1.large", Arch.ARM64),
        ("t4g.small", Arch.ARM64), ("g5g.xlarge", Arch.ARM64), ("im4gn.large", Arch.ARM64), ("hpc7g.4xlarge", Arch.ARM64),
        ("c7i-flex.large", Arch.X86_64), ("u7i-12tb.224xlarge", Arch.X86_64), ("x2gd.medium", Arch.ARM64),
    ],
)  # fmt: skip
def test_a_types_name_has_its_architecture(name: str, arch: Arch) -> None:
    """EC2 user guide, "Instance type naming conventions"."""
    assert arch_of_name(name) == arch


def test_only_a_whole_gzip_archive_has_a_sum() -> None:
    """T8: a sign-in page or a cut download must not become the sum that every node is held to."""
    archive_bytes = gzip.compress(b"x" * 10)
    assert served(archive_bytes) == hashlib.sha256(archive_bytes).hexdigest()
    for body, length in ((b"<html>", 6), (b"", 0), (archive_bytes[:9], len(archive_bytes))):
        with pytest.raises(FetchError):
            served(body, length=length)


def served(body: bytes, *, length: int | None = None) -> str:
    """The sum of what a server on loopback sends, which announces `length` bytes."""
    size = len(body) if length is None else length
    with bad_server(
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % size + body
    ) as host:
        return asyncio.run(archive.digest(f"http://{host}/"))


def test_the_sandbox_serves_an_archive_whose_sum_does_not_change(sandbox: Any) -> None:
    """get.bacalhau.org serves one archive for a version and architecture; so does the sandbox, on loopback."""
    url = f"{sandbox.url}/_sandbox/archive/v1.9.3/"
    digests = [asyncio.run(archive.digest(f"{url}{arch}")) for arch in ("amd64", "amd64", "arm64")]
    assert digests[0] == digests[1] != digests[2]
