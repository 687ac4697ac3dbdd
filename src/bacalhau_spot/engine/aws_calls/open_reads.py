"""The regions that have been asked, and those whose answers are still missing."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bacalhau_spot.core.kinds import GLOBAL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class OpenReads:
    """Of one look at AWS. The empty name is a call to no particular region."""

    def __init__(self) -> None:
        self._asked: dict[str, None] = {}
        self._open: Counter[str] = Counter()
        self.changed: Callable[[], None] | None = None  # called at every call and at every answer

    @contextmanager
    def reading(self, region: str) -> Iterator[None]:
        """While a call, with its retries, has no answer."""
        place = "" if region == GLOBAL else region
        self._asked[place] = None
        self._add(place, 1)
        try:
            yield
        finally:
            self._add(place, -1)

    def _add(self, region: str, number: int) -> None:
        self._open[region] += number
        if self.changed is not None:
            self.changed()

    def start_over(self) -> None:
        """Another look begins. Calls of the former one, if any, still end."""
        self._asked = {}

    @property
    def asked(self) -> tuple[str, ...]:
        """The regions of this look, in their order."""
        return tuple(region for region in self._asked if region)

    @property
    def waiting(self) -> tuple[str, ...]:
        """The regions with a call without an answer, and "" for such a call to no region."""
        return tuple(region for region in self._asked if self._open[region])
