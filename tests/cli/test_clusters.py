"""`clusters`: every cluster under the tag key, with its cost, and the resources of other programs apart."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from support.cli_runner import CliRunner

KEY = "bacalhau-cluster"
HERE, THERE = "us-west-1", "eu-west-1"


def one_line(text: str) -> str:
    return " ".join(text.split())


def cluster(
    program: CliRunner, name: str, *, nodes: int = 1, regions: str = f"[{HERE}]", tags: str = ""
) -> None:
    program.configure(nodes=nodes, regions=regions, more=f"cluster: {{tag_value: {name}{tags}}}\n")
    result = program("create", "--yes")
    assert result.code == 0, result.stderr


def test_every_cluster_with_its_cost(sandbox: Any, program: CliRunner) -> None:
    """Two clusters, one of another program, and one of which only a network and an address remain."""
    cluster(program, "hunt", nodes=2, regions=f"[{HERE}, {THERE}]", tags=", tags: {Owner: ada}")
    cluster(program, "second")
    ec2 = sandbox.client("ec2", HERE)
    kept = [
        {"Key": KEY, "Value": "kept"},
        {"Key": "CreatedBy", "Value": "bacalhau-aws-spot-script"},
    ]
    ec2.create_vpc(CidrBlock="10.9.0.0/16", TagSpecifications=[{"ResourceType": "vpc", "Tags": kept}])
    ec2.allocate_address(Domain="vpc", TagSpecifications=[{"ResourceType": "elastic-ip", "Tags": kept}])
    foreign = [{"Key": KEY, "Value": "hunt"}, {"Key": "CreatedBy", "Value": "terraform"}]
    ec2.create_volume(
        AvailabilityZone=f"{HERE}a",
        Size=73,
        VolumeType="gp3",
        TagSpecifications=[{"ResourceType": "volume", "Tags": foreign}],
    )
    sandbox.clock.advance(7200)
    before = len(sandbox.world.calls)
    result = program("clusters", "-o", "json")
    assert len(sandbox.world.calls) - before < 90
    assert result.code == 0, result.stderr
    assert [found["name"] for found in result.data["clusters"]] == ["hunt", "kept", "second"]
    hunt, remains, second = result.data["clusters"]
    assert hunt["nodes"] == {"running": 2}
    assert (hunt["regions"], hunt["owner"], hunt["configured"]) == ([THERE, HERE], "ada", False)
    assert second["configured"] is True
    assert second["owner"].startswith("arn:aws:"), "the identity that ran create on this machine"
    assert (remains["nodes"], remains["orchestrator"]) == ({}, None)
    assert remains["other_resources"] == {"elastic-ip": 1, "vpc": 1}
    assert Decimal(remains["usd_per_hour"]) == Decimal("0.005")
    [other] = result.data["unmanaged"]
    assert (other["name"], other["created_by"], other["other_resources"]) == (
        "hunt",
        "terraform",
        {"volume": 1},
    )
    assert Decimal(other["usd_per_hour"]) > 0
    assert "volume" in hunt["other_resources"], "the volumes of its own nodes"
    # The same as `cost` reports.
    now = program("cost", "-o", "json").data["total"]["current_usd_per_hour"]
    assert second["usd_per_hour"] == now
    shown = one_line(program("clusters").stdout)
    assert "3 clusters, 3 nodes" in shown
    assert "1 Elastic IP address, 1 VPC" in shown
    assert "not created by bacalhau-spot" in shown
    assert "bacalhau-spot list --cluster hunt" in shown
    rows = list(csv.DictReader(io.StringIO(program("clusters", "-o", "csv").stdout)))
    assert [(row["cluster"], row["managed"], row["nodes"]) for row in rows] == [
        ("hunt", "yes", "2"),
        ("kept", "yes", "0"),
        ("second", "yes", "1"),
        ("hunt", "no", "0"),
    ]
    only = program("clusters", "--region", THERE, "-o", "json").data
    assert [(found["name"], found["nodes"]) for found in only["clusters"]] == [("hunt", {"running": 1})]


def test_nothing_after_a_deletion(sandbox: Any, program: CliRunner) -> None:
    """AWS's indexes list deleted resources for hours; they are no cluster."""
    cluster(program, "hunt")
    assert program("destroy", "--yes").code == 0
    result = program("clusters")
    assert result.code == 0
    assert "no cluster under the tag key bacalhau-cluster in 6 regions" in one_line(result.stdout)


def test_the_expiry_of_its_nodes(sandbox: Any, program: CliRunner) -> None:
    """The latest of the nodes' expiries, as in `list`; a node without one does not count."""
    cluster(program, "hunt", nodes=2)
    ec2 = sandbox.client("ec2", HERE)
    ids = [
        instance["InstanceId"]
        for group in ec2.describe_instances()["Reservations"]
        for instance in group["Instances"]
    ]
    until = datetime.fromtimestamp(sandbox.clock.now(), UTC) + timedelta(hours=3)
    stamp = f"{until:%Y-%m-%dT%H:%M:%SZ}"
    ec2.create_tags(Resources=ids[:1], Tags=[{"Key": "BacalhauExpiresAt", "Value": stamp}])
    sandbox.clock.advance(10)
    assert program("clusters", "-o", "json").data["clusters"][0]["expires_at"] == stamp
    ec2.create_tags(Resources=ids[1:], Tags=[{"Key": "BacalhauExpiresAt", "Value": stamp}])
    sandbox.clock.advance(3600)
    [found] = program("clusters", "-o", "json").data["clusters"]
    assert found["expires_at"] == stamp
    assert 6000 < found["seconds_left"] < 7200
    assert " h " in program("clusters").stdout
    sandbox.clock.advance(7200)
    assert "expired" in program("clusters").stdout


def test_refusals_are_named(sandbox: Any, program: CliRunner) -> None:
    """A region that could not be scanned, a refused list, a refused price: exit code 5 where it hides something."""
    cluster(program, "hunt")
    denied = {"code": "UnauthorizedOperation", "message": "no", "region": THERE}
    sandbox.settings.faults = [
        {"match": "tagging:GetResources", **denied},
        {"match": "ec2:DescribeInstances", **denied},
    ]
    result = program("clusters")
    assert result.code == 5
    assert f"not scanned: {THERE} (not allowed)" in one_line(result.stdout)
    assert "hunt" in result.stdout
    sandbox.settings.faults = [
        {"match": "ec2:DescribeVolumes", "code": "UnauthorizedOperation", "message": "no"}
    ]
    result = program("clusters")
    assert result.code == 5
    assert f"not listed: DescribeVolumes in {HERE} (not allowed)" in one_line(result.stdout)
    sandbox.settings.faults = [
        {"match": "ec2:DescribeSpotPriceHistory", "code": "UnauthorizedOperation", "message": "no"}
    ]
    result = program("clusters")
    assert result.code == 0
    assert "unknown" in result.stdout
    assert f"without a price: DescribeSpotPriceHistory in {HERE} (not allowed)" in one_line(result.stdout)
