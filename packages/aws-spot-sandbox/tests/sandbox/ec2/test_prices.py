"""Spot price history. Source: EC2 API reference, DescribeSpotPriceHistory."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sandbox.ec2.clusters import image, refused

LINUX = ["Linux/UNIX"]


def history(sandbox: Any, region: str = "us-east-1", **query: Any) -> list[Any]:
    pages = sandbox.client(region=region).get_paginator("describe_spot_price_history").paginate(**query)
    return [row for page in pages for row in page["SpotPriceHistory"]]


def now(sandbox: Any) -> datetime:
    return datetime.fromtimestamp(sandbox.clock.now(), UTC)


def test_now_as_start_gives_each_pool_once(sandbox: Any) -> None:
    """The current time as StartTime gives the current prices: one row for each zone and type."""
    rows = history(
        sandbox, InstanceTypes=["t3.medium", "m5.large"], ProductDescriptions=LINUX, StartTime=now(sandbox)
    )
    pools = [(row["AvailabilityZone"], row["InstanceType"]) for row in rows]
    assert len(pools) == len(set(pools))
    assert ("us-east-1a", "t3.medium") in pools
    assert all(row["Timestamp"] <= now(sandbox) for row in rows)


def test_prices_look_like_prices(sandbox: Any) -> None:
    """A spot t3.medium costs about a third of its 0.0416 on demand, slightly different in each zone."""
    query: dict[str, Any] = {"ProductDescriptions": LINUX, "StartTime": now(sandbox)}
    small = [float(row["SpotPrice"]) for row in history(sandbox, InstanceTypes=["t3.medium"], **query)]
    large = [float(row["SpotPrice"]) for row in history(sandbox, InstanceTypes=["m5.4xlarge"], **query)]
    assert all(0.010 < price < 0.022 for price in small)
    assert len(set(small)) == len(small)
    assert min(large) > 5 * max(small)
    elsewhere = history(sandbox, "sa-east-1", InstanceTypes=["t3.medium"], **query)
    assert float(elsewhere[0]["SpotPrice"]) > max(small)


def test_prices_are_the_same_every_time_and_follow_the_factor(sandbox: Any) -> None:
    query: dict[str, Any] = {
        "InstanceTypes": ["t3.medium"],
        "ProductDescriptions": LINUX,
        "StartTime": now(sandbox),
    }
    before = history(sandbox, **query)
    assert history(sandbox, **query) == before
    sandbox.world.settings.price_factor = 2.0
    doubled = history(sandbox, **query)
    assert abs(float(doubled[0]["SpotPrice"]) - 2 * float(before[0]["SpotPrice"])) < 1e-5


def test_history_covers_ninety_days_and_the_asked_span(sandbox: Any) -> None:
    """Up to 90 days back; the price current at StartTime is included with its own, earlier time."""
    query: dict[str, Any] = {
        "InstanceTypes": ["t3.medium"],
        "ProductDescriptions": LINUX,
        "AvailabilityZone": "us-east-1a",
    }
    rows = history(sandbox, **query)
    assert rows[-1]["Timestamp"] <= now(sandbox) - timedelta(days=90)
    assert 200 < len(rows) < 600
    start, end = now(sandbox) - timedelta(days=2), now(sandbox) - timedelta(days=1)
    some = history(sandbox, StartTime=start, EndTime=end, **query)
    assert all(row["Timestamp"] <= end for row in some)
    assert [row["Timestamp"] <= start for row in some].count(True) == 1
    later = history(sandbox, StartTime=end, EndTime=end, **query)
    assert later[0] == some[0]


def test_products_are_told_apart(sandbox: Any) -> None:
    """Without a product filter there are several prices for a pool; Windows includes its licence."""
    query: dict[str, Any] = {
        "InstanceTypes": ["m5.large"],
        "AvailabilityZone": "us-east-1a",
        "StartTime": now(sandbox),
    }
    by_product = {row["ProductDescription"]: float(row["SpotPrice"]) for row in history(sandbox, **query)}
    assert by_product["Windows"] > by_product["Linux/UNIX"]
    filtered = history(sandbox, Filters=[{"Name": "product-description", "Values": LINUX}], **query)
    assert [row["ProductDescription"] for row in filtered] == LINUX


def test_pages_hold_a_thousand(sandbox: Any) -> None:
    ec2 = sandbox.client()
    first = ec2.describe_spot_price_history(StartTime=now(sandbox), ProductDescriptions=LINUX)
    assert len(first["SpotPriceHistory"]) == 1000
    assert first["NextToken"]
    last = ec2.describe_spot_price_history(
        StartTime=now(sandbox), InstanceTypes=["t3.medium"], ProductDescriptions=LINUX
    )
    assert last["NextToken"] == ""


def test_prices_can_be_scripted(sandbox: Any) -> None:
    """Steps at exact times replace a pool's prices from the first step on; the narrowest matching name applies."""
    at = sandbox.clock.now()
    hour = 3600
    sandbox.settings.prices = [
        {"pool": "t3.medium", "at": at - 5 * hour, "usd": 0.02},
        {"pool": "us-east-1a/t3.medium", "at": at - 2 * hour, "usd": 0.0125},
        {"pool": "us-east-1a/t3.medium", "at": at - 4 * hour, "usd": 0.011},
        {"pool": "us-east-1a/t3.medium", "at": at + hour, "usd": 0.03},
    ]
    query: dict[str, Any] = {"InstanceTypes": ["t3.medium"], "ProductDescriptions": LINUX}
    start = now(sandbox) - timedelta(hours=3)
    rows = history(sandbox, AvailabilityZone="us-east-1a", StartTime=start, **query)
    assert [(row["Timestamp"].timestamp() - at, row["SpotPrice"]) for row in rows] == [
        (-2 * hour, "0.012500"),
        (-4 * hour, "0.011000"),
    ]
    [elsewhere] = history(sandbox, AvailabilityZone="us-east-1b", StartTime=start, **query)
    assert (elsewhere["Timestamp"].timestamp() - at, elsewhere["SpotPrice"]) == (-5 * hour, "0.020000")
    sandbox.clock.advance(hour)
    rows = history(sandbox, AvailabilityZone="us-east-1a", StartTime=now(sandbox), **query)
    assert [row["SpotPrice"] for row in rows] == ["0.030000"]
    before = history(sandbox, AvailabilityZone="us-east-1a", EndTime=start - timedelta(hours=2), **query)
    sandbox.settings.prices = []
    assert before == history(
        sandbox, AvailabilityZone="us-east-1a", EndTime=start - timedelta(hours=2), **query
    )


