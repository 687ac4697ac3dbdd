"""Probes of this machine and of the connection to the orchestrator, for `doctor`. They return failures."""

from __future__ import annotations

import asyncio
import re
import shutil
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from bacalhau_spot import files
from bacalhau_spot.child_environment import needed_variables
from bacalhau_spot.core.doctor.local_checks import KeyFile

if TYPE_CHECKING:
    from collections.abc import Mapping

_PIP_S = 15.0
# The variables for pip, its package index, its proxy and its certificates. Tokens and AWS keys are not passed on.
_PIP_NEEDS = frozenset(
    {
        "PATH", "HOME", "USER", "LANG", "TMPDIR", "VIRTUAL_ENV", "NETRC", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE",
        "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy",
    }
)  # fmt: skip
_PIP_FAMILIES = ("PIP_", "SSL_CERT_", "LC_", "XDG_")
# The limit for a private key file; a large RSA key has a twelfth of it.
_MAX_BYTES = 65536


def read_key_file(path: str) -> KeyFile:
    """The private key file with its text and mode, or the reason why it cannot be read."""
    where = Path(path)  # the configuration has expanded it
    try:
        text = files.read(where, max_bytes=_MAX_BYTES).decode("utf-8", "replace")
        return KeyFile(str(where), text, mode=stat.S_IMODE(where.stat().st_mode))
    except OSError as error:
        return KeyFile(str(where), None, reason=(error.strerror or str(error)).lower())


def has_ssh(environ: Mapping[str, str]) -> bool:
    return shutil.which("ssh", path=environ.get("PATH", "")) is not None


async def newest_version(name: str, *, environ: Mapping[str, str]) -> tuple[str | None, str]:
    """The newest version that pip, as configured on this machine, would install; otherwise None and the reason."""
    pip = shutil.which("pip", path=environ.get("PATH", ""))
    if pip is None:
        return None, "pip is not on the PATH"
    process = await asyncio.create_subprocess_exec(
        *(pip, "index", "versions", "--disable-pip-version-check", name),
        env=needed_variables(environ, _PIP_NEEDS, families=_PIP_FAMILIES),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), _PIP_S)
    except TimeoutError:
        process.kill()
        await process.wait()
        return None, f"pip did not answer within {_PIP_S:.0f} seconds"
    match = re.match(rf"{re.escape(name)} \(([^)]+)\)", output.decode("utf-8", "replace"))
    return (match[1], "") if match else (None, "pip finds no package of that name")
