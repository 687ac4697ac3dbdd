"""The plan of `remove`, `replace` and `scale`: which nodes leave, in which order, and which are launched.

Rules:
1. Surplus nodes leave in the order of `create` (core.launch.surplus).
2. A replacement is launched before the old node leaves, unless the budget does not allow both at once.
3. At most BATCH nodes are replaced at once: their ids are in one tag of their replacements.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from decimal import ROUND_CEILING, Decimal
from typing import TYPE_CHECKING, Final

from bacalhau_spot.core.lifecycle.drain_result import can_drain, is_draining, without_draining
from bacalhau_spot.core.lifecycle.superseded import is_begun, replaced_ids, superseded
from bacalhau_spot.core.model import RegionSpec
from bacalhau_spot.core.placement.demand import nodes_by_region
from bacalhau_spot.core.tags import REPLACES_KEY

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bacalhau_spot.core.launch.plan import Plan
    from bacalhau_spot.core.model import ClusterSpec, Instance

MAX_NODES: Final = 10_000
BATCH: Final = 12  # a tag value has at most 255 characters, an id 19


@dataclass(frozen=True, slots=True)
class NodeChange:
    """`old`: the nodes that leave, in their order; `reasons`: of some of them, by id. `launch`: the plan of a launch, if any.

    `present`: living nodes that are not draining; `after`: their number after the change; `configured`: the configuration's.
    `launched_before`: nodes that an interrupted run has launched in place of `old`; they stay.
    `old_first`: why the old nodes leave before their replacements are launched; empty if they do not. `usd_before`, `usd_old`:
    spot prices an hour, of all present nodes and of those that leave; None: unknown.
    """

    cluster: str
    present: int
    after: int
    old: tuple[Instance, ...] = ()
    reasons: Mapping[str, str] = field(default_factory=dict)
    launch: Plan | None = None
    at_once: int = 1
    old_first: str = ""
    configured: int = 0
    launched_before: tuple[Instance, ...] = ()
    grace_s: int = 0
    usd_before: Decimal | None = None
    usd_old: Decimal | None = None

    @property
    def launches(self) -> int:
        return self.launch.launch if self.launch else 0

    @property
    def empty(self) -> bool:
        return not self.old and not self.launches

    @property
    def cannot_drain(self) -> tuple[Instance, ...]:
        """Running nodes whose jobs cannot finish: they are terminated at once."""
        return tuple(instance for instance in self.old if instance.alive and not can_drain(instance))

    @property
    def usd_after(self) -> tuple[Decimal, Decimal] | None:
        """The range of the spot prices after the change; None: unknown."""
        added = self.launch.usd_per_hour if self.launch else (Decimal(0), Decimal(0))
        if self.usd_before is None or self.usd_old is None or added is None:
            return None
        kept = self.usd_before - self.usd_old
        return kept + added[0], kept + added[1]


def present_nodes(instances: Iterable[Instance]) -> tuple[Instance, ...]:
    """The living nodes that are not draining."""
    return tuple(instance for instance in without_draining(instances) if instance.alive)


def scaled(spec: ClusterSpec, nodes: int, *, region: str | None, present: Sequence[Instance]) -> ClusterSpec:
    """The configuration with another number of nodes. With `region`, the others keep the number that they have."""
    if region is None:
        return replace(spec, nodes=nodes)
    counts = Counter(instance.region for instance in present)
    return with_numbers(spec, {**counts, region: nodes})


def with_numbers(spec: ClusterSpec, numbers: Mapping[str, int]) -> ClusterSpec:
    """The configuration with a number of nodes for each region, 0 for those not named."""
    configured = {region.name: region for region in spec.regions}
    names = [*configured, *(name for name in numbers if name not in configured)]
    regions = tuple(
        replace(configured.get(name) or RegionSpec(name), nodes=numbers.get(name, 0)) for name in names
    )
    return replace(spec, regions=regions, nodes=sum(numbers.values()))


def with_present_regions(spec: ClusterSpec, instances: Iterable[Instance]) -> ClusterSpec:
    """With `regions: auto`, the configuration with the regions that have nodes: replacements do not choose others."""
    if spec.auto_regions is None or spec.regions:
        return spec
    names = sorted({instance.region for instance in instances})
    return replace(spec, regions=tuple(RegionSpec(name) for name in names), auto_regions=None)


def written_values(
    spec: ClusterSpec, nodes: int, *, region: str | None, has_total: bool
) -> dict[str, object]:
    """The keys of the configuration that hold the new number. The shares of other regions stay.

    `has_total`: the file has `nodes`, which is then the sum of the regions' numbers.
    """
    if region is None:
        return {"nodes": nodes}
    before = nodes_by_region(spec)
    values: dict[str, object] = {f"regions.{region}.nodes": nodes}
    shares = any(found.name == region and found.nodes is None for found in spec.regions)
    if shares or has_total or any(found.nodes is None for found in spec.regions):
        values["nodes"] = spec.nodes - before[region] + nodes
    return values


def batches(nodes: Sequence[Instance], at_once: int) -> list[tuple[Instance, ...]]:
    return [tuple(nodes[first : first + at_once]) for first in range(0, len(nodes), at_once)]


def at_once_of(text: str, nodes: int) -> int | None:
    """The number of `3`, up to BATCH, or of `25%`, rounded up and at most BATCH. None for other text."""
    number, percent = text.strip().removesuffix("%"), text.strip().endswith("%")
    if not number.isascii() or not number.isdigit():
        return None
    value = Decimal(number)
    if percent:
        value = (value * nodes / 100).to_integral_value(ROUND_CEILING) if value <= 100 else Decimal(0)  # noqa: PLR2004 - percent
        value = min(value, Decimal(BATCH))
    return int(value) if 1 <= value <= BATCH else None


def replacements_of(batch: Iterable[Instance], instances: Iterable[Instance]) -> tuple[Instance, ...]:
    """The living nodes that were launched in place of one of the batch, by an interrupted run; at most as many as the batch.

    Nodes of one launch share the ids of all their old nodes: for each of those that has left outside the batch, one is taken.
    """
    nodes = tuple(batch)
    ids = {instance.id for instance in nodes}
    present = present_nodes(instances)
    living = {instance.id for instance in present}
    launches: dict[str, list[Instance]] = {}
    for instance in present:
        if instance.id not in ids and ids & replaced_ids(instance):
            launches.setdefault(instance.tags[REPLACES_KEY], []).append(instance)
    free = [one for tag, group in launches.items() for one in group[len(set(tag.split()) - ids - living) :]]
    return tuple([*free, *_untagged(nodes, present)][: len(nodes)])


def _untagged(nodes: Sequence[Instance], present: Sequence[Instance]) -> tuple[Instance, ...]:
    """Members of groups that were launched in place of the nodes, and have no tag yet."""
    begun = superseded((*nodes, *present))
    new = {one.id: one for old in nodes for one in begun.get(old.id, ())}
    return tuple(one for one in new.values() if not replaced_ids(one))


def without_replacements(
    nodes: Iterable[Instance], instances: Iterable[Instance], *, named: Sequence[str] = ()
) -> tuple[tuple[Instance, ...], tuple[Instance, ...]]:
    """The nodes to replace, and those that an interrupted run has launched in place of nodes that still live.

    `named`: words; a node whose id is one of them, or ends one, is to be replaced in any case.
    """
    new = {one.id for launched in superseded(instances).values() for one in launched}
    todo: list[Instance] = []
    launched: list[Instance] = []
    for node in nodes:
        started = node.id in new and not any(word.endswith(node.id) for word in named)
        (launched if started else todo).append(node)
    return tuple(todo), tuple(launched)


def ended_nodes(words: Sequence[str], instances: Sequence[Instance], *, missing: int) -> tuple[Instance, ...]:
    """The ended nodes with these ids that are still to be replaced, at most as many as nodes are missing.

    An interrupted run has drained them. AWS lists them for about an hour.
    """
    ended = [one for one in instances if one.id in words and not one.alive and one.is_node]
    todo = [one for one in ended if not replacements_of([one], instances)]
    return tuple(todo[: max(0, missing)])


def begun_nodes(instances: Sequence[Instance], *, missing: int) -> tuple[Instance, ...]:
    """The nodes that an interrupted `replace` has sent away before it launched the new ones: draining ones, then ended ones.

    At most as many as nodes are missing.
    """
    begun = [one for one in instances if is_begun(one) and (is_draining(one) or not one.alive)]
    todo = [one for one in begun if not replacements_of([one], instances)]
    todo.sort(key=lambda one: not one.alive)
    return tuple(todo[: max(0, missing)])


def target_of_batch(
    spec: ClusterSpec, batch: Sequence[Instance], instances: Sequence[Instance]
) -> ClusterSpec | None:
    """The configuration whose plan launches the missing replacements of a batch; None if none is missing.

    A replacement is launched in the old node's region, or in the configured one with the fewest nodes if the configuration no
    longer has that region.
    """
    missing = len(batch) - len(replacements_of(batch, instances))
    if missing <= 0:
        return None
    counts = Counter(instance.region for instance in present_nodes(instances))
    configured = [region.name for region in spec.regions]
    for old in batch[:missing]:
        here = old.region in configured
        counts[old.region if here else min(configured, key=lambda name: counts[name])] += 1
    return with_numbers(spec, counts)
