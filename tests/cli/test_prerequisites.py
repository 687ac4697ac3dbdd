"""What a launch stands on: zones, networks, keys, images, credits. `create` and `doctor` ask by the same functions."""

from __future__ import annotations

from typing import Any

from support.program import Done, Program


def one_line(done: Done) -> str:
    return " ".join((done.stdout + done.stderr).split())


def test_a_zone_that_takes_no_subnet_costs_that_zone(sandbox: Any, program: Program) -> None:
    """boto#1904, terraform#3434: AWS offers zones in which it creates no subnets. The others launch; the receipt says so."""
    sandbox.settings.zones_without_subnets = ["us-east-1a"]
    program.configure(nodes=3, regions="[us-east-1]")
    done = program("create", "--yes")
    assert done.code == 0, one_line(done)
    assert "a no new subnets" in one_line(done)
    nodes = program("list", "-o", "json").data["instances"]
    assert len(nodes) == 3 and "us-east-1a" not in {node["zone"] for node in nodes}


def test_nodes_of_a_region_without_a_zone_that_takes_subnets_move(sandbox: Any, program: Program) -> None:
    """boto#1904: when all zones of a region refuse, its nodes go to the next region, and the receipt says why."""
    ec2 = sandbox.client(region="us-west-1")
    zones = [zone["ZoneName"] for zone in ec2.describe_availability_zones()["AvailabilityZones"]]
    sandbox.settings.zones_without_subnets = zones
    program.configure(nodes=4, regions="[us-west-1, eu-west-1]")
    done = program("create", "--yes")
    assert done.code == 0, one_line(done)
    assert "no new subnets" in one_line(done)
    assert {node["region"] for node in program("list", "-o", "json").data["instances"]} == {"eu-west-1"}
    program.configure(nodes=4, regions="[us-west-1]")
    assert program("destroy", "--yes").code == 0
    alone = program("create", "--yes")
    assert alone.code == 1 and "ZoneTakesNoSubnet" in one_line(alone)


def test_prices_under_the_vpc_description_are_prices(sandbox: Any, program: Program) -> None:
    """F11: karpenter-provider-aws#2568: older accounts have them under "Linux/UNIX (Amazon VPC)" alone."""
    program.configure(nodes=1, regions="[us-east-1]")
    usual = program("create", "--dry-run").stdout
    sandbox.settings.vpc_prices = True
    older = program("create", "--dry-run").stdout
    assert older == usual and "$" in older
    shown = program("prices", "--type", "t3.medium", "--region", "us-east-1")
    assert shown.code == 0 and "AWS shows no" not in one_line(shown), one_line(shown)
