"""A toy of AWS's cleaning side, in memory: things that hang on each other, take their time, are protected, are born late.

It knows the rules that a teardown meets and nothing of AWS's API, so hundreds of worlds cost seconds. The sandbox has the API.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from bacalhau_spot.cloud.cloud_error import CloudError
from bacalhau_spot.cloud.port import Deletion, FailedDeletion
from bacalhau_spot.core.cleanup.deletion_order import SPEC_BY_KIND, is_known_kind
from bacalhau_spot.core.cleanup.deletion_result import Dependency
from bacalhau_spot.core.cleanup.orchestrator_loss import BucketContents
from bacalhau_spot.core.kinds import GLOBAL, ResourceKind
from bacalhau_spot.core.model import Resource, TaggedId, TaggingApiIndex
from bacalhau_spot.core.tags import Scope
from support.clock import FakeClock

LAUNCHERS = frozenset(
    {ResourceKind.SCALING_GROUP, ResourceKind.FLEET, ResourceKind.SPOT_FLEET, ResourceKind.SPOT_REQUEST}
)
# Kinds that say who uses them (AWS shows it), or, a gateway, what it is attached to.
SAYS_WHO = frozenset(
    {
        ResourceKind.VOLUME,
        ResourceKind.INTERFACE,
        ResourceKind.ADDRESS,
        ResourceKind.ROUTE_TABLE,
        ResourceKind.ACL,
    }
)
# What our delete undoes by itself before it deletes.
LETS_GO = frozenset({ResourceKind.ADDRESS, ResourceKind.ROUTE_TABLE})


@dataclass
class InMemoryResource:
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
    retained_because: str = ""
    takes_s: float = 0.0
    shown_from_s: float = 0.0
    ends_at_s: float | None = None

    @property
    def leaving(self) -> bool:
        return self.ends_at_s is not None


@dataclass
class FaultPlan:
    """What goes wrong. `denied`: kinds per region. `throttled`, `lost`: how many of the next changes answer so.

    `lost`: done, and the answer did not come. `picky`: every how many-th batch is done in part only.
    """

    denied: set[tuple[str, str]] = field(default_factory=set)
    throttled: int = 0
    lost: int = 0
    picky: int = 0


class InMemoryCloud:
    """`port.Cleaning` over a dictionary."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.things: dict[str, InMemoryResource] = {}
        self.weather = FaultPlan()
        self.births: list[tuple[int, InMemoryResource]] = []  # after so many changes in its region it appears
        self._changes: Counter[str] = Counter()
        self._batches = 0
        self._made = 0

    def add(self, *things: InMemoryResource) -> None:
        self.things.update({thing.id: thing for thing in things})

    def living(self) -> dict[str, InMemoryResource]:
        """What is there now. Ending takes time, and takes with it what dies with its owner."""
        now_s = self.clock.now()
        for thing in list(self.things.values()):
            if thing.ends_at_s is not None and thing.ends_at_s <= now_s:
                self._end(thing)
        return self.things

    def _end(self, thing: InMemoryResource) -> None:
        self.things.pop(thing.id, None)
        for other in list(self.things.values()):
            if other.dies_with == thing.id:
                self._end(other)
            other.uses.discard(thing.id)
            other.rules.discard(thing.id)
            if thing.id in other.children and other.relaunches and not other.leaving:
                self._relaunch(other, thing)

    def _relaunch(self, launcher: InMemoryResource, lost: InMemoryResource) -> None:
        """A launcher that lives replaces what it lost, and does not tag it."""
        self._made += 1
        fresh = InMemoryResource(
            ResourceKind.INSTANCE, f"i-again-{self._made}", launcher.region, takes_s=lost.takes_s
        )
        launcher.children.append(fresh.id)
        self.add(fresh)

    # --- What is asked

    async def tagged(self, region: str, scope: Scope) -> tuple[TaggedId, ...]:
        return self._index(region, scope, of_ec2=True)

    async def tagging_api(self, region: str, scope: Scope) -> TaggingApiIndex:
        return TaggingApiIndex(
            outside_ec2=self._index(region, scope, of_ec2=False),
            any_in_ec2=bool(self._index(region, scope, of_ec2=True)),
        )

    def _index(self, region: str, scope: Scope, *, of_ec2: bool) -> tuple[TaggedId, ...]:
        return tuple(
            TaggedId(resource.kind, resource.id)
            for resource in self._shown(region)
            if scope.matches(resource.tags)
            and region != GLOBAL
            and resource.kind != ResourceKind.SCALING_GROUP
            and (
                not is_known_kind(resource.kind) or SPEC_BY_KIND[ResourceKind(resource.kind)].service == "ec2"
            )
            == of_ec2
        )

    def _shown(self, region: str) -> Iterator[InMemoryResource]:
        for resource_now in list(self.living().values()):
            if resource_now.region == region and resource_now.shown_from_s <= self.clock.now():
                yield resource_now

    async def find(
        self, region: str, kind: ResourceKind, scope: Scope, *, ids: Sequence[str] = ()
    ) -> tuple[Resource, ...]:
        return tuple(
            self._resource(resource)
            for resource in self._shown(region)
            if resource.kind == kind
            and (scope.matches(resource.tags) or (kind is ResourceKind.INSTANCE and resource.id in ids))
        )

    def _resource(self, resource: InMemoryResource) -> Resource:
        named = resource.kind in SAYS_WHO
        vpcs = resource.uses if resource.kind == ResourceKind.GATEWAY else ()
        return Resource(
            kind=resource.kind,
            id=resource.id,
            region=resource.region,
            tags=dict(resource.tags),
            state=self._state(resource),
            used_by=tuple(sorted(vpcs or (self._users(resource) if named else ()))),
            children=tuple(resource.children),
            relaunches=resource.relaunches,
            retained=resource.retained_because,
            protection=resource.protection,
        )

    def _state(self, resource: InMemoryResource) -> str:
        if resource.leaving:
            return "shutting-down" if resource.kind == ResourceKind.INSTANCE else "deleting"
        owner = self.things.get(resource.dies_with)
        return (
            "in-use"
            if owner is not None and resource.kind in {ResourceKind.VOLUME, ResourceKind.INTERFACE}
            else ""
        )

    def _users(self, resource: InMemoryResource) -> set[str]:
        living = self.living()
        users = {other.id for other in living.values() if resource.id in other.uses}
        return users | ({resource.dies_with} if resource.dies_with in living else set())

    async def dependencies(
        self, region: str, resource: Resource
    ) -> tuple[tuple[Dependency, ...], tuple[CloudError, ...]]:
        resource_now = self.living().get(resource.id)
        if resource_now is None:
            return (), ()
        attached = resource_now.uses if resource_now.kind == ResourceKind.GATEWAY else set()
        users = [
            self.things[user] for user in sorted((self._users(resource_now) | attached) & self.things.keys())
        ]
        rules = [other for other in self.things.values() if resource_now.id in other.rules]
        matches = (
            *(Dependency(user.kind, user.id, parent_id=user.dies_with) for user in users),
            *(Dependency("security-group-rule", f"sgr-{other.id}", parent_id=other.id) for other in rules),
        )
        return matches, ()

    async def dry_run_delete(self, region: str, resource: Resource) -> CloudError | None:
        return self._denial(region, resource.kind)

    def _denial(self, region: str, kind: str) -> CloudError | None:
        if (region, kind) not in self.weather.denied:
            return None
        return CloudError("UnauthorizedOperation", "no", operation="Delete", region=region)

    # --- What is changed

    async def delete(self, region: str, kind: ResourceKind, resources: Sequence[Resource]) -> Deletion:
        self._spoil(region, kind)
        ids = [resource.id for resource in resources]
        self._check_batch(region, ids)
        self._batches += 1
        refused = []
        for number, resource_id in enumerate(ids):
            if (
                len(ids) > 1
                and number == 0
                and self.weather.picky
                and self._batches % self.weather.picky == 0
            ):
                refused.append(FailedDeletion(resource_id, "InternalError", "not this time"))
            elif resource_id in self.living():
                self._begin_to_end(self.things[resource_id])
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
        for resource_id in ids:
            if resource_id not in living and len(ids) > 1:
                raise CloudError("InvalidInstanceID.NotFound", resource_id, operation="Delete", region=region)
        for thing in (living[resource_id] for resource_id in ids if resource_id in living):
            if thing.protection:
                raise CloudError("OperationNotPermitted", thing.id, operation="Delete", region=region)
            if self._kept_by(thing):
                raise CloudError("DependencyViolation", thing.id, operation="Delete", region=region)

    def _kept_by(self, thing: InMemoryResource) -> bool:
        named = any(thing.id in other.rules for other in self.things.values() if other.id != thing.id)
        return named or (thing.kind not in LETS_GO and bool(self._users(thing)))

    def _begin_to_end(self, thing: InMemoryResource) -> None:
        if thing.leaving:
            return
        for child in thing.children if thing.kind in LAUNCHERS - {ResourceKind.SPOT_REQUEST} else ():
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

    async def bucket_contents(self, region: str, name: str) -> BucketContents:
        """Buckets here have no objects; those with job results are tried in the sandbox."""
        return BucketContents()

    async def empty_bucket(self, region: str, name: str) -> None:
        raise AssertionError("no bucket has objects")

    async def unprotect(self, region: str, resource: Resource) -> None:
        self.things[resource.id].protection = ""

    async def revoke_mutual_rules(
        self, region: str, *, groups: Collection[str], vpcs: Collection[str]
    ) -> Deletion:
        defaults = {
            thing.id
            for thing in self.things.values()
            if thing.kind == ResourceKind.GROUP and thing.retained_because and thing.dies_with in vpcs
        }
        group_ids = {*groups, *defaults}
        for resource in self.things.values():
            if resource.id in group_ids:
                resource.rules -= group_ids
        return Deletion()

    async def adopt(self, region: str, resource_id: str, *, tags: Mapping[str, str], dry_run: bool) -> bool:
        resource = self.living().get(resource_id)
        if resource is None or resource.region != region:
            return False
        if not dry_run:
            resource.tags.update(tags)
        return True
