"""The sandbox's own API, over HTTP on the same port."""

from __future__ import annotations

import ipaddress
import json
import urllib.error
import urllib.request
from typing import Any

import pytest

from aws_spot_sandbox import admin_client


def test_setting_a_switch(sandbox: Any) -> None:
    """Takes effect with the next call."""
    reply = admin_client.ask(sandbox.url, "POST", "set", {"latency_s": 1, "capacity": {"us-east-1": 0}})
    assert reply["latency_s"] == 1.0
    assert sandbox.settings.capacity == {"us-east-1": 0}


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"latency": 1}, "unknown switch 'latency'; the switches are latency_s, "),
        ({"latency_s": "slow"}, "latency_s is a number, zero or more, not 'slow'"),
        ({"throttle": 1}, "throttle is true or false, not 1"),
        (
            {"capacity": {"us-east-1": 1.5}},
            "capacity is a mapping from a name to a whole number, zero or more, not ",
        ),
        ({"deny": "ec2:*"}, "deny is a list, each entry a text, not 'ec2:*'"),
        (
            {"credentials_expire_at": "soon"},
            "credentials_expire_at is a number, zero or more or null, not 'soon'",
        ),
        ({"faults": [{"match": "CreateVpc"}]}, "a fault needs code: "),
        ({"faults": [{"match": "x", "code": "y", "times": 1}]}, "a fault has no times: "),
        (
            {"faults": [{"match": "x", "code": "y", "count": "2"}]},
            "a fault's count is a whole number, zero or more, not '2'",
        ),
        (
            {"faults": [{"match": "x", "code": "y", "when": "now"}]},
            "a fault's when is 'before' or 'after', not 'now'",
        ),
        ({"prices": [{"pool": "*", "at": 1}]}, "a price has a pool, at and usd, no less and no more: "),
        (
            {"prices": [{"pool": "*", "at": 1, "usd": "x"}]},
            "a price's usd is a number, zero or more, not 'x'",
        ),
        ({"stuck": {"*": "bed"}}, "a node is stuck in one of boot, packages, "),
        ([], "a mapping from switches to values is expected"),
    ],
)
def test_what_cannot_be_set(sandbox: Any, values: Any, problem: str) -> None:
    """The reply names the problem, and nothing is changed."""
    with pytest.raises(admin_client.Refused) as refused:
        admin_client.ask(sandbox.url, "POST", "set", values)
    assert str(refused.value).startswith(problem)


def test_one_bad_switch_spoils_all(sandbox: Any) -> None:
    """All values are set or none."""
    with pytest.raises(admin_client.Refused):
        admin_client.ask(sandbox.url, "POST", "set", {"latency_s": 9, "throttle": "yes"})
    assert sandbox.settings.latency_s == 0


def test_status_counts(sandbox: Any) -> None:
    """Counts of calls by region and action, and the settings."""
    sandbox.client().describe_vpcs()
    sandbox.client().describe_vpcs()
    reply = admin_client.ask(sandbox.url, "GET", "status")
    assert reply["calls"] == {"us-east-1": {"ec2:DescribeVpcs": 2}}
    assert reply["account_id"] == "000000000000"
    assert reply["settings"]["throttle"] is False
    assert admin_client.ask(sandbox.url, "GET", "calls") == [["us-east-1", "ec2:DescribeVpcs", "ok"]] * 2


def test_reset(sandbox: Any) -> None:
    """All resources are deleted; the switches keep their values."""
    sandbox.client().create_vpc(CidrBlock="10.0.0.0/16")
    admin_client.ask(sandbox.url, "POST", "set", {"price_factor": 2})
    assert admin_client.ask(sandbox.url, "GET", "leftovers") != []
    admin_client.ask(sandbox.url, "POST", "reset")
    assert admin_client.ask(sandbox.url, "GET", "leftovers") == []
    assert sandbox.settings.price_factor == 2


def test_interrupting_what_is_not_there(sandbox: Any) -> None:
    """The reply names the instance."""
    with pytest.raises(admin_client.Refused, match="no instance i-0 is in the sandbox"):
        admin_client.ask(sandbox.url, "POST", "interrupt", {"instance_id": "i-0"})