def test_a_launch_pays_the_scripted_price(sandbox: Any) -> None:
    """Launches use the listed price: a price limit below the step is refused."""
    ec2 = sandbox.client()
    sandbox.settings.prices = [{"pool": "*", "at": 0, "usd": 0.5}]
    with refused("SpotMaxPriceTooLow"):
        ec2.run_instances(
            ImageId=image(ec2),
            InstanceType="t3.medium",
            MinCount=1,
            MaxCount=1,
            InstanceMarketOptions={"MarketType": "spot", "SpotOptions": {"MaxPrice": "0.4"}},
        )


def test_an_account_whose_prices_stand_under_the_vpc_description(sandbox: Any) -> None:
    """S5: karpenter-provider-aws#2568, k8s-spot-price-monitor#5: the account determines the name with the prices."""
    vpc = "Linux/UNIX (Amazon VPC)"
    query: dict[str, Any] = {"InstanceTypes": ["t3.medium"], "StartTime": now(sandbox)}
    assert history(sandbox, ProductDescriptions=LINUX, **query)
    assert history(sandbox, ProductDescriptions=[vpc], **query) == []
    sandbox.settings.vpc_prices = True
    assert history(sandbox, ProductDescriptions=LINUX, **query) == []
    rows = history(sandbox, ProductDescriptions=[*LINUX, vpc], **query)
    assert {row["ProductDescription"] for row in rows} == {vpc}


def test_pages_of_ninety_days_are_the_whole_history(sandbox: Any) -> None:
    """At most 1,000 rows a page whatever is asked for; the pages together are the history of each pool, without a gap."""
    query: dict[str, Any] = {"InstanceTypes": ["t3.medium", "m5.large"], "ProductDescriptions": LINUX}
    client = sandbox.client(region="us-east-1")
    pages = list(client.get_paginator("describe_spot_price_history").paginate(**query))
    sizes = [len(page["SpotPriceHistory"]) for page in pages]
    assert len(sizes) > 2
    assert set(sizes[:-1]) == {1000}
    rows = [row for page in pages for row in page["SpotPriceHistory"]]
    pools: dict[Any, list[datetime]] = {}
    for row in rows:
        pools.setdefault((row["AvailabilityZone"], row["InstanceType"]), []).append(row["Timestamp"])
    for times in pools.values():
        assert times == sorted(times, reverse=True)
        assert times[-1] <= now(sandbox) - timedelta(days=90) < times[-2]


def test_pages_have_bounds(sandbox: Any) -> None:
    """A larger or smaller page than AWS permits is refused, as is a token of another answer."""
    client = sandbox.client(region="us-east-1")
    with refused("InvalidParameterValue"):
        client.describe_spot_price_history(MaxResults=5000)
    with refused("InvalidNextToken"):
        client.describe_spot_price_history(NextToken="another")
