"""The plan of a create: the difference between the configuration and the running nodes, and its price.

Rules:
1. The plan of a complete cluster is empty.
2. With `spread: failover`, a node counts in whichever region it runs.
3. Nodes are removed only with permission, by drains; surplus nodes are shown.
4. Every possible refusal comes before any creation (refusals.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from bacalhau_spot.core.error_catalog.categories import MORE_TYPES
from bacalhau_spot.core.images.account_image import BAKED
from bacalhau_spot.core.lifecycle.drain_result import GRACE_S, can_drain
from bacalhau_spot.core.model import Arch, Offer, Pool, RegionSpec
from bacalhau_spot.core.pricing.cost import Rates
from bacalhau_spot.core.pricing.estimate import estimate_nodes, sum_estimates

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bacalhau_spot.core.launch.group_plan import GroupPlan
    from bacalhau_spot.core.launch.node_spec import DriftedNode
    from bacalhau_spot.core.launch.pool_avoidance import PoolAvoidance
    from bacalhau_spot.core.lifecycle.expiry import ExpiryPlan
    from bacalhau_spot.core.model import ClusterSpec, Image, Instance, Market
    from bacalhau_spot.core.orchestrator.managed_plan import OrchestratorPlan
    from bacalhau_spot.core.placement.demand import Demand
    from bacalhau_spot.core.placement.region_selection import RegionDecision
    from bacalhau_spot.core.pricing.estimate import Budget, Estimate
    from bacalhau_spot.core.pricing.orchestrator_cost import OrchestratorCost


@dataclass(frozen=True, slots=True)
class RegionPlan:
    """One region's part. `low` and `high` are the prices of its cheapest and dearest pool, in USD per instance-hour.

    `offers`: without the avoided pools. `avoidance`: None without a launch.
    """

    region: str
    wanted: int
    present: int
    launch: int
    offers: tuple[Offer, ...] = ()
    images: tuple[Image, ...] = ()
    low: Decimal | None = None
    high: Decimal | None = None
    estimate: Estimate | None = None  # of the launches here; None: none
    avoidance: PoolAvoidance | None = None

    @property
    def zones(self) -> tuple[str, ...]:
        return tuple(sorted({offer.pool.zone for offer in self.offers}))

    @property
    def types(self) -> tuple[str, ...]:
        return tuple(sorted({offer.pool.type for offer in self.offers}))


@dataclass(frozen=True, slots=True)
class Plan:
    """The changes of a `create`. `remove` is empty unless removal is allowed; `surplus` has the surplus nodes in both cases.

    `removed_usd`: the spot prices of the removed nodes an hour; None: unknown. `grace_s`: the time for their jobs.
    `old_first`: why they leave before the launches; empty if they do not.
    """

    cluster: str
    regions: tuple[RegionPlan, ...]
    surplus: tuple[Instance, ...] = ()
    remove: tuple[Instance, ...] = ()
    warnings: tuple[str, ...] = ()
    list_prices_missing: str = ""  # AWS's code, where its price list could not be read
    budget: Budget | None = None
    choices: tuple[RegionDecision, ...] = ()  # with `regions: auto`, the decision on each region
    exposure: PoolExposure | None = None
    archives: tuple[tuple[Arch, str], ...] = ()  # the sum that each architecture's archive must have
    orchestrator: OrchestratorPlan | None = (
        None  # the steps to a working managed orchestrator; None without one
    )
    orchestrator_cost: OrchestratorCost | None = None
    drifted: tuple[DriftedNode, ...] = ()  # nodes that `create` leaves as they are
    expiry: ExpiryPlan | None = None
    idle_ttl_s: int | None = None
    replaced: int = 0  # of the present nodes, those that a group is about to launch
    being_replaced: tuple[str, ...] = ()  # ids of surplus nodes with which `replace` has begun
    groups: tuple[GroupPlan, ...] = ()  # of every region with an Auto Scaling group, before or after the plan
    removed_usd: Decimal | None = None
    grace_s: int = GRACE_S
    old_first: str = ""

    @property
    def cannot_drain(self) -> tuple[Instance, ...]:
        """Removed nodes whose jobs cannot finish: they are terminated at once."""
        return tuple(instance for instance in self.remove if instance.alive and not can_drain(instance))

    @property
    def launch(self) -> int:
        return sum(region.launch for region in self.regions)

    @property
    def wanted(self) -> int:
        return sum(region.wanted for region in self.regions)

    @property
    def present(self) -> int:
        return sum(region.present for region in self.regions)

    @property
    def existing(self) -> int:
        """All present nodes, also in regions that the configuration no longer has."""
        configured = {region.region for region in self.regions}
        elsewhere = sum(instance.region not in configured for instance in self.surplus)
        return self.present - self.replaced + elsewhere

    @property
    def empty(self) -> bool:
        changes = self.orchestrator is not None and not self.orchestrator.empty
        return self.launch == 0 and not self.remove and not changes and not self.changes_existing

    @property
    def changes_existing(self) -> bool:
        """Whether existing instances get another expiry, or groups change."""
        return self.changes_expiry or bool(self.group_changes)

    @property
    def heals(self) -> bool:
        """Whether the nodes are in Auto Scaling groups after the plan."""
        return any(group.heals for group in self.groups)

    @property
    def changes_expiry(self) -> bool:
        """Whether existing instances or groups get another expiry."""
        return self.expiry is not None and self.expiry.changes

    @property
    def avoidances(self) -> dict[str, PoolAvoidance]:
        """By region."""
        return {region.region: region.avoidance for region in self.regions if region.avoidance is not None}

    @property
    def group_changes(self) -> tuple[GroupPlan, ...]:
        return tuple(group for group in self.groups if group.steps)

    @property
    def usd_per_hour(self) -> tuple[Decimal, Decimal] | None:
        """Of the nodes' instances, from the cheapest to the dearest pools; None while a price is unknown."""
        low = high = Decimal(0)
        for region in self.regions:
            if region.launch == 0:
                continue
            if region.low is None or region.high is None:
                return None
            low += region.low * region.launch
            high += region.high * region.launch
        return low, high

    @property
    def over_budget(self) -> bool:
        """Whether the cost may exceed the budget; an unknown cost may."""
        return self.budget is not None and not self.budget.satisfied

    @property
    def estimate(self) -> Estimate:
        """The cost of all launches an hour, and of the new parts of a managed orchestrator."""
        return sum_estimates(
            [self.nodes_estimate, *([self.orchestrator_cost.added] if self.orchestrator_cost else [])]
        )

    @property
    def nodes_estimate(self) -> Estimate:
        """The cost of all launched nodes an hour."""
        return sum_estimates(region.estimate for region in self.regions if region.estimate is not None)

    @property
    def adds_cost(self) -> bool:
        """Whether anything is launched, the orchestrator included."""
        return bool(self.launch) or (self.orchestrator_cost is not None and self.orchestrator_cost.adds)


