"""A summary of each cluster in an account, from the resources with the tag key.

Rules:
1. A cluster is a value of the tag key. It is managed if its resources carry the configured `CreatedBy` tag, or if it is the
   configured cluster (`core.tags.account_scope`, as for `nuke`). Resources with the same value and another creator are a
   cluster of their own.
2. Terminated instances do not count. A cluster of which only other resources remain counts: they may cost money.
3. The cost is that of instances, volumes and addresses as `cost` calculates it, and of other kinds with a list price.
4. The expiry is that of `list`, `status` and `reconcile` (core.lifecycle.expiry): the latest one of the living nodes and groups.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bacalhau_spot.core.inventory import nodes_only, orchestrators_only
from bacalhau_spot.core.kinds import ResourceKind
from bacalhau_spot.core.lifecycle.expiry import cluster_expiry
from bacalhau_spot.core.model import PricePoint, State
from bacalhau_spot.core.orchestrator.managed_state import newest_usable
from bacalhau_spot.core.pricing.cost import PriceSteps, Rates, Window, charge, sum_charges
from bacalhau_spot.core.pricing.list_prices import usd_per_hour
from bacalhau_spot.core.pricing.orchestrator_usage import is_orchestrators
from bacalhau_spot.core.pricing.usage_history import AwsInventory, usage_history
from bacalhau_spot.core.scaling_group.groups import ScalingGroup
from bacalhau_spot.core.tags import CREATOR_KEY, EXPIRES_KEY, account_scope
from bacalhau_spot.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime
    from decimal import Decimal

    from bacalhau_spot.core.model import Instance, Naming, Resource
    from bacalhau_spot.core.pricing.list_prices import Prices
    from bacalhau_spot.core.problem import ApiFailure

# A tag of the user's (`cluster.tags`) that names the responsible person; in any case.
OWNER_TAG = "owner"


@dataclass(frozen=True, slots=True)
class AccountResources:
    """All resources with the tag key. `instances`: terminated ones included; `others`: all other kinds.

    `unknown`: tagged resources of kinds that bacalhau-spot does not know, whose cluster is unknown, too.
    `partial_failures`: refused lists in regions that were scanned otherwise. `group_ends`: by region and name, when the scheduled
    action of an Auto Scaling group ends it.
    """

    instances: tuple[Instance, ...] = ()
    others: tuple[Resource, ...] = ()
    unknown: tuple[Resource, ...] = ()
    regions_scanned: tuple[str, ...] = ()
    failed_regions: tuple[ApiFailure, ...] = ()
    partial_failures: tuple[ApiFailure, ...] = ()
    group_ends: Mapping[tuple[str, str], datetime] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CurrentPrices:
    """`spot`: of the instances' pools, now; `unpriced`: refused requests for them."""

    spot: Prices = field(default_factory=dict)
    rates: Rates = field(default_factory=Rates)
    unpriced: tuple[ApiFailure, ...] = ()


@dataclass(frozen=True, slots=True)
class ClusterSummary:
    """One cluster. `configured`: it is the configuration's. `created_by`: its `CreatedBy` tag; empty without.

    `owner`: from the tag `Owner`, or the identity that ran `create` on this machine; empty if unknown. `nodes`: the number
    by state, without terminated ones. `orchestrator`: the state of a managed one; None without. `usd_per_hour`: None while
    a price is unknown. `others`: the number of other resources by kind.
    """

    name: str
    created_by: str
    configured: bool
    owner: str
    nodes: Mapping[State, int]
    orchestrator: State | None
    regions: tuple[str, ...]
    usd_per_hour: Decimal | None
    created_at: datetime | None
    expires_at: datetime | None
    others: Mapping[str, int]

    @property
    def node_count(self) -> int:
        return sum(self.nodes.values())


@dataclass(frozen=True, slots=True)
class ClusterOverview:
    """All clusters under a tag key. `unmanaged`: those that another program created."""

    tag_key: str
    account_id: str
    taken_at: datetime
    clusters: tuple[ClusterSummary, ...] = ()
    unmanaged: tuple[ClusterSummary, ...] = ()
    unknown: tuple[Resource, ...] = ()
    regions_scanned: tuple[str, ...] = ()
    failed_regions: tuple[ApiFailure, ...] = ()
    partial_failures: tuple[ApiFailure, ...] = ()
    unpriced: tuple[ApiFailure, ...] = ()

    @property
    def incomplete(self) -> tuple[ApiFailure, ...]:
        """Every refusal that may hide a cluster or a part of one."""
        return (*self.failed_regions, *self.partial_failures)

    @property
    def exit_code(self) -> ExitCode:
        return ExitCode.INCOMPLETE if self.incomplete else ExitCode.DONE


@dataclass(slots=True)
class _Group:
    instances: list[Instance] = field(default_factory=list)
    others: list[Resource] = field(default_factory=list)

    @property
    def living(self) -> list[Instance]:
        return [instance for instance in self.instances if instance.state is not State.TERMINATED]

    @property
    def tags(self) -> list[Mapping[str, str]]:
        return [instance.tags for instance in self.living] + [resource.tags for resource in self.others]

    @property
    def regions(self) -> set[str]:
        return {instance.region for instance in self.living} | {resource.region for resource in self.others}


