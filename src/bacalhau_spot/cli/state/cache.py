"""Cached answers of earlier runs, in files under the state folder. Their deletion only costs calls."""

from __future__ import annotations

import contextlib
import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from bacalhau_spot import files
from bacalhau_spot.engine.aws_calls.cache import ARCHIVE_AGE, ARCHIVES

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bacalhau_spot.engine.aws_calls.clock import Clock

# Longer than the maximum age of any query, except an archive's sum.
_KEPT = timedelta(days=2)
_MAX_BYTES = 64 << 20


class FileCache:
    """`engine.aws_calls.cache.Cache`: one file for each kind of answer, one value for each query."""

    def __init__(self, folder: Path, *, clock: Clock) -> None:
        self._folder = folder / "cache"
        self._now = clock.now
        self._parsed: dict[str, tuple[tuple[int, ...], dict[str, dict[str, Any]]]] = {}

    def get(self, cache_name: str, key: str, *, max_age: timedelta) -> Any | None:
        """The value, if it is at most `max_age` old."""
        entry = self._entries(cache_name).get(key)
        return entry["value"] if entry is not None and self._age(entry) <= max_age else None

    def put(self, cache_name: str, key: str, value: Any) -> None:
        self.put_all(cache_name, {key: value})

    def put_all(self, cache_name: str, values: Mapping[str, Any]) -> None:
        """Concurrent runs may lose one of two answers, but never write a partial file."""
        kept = ARCHIVE_AGE if cache_name == ARCHIVES else _KEPT
        entries = {
            name: entry for name, entry in self._entries(cache_name).items() if self._age(entry) <= kept
        }
        at = self._now().isoformat()
        entries |= {key: {"at": at, "value": value} for key, value in values.items()}
        # A value that cannot be stored is fetched again.
        with contextlib.suppress(OSError):
            files.private_folder(self._folder.parent)
            files.private_folder(self._folder)
            files.write(self._path(cache_name), json.dumps(entries, separators=(",", ":")))

    def _path(self, what: str) -> Path:
        return self._folder / f"{what}.json"

    def _entries(self, what: str) -> dict[str, dict[str, Any]]:
        """Parsed once, and again after another run has written it: a command asks for each region."""
        try:
            status = self._path(what).stat()
        except (OSError, ValueError):
            return {}
        # Two runs may write within one tick of the file system's clock; each writes a file of its own.
        version = (status.st_mtime_ns, status.st_size, status.st_ino)
        known = self._parsed.get(what)
        if known is None or known[0] != version:
            known = self._parsed[what] = (version, self._read(what))
        return known[1]

    def _read(self, what: str) -> dict[str, dict[str, Any]]:
        try:
            content = json.loads(files.read_text(self._path(what), max_bytes=_MAX_BYTES))
        except (OSError, ValueError, RecursionError):
            return {}
        entries = content.items() if isinstance(content, dict) else ()
        return {key: entry for key, entry in entries if isinstance(entry, dict) and _whole(entry)}

    def _age(self, entry: dict[str, Any]) -> timedelta:
        """An entry from the future, after the clock was set back, counts as expired."""
        age = self._now() - datetime.fromisoformat(entry["at"])
        return age if age >= timedelta(0) else timedelta.max


def _whole(entry: dict[str, Any]) -> bool:
    try:
        return "value" in entry and datetime.fromisoformat(entry["at"]).tzinfo is not None
    except (KeyError, TypeError, ValueError):
        return False
