"""The cost of a cluster so far and now, from the usage of instances and the changes of spot prices.

Rules, with their AWS sources:
1. A spot instance is billed, per second, at the spot price at the beginning of each of its instance-hours; a change
   applies from its next instance-hour on (Amazon EC2 FAQs, "What price will I pay for a Spot Instance?").
2. At least 60 seconds of an instance, a volume or an address are billed (Amazon EC2 FAQs, "per-second billing"; EBS
   pricing).
3. A spot instance that EC2 interrupts in its first hour is free; its volume and address are not (EC2 user guide,
   "Billing for interrupted Spot Instances", Linux other than SUSE).
4. Volumes are billed per GiB and month of 730 hours, public IPv4 addresses per hour, both by the second.
5. Usage without a known price counts as zero and is reported: `unpriced_s`, and None for a total that lacks it.

Decimal throughout, without rounding. Times are aware; a window is half open.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from bacalhau_spot.core.pricing.list_prices import (
    ADDRESS_USD_PER_HOUR,
    HOURS_A_MONTH,
    gib_usd_per_month,
    on_demand_usd_per_hour,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from bacalhau_spot.core.model import PricePoint

_HOUR = timedelta(hours=1)
_MIN_BILLED = timedelta(seconds=60)
_HOUR_S = Decimal(3600)


@dataclass(frozen=True, slots=True)
class Usage:
    """One instance from its launch to its end, or one volume or address without an instance (`type` is empty).

    `ended_at` None: it runs. `interrupted`: by EC2. `reason`: AWS's code for its end, the spot request's or the state
    reason. `volume_gib`: of all its volumes. `orchestrator`: of the managed one.
    """

    id: str
    region: str
    zone: str
    type: str
    started_at: datetime
    ended_at: datetime | None = None
    spot: bool = True
    interrupted: bool = False
    volume_gib: int = 0
    address: bool = True
    orchestrator: bool = False
    reason: str = ""

    def end(self, now: datetime) -> datetime:
        return now if self.ended_at is None else self.ended_at


@dataclass(frozen=True, slots=True)
class Rates:
    """Prices other than spot prices. Prices that a region's list lacks come from core/pricing/list_prices.py."""

    on_demand: Mapping[tuple[str, str], Decimal] = field(
        default_factory=dict
    )  # (region, type) -> USD per hour
    gib_month: Mapping[str, Decimal] = field(default_factory=dict)  # region -> USD, gp3
    address_hour: Decimal = ADDRESS_USD_PER_HOUR

    def gib_month_of(self, region: str) -> Decimal:
        """The price of a GiB for a month there, in USD."""
        return self.gib_month.get(region, gib_usd_per_month())


@dataclass(frozen=True, slots=True)
class Window:
    """The period of a report: from `since` (None: the beginning) to `now`."""

    now: datetime
    since: datetime | None = None


class PriceSteps:
    """Spot prices as they changed, by region and pool."""

    def __init__(self, points: Mapping[str, Iterable[PricePoint]]) -> None:
        self._steps: dict[tuple[str, str, str], list[PricePoint]] = {}
        for region, changes in points.items():
            for point in sorted(changes, key=_start):
                self._steps.setdefault((region, point.zone, point.type), []).append(point)

    def price_at(self, usage: Usage, moment: datetime) -> Decimal | None:
        """The price at that time; None before the first known change."""
        steps = self._steps.get((usage.region, usage.zone, usage.type), [])
        following = bisect_right(steps, moment, key=_start)
        return steps[following - 1].usd_per_hour if following else None


def _start(step: PricePoint) -> datetime:
    return step.since


@dataclass(frozen=True, slots=True)
class Charge:
    """The cost of one usage in the window. `seconds`: those billed."""

    usage: Usage
    seconds: Decimal
    instance_usd: Decimal
    volume_usd: Decimal
    address_usd: Decimal
    on_demand_usd: Decimal | None  # of the instance alone, on demand; None: unknown
    current_usd_per_hour: (
        Decimal | None
    )  # with volume and address; zero when it has ended, None where unknown
    unpriced_s: Decimal = Decimal(0)

    @property
    def usd(self) -> Decimal:
        return self.instance_usd + self.volume_usd + self.address_usd


@dataclass(frozen=True, slots=True)
class CostTotal:
    """The sum of several charges. `on_demand_usd`: with the same volumes and addresses; None when a price is unknown.

    `instances`, `running` and `seconds`: of nodes, or in the orchestrator's own sum of its instances.
    """

    instances: int
    running: int
    seconds: Decimal
    instance_usd: Decimal
    volume_usd: Decimal
    address_usd: Decimal
    on_demand_usd: Decimal | None
    current_usd_per_hour: Decimal | None
    unpriced_s: Decimal

    @property
    def usd(self) -> Decimal:
        return self.instance_usd + self.volume_usd + self.address_usd

    @property
    def saving(self) -> Decimal | None:
        """The saved part of the on-demand price; None where that is unknown."""
        return None if self.unpriced_s else saving(self.usd, self.on_demand_usd)


def saving(usd: Decimal, on_demand_usd: Decimal | None) -> Decimal | None:
    return None if not on_demand_usd else 1 - usd / on_demand_usd


