"""The endpoint as used by clients."""

from __future__ import annotations

import http.client
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest

from aws_spot_sandbox.admin_client import Refused, ask
from aws_spot_sandbox.regions import OPT_IN
from aws_spot_sandbox.settings_update import switches
from aws_spot_sandbox.state import World
from sandbox.middleware.errors import refusal, refusal_in_full


def test_every_call_is_recorded(sandbox: Any) -> None:
    """Region, action and outcome of each call, in order."""
    ec2 = sandbox.client()
    ec2.describe_vpcs()
    refusal(ec2.delete_vpc, VpcId="vpc-0123456789abcdef0")
    sandbox.client("sts", "eu-west-1").get_caller_identity()
    refusal(sandbox.client("ssm").get_parameter, Name="/nothing")
    assert sandbox.world.calls == [
        ("us-east-1", "ec2:DescribeVpcs", "ok"),
        ("us-east-1", "ec2:DeleteVpc", "InvalidVpcID.NotFound"),
        ("eu-west-1", "sts:GetCallerIdentity", "ok"),
        ("us-east-1", "ssm:GetParameter", "ParameterNotFound"),
    ]


def test_latency(sandbox: Any) -> None:
    """Every call takes the configured time, by the sandbox's clock."""
    sandbox.settings.latency_s = 0.25
    before = sandbox.clock.now()
    sandbox.client().describe_vpcs()
    sandbox.client("sts").get_caller_identity()
    assert sandbox.clock.now() == before + 0.5


@pytest.mark.parametrize(
    ("service", "operation", "arguments", "name"),
    [
        ("ec2", "describe_fpga_images", {}, "ec2:DescribeFpgaImages"),
        ("health", "describe_events", {}, "health:DescribeEvents"),
        ("service-quotas", "list_services", {}, "servicequotas:ListServices"),
        ("pricing", "describe_services", {"ServiceCode": "AmazonEC2"}, "pricing:DescribeServices"),
    ],
)
def test_gaps_are_named(sandbox: Any, service: str, operation: str, arguments: Any, name: str) -> None:
    """Missing actions return an error with a status that clients do not retry (they retry 500, 502, 503 and 504)."""
    code, status, message = refusal_in_full(getattr(sandbox.client(service), operation), **arguments)
    assert (code, status) == ("NotImplemented", 501)
    assert message == f"the sandbox does not implement {name}"


def test_connections_are_kept(sandbox: Any) -> None:
    """HTTP/1.1: one connection for many requests, as at AWS."""
    host = sandbox.url.removeprefix("http://")
    connection = http.client.HTTPConnection(host)
    try:
        connection.request("GET", "/_sandbox/ping")
        connection.getresponse().read()
        socket = connection.sock
        connection.request("GET", "/_sandbox/ping")
        assert connection.getresponse().status == 200
        assert connection.sock is socket
    finally:
        connection.close()


def test_a_reset_leaves_nothing(sandbox: Any) -> None:
    """A fresh account: other resources are deleted, the default VPC exists, no calls are logged."""
    ec2 = sandbox.client()
    ec2.create_vpc(CidrBlock="10.0.0.0/16")
    for vpc in ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]:
        assert vpc["IsDefault"]
    sandbox.server.reset(World(now=sandbox.clock.now, sleep=sandbox.clock.sleep))
    assert sandbox.world.calls == []
    assert [vpc["IsDefault"] for vpc in ec2.describe_vpcs()["Vpcs"]] == [True]


def test_every_region_has_a_default_vpc(sandbox: Any) -> None:
    """As in an AWS account. AWS: VPC User Guide, "Default VPCs"."""
    for region in ("us-east-1", "eu-north-1", "sa-east-1"):
        assert [vpc["IsDefault"] for vpc in sandbox.client("ec2", region).describe_vpcs()["Vpcs"]] == [True]


def test_leftovers(sandbox: Any) -> None:
    """Existing resources in all regions, one per line; default VPCs only on request, and marked."""
    ec2 = sandbox.client("ec2", "eu-west-1")
    sandbox.client().describe_vpcs()
    assert sandbox.leftovers() == []
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    volume = ec2.create_volume(AvailabilityZone="eu-west-1a", Size=1)["VolumeId"]
    leftovers = sandbox.leftovers()
    assert f"eu-west-1 vpc {vpc}" in leftovers
    assert f"eu-west-1 volume {volume}" in leftovers
    # The VPC was created with a route table, an access list and a group
    assert {line.split()[1] for line in leftovers} == {"vpc", "volume", "rtb", "acl", "sg"}
    everything = sandbox.leftovers(defaults=True)
    assert sum(" vpc " in line and line.endswith(" (default)") for line in everything) == 2
    sandbox.clock.advance(5)
    ec2.delete_volume(VolumeId=volume)
    ec2.delete_vpc(VpcId=vpc)
    assert sandbox.leftovers() == []


def test_every_switch_is_documented(sandbox: Any) -> None:
    """docs/sandbox.md has a row for each, or a section; the switches of the plug-ins included."""
    page = (Path(__file__).parents[5] / "docs" / "sandbox.md").read_text()
    names = [*switches(sandbox.world)]
    assert len(names) > 40
    assert [name for name in names if f"| `{name}` |" not in page and f"`{name}` is a list" not in page] == []


@dataclass
class _PluginSettings:
    secrets: ClassVar[tuple[str, ...]] = ("password",)
    password: str | None = None
    color: str = "red"

    def problem(self, name: str, value: object) -> str:
        return "no such color" if (name, value) == ("color", "gray") else ""


def test_a_plug_in_has_switches_of_its_own(sandbox: Any) -> None:
    """Changed and checked as the sandbox's own, all or none; secrets are masked."""
    sandbox.world.settings_of(_PluginSettings)
    shown = ask(sandbox.url, "POST", "set", {"color": "blue", "password": "hidden", "latency_s": 0})
    assert (shown["color"], shown["password"]) == ("blue", "***")
    assert sandbox.world.settings_of(_PluginSettings) == _PluginSettings("hidden", "blue")
    with pytest.raises(Refused, match="no such color"):
        ask(sandbox.url, "POST", "set", {"password": "another", "color": "gray"})
    assert sandbox.world.settings_of(_PluginSettings).password == "hidden"


@pytest.mark.parametrize("region", OPT_IN)
def test_regions_that_are_opted_in_work(sandbox: Any, region: str) -> None:
    """Including those that moto may not have yet. AWS: General Reference, "Amazon EC2 endpoints and quotas"."""
    sandbox.settings.opted_in = [region]
    ec2 = sandbox.client("ec2", region)
    assert ec2.describe_availability_zones()["AvailabilityZones"]
    assert ec2.describe_vpcs()["Vpcs"]
