"""Answers from earlier runs. Their loss costs calls, and changes no decision."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

ARCHIVES: Final = "archives"
# A release does not change: every node must receive the same archive, however much later.
ARCHIVE_AGE: Final = timedelta(days=3650)


class Cache(Protocol):
    """JSON-compatible values by cache name and key."""

    def get(self, cache_name: str, key: str, *, max_age: timedelta) -> Any | None:
        """The value, if it is at most `max_age` old."""

    def put(self, cache_name: str, key: str, value: Any) -> None:
        """Never raises: a value that cannot be stored is fetched again."""

    def put_all(self, cache_name: str, values: Mapping[str, Any]) -> None:
        """By key, in one go. Never raises."""


class NullCache:
    """A cache that stores nothing."""

    def get(self, cache_name: str, key: str, *, max_age: timedelta) -> Any | None:
        del cache_name, key, max_age
        return None

    def put(self, cache_name: str, key: str, value: Any) -> None:
        """Discards the value."""

    def put_all(self, cache_name: str, values: Mapping[str, Any]) -> None:
        """Discards the values."""