def charge(usage: Usage, steps: PriceSteps, rates: Rates, window: Window) -> Charge:
    """The cost of this usage in the window. The parts of a window add up to the whole."""
    seconds = _billed_seconds(usage, window, usage.started_at, usage.end(window.now))
    usd, unpriced_s = _instance_cost(usage, steps, rates, window)
    hours = seconds / _HOUR_S
    dear = _on_demand(usage, rates)
    month = rates.gib_month_of(usage.region) * usage.volume_gib
    address_hour = rates.address_hour if usage.address else Decimal(0)
    return Charge(
        usage=usage,
        seconds=seconds,
        instance_usd=usd,
        volume_usd=month * hours / HOURS_A_MONTH,
        address_usd=address_hour * hours,
        on_demand_usd=None if dear is None else dear * hours,
        current_usd_per_hour=_current_rate(
            usage, _price(usage, steps, rates, window.now), month / HOURS_A_MONTH + address_hour
        ),
        unpriced_s=unpriced_s,
    )


def _instance_cost(usage: Usage, steps: PriceSteps, rates: Rates, window: Window) -> tuple[Decimal, Decimal]:
    """The instance's own cost in USD, and the seconds without a known price."""
    usd_seconds = unpriced_s = Decimal(0)
    free = (
        usage.spot
        and usage.interrupted
        and usage.ended_at is not None
        and usage.ended_at - usage.started_at < _HOUR
    )
    if free or not usage.type:
        return usd_seconds, unpriced_s
    for start, end in _billed_hours(usage, window):
        seconds = _billed_seconds(usage, window, start, end)
        price = _price(usage, steps, rates, start) if seconds else None
        if price is None:
            unpriced_s += seconds
        else:
            usd_seconds += price * seconds
    return usd_seconds / _HOUR_S, unpriced_s


def _billed_hours(usage: Usage, window: Window) -> Iterator[tuple[datetime, datetime]]:
    """The instance-hours in the window, the last one as long as it was; one even of a life without length."""
    last = min(usage.end(window.now), window.now)
    before = max(timedelta(0), (window.since or usage.started_at) - usage.started_at)
    start = usage.started_at + before // _HOUR * _HOUR
    while True:
        yield start, min(start + _HOUR, usage.end(window.now))
        start += _HOUR
        if start >= last:
            return


def _billed_seconds(usage: Usage, window: Window, start: datetime, end: datetime) -> Decimal:
    """The billed seconds of [start, end) in the window; the billed minimum counts at the beginning."""
    since = window.since or start
    seconds = max(timedelta(0), min(end, window.now) - max(start, since))
    if start == usage.started_at and since <= start:
        seconds += max(timedelta(0), usage.started_at + _MIN_BILLED - usage.end(window.now))
    return Decimal(seconds // timedelta(microseconds=1)) / 1_000_000


def _price(usage: Usage, steps: PriceSteps, rates: Rates, moment: datetime) -> Decimal | None:
    """The instance's price in USD per hour at the moment; a volume without an instance has none to pay."""
    if not usage.type:
        return Decimal(0)
    return steps.price_at(usage, moment) if usage.spot else _on_demand(usage, rates)


def _current_rate(usage: Usage, price: Decimal | None, extras: Decimal) -> Decimal | None:
    if usage.ended_at is not None:
        return Decimal(0)
    return None if price is None else price + extras


def _on_demand(usage: Usage, rates: Rates) -> Decimal | None:
    """Without AWS's price list, an orchestrator of the default type has its list price, as in a plan."""
    if not usage.type:
        return Decimal(0)
    listed = rates.on_demand.get((usage.region, usage.type))
    return on_demand_usd_per_hour(usage.type) if listed is None and usage.orchestrator else listed


def sum_charges(charges: Iterable[Charge], *, orchestrator: bool = False) -> CostTotal:
    """`orchestrator`: count its instances, and not the nodes."""
    all_charges = tuple(charges)
    instances = [
        charge for charge in all_charges if charge.usage.type and charge.usage.orchestrator is orchestrator
    ]
    return CostTotal(
        instances=len(instances),
        running=sum(map(_is_running, instances)),
        seconds=sum((instance.seconds for instance in instances), Decimal(0)),
        instance_usd=sum((charge.instance_usd for charge in all_charges), Decimal(0)),
        volume_usd=sum((charge.volume_usd for charge in all_charges), Decimal(0)),
        address_usd=sum((charge.address_usd for charge in all_charges), Decimal(0)),
        on_demand_usd=_on_demand_total(all_charges),
        current_usd_per_hour=_sum_known(charge.current_usd_per_hour for charge in all_charges),
        unpriced_s=sum((charge.unpriced_s for charge in all_charges), Decimal(0)),
    )


def _is_running(charge: Charge) -> bool:
    return charge.usage.ended_at is None


def _on_demand_total(charges: Sequence[Charge]) -> Decimal | None:
    """With volumes and addresses, which cost the same; None while a price is unknown."""
    instances = [charge.on_demand_usd for charge in charges]
    return _sum_known((*instances, *(charge.volume_usd + charge.address_usd for charge in charges)))


def _sum_known(parts: Iterable[Decimal | None]) -> Decimal | None:
    """The sum; None while a part is unknown."""
    amounts = tuple(parts)
    known = [usd for usd in amounts if usd is not None]
    return sum(known, Decimal(0)) if len(known) == len(amounts) else None


def sum_charges_by(
    charges: Sequence[Charge], key: Callable[[Usage], tuple[str, ...]]
) -> dict[tuple[str, ...], CostTotal]:
    """By `key` of a usage, in its order."""
    groups: dict[tuple[str, ...], list[Charge]] = {}
    for charge in charges:
        groups.setdefault(key(charge.usage), []).append(charge)
    return {name: sum_charges(groups[name]) for name in sorted(groups)}
