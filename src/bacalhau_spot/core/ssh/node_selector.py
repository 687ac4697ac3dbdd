"""Which nodes somebody means: an instance's id, a node's name, the beginning of either, a zone, a region, or none at all.

Rules:
1. What is exactly something means that, even if it also begins something else.
2. Nothing said means all there are; whether one of them is enough is for the caller to find out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bacalhau_spot.core.model import Instance

# What every id begins with: by itself it names nothing.
_ID = "i-"


def matching_nodes(text: str | None, instances: Iterable[Instance], *, prefix: str) -> tuple[Instance, ...]:
    """Those that `text` may mean, in the regions' order. `prefix`: what Bacalhau's node names begin with."""
    there = sorted(instances, key=lambda one: (one.region, one.zone, one.id))
    if text is None:
        return tuple(there)
    word = text.strip()
    readings: tuple[Callable[[Instance], bool], ...] = (
        lambda one: word in {one.id, f"{prefix}{one.id}"},
        lambda one: one.zone == word,
        lambda one: one.region == word,
        lambda one: bool(word) and word != _ID and _has_prefix(one, word, prefix=prefix),
    )
    for meant in readings:
        found = tuple(instance for instance in there if meant(instance))
        if found:
            return found
    return ()


def _has_prefix(instance: Instance, word: str, *, prefix: str) -> bool:
    """An id may be given without its `i-`."""
    names = (instance.id, instance.id.removeprefix(_ID), f"{prefix}{instance.id}")
    return any(name.startswith(word) for name in names) and not f"{prefix}{_ID}".startswith(word)
