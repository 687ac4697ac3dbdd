"""The life of a small cluster, from the VPC to an empty account, with the calls of `create` and `destroy`."""

from __future__ import annotations

import base64
from typing import Any

from sandbox.ec2.clusters import (
    build_fleet,
    build_network,
    build_template,
    fleet_ids,
    instances,
    overrides,
    refused,
    states,
    tags_of,
)

MINE = [{"Name": "tag:bacalhau-cluster", "Values": ["one"]}]
KINDS = [
    "fleet", "instance", "internet-gateway", "launch-template", "network-interface", "route-table", "security-group",
    "spot-instances-request", "subnet", "volume", "vpc",
]  # fmt: skip


def check_blocked(ec2: Any, net: dict[str, Any], subnet: str) -> None:
    for delete, arguments in (
        (ec2.delete_security_group, {"GroupId": net["group"]}),
        (ec2.delete_subnet, {"SubnetId": subnet}),
        (ec2.detach_internet_gateway, {"InternetGatewayId": net["igw"], "VpcId": net["vpc"]}),
        (ec2.delete_internet_gateway, {"InternetGatewayId": net["igw"]}),
        (ec2.delete_route_table, {"RouteTableId": net["table"]}),
        (ec2.delete_vpc, {"VpcId": net["vpc"]}),
    ):
        with refused("DependencyViolation"):
            delete(**arguments)


def remove_network(ec2: Any, net: dict[str, Any]) -> None:
    ec2.detach_internet_gateway(InternetGatewayId=net["igw"], VpcId=net["vpc"])
    ec2.delete_internet_gateway(InternetGatewayId=net["igw"])
    for subnet in net["subnets"].values():
        ec2.delete_subnet(SubnetId=subnet)
    ec2.delete_route_table(RouteTableId=net["table"])
    ec2.delete_security_group(GroupId=net["group"])
    ec2.delete_vpc(VpcId=net["vpc"])


def test_a_cluster_from_nothing_to_nothing(sandbox: Any) -> None:
    ec2 = sandbox.client()
    net = build_network(ec2)
    template = build_template(ec2, net["group"])
    fleet = build_fleet(ec2, template, overrides(net["subnets"]), 3)
    ids = fleet_ids(fleet)
    assert len(ids) == 3
    assert not fleet["Errors"]
    assert states(ec2, ids) == {"pending"}
    sandbox.clock.advance(2)
    assert states(ec2, ids) == {"running"}
    tagged = ec2.describe_tags(Filters=MINE)["Tags"]
    assert sorted({tag["ResourceType"] for tag in tagged}) == KINDS

    check_blocked(ec2, net, instances(ec2, InstanceIds=ids)[0]["SubnetId"])
    ec2.delete_fleets(FleetIds=[fleet["FleetId"]], TerminateInstances=True)
    ec2.terminate_instances(InstanceIds=ids)
    assert states(ec2, ids) == {"shutting-down"}
    check_blocked(ec2, net, instances(ec2, InstanceIds=ids)[0]["SubnetId"])
    sandbox.clock.advance(2)
    assert states(ec2, ids) == {"terminated"}
    ec2.delete_launch_template(LaunchTemplateId=template)
    remove_network(ec2, net)
    sandbox.clock.advance(4000)
    assert ec2.describe_tags(Filters=MINE)["Tags"] == []
    assert instances(ec2) == []


def test_everything_is_born_tagged_and_as_the_template_says(sandbox: Any) -> None:
    """Tags of template and call are merged; `aws:` tags have the ids of fleet and template (EC2 Fleet user guide)."""
    ec2 = sandbox.client()
    net = build_network(ec2)
    template = build_template(ec2, net["group"])
    fleet = build_fleet(ec2, template, overrides(net["subnets"]), 1)
    instance = instances(ec2, InstanceIds=fleet_ids(fleet))[0]
    assert tags_of(instance) == {
        "bacalhau-cluster": "one",
        "Name": "bacalhau-x",
        "extra": "yes",
        "aws:ec2:fleet-id": fleet["FleetId"],
        "aws:ec2launchtemplate:id": template,
        "aws:ec2launchtemplate:version": "1",
    }
    assert instance["InstanceLifecycle"] == "spot"
    assert instance["PublicIpAddress"].startswith("127.")
    assert instance["PrivateIpAddress"].startswith("10.0.")
    assert instance["SecurityGroups"] == [{"GroupId": net["group"], "GroupName": "bacalhau-nodes"}]
    assert instance["MetadataOptions"]["HttpTokens"] == "required"
    assert instance["MetadataOptions"]["HttpPutResponseHopLimit"] == 1
    value = ec2.describe_instance_attribute(InstanceId=instance["InstanceId"], Attribute="userData")[
        "UserData"
    ]["Value"]
    assert base64.b64decode(value) == b"\x1f\x8bnot text"
    attribute = "instanceInitiatedShutdownBehavior"
    behaviour = ec2.describe_instance_attribute(InstanceId=instance["InstanceId"], Attribute=attribute)
    assert behaviour["InstanceInitiatedShutdownBehavior"]["Value"] == "terminate"

    volume = ec2.describe_volumes(VolumeIds=[instance["BlockDeviceMappings"][0]["Ebs"]["VolumeId"]])[
        "Volumes"
    ][0]
    assert (volume["Size"], volume["VolumeType"], volume["Encrypted"]) == (20, "gp3", True)
    assert tags_of(volume)["bacalhau-cluster"] == "one"
    eni = ec2.describe_network_interfaces(Filters=MINE)["NetworkInterfaces"][0]
    assert eni["Attachment"]["InstanceId"] == instance["InstanceId"]
    assert [group["GroupId"] for group in eni["Groups"]] == [net["group"]]
    request = ec2.describe_spot_instance_requests(Filters=MINE)["SpotInstanceRequests"][0]
    assert request["SpotInstanceRequestId"] == instance["SpotInstanceRequestId"]


def test_public_addresses_are_loopback_and_never_shared(sandbox: Any) -> None:
    """Specific to the sandbox: moto assigns real addresses, so that an SSH client would connect to real hosts."""
    launches = []
    for region in ("us-east-1", "eu-west-1"):
        ec2 = sandbox.client(region=region)
        reply = ec2.run_instances(ImageId=image_of(ec2), InstanceType="t3.micro", MinCount=3, MaxCount=3)
        ids = [instance["InstanceId"] for instance in reply["Instances"]]
        launches += [instance["PublicIpAddress"] for instance in instances(ec2, InstanceIds=ids)]
        launches.append(ec2.allocate_address(Domain="vpc")["PublicIp"])
    assert len(set(launches)) == 8
    assert all(address.startswith("127.") for address in launches)


def image_of(ec2: Any) -> str:
    images = ec2.describe_images(
        Owners=["099720109477"], Filters=[{"Name": "architecture", "Values": ["x86_64"]}]
    )
    return str(images["Images"][0]["ImageId"])