def test_interrupting_finds_the_region(sandbox: Any) -> None:
    """AWS: EC2 User Guide, "Spot Instance interruption notices": the shutdown follows the notice."""
    ec2 = sandbox.client("ec2", "eu-west-1")
    image = sandbox.client("ssm", "eu-west-1").get_parameter(
        Name="/aws/service/canonical/ubuntu/server/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id"
    )["Parameter"]["Value"]
    instance_id = ec2.run_instances(
        ImageId=image,
        InstanceType="t3.micro",
        MinCount=1,
        MaxCount=1,
        InstanceMarketOptions={"MarketType": "spot"},
    )["Instances"][0]["InstanceId"]
    sandbox.clock.advance(5)
    assert admin_client.ask(sandbox.url, "GET", "status")["instances"] == {"eu-west-1": {"running": 1}}
    reply = admin_client.ask(sandbox.url, "POST", "interrupt", {"instance_id": instance_id, "notice_s": 60})
    assert reply["region"] == "eu-west-1"
    sandbox.clock.advance(60.5)
    states = admin_client.ask(sandbox.url, "GET", "status")["instances"]["eu-west-1"]
    assert states == {"shutting-down": 1}


def test_interrupting_several_at_random(sandbox: Any) -> None:
    """For storms: as many as wanted, of all regions or of one, and never the same instance twice."""
    for region in ("us-east-1", "eu-west-1"):
        ec2 = sandbox.client("ec2", region)
        parameter = "/aws/service/canonical/ubuntu/server/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id"
        image = sandbox.client("ssm", region).get_parameter(Name=parameter)["Parameter"]["Value"]
        market = {"MarketType": "spot"}
        ec2.run_instances(
            ImageId=image, InstanceType="t3.micro", MinCount=3, MaxCount=3, InstanceMarketOptions=market
        )
    sandbox.clock.advance(5)

    def ask(**body: Any) -> list[dict[str, Any]]:
        return list(admin_client.ask(sandbox.url, "POST", "interrupt", body)["instances"])

    first = ask(count=2, region="eu-west-1", notice_s=60)
    assert [row["region"] for row in first] == ["eu-west-1"] * 2
    rest = ask(count=9, notice_s=60)
    assert len({row["instance_id"] for row in (*first, *rest)}) == 6
    assert len(rest) == 4
    sandbox.clock.advance(70)
    assert admin_client.ask(sandbox.url, "GET", "status")["instances"] == {}
    with pytest.raises(admin_client.Refused, match="count is a number of instances"):
        ask(count=0)
    with pytest.raises(admin_client.Refused, match="no region nowhere-1"):
        ask(count=1, region="nowhere-1")


def test_outages_are_entries_with_a_time(sandbox: Any) -> None:
    with pytest.raises(
        admin_client.Refused, match="an outage has a pool, from and until, no less and no more"
    ):
        admin_client.ask(sandbox.url, "POST", "set", {"outages": [{"pool": "us-east-1", "from": 0}]})
    admin_client.ask(sandbox.url, "POST", "set", {"outages": [{"pool": "*", "from": 0, "until": 5}]})
    assert sandbox.settings.outages == [{"pool": "*", "from": 0, "until": 5}]


@pytest.mark.parametrize("header", [{"Origin": "http://127.0.0.1"}, {"Host": "rebound.example"}])
def test_web_pages_are_refused(sandbox: Any, header: dict[str, str]) -> None:
    """A page in the user's browser can reach loopback, directly or through a host name that it controls."""
    request = urllib.request.Request(f"{sandbox.url}/_sandbox/status", headers=header)
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request)
    with refused.value as answer:
        assert answer.status == 403


def test_the_callers_address(sandbox: Any) -> None:
    """checkip.amazonaws.com returns a public IPv4 address and a newline; T6: the sandbox returned 127.0.0.1."""
    with urllib.request.urlopen(f"{sandbox.url}/_sandbox/address") as answer:
        text = answer.read()
    assert text.endswith(b"\n")
    assert ipaddress.IPv4Address(text.decode().strip()).is_global


def test_unknown_verbs(sandbox: Any) -> None:
    """The reply lists the known ones."""
    with pytest.raises(admin_client.Refused, match="there is no GET sett; there are GET ping, "):
        admin_client.ask(sandbox.url, "GET", "sett")
    assert json.dumps(admin_client.ask(sandbox.url, "GET", "ping"))
