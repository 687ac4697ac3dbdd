"""A text that two processes share only if each can see whether the other one runs.

A host name does not suffice: containers of one image have the same one, and so do many laptops. In a container, process 1 is
the program each time.
"""

from __future__ import annotations

import hashlib
import os
import re
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Final

from bacalhau_spot import files

_FILE: Final = "machine"
_MAX_BYTES: Final = 100
_NUMBER: Final = re.compile(r"[0-9a-f]{32}")
_LETTERS: Final = 16


def machine_mark(state: Path, *, host: str) -> str:
    """Of this host, this state folder, this boot and this PID namespace. Empty if the folder cannot keep its number.

    A restored or copied folder has the number of another machine; a home folder on the network has one for several machines.
    So the number alone does not suffice either.
    """
    number = _kept(state / _FILE)
    if not number:
        return ""
    parts = f"{host}\n{number}\n{_boot()}\n{_namespace()}"
    return hashlib.sha256(parts.encode("utf-8", "surrogateescape")).hexdigest()[:_LETTERS]


def _kept(path: Path) -> str:
    """The random number of the file, which the first command writes; empty if it cannot."""
    with suppress(OSError):
        files.private_folder(path.parent)
        if not files.path_exists(path):
            with suppress(FileExistsError):  # another command has just written it
                files.write(path, uuid.uuid4().hex, overwrite=False)
        found = _read(path)
        if not found:  # damaged
            files.write(path, uuid.uuid4().hex)
        return found or _read(path)
    return ""


def _read(path: Path) -> str:
    try:
        text = files.read_text(path, max_bytes=_MAX_BYTES).strip()
    except OSError:
        return ""
    return text if _NUMBER.fullmatch(text) else ""


def _boot() -> str:
    """Linux's id of this boot; empty elsewhere."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""


def _namespace() -> str:
    """Linux's PID namespace, in which the numbers of processes count; empty elsewhere."""
    try:
        return os.readlink("/proc/self/ns/pid")  # noqa: PTH115 - not a path: `pid:[4026531836]`
    except OSError:
        return ""
