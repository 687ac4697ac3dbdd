"""What the program does to this machine, from Python's own audit events (sys.addaudithook): files, folders, programs, sockets.

A list of the places that write files would miss the next one: this sees each of them, those of libraries too.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_WRITES = os.O_WRONLY | os.O_RDWR
# Python's own, where it may write them.
_NOT_OURS = ("__pycache__", ".hypothesis", ".pytest_cache")


@dataclass(frozen=True)
class StartedProgram:
    """`environ` None: that of this process."""

    argv: tuple[str, ...]
    environ: Mapping[str, str] | None


@dataclass
class AuditTrace:
    """`modes`: of each file and folder, just after it was created or opened for writing."""

    modes: dict[Path, int] = field(default_factory=dict)
    renamed: dict[Path, Path] = field(default_factory=dict)
    programs: list[StartedProgram] = field(default_factory=list)
    addresses: list[Any] = field(default_factory=list)
    _pending: list[Path] = field(default_factory=list)

    def event(self, name: str, arguments: tuple[Any, ...]) -> None:
        self._look()
        if (
            name == "open" and not isinstance(arguments[0], int) and (arguments[2] or 0) & _WRITES
        ) or name == "os.mkdir":
            self._later(arguments[0])
        elif name in {"os.rename", "os.link", "os.symlink"}:
            self.renamed[_path(arguments[0])] = _path(arguments[1])
            self._later(arguments[1])
        elif name == "subprocess.Popen":
            argv = arguments[1]
            words = [argv] if isinstance(argv, (str, bytes)) else argv
            self.programs.append(StartedProgram(tuple(map(os.fsdecode, words)), arguments[3]))
        elif name == "socket.bind":
            self.addresses.append(arguments[1])

    def written(self, folder: Path) -> list[Path]:
        """The names below the folder that the program wrote to, as they are in the end."""
        self._look()
        names = {self.renamed.get(path, path) for path in self.modes}
        return sorted(name for name in names if name.is_relative_to(folder))

    def elsewhere(self, folder: Path) -> set[Path]:
        """What it wrote outside of the folder: devices and Python's own files do not count."""
        self._look()
        return {
            path
            for path in self.modes
            if not path.is_relative_to(folder)
            and not path.is_relative_to("/dev")
            and not path.is_relative_to("/proc")
            and not any(part in _NOT_OURS for part in path.parts)
        }

    def open_to_others(self, folder: Path) -> dict[str, str]:
        """Files and folders below the folder whose mode gives other users anything, then or now."""
        self._look()
        found = {}
        for path, mode in self.modes.items():
            now = _mode(path)
            for moment, bits in (("when it was created", mode), ("in the end", now)):
                if path.is_relative_to(folder) and bits is not None and bits & 0o077:
                    found[str(path)] = f"{bits:04o} {moment}"
        return found

    def _later(self, path: Any) -> None:
        """It is created after the event."""
        self._pending.append(_path(path))

    def _look(self) -> None:
        pending, self._pending = self._pending, []
        for path in pending:
            mode = _mode(path)
            if mode is not None:
                self.modes[path] = mode


def _path(name: Any) -> Path:
    return Path(os.path.abspath(os.fsdecode(name)))  # noqa: PTH100 -- `resolve` would follow links


def _mode(path: Path) -> int | None:
    """Not that of a link's target: a link's own mode has no meaning."""
    try:
        status = path.lstat()
    except OSError:
        return None
    return None if stat.S_ISLNK(status.st_mode) else stat.S_IMODE(status.st_mode)


_active: list[AuditTrace] = []


def _hook(name: str, arguments: tuple[Any, ...]) -> None:
    for trace in _active:
        trace.event(name, arguments)


_installed: list[bool] = []


@contextmanager
def traced() -> Iterator[AuditTrace]:
    """The events of this process, in all of its threads, while it lasts. A hook stays for good, and does nothing else."""
    if not _installed:
        sys.addaudithook(_hook)
        _installed.append(True)
    trace = AuditTrace()
    _active.append(trace)
    try:
        yield trace
    finally:
        _active.remove(trace)
        trace._look()
