"""The whole way of a small cluster, from the VPC to nothing left, as `create` and `destroy` call it."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from botocore.exceptions import ClientError

TAGS = [{"Key": "bacalhau-cluster", "Value": "one"}, {"Key": "Name", "Value": "bacalhau-x"}]
AMI_PARAMETER = "/aws/service/canonical/ubuntu/server/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id"


def spec(kind: str) -> list[dict[str, Any]]:
    return [{"ResourceType": kind, "Tags": TAGS}]


def build_network(ec2: Any) -> dict[str, Any]:
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16", TagSpecifications=spec("vpc"))["Vpc"]["VpcId"]
    igw = ec2.create_internet_gateway(TagSpecifications=spec("internet-gateway"))["InternetGateway"][
        "InternetGatewayId"
    ]
    ec2.attach_internet_gateway(InternetGatewayId=igw, VpcId=vpc)
    table = ec2.create_route_table(VpcId=vpc, TagSpecifications=spec("route-table"))["RouteTable"][
        "RouteTableId"
    ]
    ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=igw)
    subnets = {}
    for index, zone in enumerate(("us-east-1a", "us-east-1b")):
        made = ec2.create_subnet(
            VpcId=vpc, CidrBlock=f"10.0.{index}.0/24", AvailabilityZone=zone, TagSpecifications=spec("subnet")
        )
        subnets[zone] = made["Subnet"]["SubnetId"]
        ec2.associate_route_table(RouteTableId=table, SubnetId=subnets[zone])
    group = ec2.create_security_group(
        GroupName="bacalhau-nodes", Description="nodes", VpcId=vpc, TagSpecifications=spec("security-group")
    )["GroupId"]
    return {"vpc": vpc, "igw": igw, "table": table, "subnets": subnets, "group": group}


def build_template(ec2: Any, group: str, name: str = "bacalhau-t") -> str:
    data = {
        "UserData": base64.b64encode(b"\x1f\x8bnot text").decode(),
        "NetworkInterfaces": [
            {
                "DeviceIndex": 0,
                "AssociatePublicIpAddress": True,
                "Groups": [group],
                "DeleteOnTermination": True,
            }
        ],
        "BlockDeviceMappings": [
            {
                "DeviceName": "/dev/sda1",
                "Ebs": {
                    "VolumeSize": 20,
                    "VolumeType": "gp3",
                    "Encrypted": True,
                    "DeleteOnTermination": True,
                },
            }
        ],
        "MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": 1},
        "InstanceInitiatedShutdownBehavior": "terminate",
        "TagSpecifications": [
            {"ResourceType": kind, "Tags": TAGS}
            for kind in ("instance", "volume", "network-interface", "spot-instances-request")
        ],
    }
    answer = ec2.create_launch_template(
        LaunchTemplateName=name, LaunchTemplateData=data, TagSpecifications=spec("launch-template")
    )
    return str(answer["LaunchTemplate"]["LaunchTemplateId"])


def build_fleet(ec2: Any, template: str, subnets: dict[str, str], count: int, **options: Any) -> Any:
    return ec2.create_fleet(
        Type="instant",
        SpotOptions={"AllocationStrategy": "price-capacity-optimized"},
        TargetCapacitySpecification={"TotalTargetCapacity": count, "DefaultTargetCapacityType": "spot"},
        LaunchTemplateConfigs=[
            {
                "LaunchTemplateSpecification": {"LaunchTemplateId": template, "Version": "$Latest"},
                "Overrides": [
                    {
                        "InstanceType": "t3.medium",
                        "SubnetId": subnet,
                        "ImageId": f"resolve:ssm:{AMI_PARAMETER}",
                    }
                    for subnet in subnets.values()
                ],
            }
        ],
        TagSpecifications=[
            {"ResourceType": "fleet", "Tags": TAGS},
            {"ResourceType": "instance", "Tags": [{"Key": "extra", "Value": "yes"}]},
        ],
        **options,
    )


def all_instances(ec2: Any, **query: Any) -> list[Any]:
    pages = ec2.get_paginator("describe_instances").paginate(**query)
    return [one for page in pages for reservation in page["Reservations"] for one in reservation["Instances"]]


def test_a_cluster_from_nothing_to_nothing(sandbox: Any) -> None:
    ec2 = sandbox.client()
    net = build_network(ec2)
    template = build_template(ec2, net["group"])
    fleet = build_fleet(ec2, template, net["subnets"], 3)
    ids = [one for granted in fleet["Instances"] for one in granted["InstanceIds"]]
    assert len(ids) == 3
    assert not fleet["Errors"]

    pending = all_instances(ec2, Filters=[{"Name": "tag:bacalhau-cluster", "Values": ["one"]}])
    assert {one["State"]["Name"] for one in pending} == {"pending"}
    sandbox.clock += 2
    running = all_instances(ec2, InstanceIds=ids)
    assert {one["State"]["Name"] for one in running} == {"running"}
    one = running[0]
    assert one["InstanceLifecycle"] == "spot"
    assert one["SpotInstanceRequestId"].startswith("sir-")
    assert one["PublicIpAddress"].startswith("127.")
    assert one["SecurityGroups"] == [{"GroupId": net["group"], "GroupName": "bacalhau-nodes"}]
    assert one["MetadataOptions"]["HttpTokens"] == "required"
    tags = {tag["Key"]: tag["Value"] for tag in one["Tags"]}
    assert tags["aws:ec2:fleet-id"] == fleet["FleetId"]
    assert tags["aws:ec2launchtemplate:id"] == template
    assert tags["extra"] == "yes"
    user_data = ec2.describe_instance_attribute(InstanceId=one["InstanceId"], Attribute="userData")[
        "UserData"
    ]["Value"]
    assert base64.b64decode(user_data) == b"\x1f\x8bnot text"

    tagged = ec2.describe_tags(Filters=[{"Name": "tag:bacalhau-cluster", "Values": ["one"]}])["Tags"]
    assert sorted({tag["ResourceType"] for tag in tagged}) == [
        "fleet", "instance", "internet-gateway", "launch-template", "network-interface", "route-table",
        "security-group", "spot-instances-request", "subnet", "volume", "vpc",
    ]  # fmt: skip

    for delete, arguments in (
        (ec2.delete_security_group, {"GroupId": net["group"]}),
        (ec2.delete_subnet, {"SubnetId": one["SubnetId"]}),
        (ec2.detach_internet_gateway, {"InternetGatewayId": net["igw"], "VpcId": net["vpc"]}),
        (ec2.delete_internet_gateway, {"InternetGatewayId": net["igw"]}),
        (ec2.delete_route_table, {"RouteTableId": net["table"]}),
        (ec2.delete_vpc, {"VpcId": net["vpc"]}),
    ):
        with pytest.raises(ClientError, match="DependencyViolation"):
            delete(**arguments)

    ec2.delete_fleets(FleetIds=[fleet["FleetId"]], TerminateInstances=True)
    ec2.terminate_instances(InstanceIds=ids)
    assert {one["State"]["Name"] for one in all_instances(ec2, InstanceIds=ids)} == {"shutting-down"}
    sandbox.clock += 2
    assert {one["State"]["Name"] for one in all_instances(ec2, InstanceIds=ids)} == {"terminated"}
    ec2.delete_launch_template(LaunchTemplateId=template)
    ec2.detach_internet_gateway(InternetGatewayId=net["igw"], VpcId=net["vpc"])
    ec2.delete_internet_gateway(InternetGatewayId=net["igw"])
    for subnet in net["subnets"].values():
        ec2.delete_subnet(SubnetId=subnet)
    ec2.delete_route_table(RouteTableId=net["table"])
    ec2.delete_security_group(GroupId=net["group"])
    ec2.delete_vpc(VpcId=net["vpc"])
    sandbox.clock += 4000
    assert ec2.describe_tags(Filters=[{"Name": "tag:bacalhau-cluster", "Values": ["one"]}])["Tags"] == []
    assert all_instances(ec2) == []
