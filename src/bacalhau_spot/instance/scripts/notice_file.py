"""EC2's notice for jobs that want to save their work: a file in the folder that jobs may mount."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import tempfile
from pathlib import Path

NOTICE_FILE = "/bacalhau_data/interruption.json"


def write_notice(
    *, action: str, at: float, noticed_at: float, stops_at: float, path: str = NOTICE_FILE
) -> None:
    """Write the file in one step, readable for all. Times are seconds since the epoch. Raises OSError.

    Jobs may write into the folder as root. A new file with a name of its own and a rename follow no link of theirs.
    """
    facts = {
        "action": action,
        "time": _text(at),
        "noticed_at": _text(noticed_at),
        "seconds_left": max(0, round(at - noticed_at)),
        "stops_at": _text(stops_at),
    }
    folder = Path(path).parent
    folder.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=folder, prefix=".interruption-")
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as out:
            json.dump(facts, out)
            os.fchmod(out.fileno(), 0o644)
        Path(name).replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise


def remove_notice(path: str = NOTICE_FILE) -> None:
    """Remove the file of an earlier boot. Raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        Path(path).unlink()


def _text(moment: float) -> str:
    return dt.datetime.fromtimestamp(moment, tz=dt.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
