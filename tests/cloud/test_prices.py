"""Price lists and price histories, as AWS spells them and as we read them."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from bacalhau_spot.cloud.prices import AwsPrices
from bacalhau_spot.core.model import PricePoint

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)


class Session:
    """Answers every call with the same rows, and remembers what it was asked."""

    def __init__(self, rows: list[Any]) -> None:
        self.rows = rows
        self.requests: list[dict[str, Any]] = []

    async def pages(
        self, service: str, region: str, operation: str, key: str, **kwargs: Any
    ) -> list[dict[str, Any]]:
        self.requests.append({"service": service, "region": region, "operation": operation, **kwargs})
        return self.rows

    def filter(self, field: str) -> list[str]:
        return [
            condition["Value"]
            for request in self.requests
            for condition in request["Filters"]
            if condition.get("Field") == field
        ]


def prices(rows: list[Any]) -> tuple[AwsPrices, Session]:
    session, prices = Session(rows), AwsPrices()
    prices._session = session  # type: ignore[assignment]
    return prices, session


def product(usd: str, currency: str = "USD", **attributes: str) -> str:
    """As GetProducts spells it: JSON in a text."""
    dimensions = {"S.T.6YS6EN2CT7": {"unit": "Hrs", "pricePerUnit": {currency: usd}}}
    terms = {"OnDemand": {"S.T": {"priceDimensions": dimensions}}}
    return json.dumps({"product": {"attributes": attributes, "sku": "S"}, "terms": terms})


def test_on_demand_prices_of_many_regions_are_one_call() -> None:
    """In the one region that has the price lists, for Linux on shared hardware; what has no price in dollars is absent."""
    aws, session = prices(
        [
            product("0.0416000000", regionCode="us-east-1", instanceType="t3.medium"),
            product("0.0456000000", regionCode="eu-west-1", instanceType="t3.medium"),
            product("0.0000000000", regionCode="eu-west-1", instanceType="t3a.medium"),
            product("0.3", currency="CNY", regionCode="cn-north-1", instanceType="t3.medium"),
        ]
    )
    result = asyncio.run(
        aws.on_demand_prices(["us-east-1", "eu-west-1"], ["t3a.medium", "t3.medium", "t3.medium"])
    )
    assert result == {
        ("us-east-1", "t3.medium"): Decimal("0.0416"),
        ("eu-west-1", "t3.medium"): Decimal("0.0456"),
    }
    assert len(session.requests) == 1
    assert (session.requests[0]["service"], session.requests[0]["region"]) == ("pricing", "us-east-1")
    assert session.filter("regionCode") == ["eu-west-1,us-east-1"]
    assert session.filter("instanceType") == ["t3.medium,t3a.medium"]
    assert session.filter("operatingSystem") == ["Linux"]
    assert session.filter("capacitystatus") == ["Used"]


def test_a_filter_is_never_longer_than_aws_takes_it() -> None:
    """Two hundred types are asked for in few calls, each within 1,024 characters, none left out or cut."""
    aws, session = prices([])
    types = [f"m{number}.24xlarge" for number in range(200)]
    asyncio.run(aws.on_demand_prices(["us-east-1"], types))
    values = session.filter("instanceType")
    assert len(values) == 3
    assert max(map(len, values)) <= 1024
    assert sorted(name for value in values for name in value.split(",")) == sorted(types)


def test_nothing_asked_is_no_call() -> None:
    aws, session = prices([])
    assert asyncio.run(aws.on_demand_prices(["us-east-1"], [])) == {}
    assert session.requests == []


def test_what_a_gibibyte_costs() -> None:
    aws, session = prices(
        [
            product("0.0800000000", regionCode="us-east-1", volumeApiName="gp3"),
            product("0.1520000000", regionCode="sa-east-1", usagetype="SAE1-EBS:VolumeUsage.gp3"),
            product("0.9990000000", regionCode="sa-east-1", usagetype="SAE1-EBS:VolumeUsage.gp3.outposts"),
        ]
    )
    result = asyncio.run(aws.volume_prices(["us-east-1", "sa-east-1"]))
    assert result == {"us-east-1": Decimal("0.08"), "sa-east-1": Decimal("0.152")}
    assert session.filter("volumeApiName") == ["gp3"]


def test_a_price_history_by_pool_and_time() -> None:
    """AWS answers newest first and may repeat a change on two pages; we have each once, in order."""

    def row(zone: str, hours: int, usd: str) -> dict[str, Any]:
        return {
            "InstanceType": "t3.medium",
            "AvailabilityZone": zone,
            "Timestamp": NOON + timedelta(hours=hours),
            "SpotPrice": usd,
        }

    rows = [row("us-east-1b", 0, "0.0131"), row("us-east-1a", 1, "0.0125"), row("us-east-1a", -3, "0.012000")]
    aws, session = prices([*rows, rows[0]])
    points = asyncio.run(
        aws.spot_history(
            "us-east-1", ["t3.medium"], since=NOON, until=NOON + timedelta(hours=2), zones=["us-east-1a"]
        )
    )
    assert points == (
        PricePoint("t3.medium", "us-east-1a", NOON - timedelta(hours=3), Decimal("0.012")),
        PricePoint("t3.medium", "us-east-1a", NOON + timedelta(hours=1), Decimal("0.0125")),
        PricePoint("t3.medium", "us-east-1b", NOON, Decimal("0.0131")),
    )
    assert session.requests[0]["StartTime"] == NOON
    assert session.requests[0]["Filters"] == [{"Name": "availability-zone", "Values": ["us-east-1a"]}]
