"""Reads files that users name, and writes private files.

Reading never waits for a pipe and is limited in size. Writing sets mode 0600 regardless of the umask, never follows a
symbolic link, and writes the whole file or nothing. Every function raises OSError with a readable `strerror`.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

# `~` unchanged, where the home directory is unknown.
UNKNOWN_HOME: Final = Path("~")
_FILE_MODE: Final = 0o600
_FOLDER_MODE: Final = 0o700
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_SORTS: Final = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def read(path: Path, *, max_bytes: int) -> bytes:
    """The content of a regular file of at most `max_bytes`."""
    with opened(path, max_bytes=max_bytes) as file:
        raw = file.read(max_bytes + 1)
    _check_size(len(raw), max_bytes)  # also of a file that grew
    return raw


@contextlib.contextmanager
def opened(path: Path, *, max_bytes: int) -> Iterator[BinaryIO]:
    """A regular file of at most `max_bytes`, for reading."""
    _check_regular(path.stat().st_mode)  # before it is opened: opening a device may do something
    # A pipe that replaced the file is opened without waiting for its other end, and refused.
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file:
        result = os.fstat(handle)
        _check_regular(result.st_mode)
        _check_size(result.st_size, max_bytes)
        yield file


def read_text(path: Path, *, max_bytes: int, keep_bom: bool = False) -> str:
    """As `read`, of UTF-8 text; its byte order mark only with `keep_bom`, for a text that is written again."""
    raw = read(path, max_bytes=max_bytes)
    try:
        return raw.decode("utf-8" if keep_bom else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise OSError(errno.EILSEQ, "it is not text (UTF-8)") from error


def path_exists(path: Path) -> bool:
    """Whether a file exists and is accessible; pathlib's method raises for inaccessible ones before Python 3.14."""
    return os.path.exists(path)  # noqa: PTH110 - for that reason


def write(path: Path, text: str, *, overwrite: bool = True) -> None:
    """The whole file or nothing, with mode 0600. FileExistsError without `overwrite` when the file exists.

    OSError for a link, and for a device or pipe, which a new file would replace.
    """
    _refuse_link(path)
    if path_exists(path):
        _check_regular(path.stat().st_mode)
    import tempfile  # noqa: PLC0415 - milliseconds, which a run that writes nothing saves

    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
            os.fchmod(handle, _FILE_MODE)
            file.write(text)
            file.flush()
            os.fsync(handle)
        if overwrite:
            Path(name).replace(path)  # replaces a link, should there be one by now, and does not follow it
        else:
            os.link(name, path)  # fails when the target exists, also when it came into being just now
    finally:
        with contextlib.suppress(FileNotFoundError):
            Path(name).unlink()


def append(path: Path, text: str) -> None:
    """Appends lines to a file of mode 0600, in one write: all of `text`, or nothing if the disk is full."""
    # Reading and writing: the last letter is read.
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        handle = os.open(path, flags, _FILE_MODE)
    except OSError as error:
        if error.errno == errno.ELOOP:
            _refuse_link(path)
        raise
    with os.fdopen(handle, "ab", buffering=0):
        result = os.fstat(handle)
        _check_regular(result.st_mode)
        _check_owner(result)
        os.fchmod(handle, _FILE_MODE)
        raw = text.encode("utf-8", "backslashreplace")
        # Otherwise the end of a line that was cut short, by an earlier version or by the machine's end, would spoil this one.
        is_cut = result.st_size > 0 and os.pread(handle, 1, result.st_size - 1) != b"\n"
        _write_whole(handle, b"\n" + raw if is_cut else raw)


def _write_whole(handle: int, raw: bytes) -> None:
    """At the end of the file. OSError if the disk has room for a part only, which is taken back."""
    count = os.write(handle, raw)
    if count == len(raw):
        return
    end = os.lseek(handle, 0, os.SEEK_CUR)
    if os.fstat(handle).st_size == end:  # otherwise another program has written since
        os.ftruncate(handle, end - count)
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def private_folder(path: Path) -> None:
    """Creates a folder of this user, and those above it that are missing. OSError if it belongs to another user."""
    # Python gives the mode to the last folder alone; a folder above it that others may write to is no protection.
    for folder in reversed([path, *path.parents]):
        if not path_exists(folder):
            folder.mkdir(exist_ok=True, mode=_FOLDER_MODE)
    result = path.stat()
    _check_owner(result)
    if stat.S_IMODE(result.st_mode) & _OTHERS:
        path.chmod(_FOLDER_MODE)


def _check_owner(status: os.stat_result) -> None:
    if status.st_uid != os.geteuid():
        raise OSError(errno.EPERM, f"it belongs to another user (id {status.st_uid})")


def _check_regular(mode: int) -> None:
    if stat.S_ISREG(mode):
        return
    sort = next((word for is_sort, word in _SORTS if is_sort(mode)), "something else")
    raise OSError(errno.EINVAL, f"it is {sort}, not a file")


def _check_size(size: int, max_bytes: int) -> None:
    if size > max_bytes:
        raise OSError(errno.EFBIG, f"it is larger than {_size(max_bytes)}")


def _refuse_link(path: Path) -> None:
    if path.is_symlink():
        raise OSError(errno.ELOOP, f"it is a symbolic link to {path.readlink()}; name the file itself")


def _size(count: int) -> str:
    return f"{count >> 20} MiB" if count >= 1 << 20 else f"{count >> 10} KiB"
