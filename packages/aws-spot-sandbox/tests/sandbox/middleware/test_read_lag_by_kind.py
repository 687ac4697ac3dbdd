"""Lagging reads by resource type and their edge cases, with replies in AWS's format. With EC2: test_read_lag.py."""

from __future__ import annotations

import pytest

from aws_spot_sandbox.http_types import Reply
from sandbox.middleware.harness import Harness, sample, xml

LAG_S = 8.0
NEW, OLD = "0123456789abcdef0", "0aaaaaaaaaaaaaaa0"
# the create action, the id prefix, the list action, the list's element, the id's element
LISTS = """
CreateVpc vpc DescribeVpcs vpcSet vpcId
CreateSubnet subnet DescribeSubnets subnetSet subnetId
CreateInternetGateway igw DescribeInternetGateways internetGatewaySet internetGatewayId
CreateRouteTable rtb DescribeRouteTables routeTableSet routeTableId
CreateSecurityGroup sg DescribeSecurityGroups securityGroupInfo groupId
CreateLaunchTemplate lt DescribeLaunchTemplates launchTemplates launchTemplateId
RequestSpotInstances sir DescribeSpotInstanceRequests spotInstanceRequestSet spotInstanceRequestId
CreateVolume vol DescribeVolumes volumeSet volumeId
CreateNetworkInterface eni DescribeNetworkInterfaces networkInterfaceSet networkInterfaceId
CreateFleet fleet DescribeFleets fleetSet fleetId
CreateVpc vpc DescribeTags tagSet resourceId
"""


def items(listed: str, own_id: str, *ids: str, more: str = "") -> Reply:
    rows = "".join(f"<item><{own_id}>{resource_id}</{own_id}>{more}</item>" for resource_id in ids)
    return xml(f"<{listed}>{rows}</{listed}>")


def make(harness: Harness, action: str, *ids: str) -> None:
    harness.settings.read_lag_s = LAG_S
    harness.services = lambda _call: xml("".join(f"<item>{resource_id}</item>" for resource_id in ids))
    harness.ask(action, {"LaunchTemplateName": "mine"} if action == "CreateLaunchTemplate" else {})


def look(harness: Harness, action: str, reply: Reply) -> str:
    harness.services = lambda _call: reply
    return harness.ask(action).body.decode()


@pytest.mark.parametrize("row", LISTS.strip().splitlines())
def test_a_list_lacks_what_was_just_made_and_then_has_it(harness: Harness, row: str) -> None:
    """EC2 API Reference, "Eventual consistency in the Amazon EC2 API"."""
    action, prefix, describe, listed, own_id = row.split()
    reply = items(listed, own_id, f"{prefix}-{OLD}", f"{prefix}-{NEW}")
    make(harness, action, f"{prefix}-{NEW}")
    body = look(harness, describe, reply)
    assert OLD in body
    assert NEW not in body
    harness.clock.advance(LAG_S)
    assert look(harness, describe, reply) == reply.body.decode()


@pytest.mark.parametrize(
    "row",
    [
        "DescribeRouteTables routeTableSet routeTableId rtb",
        "DescribeSecurityGroups securityGroupInfo groupId sg",
    ],
)
def test_what_was_born_with_a_fresh_vpc_is_missing_too(harness: Harness, row: str) -> None:
    """VPC User Guide, "Main route table", "Default security groups": created with the VPC, and not listed before it."""
    describe, listed, own_id, prefix = row.split()
    reply = items(listed, own_id, f"{prefix}-{OLD}", more=f"<vpcId>vpc-{NEW}</vpcId>")
    make(harness, "CreateVpc", f"vpc-{NEW}")
    assert OLD not in look(harness, describe, reply)
    harness.clock.advance(LAG_S)
    assert OLD in look(harness, describe, reply)


