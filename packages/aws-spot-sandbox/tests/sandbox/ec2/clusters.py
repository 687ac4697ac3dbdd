"""Helpers of the tests in this folder: a network, a template, a fleet."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from botocore.exceptions import ClientError

TAGS = [{"Key": "bacalhau-cluster", "Value": "one"}, {"Key": "Name", "Value": "bacalhau-x"}]
AMI_PARAMETER = "/aws/service/canonical/ubuntu/server/24.04/stable/current/{}/hvm/ebs-gp3/ami-id"
BORN_WITH_AN_INSTANCE = ("instance", "volume", "network-interface", "spot-instances-request")


def spec(*kinds: str) -> list[dict[str, Any]]:
    return [{"ResourceType": kind, "Tags": TAGS} for kind in kinds]


def image(ec2: Any, arch: str = "x86_64") -> str:
    filters = [
        {"Name": "name", "Values": ["ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-*"]},
        {"Name": "architecture", "Values": [arch]},
    ]
    return str(ec2.describe_images(Filters=filters)["Images"][0]["ImageId"])


def build_network(ec2: Any, zones: tuple[str, ...] = ("us-east-1a", "us-east-1b")) -> dict[str, Any]:
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16", TagSpecifications=spec("vpc"))["Vpc"]["VpcId"]
    gateway = ec2.create_internet_gateway(TagSpecifications=spec("internet-gateway"))["InternetGateway"]
    igw = gateway["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=igw, VpcId=vpc)
    route_table = ec2.create_route_table(VpcId=vpc, TagSpecifications=spec("route-table"))["RouteTable"]
    table = route_table["RouteTableId"]
    ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=igw)
    subnets = {}
    for index, zone in enumerate(zones):
        subnet = ec2.create_subnet(
            VpcId=vpc,
            CidrBlock=f"10.0.{index * 16}.0/20",
            AvailabilityZone=zone,
            TagSpecifications=spec("subnet"),
        )
        subnets[zone] = subnet["Subnet"]["SubnetId"]
        ec2.associate_route_table(RouteTableId=table, SubnetId=subnets[zone])
    group = ec2.create_security_group(
        GroupName="bacalhau-nodes", Description="nodes", VpcId=vpc, TagSpecifications=spec("security-group")
    )["GroupId"]
    return {"vpc": vpc, "igw": igw, "table": table, "subnets": subnets, "group": group}


def template_data(group: str) -> dict[str, Any]:
    return {
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
        "TagSpecifications": spec(*BORN_WITH_AN_INSTANCE),
    }


def build_template(ec2: Any, group: str, name: str = "bacalhau-t", **data: Any) -> str:
    answer = ec2.create_launch_template(
        LaunchTemplateName=name,
        LaunchTemplateData={**template_data(group), **data},
        TagSpecifications=spec("launch-template"),
    )
    return str(answer["LaunchTemplate"]["LaunchTemplateId"])


def overrides(subnets: dict[str, str], types: tuple[str, ...] = ("t3.medium",)) -> list[dict[str, Any]]:
    source = f"resolve:ssm:{AMI_PARAMETER.format('amd64')}"
    return [
        {"InstanceType": name, "SubnetId": subnet, "ImageId": source}
        for name in types
        for subnet in subnets.values()
    ]


def build_fleet(ec2: Any, template: str, pools: list[dict[str, Any]], count: int, **options: Any) -> Any:
    arguments: dict[str, Any] = {
        "Type": "instant",
        "SpotOptions": {"AllocationStrategy": "price-capacity-optimized"},
        "TargetCapacitySpecification": {"TotalTargetCapacity": count, "DefaultTargetCapacityType": "spot"},
        "LaunchTemplateConfigs": [
            {
                "LaunchTemplateSpecification": {"LaunchTemplateId": template, "Version": "$Latest"},
                "Overrides": pools,
            }
        ],
        "TagSpecifications": [
            *spec("fleet"),
            {"ResourceType": "instance", "Tags": [{"Key": "extra", "Value": "yes"}]},
        ],
    }
    return ec2.create_fleet(**arguments | options)


def fleet_ids(fleet: Any) -> list[str]:
    return [instance_id for granted in fleet["Instances"] for instance_id in granted["InstanceIds"]]


def codes(fleet: Any) -> set[str]:
    return {error["ErrorCode"] for error in fleet["Errors"]}


def instances(ec2: Any, **query: Any) -> list[Any]:
    pages = ec2.get_paginator("describe_instances").paginate(**query)
    return [
        instance
        for page in pages
        for reservation in page["Reservations"]
        for instance in reservation["Instances"]
    ]


def states(ec2: Any, ids: list[str]) -> set[str]:
    return {instance["State"]["Name"] for instance in instances(ec2, InstanceIds=ids)}


def tags_of(row: Any, key: str = "Tags") -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in row.get(key, ())}


def refused(code: str) -> Any:
    return pytest.raises(ClientError, match=rf"\({code.replace('.', '[.]')}\)")
