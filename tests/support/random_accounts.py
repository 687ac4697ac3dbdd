"""Random accounts for the toy: clusters whole and half made, ours and others', tangled with each other."""

from __future__ import annotations

import random
from dataclasses import dataclass
from itertools import count

from bacalhau_spot.core.cleanup.deletion_order import SPEC_BY_KIND, kinds_of
from bacalhau_spot.core.kinds import GLOBAL, ResourceKind
from bacalhau_spot.core.tags import Scope
from support.in_memory_cloud import LAUNCHERS, FaultPlan, InMemoryCloud, InMemoryResource

KEY = "bacalhau-cluster"
OURS = {KEY: "c", "CreatedBy": "us"}
SECOND = {KEY: "second", "CreatedBy": "us"}
# Near misses: another's cluster, another key, another case, a name that means nothing.
STRANGERS: tuple[dict[str, str], ...] = (
    {KEY: "third", "CreatedBy": "them"},
    {f"{KEY}-2": "c", "CreatedBy": "us"},
    {KEY: "C"},
    {"Name": "bacalhau-node"},
    {},
)
ACCOUNT = Scope(KEY, "c", creator="us")
CLUSTER = Scope(KEY, "c")
_ALONE = tuple(
    kind
    for kind in ResourceKind
    if SPEC_BY_KIND[kind].service != "ec2"
    or kind in {ResourceKind.KEY_PAIR, ResourceKind.TEMPLATE, ResourceKind.RESERVATION, ResourceKind.SNAPSHOT}
)


@dataclass
class RandomAccount:
    """A toy, and how it is to be cleaned."""

    toy: InMemoryCloud
    scope: Scope
    lift: bool
    regions: tuple[str, ...]


def random_account(seed: int, toy: InMemoryCloud) -> RandomAccount:
    dice = random.Random(seed)
    regions = tuple(f"r-{number}" for number in range(dice.randint(1, 3)))
    account = RandomAccount(toy, dice.choice([ACCOUNT, CLUSTER]), dice.random() < 0.3, regions)
    builder = _Builder(dice, toy)
    for region in regions:
        for tags in (OURS, SECOND, *dice.sample(STRANGERS, 2)):
            if dice.random() < 0.75:
                builder.cluster(region, dict(tags))
        builder.default_network(region)
    for kind in kinds_of(GLOBAL):
        if dice.random() < 0.5:
            builder.alone(GLOBAL, kind)
    builder.tangle(regions)
    builder.births(regions)
    toy.weather = builder.weather(regions)
    return account