def test_fresh_instances_leave_no_empty_reservations(harness: Harness) -> None:
    """EC2 API Reference, DescribeInstances: new instances may be missing for a time; the page's token is retained."""
    make(harness, "RunInstances", f"i-{NEW}")
    items = "".join(
        f"<item><reservationId>r-{resource_id}</reservationId><groupSet/>"
        f"<instancesSet><item><instanceId>i-{resource_id}</instanceId></item></instancesSet></item>"
        for resource_id in (NEW, OLD)
    )
    body = look(
        harness, "DescribeInstances", xml(f"<reservationSet>{items}</reservationSet><nextToken>n</nextToken>")
    )
    assert f"r-{OLD}" in body
    assert NEW not in body
    assert "<nextToken>n</nextToken>" in body


def test_all_missing_instances_are_named(harness: Harness) -> None:
    """EC2 API Reference, "Error codes": InvalidInstanceID.NotFound."""
    make(harness, "CreateFleet", f"i-{NEW}", f"i-{OLD}")
    error = harness.refusal("DescribeInstances", {"InstanceId.1": f"i-{NEW}", "InstanceId.2": f"i-{OLD}"})
    assert (error.code, error.status) == ("InvalidInstanceID.NotFound", 400)
    assert error.message == f"The instance IDs 'i-{NEW}, i-{OLD}' do not exist"


def test_a_fresh_template_is_unknown_by_name_wherever_it_is_named(harness: Harness) -> None:
    """EC2 API Reference, "Error codes": InvalidLaunchTemplateName.NotFoundException."""
    make(harness, "CreateLaunchTemplate", f"lt-{NEW}")
    nested = "LaunchTemplateConfigs.1.LaunchTemplateSpecification.LaunchTemplateName"
    for action, param in (("DescribeLaunchTemplates", "LaunchTemplateName.1"), ("CreateFleet", nested)):
        assert harness.refusal(action, {param: "mine"}).code == "InvalidLaunchTemplateName.NotFoundException"


def test_a_name_shared_with_a_fresh_template_is_no_reference_to_it(harness: Harness) -> None:
    """EC2 API Reference, CreateSecurityGroup: GroupName is the group's own. CreateLaunchTemplate's name is new."""
    make(harness, "CreateLaunchTemplate", f"lt-{NEW}")
    harness.ask("CreateSecurityGroup", {"GroupName": "mine"})
    harness.ask("CreateLaunchTemplate", {"LaunchTemplateName": "mine"})


def test_filters_and_a_templates_data_refer_to_nothing(harness: Harness) -> None:
    """EC2 API Reference, Filter; EC2 User Guide, "Launch templates": its parameters are not fully validated."""
    make(harness, "CreateSecurityGroup", f"sg-{NEW}")
    harness.ask("DescribeNetworkInterfaces", {"Filter.1.Name": "group-id", "Filter.1.Value.1": f"sg-{NEW}"})
    data = {"LaunchTemplateData.NetworkInterface.1.SecurityGroupId.1": f"sg-{NEW}"}
    harness.ask("CreateLaunchTemplate", {"LaunchTemplateName": "a", **data})


def test_regions_lag_separately_and_only_ec2_does(harness: Harness) -> None:
    """EC2 User Guide, "Resource locations": ids are per region."""
    make(harness, "CreateVpc", f"vpc-{NEW}")
    harness.ask("DescribeVpcs", {"VpcId.1": f"vpc-{NEW}"}, region="eu-west-1")
    harness.call(sample("iam"))
    assert set(harness.outcomes) == {"ok"}


def test_a_reply_given_again_for_its_token_makes_nothing_fresh(harness: Harness) -> None:
    """EC2 API Reference, "Ensuring idempotency": the retry creates nothing."""
    harness.settings.read_lag_s = LAG_S
    harness.services = lambda _call: xml(f"<volumeId>vol-{NEW}</volumeId>")
    harness.ask("CreateVolume", {"ClientToken": "t"})
    harness.clock.advance(LAG_S)
    harness.ask("CreateVolume", {"ClientToken": "t"})
    harness.ask("DescribeVolumes", {"VolumeId.1": f"vol-{NEW}"})
