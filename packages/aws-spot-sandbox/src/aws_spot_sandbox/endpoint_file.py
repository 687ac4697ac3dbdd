"""The file with the sandbox's URL. It is a hint only: readers verify it with a request."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import stat
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO

NAME = "sandbox.json"
_MAX_BYTES = 4096
# A part before `@` would be a user's name, and the host would follow it.
_LOOPBACK = re.compile(r"http://127\.0\.0\.1:[0-9]{1,5}/?")


def open_private(path: Path, *, truncate: bool = False) -> BinaryIO:
    """Open for writing with mode 0600 regardless of the umask, without following a symbolic link. Raises OSError."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | (os.O_TRUNC if truncate else 0)
    handle = os.open(path, flags, 0o600)
    os.fchmod(handle, 0o600)
    return os.fdopen(handle, "wb")


def private_folder(path: Path) -> None:
    """Creates a folder of this user, and those above it, with mode 0700. OSError if it belongs to another user."""
    for folder in reversed([path, *path.parents]):  # Python gives the mode to the last one alone
        if not folder.exists():
            folder.mkdir(exist_ok=True, mode=0o700)
    status = path.stat()
    if status.st_uid != os.geteuid():
        raise OSError(errno.EPERM, f"it belongs to another user (id {status.st_uid})")
    if stat.S_IMODE(status.st_mode) & (stat.S_IRWXG | stat.S_IRWXO):
        path.chmod(0o700)


@dataclass(frozen=True)
class AddressFile:
    pid: int
    url: str
    version: str

    @classmethod
    def read(cls, state_dir: Path) -> AddressFile | None:
        """None if the file is missing or was not written by `write`."""
        try:
            path = state_dir / NAME
            if not stat.S_ISREG(path.stat().st_mode):  # reading a pipe would block
                return None
            with path.open() as file:
                content = json.loads(file.read(_MAX_BYTES))
            endpoint = cls(int(content["pid"]), str(content["url"]), str(content["version"]))
        except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
            return None
        # Clients send credentials to this URL, so only a loopback address is accepted
        return endpoint if _LOOPBACK.fullmatch(endpoint.url) else None

    def write(self, state_dir: Path) -> None:
        """Atomically, and readable by this user only."""
        private_folder(state_dir)
        draft = state_dir / f"{NAME}.{os.getpid()}"
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(asdict(self), file)
        draft.replace(state_dir / NAME)

    def remove(self, state_dir: Path) -> None:
        """Remove the file, unless a successor has overwritten it."""
        if AddressFile.read(state_dir) == self:
            with contextlib.suppress(FileNotFoundError):
                (state_dir / NAME).unlink()
