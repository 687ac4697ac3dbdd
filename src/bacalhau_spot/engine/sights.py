"""What there is to delete: everything with our tag, in every region and beside the regions, looked for kind by kind."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from bacalhau_spot.cloud.port import CloudError, TaggedId
from bacalhau_spot.core.model import Resource
from bacalhau_spot.core.teardown import GLOBAL, ROWS, TABLE, Kind, kinds_of, known
from bacalhau_spot.core.verdict import Fault, judge
from bacalhau_spot.engine.calls import problem_of, together
from bacalhau_spot.engine.consistency import LAG_S
from bacalhau_spot.engine.observe import check_permitted, everywhere

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from bacalhau_spot.core.receipt import Problem
    from bacalhau_spot.core.tags import Scope
    from bacalhau_spot.engine.calls import Calls

_LAUNCHERS = (Kind.SCALING_GROUP, Kind.FLEET, Kind.SPOT_FLEET, Kind.SPOT_REQUEST)
_MADE = frozenset(row.kind for row in TABLE if row.made)
INDEX = "resourcegroupstaggingapi"
ALL_SERVICES = frozenset((INDEX, *(row.service for row in TABLE)))


@dataclass(frozen=True, slots=True)
class Search:
    """What to look for, and how hard.

    `closely`: regions in which every kind that `create` makes is listed, whatever the tag index says, which lags.
    `required`: services without which the search is blind. That another one refuses is only told, unless the tag index names
    something of its. `shared`: also what is the same in all regions, which nodes of regions that are not looked into may use.
    """

    scope: Scope
    closely: frozenset[str] = frozenset()
    required: frozenset[str] = ALL_SERVICES
    shared: bool = True


@dataclass(frozen=True, slots=True)
class Sight:
    """One region: what we can delete, and what is of a kind that we do not know.

    `unseen`: what a service that we need would not tell; `silent`: what another one would not; `blind`: the kinds that were
    therefore not looked at, and why. `children`: instances that launchers of ours named as their own.
    """

    known: tuple[Resource, ...] = ()
    unknown: tuple[Resource, ...] = ()
    unseen: tuple[Problem, ...] = ()
    silent: tuple[Problem, ...] = ()
    blind: Mapping[str, Problem] = field(default_factory=dict)
    children: frozenset[str] = frozenset()

    @property
    def empty(self) -> bool:
        return not self.known and not self.unknown


@dataclass(frozen=True, slots=True)
class Sights:
    """All regions, and GLOBAL. `dark`: those that could not be looked into at all, and why. `at_s`: when, by the clock."""

    by_region: Mapping[str, Sight] = field(default_factory=dict)
    dark: tuple[Problem, ...] = ()
    at_s: float = 0.0
    settled_s: float = 0.0  # what was created before the first look is shown from then on

    @property
    def empty(self) -> bool:
        return all(sight.empty for sight in self.by_region.values())

    @property
    def known(self) -> tuple[Resource, ...]:
        return tuple(one for sight in self.by_region.values() for one in sight.known)

    @property
    def unknown(self) -> tuple[Resource, ...]:
        return tuple(one for sight in self.by_region.values() for one in sight.unknown)

    @property
    def unseen(self) -> tuple[Problem, ...]:
        """All that we should have seen and did not."""
        return (*self.dark, *(one for sight in self.by_region.values() for one in sight.unseen))

    @property
    def silent(self) -> tuple[Problem, ...]:
        return tuple(one for sight in self.by_region.values() for one in sight.silent)

    @property
    def ids(self) -> set[str]:
        """Of everything that is ours, tagged or launched by what is."""
        children = {child for sight in self.by_region.values() for child in sight.children}
        return children | {one.id for one in (*self.known, *self.unknown)}

    @property
    def busy(self) -> tuple[str, ...]:
        """Regions in which there is something to delete."""
        return tuple(region for region, sight in self.by_region.items() if sight.known)


async def look(calls: Calls, search: Search, *, regions: Sequence[str]) -> Sights:
    """Everything in scope in `regions`, and of what is the same everywhere.

    Raises CloudError only when the credentials are refused everywhere, or may look into no region.
    """

    async def one(region: str) -> Sight:
        return await look_into(calls, search, region)

    at_s = calls.clock.monotonic_s()
    sights, dark = await everywhere((*regions, GLOBAL) if search.shared else regions, one)
    answered = {region: sight for region, sight in sights.items() if region != GLOBAL}
    check_permitted(answered, [problem for problem in dark if problem.region != GLOBAL])
    return Sights(by_region=sights, dark=dark, at_s=at_s, settled_s=at_s + LAG_S)


async def look_after_lag(calls: Calls, search: Search, first: Sights, *, regions: Sequence[str]) -> Sights:
    """A second look, which may show what was created moments before the first. Raises CloudError as `look`; Stopped."""
    await calls.pause(max(0.0, first.settled_s - calls.clock.monotonic_s()))
    return replace(await look(calls, search, regions=regions), settled_s=first.settled_s)


async def look_into(
    calls: Calls,
    search: Search,
    region: str,
    *,
    also: Sequence[TaggedId] = (),
    children: Collection[str] = (),
) -> Sight:
    """One region, by both indexes and then kind by kind. `also`: what was there before, whatever the indexes say now.

    The indexes are AWS's secondary ones, and may hide all of a region: that nothing runs is DescribeInstances' to say.
    """
    visitor = Visitor(calls, search, region, children=children)
    tagged, runs = await visitor.index()
    candidates = (*tagged, *also)
    kinds = {Kind(one.kind) for one in candidates if known(one.kind)}
    if region == GLOBAL:
        kinds = set(kinds_of(GLOBAL))
    else:
        kinds = (kinds | {Kind.SCALING_GROUP}) & set(kinds_of(region))  # groups are in no index
        if runs or region in search.closely or kinds & _MADE:
            kinds |= _MADE & set(kinds_of(region))
    found = await visitor.find(kinds, also=candidates)
    unknown = (Resource(kind=one.kind, id=one.id, region=region) for one in tagged if not known(one.kind))
    return Sight(
        known=found,
        unknown=tuple(unknown),
        unseen=tuple(visitor.unseen),
        silent=tuple(visitor.silent),
        blind=visitor.blind,
        children=frozenset(visitor.children),
    )


class Visitor:
    """Asks one region's services, and remembers which of them would not say, and what the launchers launched."""

    def __init__(self, calls: Calls, search: Search, region: str, *, children: Iterable[str] = ()) -> None:
        self._calls = calls
        self._search = search
        self._region = region
        self.silent: list[Problem] = []
        self.unseen: list[Problem] = []
        self.blind: dict[str, Problem] = {}
        self.children = set(children)

    async def index(self) -> tuple[tuple[TaggedId, ...], bool]:
        """What the tag indexes show, and whether an instance runs. Raises CloudError when EC2 would not say either."""
        in_ec2, beside, runs = await asyncio.gather(
            self._calls.read(
                self._region, lambda: self._calls.cloud.tagged(self._region, self._search.scope)
            ),
            self._beside_ec2(),
            self._runs(),
        )
        return (*in_ec2, *beside), runs

    async def _runs(self) -> bool:
        if self._region == GLOBAL:
            return False
        cloud, scope = self._calls.cloud, self._search.scope
        instances = await self._calls.read(
            self._region, lambda: cloud.find(self._region, Kind.INSTANCE, scope)
        )
        return any(not instance.over for instance in instances)

    async def find(self, kinds: Collection[Kind], *, also: Sequence[TaggedId]) -> tuple[Resource, ...]:
        """The live resources of these kinds. Launchers come first: they name instances that may lack the tag."""
        candidates: dict[Kind, list[str]] = {}
        for one in also:
            if known(one.kind):
                candidates.setdefault(Kind(one.kind), []).append(one.id)
        first = [kind for kind in _LAUNCHERS if kind in kinds]
        # In the table's order, which is that of the report: what frees a group stands before what frees its VPC.
        rest = [kind for kind in ROWS if kind in kinds and kind not in first]
        then = [kind for kind in rest if kind != Kind.INSTANCE or not first]
        groups = await together(*(self._kind(kind, candidates.get(kind, ())) for kind in (*first, *then)))
        found = [one for group in groups for one in group]
        self.children.update(child for one in found for child in one.children)
        if first and (Kind.INSTANCE in kinds or self.children):
            found += await self._kind(Kind.INSTANCE, ())
        return tuple(one for one in found if not one.over)

    async def _kind(self, kind: Kind, ids: Sequence[str]) -> tuple[Resource, ...]:
        asked = sorted(self.children) if kind is Kind.INSTANCE else ids
        cloud, scope = self._calls.cloud, self._search.scope
        try:
            return await self._calls.read(
                self._region, lambda: cloud.find(self._region, kind, scope, ids=asked)
            )
        except CloudError as error:
            self._pass_over(error, ROWS[kind].service, named=bool(ids))
            self.blind[kind] = problem_of(error)
            return ()

    async def _beside_ec2(self) -> tuple[TaggedId, ...]:
        cloud, scope = self._calls.cloud, self._search.scope
        try:
            return await self._calls.read(self._region, lambda: cloud.tagged_beside_ec2(self._region, scope))
        except CloudError as error:
            self._pass_over(error, INDEX)
            return ()

    def _pass_over(self, error: CloudError, service: str, *, named: bool = False) -> None:
        """Without EC2 a region is unseen. Any other service may refuse, and the rest is looked into all the same.

        `named`: something of ours was shown to be there, or was there before.
        """
        if service == "ec2" or judge(error.code).fault is Fault.CREDENTIALS:
            raise error
        needed = named or service in self._search.required
        (self.unseen if needed else self.silent).append(replace(problem_of(error), region=self._region))
