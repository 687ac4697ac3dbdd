"""A toy of AWS's cleaning side, in memory: things that hang on each other, take their time, are protected, are born late.

It knows the rules that a teardown meets and nothing of AWS's API, so hundreds of worlds cost seconds. The sandbox has the API.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from bacalhau_spot.cloud.port import CloudError, Deletion, Refused, TaggedId
from bacalhau_spot.core.model import Resource
from bacalhau_spot.core.receipt import Blocker
from bacalhau_spot.core.tags import Scope
from bacalhau_spot.core.teardown import GLOBAL, ROWS, Kind, known
from support.clock import FakeClock

LAUNCHERS = frozenset({Kind.SCALING_GROUP, Kind.FLEET, Kind.SPOT_FLEET, Kind.SPOT_REQUEST})
# Kinds that say who uses them (AWS shows it), or, a gateway, what it is attached to.
SAYS_WHO = frozenset({Kind.VOLUME, Kind.INTERFACE, Kind.ADDRESS, Kind.ROUTE_TABLE, Kind.ACL})
# What our delete undoes by itself before it deletes.
LETS_GO = frozenset({Kind.ADDRESS, Kind.ROUTE_TABLE})


@dataclass
class Thing:
    """`uses`: ids of what it hangs on, and which therefore cannot go before it. `dies_with`: the id of its owner."""

    kind: str
    id: str
    region: str
    tags: dict[str, str] = field(default_factory=dict)
    uses: set[str] = field(default_factory=set)
    rules: set[str] = field(default_factory=set)  # other groups that a security group's rules name
    children: list[str] = field(default_factory=list)
    relaunches: bool = False
    dies_with: str = ""
    protection: str = ""
    kept: str = ""
    takes_s: float = 0.0
    shown_from_s: float = 0.0
    ends_at_s: float | None = None

    @property
    def leaving(self) -> bool:
        return self.ends_at_s is not None


@dataclass
class Weather:
    """What goes wrong. `denied`: kinds per region. `throttled`, `lost`: how many of the next changes answer so.

    `lost`: done, and the answer did not come. `picky`: every how many-th batch is done in part only.
    """

    denied: set[tuple[str, str]] = field(default_factory=set)
    throttled: int = 0
    lost: int = 0
    picky: int = 0


class Toy:
    """`port.Cleaning` over a dictionary."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.things: dict[str, Thing] = {}
        self.weather = Weather()
        self.births: list[tuple[int, Thing]] = []  # after so many changes in its region it appears
        self._changes: Counter[str] = Counter()
        self._batches = 0
        self._made = 0

    def add(self, *things: Thing) -> None:
        self.things.update({thing.id: thing for thing in things})

    def living(self) -> dict[str, Thing]:
        """What is there now. Ending takes time, and takes with it what dies with its owner."""
        now_s = self.clock.now()
        for thing in list(self.things.values()):
            if thing.ends_at_s is not None and thing.ends_at_s <= now_s:
                self._end(thing)
        return self.things

    def _end(self, thing: Thing) -> None:
        self.things.pop(thing.id, None)
        for other in list(self.things.values()):
            if other.dies_with == thing.id:
                self._end(other)
            other.uses.discard(thing.id)
            other.rules.discard(thing.id)
            if thing.id in other.children and other.relaunches and not other.leaving:
                self._relaunch(other, thing)

    def _relaunch(self, launcher: Thing, lost: Thing) -> None:
        """A launcher that lives replaces what it lost, and does not tag it."""
        self._made += 1
        fresh = Thing(Kind.INSTANCE, f"i-again-{self._made}", launcher.region, takes_s=lost.takes_s)
        launcher.children.append(fresh.id)
        self.add(fresh)

    # --- What is asked

    async def tagged(self, region: str, scope: Scope) -> tuple[TaggedId, ...]:
        return self._index(region, scope, of_ec2=True)

    async def tagged_beside_ec2(self, region: str, scope: Scope) -> tuple[TaggedId, ...]:
        return self._index(region, scope, of_ec2=False)

    def _index(self, region: str, scope: Scope, *, of_ec2: bool) -> tuple[TaggedId, ...]:
        return tuple(
            TaggedId(one.kind, one.id)
            for one in self._shown(region)
            if scope.takes(one.tags)
            and region != GLOBAL
            and one.kind != Kind.SCALING_GROUP
            and (not known(one.kind) or ROWS[Kind(one.kind)].service == "ec2") == of_ec2
        )

    def _shown(self, region: str) -> Iterator[Thing]:
        for one in list(self.living().values()):
            if one.region == region and one.shown_from_s <= self.clock.now():
                yield one

    async def find(
        self, region: str, kind: Kind, scope: Scope, *, ids: Sequence[str] = ()
    ) -> tuple[Resource, ...]:
        return tuple(
            self._resource(one)
            for one in self._shown(region)
            if one.kind == kind and (scope.takes(one.tags) or (kind is Kind.INSTANCE and one.id in ids))
        )

    def _resource(self, one: Thing) -> Resource:
        held = one.kind in SAYS_WHO
        vpcs = one.uses if one.kind == Kind.GATEWAY else ()
        return Resource(
            kind=one.kind,
            id=one.id,
            region=one.region,
            tags=dict(one.tags),
            state=self._state(one),
            holders=tuple(sorted(vpcs or (self._users(one) if held else ()))),
            children=tuple(one.children),
            relaunches=one.relaunches,
            kept=one.kept,
            protection=one.protection,
        )

    def _state(self, one: Thing) -> str:
        if one.leaving:
            return "shutting-down" if one.kind == Kind.INSTANCE else "deleting"
        owner = self.things.get(one.dies_with)
        return "in-use" if owner is not None and one.kind in {Kind.VOLUME, Kind.INTERFACE} else ""

    def _users(self, one: Thing) -> set[str]:
        living = self.living()
        users = {other.id for other in living.values() if one.id in other.uses}
        return users | ({one.dies_with} if one.dies_with in living else set())

    async def blockers(
        self, region: str, resource: Resource
    ) -> tuple[tuple[Blocker, ...], tuple[CloudError, ...]]:
        one = self.living().get(resource.id)
        if one is None:
            return (), ()
        attached = one.uses if one.kind == Kind.GATEWAY else set()
        users = [self.things[user] for user in sorted((self._users(one) | attached) & self.things.keys())]
        rules = [other for other in self.things.values() if one.id in other.rules]
        found = (
            *(Blocker(user.kind, user.id, of=user.dies_with) for user in users),
            *(Blocker("security-group-rule", f"sgr-{other.id}", of=other.id) for other in rules),
        )
        return found, ()

    async def denied(self, region: str, resource: Resource) -> CloudError | None:
        return self._denial(region, resource.kind)

    def _denial(self, region: str, kind: str) -> CloudError | None:
        if (region, kind) not in self.weather.denied:
            return None
        return CloudError("UnauthorizedOperation", "no", operation="Delete", region=region)

    # --- What is changed

    async def delete(self, region: str, kind: Kind, resources: Sequence[Resource]) -> Deletion:
        self._spoil(region, kind)
        ids = [resource.id for resource in resources]
        self._check_batch(region, ids)
        self._batches += 1
        refused = []
        for number, one in enumerate(ids):
            if (
                len(ids) > 1
                and number == 0
                and self.weather.picky
                and self._batches % self.weather.picky == 0
            ):
                refused.append(Refused(one, "InternalError", "not this time"))
            elif one in self.living():
                self._begin_to_end(self.things[one])
        self._changed(region)
        return Deletion(("req-1",), tuple(refused))

    def _spoil(self, region: str, kind: str) -> None:
        denial = self._denial(region, kind)
        if denial is not None:
            raise denial
        if self.weather.throttled:
            self.weather.throttled -= 1
            raise CloudError("RequestLimitExceeded", "slower", operation="Delete", region=region)

    def _check_batch(self, region: str, ids: Sequence[str]) -> None:
        """One that cannot go spoils the whole batch, as with TerminateInstances."""
        living = self.living()
        for one in ids:
            if one not in living and len(ids) > 1:
                raise CloudError("InvalidInstanceID.NotFound", one, operation="Delete", region=region)
        for thing in (living[one] for one in ids if one in living):
            if thing.protection:
                raise CloudError("OperationNotPermitted", thing.id, operation="Delete", region=region)
            if self._kept_by(thing):
                raise CloudError("DependencyViolation", thing.id, operation="Delete", region=region)

    def _kept_by(self, thing: Thing) -> bool:
        named = any(thing.id in other.rules for other in self.things.values() if other.id != thing.id)
        return named or (thing.kind not in LETS_GO and bool(self._users(thing)))

    def _begin_to_end(self, thing: Thing) -> None:
        if thing.leaving:
            return
        for child in thing.children if thing.kind in LAUNCHERS - {Kind.SPOT_REQUEST} else ():
            if child in self.things:
                self._begin_to_end(self.things[child])
        for user in self.things.values():
            user.uses.discard(thing.id)
        thing.ends_at_s = self.clock.now() + thing.takes_s
        self.living()

    def _changed(self, region: str) -> None:
        self._changes[region] += 1
        for after, thing in self.births:
            if thing.region == region and after == self._changes[region]:
                thing.shown_from_s += self.clock.now()
                self.add(thing)
        if self.weather.lost:
            self.weather.lost -= 1
            raise CloudError("InternalError", "done, or not", operation="Delete", region=region)

    async def unprotect(self, region: str, resource: Resource) -> None:
        self.things[resource.id].protection = ""

    async def revoke_between(
        self, region: str, *, groups: Collection[str], vpcs: Collection[str]
    ) -> Deletion:
        defaults = {
            one.id
            for one in self.things.values()
            if one.kind == Kind.GROUP and one.kept and one.dies_with in vpcs
        }
        ours = {*groups, *defaults}
        for one in self.things.values():
            if one.id in ours:
                one.rules -= ours
        return Deletion()

    async def adopt(self, region: str, resource_id: str, *, tags: Mapping[str, str], dry_run: bool) -> bool:
        one = self.living().get(resource_id)
        if one is None or one.region != region:
            return False
        if not dry_run:
            one.tags.update(tags)
        return True
