"""Pagination of all EC2 lists, including those that moto returns as a whole."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError


def test_a_list_comes_in_pages(sandbox: Any) -> None:
    """AWS: EC2 API reference, "Pagination": at most MaxResults items, and a token if more follow."""
    ec2 = sandbox.client()
    everything = [subnet["SubnetId"] for subnet in ec2.describe_subnets()["Subnets"]]
    assert len(everything) == 6
    first = ec2.describe_subnets(MaxResults=5)
    second = ec2.describe_subnets(MaxResults=5, NextToken=first["NextToken"])
    assert [len(page["Subnets"]) for page in (first, second)] == [5, 1]
    assert [subnet["SubnetId"] for page in (first, second) for subnet in page["Subnets"]] == everything
    assert "NextToken" not in second


@pytest.mark.parametrize(
    "operation",
    [
        "describe_vpcs",
        "describe_security_groups",
        "describe_volumes",
        "describe_route_tables",
        "describe_tags",
    ],
)
def test_a_token_of_nobody_s(sandbox: Any, operation: str) -> None:
    """AWS: EC2 API reference, "Error codes": InvalidNextToken."""
    ask = getattr(sandbox.client(), operation)
    with pytest.raises(ClientError, match="InvalidNextToken"):
        ask(NextToken="mine")


def test_the_most_that_a_page_holds(sandbox: Any) -> None:
    """AWS: EC2 API reference, DescribeRouteTables: MaxResults is at most 100, so pages have no more."""
    ec2 = sandbox.client()
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    for _ in range(100):
        ec2.create_route_table(VpcId=vpc)
    page = ec2.describe_route_tables()
    assert len(page["RouteTables"]) == 100
    assert page["NextToken"]
