"""The regions that have been asked, and those whose answers are still missing."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bacalhau_spot.core.kinds import GLOBAL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class OpenReads:
    """Of one look at AWS. The empty name is a call to no particular region.

    A look may have several rounds: when all regions have answered, the next call begins another one. Within a round a
    region that has answered stays so, even if it is asked for more.
    """

    def __init__(self) -> None:
        self._asked: dict[str, None] = {}
        self._answered: set[str] = set()
        self._seen: frozenset[str] = frozenset()  # regions of earlier rounds of this look
        self._open: Counter[str] = Counter()
        self.settles_at_s: float | None = (
            None  # the end of a pause until AWS's lists are complete (monotonic)
        )
        self.changed: Callable[[], None] | None = None  # called at every call and at every answer

    @contextmanager
    def reading(self, region: str) -> Iterator[None]:
        """While a call, with its retries, has no answer."""
        place = "" if region == GLOBAL else region
        if not self.waiting and place in self._answered:
            self._seen |= frozenset(self.asked)
            self._asked, self._answered = {}, set()
        self._asked[place] = None
        self._add(place, 1)
        try:
            yield
        finally:
            self._add(place, -1)

    def _add(self, region: str, number: int) -> None:
        self._open[region] += number
        if not self._open[region]:
            self._answered.add(region)
        if self.changed is not None:
            self.changed()

    @contextmanager
    def settling(self, until_s: float) -> Iterator[None]:
        """While the command waits until AWS's lists show everything."""
        self.settles_at_s = until_s
        if self.changed is not None:
            self.changed()
        try:
            yield
        finally:
            self.settles_at_s = None

    def start_over(self) -> None:
        """Another look begins. Calls of the former one, if any, still end."""
        self._asked, self._answered, self._seen = {}, set(), frozenset()

    @property
    def asked(self) -> tuple[str, ...]:
        """The regions of this round, in their order."""
        return tuple(region for region in self._asked if region)

    @property
    def waiting(self) -> tuple[str, ...]:
        """The regions with a call without an answer, and "" for such a call to no region."""
        return tuple(region for region in self._asked if self._open[region])

    @property
    def answered(self) -> int:
        """The number of regions in this round that have answered; it never falls."""
        return sum(region in self._answered for region in self.asked)

    @property
    def again(self) -> bool:
        """Whether an earlier round of this look has asked all of these regions."""
        return bool(self.asked) and self._seen.issuperset(self.asked)
