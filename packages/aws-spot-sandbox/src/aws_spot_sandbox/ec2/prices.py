"""Plausible spot prices by zone and type, with a history, identical in every sandbox."""

from __future__ import annotations

import hashlib
from decimal import Decimal
from itertools import islice
from typing import TYPE_CHECKING, Any

from aws_spot_sandbox.ec2 import catalog, filters, paging

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from aws_spot_sandbox.ec2.region import Answer, Args, Region

DAY = 86400
HISTORY_S = 90 * DAY
HOUR = 3600
# On-demand prices as a sum over a type's resources: USD per hour in the cheapest regions, fitted to AWS's m5, c5, r5.
USD_PER_VCPU, USD_PER_GIB, USD_PER_GPU_GIB = 0.033, 0.00375, 0.022
CHEAP_REGIONS = ("us-east-1", "us-east-2", "us-west-2")
DEAR_REGIONS = {
    "sa-east-1": 1.55,
    "af-south-1": 1.3,
    "ap-east-1": 1.35,
    "me-south-1": 1.22,
    "eu-central-2": 1.26,
}
# Licence prices on top of Linux, in USD per vCPU and hour.
LICENCES = {"Linux/UNIX": 0.0, "Red Hat Enterprise Linux": 0.0144, "SUSE Linux": 0.0025, "Windows": 0.046}
VPC = " (Amazon VPC)"
FILTERS: dict[str, filters.Getter[dict[str, Any]]] = {
    "availability-zone": lambda row: row["AvailabilityZone"],
    "instance-type": lambda row: row["InstanceType"],
    "product-description": lambda row: row["ProductDescription"],
    "spot-price": lambda row: row["SpotPrice"],
}


def chance(*parts: object) -> float:
    """A pseudo-random number in [0, 1) that depends only on its arguments."""
    digest = hashlib.blake2b("/".join(map(str, parts)).encode(), digest_size=6).digest()
    return int.from_bytes(digest) / 2**48


def on_demand(region: str, name: str) -> float:
    """A plausible price of the type in the region, in USD per hour."""
    info = catalog.type_info(name) or {}
    gpu_gib = info.get("GpuInfo", {}).get("TotalGpuMemoryInMiB", 0) / 1024
    usd = USD_PER_VCPU * catalog.vcpus(name) + USD_PER_GIB * catalog.memory_mib(name) / 1024
    usd = float(usd + USD_PER_GPU_GIB * gpu_gib)
    return usd * _family(name, info) * place(region)


def _family(name: str, info: Mapping[str, Any]) -> float:
    family = name.partition(".")[0]
    factor = 0.51 if info.get("BurstablePerformanceSupported") else 1.0
    if "arm64" in catalog.architectures(name):
        factor *= 0.8
    elif "a" in family[2:]:  # t3a, m6a: AMD
        factor *= 0.9
    return factor * (1.12 if "d" in family[2:] else 1.0)  # local disks


def place(region: str) -> float:
    if region in CHEAP_REGIONS:
        return 1.0
    return DEAR_REGIONS.get(region) or 1.04 + 0.2 * chance("region", region)


def spot_at(region: Region, zone: str, name: str, moment: float) -> float:
    """The Linux spot price of a pool at a given time."""
    return next(_changes(region, zone, name, moment))[1]


def _changes(region: Region, zone: str, name: str, until: float) -> Iterator[tuple[float, float]]:
    """The start and price of each of the pool's prices, newest first, endless.

    From the first scripted step on (switch `prices`), only the scripted prices apply.
    """
    steps = _scripted(region, zone, name)
    yield from ((at, usd) for at, usd in reversed(steps) if at <= until)
    first = steps[0][0] if steps else until
    base, (step, _) = _base(region, zone, name), _period(zone, name)
    moment = _change(zone, name, min(first, until))
    if steps and moment >= first:
        moment -= step
    while True:
        yield moment, base * _wobble(zone, name, moment)
        moment -= step