def cluster_overview(
    found: AccountResources,
    naming: Naming,
    *,
    account_id: str,
    prices: CurrentPrices,
    launched_by: Mapping[str, str],
    now: datetime,
) -> ClusterOverview:
    """The clusters, by name. `launched_by`: the identity that ran `create` on this machine, by cluster."""
    managed: list[ClusterSummary] = []
    unmanaged: list[ClusterSummary] = []
    for (name, is_managed), group in sorted(_groups(found, naming).items()):
        if not group.living and not group.others:
            continue
        summary = _summary(
            name,
            group,
            configured=is_managed and name == naming.tag_value,
            prices=prices,
            group_ends=found.group_ends,
            owner=_owner(group) or (launched_by.get(name, "") if is_managed else ""),
            now=now,
        )
        (managed if is_managed else unmanaged).append(summary)
    return ClusterOverview(
        tag_key=naming.tag_key,
        account_id=account_id,
        taken_at=now,
        clusters=tuple(managed),
        unmanaged=tuple(unmanaged),
        unknown=found.unknown,
        regions_scanned=found.regions_scanned,
        failed_regions=found.failed_regions,
        partial_failures=found.partial_failures,
        unpriced=prices.unpriced,
    )


def _groups(found: AccountResources, naming: Naming) -> dict[tuple[str, bool], _Group]:
    """By name, and whether it is managed."""
    ours = account_scope(naming)
    groups: dict[tuple[str, bool], _Group] = {}

    def group_of(tags: Mapping[str, str]) -> _Group:
        return groups.setdefault((tags.get(naming.tag_key, ""), ours.matches(tags)), _Group())

    for instance in found.instances:
        group_of(instance.tags).instances.append(instance)
    for resource in found.others:
        group_of(resource.tags).others.append(resource)
    return groups


def _summary(
    name: str,
    group: _Group,
    *,
    configured: bool,
    prices: CurrentPrices,
    group_ends: Mapping[tuple[str, str], datetime],
    owner: str,
    now: datetime,
) -> ClusterSummary:
    living = group.living
    orchestrator = newest_usable(orchestrators_only(living))
    creators = sorted({tags[CREATOR_KEY] for tags in group.tags if tags.get(CREATOR_KEY)})
    starts = [instance.launched_at for instance in living]
    starts += [resource.created_at for resource in group.others if resource.created_at is not None]
    return ClusterSummary(
        name=name,
        created_by=", ".join(creators),
        configured=configured,
        owner=owner,
        nodes=dict(Counter(instance.state for instance in nodes_only(living))),
        orchestrator=None if orchestrator is None else orchestrator.state,
        regions=tuple(sorted(group.regions)),
        usd_per_hour=_current_usd_per_hour(group, prices, now),
        created_at=min(starts, default=None),
        expires_at=cluster_expiry(living, _scaling_groups(group, group_ends)).at,
        others=dict(sorted(Counter(resource.kind for resource in group.others).items())),
    )


def _owner(group: _Group) -> str:
    """The values of the tag `Owner`."""
    owners = {
        value for tags in group.tags for key, value in tags.items() if key.lower() == OWNER_TAG and value
    }
    return ", ".join(sorted(owners))


def _scaling_groups(group: _Group, ends: Mapping[tuple[str, str], datetime]) -> list[ScalingGroup]:
    """The Auto Scaling groups, as far as their expiry needs them."""
    return [
        ScalingGroup(
            name=resource.id,
            region=resource.region,
            desired=len(resource.children),
            maximum=max(1, len(resource.children)),
            tags=resource.tags,
            propagated=frozenset({EXPIRES_KEY}),
            ends_at=ends.get((resource.region, resource.id)),
        )
        for resource in _of_kind(group.others, ResourceKind.SCALING_GROUP)
    ]


def _current_usd_per_hour(group: _Group, prices: CurrentPrices, now: datetime) -> Decimal | None:
    """None while the price of an instance is unknown."""
    history = usage_history(
        AwsInventory(
            instances=tuple(group.instances),
            volumes=_of_kind(group.others, ResourceKind.VOLUME),
            addresses=_of_kind(group.others, ResourceKind.ADDRESS),
        ),
        (),
        root_volume_gib=0,
        now=now,
    )
    steps = PriceSteps(_price_points(prices.spot, now))
    window = Window(now, since=now)
    # A stopped orchestrator costs nothing; its volumes and address count apart from it.
    current = sum_charges(
        charge(usage, steps, prices.rates, window) for usage in history.usages
    ).current_usd_per_hour
    rest = usd_per_hour(
        (resource for resource in group.others if not _in_usage(resource)), spot={}, rates=prices.rates
    )
    return None if current is None or rest is None else current + rest


def _of_kind(resources: Iterable[Resource], kind: ResourceKind) -> tuple[Resource, ...]:
    return tuple(resource for resource in resources if resource.kind == kind)


def _in_usage(resource: Resource) -> bool:
    """Whether the usage contains it: volumes, and the addresses of a managed orchestrator."""
    if resource.kind == ResourceKind.ADDRESS:
        return is_orchestrators(resource)
    return resource.kind == ResourceKind.VOLUME


def _price_points(spot: Prices, now: datetime) -> dict[str, list[PricePoint]]:
    points: dict[str, list[PricePoint]] = {}
    for (region, instance_type, zone), usd in spot.items():
        points.setdefault(region, []).append(PricePoint(instance_type, zone, now, usd))
    return points
