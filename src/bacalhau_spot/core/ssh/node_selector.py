"""Selects nodes by an instance id, a node name, the beginning of either, a zone, a region, or nothing.

Rules:
1. An exact match takes precedence over a prefix.
2. No text selects all nodes; the caller decides whether one is enough.
3. Only its id, the beginning of it, and the word `orchestrator` select the managed orchestrator.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bacalhau_spot.core.model import Instance

# The word for the managed orchestrator's instance.
ORCHESTRATOR = "orchestrator"
# The beginning of every instance id: alone it selects nothing.
_ID = "i-"


def matching_nodes(
    text: str | None, instances: Iterable[Instance], *, prefix: str, orchestrator: Instance | None = None
) -> tuple[Instance, ...]:
    """The nodes that `text` selects, in the order of regions. `prefix`: the beginning of Bacalhau's node names."""
    ordered = sorted(instances, key=lambda instance: (instance.region, instance.zone, instance.id))
    apart = [] if orchestrator is None else [orchestrator]
    if text is None:
        return tuple(ordered)
    word = text.strip()
    if word == ORCHESTRATOR:
        return tuple(apart)
    readings: tuple[tuple[Callable[[Instance], bool], list[Instance]], ...] = (
        (lambda instance: word in {instance.id, f"{prefix}{instance.id}"}, [*ordered, *apart]),
        (lambda instance: instance.zone == word, ordered),
        (lambda instance: instance.region == word, ordered),
        (
            lambda instance: bool(word) and word != _ID and _has_prefix(instance, word, prefix=prefix),
            [*ordered, *apart],
        ),
    )
    for meant, among in readings:
        matches = tuple(instance for instance in among if meant(instance))
        if matches:
            return matches
    return ()


def selects_any(word: str, *, prefix: str) -> bool:
    """Whether every node's id or name begins with the word, which therefore selects none."""
    return bool(word) and (_ID.startswith(word) or f"{prefix}{_ID}".startswith(word))


def _has_prefix(instance: Instance, word: str, *, prefix: str) -> bool:
    """An id may be given without its `i-`."""
    names = (instance.id, instance.id.removeprefix(_ID), f"{prefix}{instance.id}")
    return any(name.startswith(word) for name in names) and not f"{prefix}{_ID}".startswith(word)
