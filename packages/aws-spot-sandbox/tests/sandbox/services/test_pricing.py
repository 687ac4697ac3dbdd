"""The Price List service. Source: AWS Price List Service API reference, GetProducts; its published lists."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from botocore.exceptions import ClientError, HTTPClientError

LINUX = {
    "operatingSystem": "Linux",
    "tenancy": "Shared",
    "capacitystatus": "Used",
    "preInstalledSw": "NA",
    "marketoption": "OnDemand",
}


def products(
    sandbox: Any, service: str = "AmazonEC2", *, region: str = "us-east-1", **fields: str
) -> list[Any]:
    filters = [{"Type": "TERM_MATCH", "Field": name, "Value": value} for name, value in fields.items()]
    pages = (
        sandbox.client("pricing", region)
        .get_paginator("get_products")
        .paginate(ServiceCode=service, Filters=filters)
    )
    return [json.loads(text) for page in pages for text in page["PriceList"]]


def usd(product: Any) -> Decimal:
    [term] = product["terms"]["OnDemand"].values()
    [dimension] = term["priceDimensions"].values()
    return Decimal(dimension["pricePerUnit"]["USD"])


def test_one_instance_type_in_one_region(sandbox: Any) -> None:
    """All five filters select one product, and a spot price is a fraction of its price."""
    [product] = products(sandbox, regionCode="us-east-1", instanceType="t3.medium", **LINUX)
    assert product["product"]["attributes"]["usagetype"] == "BoxUsage:t3.medium"
    assert product["product"]["attributes"]["location"] == "US East (N. Virginia)"
    sku = product["product"]["sku"]
    assert list(product["terms"]["OnDemand"]) == [f"{sku}.JRTCKXETXF"]
    [term] = product["terms"]["OnDemand"].values()
    assert list(term["priceDimensions"]) == [f"{sku}.JRTCKXETXF.6YS6EN2CT7"]
    assert Decimal("0.035") < usd(product) < Decimal("0.047")  # AWS's is 0.0416
    spot = sandbox.client().describe_spot_price_history(
        InstanceTypes=["t3.medium"], ProductDescriptions=["Linux/UNIX"], MaxResults=1
    )["SpotPriceHistory"][0]["SpotPrice"]
    assert Decimal("0.25") < Decimal(spot) / usd(product) < Decimal("0.5")


def test_too_few_filters_find_more(sandbox: Any) -> None:
    """Other systems, dedicated machines, and reservations, one of which is free."""
    rows = products(sandbox, regionCode="eu-west-1", instanceType="m6a.large")
    assert len(rows) > 10
    assert min(map(usd, rows)) == 0
    assert {row["product"]["attributes"]["operatingSystem"] for row in rows} >= {"Linux", "Windows"}
    assert all(row["product"]["attributes"]["usagetype"].startswith("EU-") for row in rows)
    assert products(sandbox, regionCode="eu-west-1", instanceType="m6a.large", colour="red") == []


def test_volumes_and_addresses(sandbox: Any) -> None:
    """gp3 per GB and month; addresses under AmazonVPC, without a family, among idle ones and blocks."""
    [disk] = products(sandbox, regionCode="us-east-1", volumeApiName="gp3", productFamily="Storage")
    assert (usd(disk), disk["product"]["attributes"]["usagetype"]) == (Decimal("0.08"), "EBS:VolumeUsage.gp3")
    rows = products(sandbox, "AmazonVPC", regionCode="us-east-1", group="VPCPublicIPv4Address")
    by_usage = {row["product"]["attributes"]["usagetype"]: usd(row) for row in rows}
    assert by_usage["USE1-PublicIPv4:InUseAddress"] == Decimal("0.005")
    assert len(by_usage) == 3
    assert all("productFamily" not in row["product"] for row in rows)


def test_pages(sandbox: Any) -> None:
    """At most a hundred per page; a token for the next one."""
    pricing = sandbox.client("pricing")
    request = {
        "ServiceCode": "AmazonEC2",
        "Filters": [{"Type": "TERM_MATCH", "Field": "regionCode", "Value": "us-east-1"}],
    }
    first = pricing.get_products(**request)
    assert (len(first["PriceList"]), first["FormatVersion"]) == (100, "aws_v1")
    second = pricing.get_products(**request, NextToken=first["NextToken"], MaxResults=5)
    assert len(second["PriceList"]) == 5
    assert not set(first["PriceList"]) & set(second["PriceList"])
    for wrong, code in (
        ({"NextToken": "x"}, "InvalidNextTokenException"),
        ({"ServiceCode": "Nothing"}, "InvalidParameter"),
    ):
        with pytest.raises(ClientError, match=code):
            pricing.get_products(**request | wrong)


def test_three_regions_have_an_endpoint(sandbox: Any) -> None:
    """The same prices from each; other regions do not answer."""
    wanted = {"regionCode": "sa-east-1", "instanceType": "t3.medium", **LINUX}
    answers = [
        products(sandbox, region=region, **wanted) for region in ("us-east-1", "eu-central-1", "ap-south-1")
    ]
    assert answers[0] == answers[1] == answers[2] != []
    with pytest.raises(HTTPClientError):
        products(sandbox, region="us-west-2", **wanted)
