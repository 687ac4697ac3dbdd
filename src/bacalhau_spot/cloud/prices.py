"""AWS's price lists, and the history of spot prices."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from bacalhau_spot.cloud.ec2_params import LINUX, linux_prices, parse_usd
from bacalhau_spot.core.model import PricePoint
from bacalhau_spot.core.partitions import COMMERCIAL, partition_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime
    from decimal import Decimal

    from bacalhau_spot.cloud.session import Session

# Three regions have the price lists of all (AWS Billing user guide, "Price List Query API": endpoints).
PRICING_REGION = "us-east-1"

# A filter's value has at most 1,024 characters (Price List API reference, Filter); `ANY_OF` is comma-separated.
_LONGEST_VALUE = 1024

# The on-demand equivalent of a node: Linux, on shared hardware, without licensed software.
_ON_DEMAND = {
    "operatingSystem": "Linux",
    "tenancy": "Shared",
    "preInstalledSw": "NA",
    "capacitystatus": "Used",  # not an unused reservation
    "marketoption": "OnDemand",
}
_VOLUME = {"productFamily": "Storage", "volumeApiName": "gp3"}
_SPACE = "VolumeUsage.gp3"


class AwsPrices:
    """`port.Prices` over botocore."""

    _session: Session

    async def on_demand_prices(
        self, regions: Sequence[str], types: Sequence[str]
    ) -> dict[tuple[str, str], Decimal]:
        prices: dict[tuple[str, str], Decimal] = {}
        for names in _values(types):
            filters = [*_terms(_ON_DEMAND), _any_of("instanceType", names)]
            for attributes, price in await self._products(regions, filters):
                prices[attributes.get("regionCode", ""), attributes.get("instanceType", "")] = price
        return prices

    async def volume_prices(self, regions: Sequence[str]) -> dict[str, Decimal]:
        rows = await self._products(regions, _terms(_VOLUME))
        # Other products, such as Outposts', have the same name with another usage type.
        return {
            attributes.get("regionCode", ""): price
            for attributes, price in rows
            if attributes.get("usagetype", _SPACE).endswith(_SPACE)
        }

    async def spot_history(
        self,
        region: str,
        types: Sequence[str],
        *,
        since: datetime,
        until: datetime,
        zones: Sequence[str] = (),
    ) -> tuple[PricePoint, ...]:
        # AWS includes the last change before StartTime (EC2 API reference, DescribeSpotPriceHistory).
        only = {"Filters": [{"Name": "availability-zone", "Values": list(zones)}]} if zones else {}
        rows = await self._session.pages(
            "ec2",
            region,
            "describe_spot_price_history",
            "SpotPriceHistory",
            InstanceTypes=list(types),
            ProductDescriptions=LINUX,
            StartTime=since,
            EndTime=until,
            **only,
        )
        points = {
            PricePoint(
                type=row["InstanceType"],
                zone=row["AvailabilityZone"],
                since=row["Timestamp"],
                usd_per_hour=parse_usd(row["SpotPrice"]),
            )
            for row in linux_prices(rows)
        }
        return tuple(sorted(points, key=lambda point: (point.zone, point.type, point.since)))

    async def _products(
        self, regions: Sequence[str], filters: list[dict[str, str]]
    ) -> list[tuple[dict[str, str], Decimal]]:
        """(attributes, USD per unit) of the matching products in the regions; those without a price are omitted."""
        prices: list[tuple[dict[str, str], Decimal]] = []
        # The Price List API has the commercial partition's regions only (AWS Price List API endpoints).
        for names in _values([name for name in regions if partition_of(name) is COMMERCIAL]):
            rows: list[Any] = await self._session.pages(
                "pricing",
                PRICING_REGION,
                "get_products",
                "PriceList",
                ServiceCode="AmazonEC2",
                Filters=[_any_of("regionCode", names), *filters],
            )
            prices.extend(_priced(rows))
        return prices


def _priced(rows: Sequence[str]) -> Iterator[tuple[dict[str, str], Decimal]]:
    for row in rows:
        product = json.loads(row)
        for price in _usd(product.get("terms", {}).get("OnDemand", {})):
            yield product.get("product", {}).get("attributes", {}), price


def _usd(terms: dict[str, Any]) -> Iterator[Decimal]:
    """The prices per unit in a product's terms; none if it is free or in another currency."""
    for term in terms.values():
        for dimension in term.get("priceDimensions", {}).values():
            price = parse_usd(dimension.get("pricePerUnit", {}).get("USD", "0"))
            if price:
                yield price


def _terms(wanted: dict[str, str]) -> list[dict[str, str]]:
    return [{"Type": "TERM_MATCH", "Field": field, "Value": value} for field, value in wanted.items()]


def _any_of(field: str, value: str) -> dict[str, str]:
    return {"Type": "ANY_OF", "Field": field, "Value": value}


def _values(names: Sequence[str]) -> Iterator[str]:
    """The unique names, comma-separated, in as few texts as AWS accepts."""
    text = ""
    for name in sorted(set(names)):
        longer = f"{text},{name}" if text else name
        if len(longer) > _LONGEST_VALUE:
            yield text
            longer = name
        text = longer
    if text:
        yield text
