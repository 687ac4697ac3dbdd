"""What earlier runs were told. Losing it costs calls, and decides nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from datetime import timedelta


class Cache(Protocol):
    """Values that JSON can hold, by what they are and a key."""

    def get(self, cache_name: str, key: str, *, max_age: timedelta) -> Any | None:
        """The value, when it was kept at most so long ago."""

    def put(self, cache_name: str, key: str, value: Any) -> None:
        """Never raises: what cannot be kept is asked for again."""


class NullCache:
    """No memory."""

    def get(self, cache_name: str, key: str, *, max_age: timedelta) -> Any | None:
        del cache_name, key, max_age
        return None

    def put(self, cache_name: str, key: str, value: Any) -> None:
        """It is gone."""