class _Builder:
    def __init__(self, dice: random.Random, toy: InMemoryCloud) -> None:
        self.dice = dice
        self.toy = toy
        self._numbers = count(1)

    def thing(self, kind: str, region: str, tags: dict[str, str], **more: object) -> InMemoryResource:
        resource = InMemoryResource(kind, f"{kind}-{next(self._numbers)}", region, dict(tags), **more)  # type: ignore[arg-type]
        self.toy.add(resource)
        return resource

    def maybe(self, chance: float) -> bool:
        return self.dice.random() < chance

    def some(self, at_most: int) -> range:
        return range(self.dice.randint(0, at_most))

    def default_network(self, region: str) -> None:
        """The account's own, in which somebody works, and which somebody tagged as ours."""
        tags = OURS if self.maybe(0.3) else {}
        vpc = self.thing(ResourceKind.VPC, region, tags, retained_because="it came with the account")
        subnet = self.thing(
            ResourceKind.SUBNET, region, {}, uses={vpc.id}, retained_because="it came with the account"
        )
        self.thing(
            ResourceKind.GATEWAY, region, {}, uses={vpc.id}, retained_because="it came with the account"
        )
        self.thing(ResourceKind.INSTANCE, region, {}, uses={subnet.id})

    def cluster(self, region: str, tags: dict[str, str]) -> None:
        """A network and what lives in it; any part may be missing, as after a create that was cut short."""
        vpc = self.thing(ResourceKind.VPC, region, tags)
        default = self.thing(
            ResourceKind.GROUP, region, {}, retained_because="AWS created it with its VPC", dies_with=vpc.id
        )
        groups = [self.thing(ResourceKind.GROUP, region, tags, uses={vpc.id}) for _ in self.some(3)]
        for group in groups:
            group.rules = {other.id for other in (*groups, default) if other is not group and self.maybe(0.4)}
            if self.maybe(0.2):
                default.rules.add(group.id)
        subnets = [self.thing(ResourceKind.SUBNET, region, tags, uses={vpc.id}) for _ in self.some(3)]
        if self.maybe(0.8):
            self.thing(ResourceKind.GATEWAY, region, tags, uses={vpc.id} if self.maybe(0.9) else set())
        if subnets and self.maybe(0.4):
            self.network_extras(region, tags, vpc, subnets)
        self.machines(region, tags, subnets, groups)
        for kind in _ALONE:
            if not SPEC_BY_KIND[kind].is_global and self.maybe(0.1):
                self.alone(region, kind, tags)

    def network_extras(
        self, region: str, tags: dict[str, str], vpc: InMemoryResource, subnets: list[InMemoryResource]
    ) -> None:
        table = self.thing(ResourceKind.ROUTE_TABLE, region, tags, uses={vpc.id})
        acl = self.thing(ResourceKind.ACL, region, tags, uses={vpc.id})
        for subnet in subnets:
            subnet.uses |= {resource.id for resource in (table, acl) if self.maybe(0.5)}
        if self.maybe(0.5):
            address = self.thing(ResourceKind.ADDRESS, region, tags)
            nat = self.thing(ResourceKind.NAT_GATEWAY, region, tags, uses={subnets[0].id}, takes_s=90.0)
            nat.uses.add(address.id)
        if self.maybe(0.5):
            self.thing(ResourceKind.ENDPOINT, region, tags, uses={subnets[-1].id}, takes_s=60.0)
        if self.maybe(0.5):
            self.thing(ResourceKind.FLOW_LOG, region, tags)
        if self.maybe(0.5):
            options = self.thing(ResourceKind.DHCP_OPTIONS, region, tags)
            vpc.uses.add(options.id)

    def machines(
        self,
        region: str,
        tags: dict[str, str],
        subnets: list[InMemoryResource],
        groups: list[InMemoryResource],
    ) -> None:
        instances = [self.instance(region, tags, subnets, groups) for _ in self.some(4)]
        if instances and self.maybe(0.6):
            kind = self.dice.choice(sorted(LAUNCHERS))
            launcher = self.thing(kind, region, tags, relaunches=self.maybe(0.5))
            launcher.children = [instance.id for instance in instances]
            if self.maybe(0.3):
                instances[0].tags.clear()
        if subnets and self.maybe(0.2):
            self.thing(
                ResourceKind.INTERFACE, region, tags, uses={subnets[0].id, *(group.id for group in groups)}
            )
        for _ in self.some(2):
            self.thing(ResourceKind.VOLUME, region, tags)

    def instance(
        self,
        region: str,
        tags: dict[str, str],
        subnets: list[InMemoryResource],
        groups: list[InMemoryResource],
    ) -> InMemoryResource:
        instance = self.thing(
            ResourceKind.INSTANCE, region, tags, takes_s=self.dice.choice([20.0, 60.0, 200.0])
        )
        instance.protection = "termination protection" if self.maybe(0.08) else ""
        if subnets:
            places = {self.dice.choice(subnets).id, *(group.id for group in groups if self.maybe(0.7))}
            self.thing(
                ResourceKind.INTERFACE,
                region,
                tags if self.maybe(0.8) else {},
                uses=places,
                dies_with=instance.id,
            )
        self.thing(ResourceKind.VOLUME, region, tags, dies_with=instance.id if self.maybe(0.9) else "")
        return instance

    def alone(self, region: str, kind: ResourceKind, tags: dict[str, str] | None = None) -> None:
        whose = self.dice.choice([OURS, SECOND, *STRANGERS]) if tags is None else tags
        self.thing(kind, region, whose)

    def tangle(self, regions: tuple[str, ...]) -> None:
        """Hooks between what is ours and what is not."""
        every = [thing for thing in self.toy.things.values() if not thing.retained_because]
        by_kind: dict[tuple[str, str], list[InMemoryResource]] = {}
        for resource in every:
            by_kind.setdefault((resource.region, resource.kind), []).append(resource)
        for resource in every:
            instances = by_kind.get((resource.region, ResourceKind.INSTANCE), [])
            if resource.kind == ResourceKind.SUBNET and self.maybe(0.05):
                self.thing(ResourceKind.INTERFACE, resource.region, {"team": "theirs"}, uses={resource.id})
            if resource.kind == ResourceKind.GROUP and self.maybe(0.06):
                self.thing(ResourceKind.GROUP, resource.region, {"team": "theirs"}, rules={resource.id})
            if (
                resource.kind == ResourceKind.VOLUME
                and not resource.dies_with
                and instances
                and self.maybe(0.1)
            ):
                self.dice.choice(instances).uses.add(resource.id)
            if resource.kind == ResourceKind.ADDRESS and instances and self.maybe(0.2):
                self.dice.choice(instances).uses.add(resource.id)
            vpcs = by_kind.get((resource.region, ResourceKind.VPC), [])
            if resource.kind == ResourceKind.GATEWAY and self.maybe(0.05):
                resource.uses = {self.dice.choice(vpcs).id}
        if self.maybe(0.1):
            self.thing("lambda:function", self.dice.choice(regions), OURS)

    def births(self, regions: tuple[str, ...]) -> None:
        """What a create in another terminal makes meanwhile; AWS shows it up to two seconds later."""
        for _ in self.some(3):
            late = InMemoryResource(
                self.dice.choice(
                    [ResourceKind.INSTANCE, ResourceKind.VOLUME, ResourceKind.VPC, ResourceKind.KEY_PAIR]
                ),
                f"late-{next(self._numbers)}",
                self.dice.choice(regions),
                dict(OURS),
                shown_from_s=self.dice.choice([0.0, 1.0, 2.0]),
            )
            self.toy.births.append((self.dice.randint(1, 8), late))

    def weather(self, regions: tuple[str, ...]) -> FaultPlan:
        denied = {
            (self.dice.choice(regions), self.dice.choice(sorted(ResourceKind)).value)
            for _ in range(2)
            if self.maybe(0.15)
        }
        return FaultPlan(
            denied=denied,
            throttled=self.dice.choice([0, 0, 3, 10]),
            lost=self.dice.choice([0, 0, 1, 4]),
            picky=self.dice.choice([0, 2, 3]),
        )