def _scripted(region: Region, zone: str, name: str) -> list[tuple[float, float]]:
    """The steps of the narrowest matching name, in chronological order."""
    script = region.world.settings.prices
    for known in (f"{zone}/{name}", zone, name, region.name, "*") if script else ():
        steps = [(float(step["at"]), float(step["usd"])) for step in script if step["pool"] == known]
        if steps:
            return sorted(steps)
    return []


def current(region: Region, zone: str, name: str) -> float:
    return spot_at(region, zone, name, region.now())


def _base(region: Region, zone: str, name: str) -> float:
    share = 0.32 + 0.10 * chance("type", region.name, name) + 0.03 * chance("zone", zone, name)
    return on_demand(region.name, name) * share * region.world.settings.price_factor


def _wobble(zone: str, name: str, change: int) -> float:
    return 0.98 + 0.04 * chance("when", zone, name, change)


def _period(zone: str, name: str) -> tuple[int, int]:
    """The interval between the pool's price changes, four to nine hours, and its offset. Whole seconds keep sums exact."""
    step = int((4 + 5 * chance("step", zone, name)) * HOUR)
    return step, int(step * chance("offset", zone, name))


def _change(zone: str, name: str, moment: float) -> int:
    """The start of the price that is current at the given time."""
    step, offset = _period(zone, name)
    return int(moment - offset) // step * step + offset


def spelled(usd: float) -> str:
    return str(Decimal(usd).quantize(Decimal("0.000001")))


def describe_history(region: Region, args: Args) -> Answer:
    """Newest first within a pool. The price current at StartTime is included, with its own start."""
    offers = _rows(region, args)
    if args.get("Filters"):
        offers = iter(filters.select(offers, args["Filters"], FILTERS))
    # Ninety days of all pools are a million rows: only those of the page are generated.
    size = min(args.get("MaxResults") or 1000, 1000)
    start = paging.offset(args.get("NextToken"))
    rows = list(islice(offers, start, start + size + 1))
    token = paging.token(start + size) if len(rows) > size else ""
    return {"SpotPriceHistory": rows[:size], "NextToken": token}


def _rows(region: Region, args: Args) -> Iterator[dict[str, Any]]:
    now = region.now()
    end = min(args.get("EndTime") or now, now)
    start = max(args.get("StartTime") or 0.0, now - HISTORY_S)
    wanted = set(args.get("InstanceTypes") or ())
    products = _products(args.get("ProductDescriptions"), vpc=region.world.settings.vpc_prices)
    for zone, names in sorted(catalog.pools(region).items()):
        if args.get("AvailabilityZone") not in (None, zone):
            continue
        for name in sorted(names & wanted if wanted else names):
            if not sold_as_spot(region, zone, name):
                continue
            yield from _pool_rows(region, zone, name, products, min(start, end), end)


def sold_as_spot(region: Region, zone: str, name: str) -> bool:
    """Whether the pool has a spot price: some zones offer a type only on demand (karpenter#2243, #6483)."""
    no_spot = region.world.settings.no_spot
    return name not in no_spot and f"{zone}/{name}" not in no_spot and catalog.usable_as_spot(name)


def _products(names: list[str] | None, *, vpc: bool) -> dict[str, str]:
    """The requested products that the account has, with their licence.

    An account lists its prices under one of two names and has none under the other (karpenter#2568).
    """
    ending = VPC if vpc else ""
    sold = {f"{name}{ending}": name for name in LICENCES}
    return {name: licence for name, licence in sold.items() if names is None or name in names}


def _pool_rows(
    region: Region, zone: str, name: str, products: Mapping[str, str], start: float, end: float
) -> Iterator[dict[str, Any]]:
    for moment, usd in _changes(region, zone, name, end):
        for product, licence in products.items():
            yield {
                "AvailabilityZone": zone,
                "InstanceType": name,
                "ProductDescription": product,
                "SpotPrice": spelled(usd + LICENCES[licence] * catalog.vcpus(name)),
                "Timestamp": moment,
            }
        if moment <= start:
            return
