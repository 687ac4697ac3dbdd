"""The main route table of the cluster's VPC: whose it is, and the commands that give the nodes a route."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bacalhau_spot.core.launch.main_route_table import MainRouteTable, foreign_table_message
from bacalhau_spot.core.model import Naming

NAMING = Naming()
OURS = {NAMING.tag_key: NAMING.tag_value}
ALONE = MainRouteTable("rtb-1", "vpc-1", "rtbassoc-1")


@pytest.mark.parametrize(
    ("table", "own"),
    [
        (ALONE, True),
        (replace(ALONE, tags=OURS, others={"rtb-2": True}), True),
        (replace(ALONE, others={"rtb-2": False}), False),
        (replace(ALONE, tags={"team": "payroll"}), False),
        (replace(ALONE, tags={NAMING.tag_key: "other"}), False),
    ],
)
def test_a_table_is_the_clusters_by_its_tag_or_as_the_only_one(table: MainRouteTable, *, own: bool) -> None:
    assert table.belongs_to(NAMING) is own


@pytest.mark.parametrize(
    ("others", "former"),
    [
        ({}, None),
        ({"rtb-2": False}, None),
        ({"rtb-2": True, "rtb-3": False}, "rtb-2"),
        ({"rtb-2": True, "rtb-3": True}, None),
    ],
)
def test_the_former_table_is_named_if_it_is_certain(others: dict[str, bool], former: str | None) -> None:
    message = foreign_table_message(replace(ALONE, others=others), gateway_id="igw-1", region="eu-west-1")
    assert message.startswith("rtb-1 is the main route table of vpc-1; `aws ec2 create-route ")
    assert "--gateway-id igw-1 --region eu-west-1`" in message
    assert ("replace-route-table-association" in message) is (former is not None)
    assert former is None or f"--association-id rtbassoc-1 --route-table-id {former} " in message


def test_a_gateway_that_does_not_exist_yet_is_the_users_choice() -> None:
    assert "--gateway-id GATEWAY " in foreign_table_message(ALONE, gateway_id=None, region="eu-west-1")
