"""A locked file: the operating system keeps the lock while the sandbox's process exists, also if it is suspended.

Its pid alone proves nothing: after a crash another program may have it.
"""

from __future__ import annotations

import fcntl
from typing import TYPE_CHECKING

from aws_spot_sandbox.endpoint_file import open_private, private_folder

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO

_NAME = "sandbox.running"


def hold(state_dir: Path) -> BinaryIO:
    """The file, locked until it is closed. Raises OSError. Shared: the sandbox before may not have ended yet."""
    private_folder(state_dir)
    file = open_private(state_dir / _NAME)
    fcntl.flock(file, fcntl.LOCK_SH)
    return file


def is_held(state_dir: Path) -> bool:
    """Whether a process of a sandbox exists; False if that is unknown."""
    if not (state_dir / _NAME).exists():
        return False
    try:
        with open_private(state_dir / _NAME) as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
