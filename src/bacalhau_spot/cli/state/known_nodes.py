"""The nodes and clusters that the last commands have seen: for the completion of shells, and for nothing else.

`cli/runtime/completer.py` reads these files. A failure to write one has no effect.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bacalhau_spot.cli.state.cache import FileCache

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bacalhau_spot.cli.runtime.context import CommandContext
    from bacalhau_spot.core.model import Instance

_NODES = "known_nodes"
_CLUSTERS = "known_clusters"


def remember_nodes(context: CommandContext, cluster: str, instances: Iterable[Instance]) -> None:
    """The cluster's living nodes, in place of those that were known before."""
    found = {instance.id: instance.zone for instance in instances if instance.alive}
    _cache(context).put(_NODES, cluster, found)


def remember_clusters(context: CommandContext, clusters: Iterable[str]) -> None:
    for cluster in clusters:
        _cache(context).put(_CLUSTERS, cluster, "")


def _cache(context: CommandContext) -> FileCache:
    return FileCache(context.cache_dir, clock=context.runtime.clock)
