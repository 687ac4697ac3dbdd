"""Downloads, verifies and installs Bacalhau, unless the image has it. Only a complete and verified program replaces another."""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
import tarfile
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING

from . import whole_file
from .shell import CommandFailedError

if TYPE_CHECKING:
    from collections.abc import Callable

PROGRAM = "/usr/local/bin/bacalhau"
# The address of the archive that the program comes from -> its checksum.
RECORD = "/usr/local/lib/bacalhau-spot/archive.json"
TRIES = 6
_CHUNK = 1 << 20
# The kernel's machine name -> the architecture in Bacalhau's archives and in EC2.
_ARCHS = {"x86_64": ("amd64", "x86_64"), "aarch64": ("arm64", "arm64")}
# HTTP statuses that are worth a retry.
_PASSING = frozenset({408, 429, 500, 502, 503, 504})


def install_bacalhau(
    url: str,
    *,
    version: str,
    sha256: dict[str, str],
    program: str = PROGRAM,
    record: str = RECORD,
    sleep: Callable[[float], None] = time.sleep,
) -> str:
    """Return the archive's SHA-256 sum. Raises CommandFailedError with the reason."""
    machine = platform.machine()
    if machine not in _ARCHS:
        raise CommandFailedError(f"Bacalhau has no program for {machine}")
    arch, ec2_arch = _ARCHS[machine]
    address = url.replace("{version}", version).replace("{arch}", arch)
    expected = sha256.get(ec2_arch, "")
    digest = _installed(address, program, record)
    if digest and expected in {"", digest}:
        return digest
    why = ""
    for attempt in range(TRIES):
        if attempt:
            sleep(min(30.0, 2.0**attempt))
        try:
            return _install(address, expected=expected, program=Path(program), record=record)
        except urllib.error.HTTPError as error:
            why = f"HTTP {error.code}"
            if error.code not in _PASSING:
                break
        except (OSError, EOFError, tarfile.TarError) as error:
            why = str(error) or type(error).__name__
    raise CommandFailedError(f"{address}: {why}")


def _installed(address: str, program: str, record: str) -> str:
    """The checksum of the archive from the address, whose program the image has; otherwise empty."""
    try:
        known: dict[str, str] = json.loads(Path(record).read_text("utf-8"))
    except (OSError, ValueError):
        return ""
    return known.get(address, "") if Path(program).exists() else ""


def _install(address: str, *, expected: str, program: Path, record: str) -> str:
    with tempfile.TemporaryFile(dir="/var/tmp") as archive:
        digest = _fetch(address, archive)
        if expected and digest != expected:
            raise CommandFailedError(
                f"{address}: its SHA-256 sum is {digest}, the configuration has {expected}"
            )
        archive.seek(0)
        _unpack(archive, program)
    whole_file.write_whole(record, json.dumps({address: digest}))
    return digest


def _fetch(address: str, archive: IO[bytes]) -> str:
    digest = hashlib.sha256()
    with urllib.request.urlopen(address, timeout=30) as answer:
        length = answer.headers.get("Content-Length")
        while chunk := answer.read(_CHUNK):
            digest.update(chunk)
            archive.write(chunk)
    if length is not None and archive.tell() != int(length):
        raise OSError(f"{archive.tell()} of {length} bytes came")
    return digest.hexdigest()


def _unpack(archive: IO[bytes], program: Path) -> None:
    new = program.with_suffix(".new")
    with tarfile.open(fileobj=archive, mode="r:gz") as tar:
        member = next(
            (member for member in tar if member.isfile() and PurePosixPath(member.name).name == "bacalhau"),
            None,
        )
        source = tar.extractfile(member) if member else None
        if source is None:
            raise CommandFailedError("the archive holds no program named bacalhau")
        with new.open("wb") as out:
            shutil.copyfileobj(source, out, _CHUNK)
    new.chmod(0o755)
    new.replace(program)
