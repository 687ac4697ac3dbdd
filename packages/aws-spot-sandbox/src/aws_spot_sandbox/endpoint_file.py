"""The file that says where the sandbox is. It decides nothing: whoever reads it asks there whether it is true."""

from __future__ import annotations

import contextlib
import json
import os
import stat
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO

NAME = "sandbox.json"
_MAX_BYTES = 4096


def open_private(path: Path, *, truncate: bool = False) -> BinaryIO:
    """For writing, with mode 0600 whatever the umask is, and never through a symbolic link. Raises OSError."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | (os.O_TRUNC if truncate else 0)
    handle = os.open(path, flags, 0o600)
    os.fchmod(handle, 0o600)
    return os.fdopen(handle, "wb")


@dataclass(frozen=True)
class AddressFile:
    pid: int
    url: str
    version: str

    @classmethod
    def read(cls, state_dir: Path) -> AddressFile | None:
        """None when there is none, or nothing that was written by `write`."""
        try:
            path = state_dir / NAME
            if not stat.S_ISREG(path.stat().st_mode):  # a pipe would be waited for
                return None
            with path.open() as file:
                said = json.loads(file.read(_MAX_BYTES))
            found = cls(int(said["pid"]), str(said["url"]), str(said["version"]))
        except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
            return None
        # Credentials are sent there: nothing but this machine will do, whoever wrote the file
        return found if found.url.startswith("http://127.0.0.1:") else None

    def write(self, state_dir: Path) -> None:
        """Whole or not at all, and for this user only."""
        state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = state_dir / f"{NAME}.{os.getpid()}"
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(asdict(self), file)
        draft.replace(state_dir / NAME)

    def remove(self, state_dir: Path) -> None:
        """When it still names us: a successor's is left alone."""
        if AddressFile.read(state_dir) == self:
            with contextlib.suppress(FileNotFoundError):
                (state_dir / NAME).unlink()
