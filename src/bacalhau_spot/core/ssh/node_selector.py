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
    ordered = sorted(instances, key=lambda instance: (instance.region, instance.zone, instance.id))
    if text is None:
        return tuple(ordered)
    word = text.strip()
    readings: tuple[Callable[[Instance], bool], ...] = (
        lambda instance: word in {instance.id, f"{prefix}{instance.id}"},
        lambda instance: instance.zone == word,
        lambda instance: instance.region == word,
        lambda instance: bool(word) and word != _ID and _has_prefix(instance, word, prefix=prefix),
    )
    for meant in readings:
        matches = tuple(instance for instance in ordered if meant(instance))
        if matches:
            return matches
    return ()


def _has_prefix(instance: Instance, word: str, *, prefix: str) -> bool:
    """An id may be given without its `i-`."""
    names = (instance.id, instance.id.removeprefix(_ID), f"{prefix}{instance.id}")
    return any(name.startswith(word) for name in names) and not f"{prefix}{_ID}".startswith(word)