def build_plan(
    spec: ClusterSpec,
    demands: Demand,
    markets: Mapping[str, Market],
    *,
    allow_removal: bool = False,
    warnings: Sequence[str] = (),
    rates: Rates | None = None,
    decisions: Sequence[RegionDecision] = (),
    avoidances: Mapping[str, PoolAvoidance] | None = None,
) -> Plan:
    """The plan for `demands`. `markets`: at least every region that launches; without `rates`, AWS's list prices count."""
    avoiding = avoidances or {}
    regions = tuple(
        _region_plan(
            name,
            demands,
            markets.get(name),
            spec=spec,
            rates=rates or Rates(),
            avoidance=avoiding.get(name),
        )
        for name in demands.wanted
    )
    return Plan(
        cluster=spec.name,
        regions=regions,
        surplus=demands.removable,
        remove=demands.removable if allow_removal else (),
        warnings=(*warnings, *_price_warnings(spec, regions)),
        choices=tuple(decisions),
    )


def _region_plan(
    name: str,
    wants: Demand,
    market: Market | None,
    *,
    spec: ClusterSpec,
    rates: Rates,
    avoidance: PoolAvoidance | None,
) -> RegionPlan:
    every = market.offers if market else ()
    offers = avoidance.offers if avoidance else every
    low, high = _price_span(offers)
    launch = wants.launch.get(name, 0)
    return RegionPlan(
        region=name,
        wanted=wants.wanted[name],
        present=wants.present[name],
        launch=launch,
        offers=offers,
        images=tuple(market.images[arch] for arch in sorted(market.images)) if market else (),
        low=low,
        high=high,
        estimate=estimate_nodes(spec, name, launch, offers, rates) if launch else None,
        avoidance=avoidance,
    )


def _price_span(offers: Sequence[Offer]) -> tuple[Decimal | None, Decimal | None]:
    """The cheapest and the dearest pool; None while the price of any is unknown."""
    known = [offer.usd_per_hour for offer in offers if offer.usd_per_hour is not None]
    return (min(known), max(known)) if known and len(known) == len(offers) else (None, None)


