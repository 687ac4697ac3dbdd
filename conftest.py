"""No test speaks to anything but this machine: what tries is stopped at once, and fails."""

from __future__ import annotations

import errno
import gc
import hashlib
import ipaddress
import os
import sys
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from bacalhau_spot.cloud import archive
from bacalhau_spot.instance.user_data import DOWNLOAD_URL

DEFAULT_ARCHIVE = DOWNLOAD_URL.partition("{")[0]
# Addresses that this process has tried to connect to, and names that it has asked DNS for, since the last test.
_abroad: list[str] = []
# So few files are run in one process: starting workers takes longer.
_FEW_FILES = 3
# Python's own thresholds (700, 10, 10) search half a million objects every few seconds: a seventh of tests/nuke/test_options.py.
_GC_THRESHOLDS = 50_000, 20, 20

# A slow machine is no error of a property.
settings.register_profile("tests", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tests")


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Workers for `-n auto`: three for folders, none for single files; `-n` on the command line overrides it.

    Tests of real processes wait: on two cores one more worker fills that time. Each costs half a minute of imports and models.
    """
    files = [argument for argument in config.args if argument.partition("::")[0].endswith(".py")]
    return 0 if files and len(files) == len(config.args) <= _FEW_FILES else 3


def pytest_collection_finish() -> None:
    """What the modules hold lives as long as the process: the garbage collector need not look at it again."""
    gc.set_threshold(*_GC_THRESHOLDS)
    gc.freeze()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--record-errors", action="store_true", help="write tests/cloud/error_golden.json anew")


def _watch(event: str, arguments: tuple[object, ...]) -> None:
    """Python tells of every connection before it is made (sys.addaudithook)."""
    if event == "socket.connect":
        address = arguments[1]
        host = address[0] if isinstance(address, tuple) else None  # a text: a socket in the file system
    elif event == "socket.getaddrinfo":
        host = arguments[0]
    else:
        return
    if isinstance(host, bytes):
        host = host.decode()
    if isinstance(host, str) and not _here(host):
        _abroad.append(host)
        raise OSError(errno.ENETUNREACH, "tests stay on this machine")


def _here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host in {"", "localhost"}


sys.addaudithook(_watch)
# boto3 looks for an EC2 instance's credentials at an address of its own, wherever it runs.
os.environ.setdefault("AWS_EC2_METADATA_DISABLED", "true")
# A proxy's certificates, for addresses abroad. Clients are not shared between command lines while it names a file.
os.environ.pop("AWS_CA_BUNDLE", None)


@pytest.fixture(autouse=True)
def _nothing_abroad() -> Iterator[None]:
    _abroad.clear()
    yield
    assert _abroad == [], f"this test tried to reach {', '.join(sorted(set(_abroad)))}"


@pytest.fixture(autouse=True)
def _stand_in_of_bacalhau(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sandbox runs Bacalhau itself for the tests that set the variable again."""
    monkeypatch.delenv("BACALHAU_BIN", raising=False)


@pytest.fixture(autouse=True)
def _archive_of_bacalhau(monkeypatch: pytest.MonkeyPatch) -> None:
    """The default address of Bacalhau's archive is abroad: what would be fetched there has a sum of its own here."""
    real = archive.digest

    async def digest(url: str) -> str:
        return (
            hashlib.sha256(url.encode()).hexdigest() if url.startswith(DEFAULT_ARCHIVE) else await real(url)
        )

    monkeypatch.setattr(archive, "digest", digest)
