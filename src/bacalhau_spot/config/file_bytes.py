"""Reads a file that the user has named."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bacalhau_spot import files

if TYPE_CHECKING:
    from pathlib import Path

_MAX_BYTES: Final = 1 << 20


def read_bytes(path: Path, *, max_bytes: int = _MAX_BYTES) -> tuple[bytes, str | None]:
    """A regular file's bytes, or the reason as a sentence. Never raises, and never waits for a pipe."""
    try:
        return files.read(path, max_bytes=max_bytes), None
    except FileNotFoundError:
        unknown = path.parts[:1] == files.UNKNOWN_HOME.parts
        return b"", f"there is no file {path}" + (
            ": HOME is not set, and this user has no home" if unknown else ""
        )
    except PermissionError:
        return b"", f"{path} may not be read by this user"
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        return b"", f"{path} cannot be read: {getattr(error, 'strerror', None) or error}"