def _price_warnings(spec: ClusterSpec, regions: Sequence[RegionPlan]) -> tuple[str, ...]:
    limit = spec.max_price_usd_per_hour
    if limit is None:
        return ()
    return tuple(
        f"every pool in {region.region} costs more than max_price_usd_per_hour ({limit}); AWS will refuse them"
        for region in regions
        if region.launch and region.low is not None and region.low > limit
    )


def market_problems(
    market: Market, *, image: str, types: Sequence[str], root_volume_gib: int, version: str = ""
) -> tuple[str, ...]:
    """Why nothing could be launched in this region as configured; one sentence each. `version`: of Bacalhau."""
    if market.offers and image == BAKED:
        archs = sorted({offer.arch for offer in market.offers} - set(market.images))
        missing = [f"{market.region} has no baked image with Bacalhau {version} for {arch}" for arch in archs]
        return (*missing, *_volume_problems(market, root_volume_gib=root_volume_gib))
    if market.offers and not market.images:
        return (f"AWS lists no image {image} in {market.region} that could be started",)
    return (
        *([] if market.offers else [f"{market.region} offers none of {', '.join(types)}"]),
        *_volume_problems(market, root_volume_gib=root_volume_gib),
        *_arch_problems(market, image=image),
    )


def _volume_problems(market: Market, *, root_volume_gib: int) -> Iterator[str]:
    for image in market.images.values():
        if not image.root_device:
            yield f"image {image.id} in {market.region} has no EBS root volume (an instance-store image)"
        elif image.volume_gib > root_volume_gib:
            yield (
                f"image {image.id} in {market.region} needs a root volume of {image.volume_gib} GiB, and "
                f"`instance.root_volume_gib` is {root_volume_gib}"
            )


def _arch_problems(market: Market, *, image: str) -> Iterator[str]:
    """Instance types that the image cannot boot on."""
    for arch in sorted({offer.arch for offer in market.offers} - set(market.images)):
        wrong = sorted({offer.pool.type for offer in market.offers if offer.arch is arch})
        verb = "is" if len(wrong) == 1 else "are"
        yield (
            f"image {image} in {market.region} is for {', '.join(sorted(market.images))}, but {', '.join(wrong)} {verb} {arch}"
        )


def unsuitable_images(spec: ClusterSpec, market: Market) -> tuple[str, ...]:
    """`market_problems` of a region, with its own or the cluster's settings."""
    region = next(
        (region for region in spec.regions if region.name == market.region), RegionSpec(market.region)
    )
    types = region.instance_types or spec.instance_types or ("the types that meet the requirements",)
    return market_problems(
        market,
        image=region.image or spec.image,
        types=types,
        root_volume_gib=spec.instance.root_volume_gib,
        version=spec.bacalhau.version,
    )


def unsuitable_images_hint(spec: ClusterSpec) -> str:
    """The fix where types and images do not fit."""
    if BAKED in {spec.image, *(region.image for region in spec.regions)}:
        return "`bacalhau-spot image bake` makes the missing images; `image: auto` works without"
    types = "`requirements` (its `arch` must be the image's)" if spec.requirements else "`instance_types`"
    return (
        f"change {types} ({MORE_TYPES} shows the capacity of each region) or `image` (`auto` fits every type), for "
        "all regions or for "
        "one under `regions`"
    )


def offers_from(
    pools: Sequence[tuple[str, str]],
    archs: Mapping[str, Sequence[Arch]],
    prices: Mapping[tuple[str, str], Decimal],
) -> tuple[Offer, ...]:
    """Pools (type, zone) joined with their prices, cheapest first.

    A pool that has no price while others have one is not sold as spot: AWS offers types in zones where it sells them on demand
    only (karpenter-provider-aws#2243, #6483). A type of unknown architecture is taken for x86_64.
    """
    sold = [pool for pool in pools if pool in prices] or pools
    offers = [
        Offer(
            pool=Pool(type=type_name, zone=zone),
            usd_per_hour=prices.get((type_name, zone)),
            arch=(tuple(archs.get(type_name, ())) or (Arch.X86_64,))[0],
        )
        for type_name, zone in sorted(set(sold))
    ]
    return tuple(
        sorted(
            offers,
            key=lambda offer: (
                offer.usd_per_hour is None,
                offer.usd_per_hour or 0,
                offer.pool.zone,
                offer.pool.type,
            ),
        )
    )


@dataclass(frozen=True, slots=True)
class PoolExposure:
    """The effect of losing one pool, after the plan. `pools`: pools that have or may get nodes.

    `max_nodes`: the largest number of nodes in one pool. `limit`: from `max_share_per_pool`; None: AWS decides.
    """

    pools: int
    max_nodes: int
    limit: int | None = None
