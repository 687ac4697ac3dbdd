"""What the probes stand on: the network, the image and the types of the running cluster, and requests on them."""

from __future__ import annotations

import base64
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from support.live.place import Place
from support.live.settings import CREATOR, PREFIX, PROBES, TAG_KEY

TAGS = {TAG_KEY: PROBES, "CreatedBy": CREATOR, "Name": f"{PREFIX}probe"}
# Above AWS's least maximum price of 0.001 USD, and below every spot price: such a request launches nothing.
TOO_LOW = "0.0011"
# A machine of a probe ends itself.
SHUT_DOWN = base64.b64encode(b"#!/bin/sh\nshutdown -h +25\n").decode()
# The current Ubuntu LTS (Canonical, "Find Ubuntu images on AWS").
IMAGE = "/aws/service/canonical/ubuntu/server/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id"
METADATA = {"HttpTokens": "required", "HttpPutResponseHopLimit": 1, "HttpEndpoint": "enabled"}


def tag_list(tags: dict[str, str] | None = None) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in (tags or TAGS).items()]


def specification(*kinds: str) -> list[dict[str, Any]]:
    return [{"ResourceType": kind, "Tags": tag_list()} for kind in kinds]


def code_of(error: ClientError) -> str:
    return str(error.response["Error"]["Code"])


@dataclass(frozen=True)
class Ground:
    place: Place
    vpc_id: str
    subnets: tuple[str, ...]
    group_id: str
    image_id: str
    types: tuple[str, ...]
    template: tuple[str, str]  # of the cluster: id and version

    @classmethod
    def under(cls, place: Place, instance_id: str, *, types: Iterable[str]) -> Ground:
        """A node of the cluster."""
        ec2 = place.client("ec2")
        row = ec2.describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"][0]
        tags = {tag["Key"]: tag["Value"] for tag in row["Tags"]}
        subnets = ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [row["VpcId"]]}])["Subnets"]
        return cls(
            place=place,
            vpc_id=row["VpcId"],
            subnets=tuple(sorted(subnet["SubnetId"] for subnet in subnets)),
            group_id=row["SecurityGroups"][0]["GroupId"],
            image_id=row["ImageId"],
            types=tuple(types),
            template=(tags["aws:ec2launchtemplate:id"], tags["aws:ec2launchtemplate:version"]),
        )

    @classmethod
    def default(cls, place: Place, *, types: Iterable[str]) -> Ground:
        """The region's default VPC, without a cluster. Raises LookupError if the region has none."""
        ec2, ssm = place.client("ec2"), place.client("ssm")
        vpcs = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
        if not vpcs:
            raise LookupError("no cluster, and no default VPC")
        here = {"Name": "vpc-id", "Values": [vpcs[0]["VpcId"]]}
        groups = ec2.describe_security_groups(Filters=[here, {"Name": "group-name", "Values": ["default"]}])
        subnets = ec2.describe_subnets(Filters=[here])["Subnets"]
        return cls(
            place=place,
            vpc_id=vpcs[0]["VpcId"],
            subnets=tuple(sorted(subnet["SubnetId"] for subnet in subnets)),
            group_id=groups["SecurityGroups"][0]["GroupId"],
            image_id=ssm.get_parameter(Name=IMAGE)["Parameter"]["Value"],
            types=tuple(types),
            template=("", ""),
        )

    @property
    def ec2(self) -> Any:
        return self.place.client("ec2")

    def new_template(self, name: str, *, tagged: tuple[str, ...], more: dict[str, Any] | None = None) -> str:
        """A launch template of the probes; its id."""
        data = {
            "ImageId": self.image_id,
            "UserData": SHUT_DOWN,
            "InstanceInitiatedShutdownBehavior": "terminate",
            "MetadataOptions": METADATA,
            "NetworkInterfaces": [self.interface()],
            "TagSpecifications": specification(*tagged),
            **(more or {}),
        }  # fmt: skip
        made = self.ec2.create_launch_template(
            LaunchTemplateName=f"{PREFIX}{name}",
            LaunchTemplateData=data,
            TagSpecifications=specification("launch-template"),
        )
        return str(made["LaunchTemplate"]["LaunchTemplateId"])

    def interface(self, *, subnet_id: str = "") -> dict[str, Any]:
        """The first one of an instance."""
        return {
            "DeviceIndex": 0,
            "Groups": [self.group_id],
            "AssociatePublicIpAddress": True,
            "DeleteOnTermination": True,
            **({"SubnetId": subnet_id} if subnet_id else {}),
        }

    def fleet(
        self,
        template_id: str,
        *,
        token: str,
        tagged: tuple[str, ...] = ("instance", "volume", "network-interface"),
        types: tuple[str, ...] = (),
        subnets: tuple[str, ...] = (),
        max_price: str = "",
    ) -> dict[str, Any]:
        """The request for one instance, as the program asks for a region's."""
        price = {"MaxPrice": max_price} if max_price else {}
        overrides = [
            {"InstanceType": kind, "SubnetId": subnet, **price}
            for subnet in subnets or self.subnets
            for kind in self._offered(types or self.types, subnet)
        ]
        return {
            "Type": "instant",
            "ClientToken": token,
            "SpotOptions": {"AllocationStrategy": "price-capacity-optimized"},
            "TargetCapacitySpecification": {
                "TotalTargetCapacity": 1, "SpotTargetCapacity": 1, "OnDemandTargetCapacity": 0,
                "DefaultTargetCapacityType": "spot",
            },
            "LaunchTemplateConfigs": [
                {
                    "LaunchTemplateSpecification": {"LaunchTemplateId": template_id, "Version": "$Latest"},
                    "Overrides": overrides,
                }
            ],
            "TagSpecifications": specification("fleet", *tagged),
        }  # fmt: skip

    def _offered(self, types: tuple[str, ...], subnet_id: str) -> list[str]:
        zone = self.zone(subnet_id)
        filters = [{"Name": "location", "Values": [zone]}, {"Name": "instance-type", "Values": list(types)}]
        rows = self.ec2.describe_instance_type_offerings(LocationType="availability-zone", Filters=filters)
        return sorted(row["InstanceType"] for row in rows["InstanceTypeOfferings"])

    def zone(self, subnet_id: str) -> str:
        return str(self.ec2.describe_subnets(SubnetIds=[subnet_id])["Subnets"][0]["AvailabilityZone"])

    def free_block(self) -> str:
        """A /28 of the VPC that no subnet has."""
        vpc = self.ec2.describe_vpcs(VpcIds=[self.vpc_id])["Vpcs"][0]["CidrBlock"]
        filters = [{"Name": "vpc-id", "Values": [self.vpc_id]}]
        taken = [
            ipaddress.ip_network(row["CidrBlock"])
            for row in self.ec2.describe_subnets(Filters=filters)["Subnets"]
        ]
        end = int(ipaddress.ip_network(vpc).broadcast_address) - 15
        for start in range(end, end - 16 * 4096, -16):
            block = ipaddress.ip_network((start, 28))
            if not any(block.overlaps(other) for other in taken):
                return str(block)
        raise LookupError(f"no free block in {vpc}")

    def terminate(self, *ids: str) -> None:
        """And wait for the end: what they use can be deleted then."""
        if not ids:
            return
        self.ec2.terminate_instances(InstanceIds=list(ids))
        self.place.until(
            f"the end of {', '.join(ids)}",
            lambda: set(self.states(*ids).values()) <= {"terminated"},
            within_s=600,
            every_s=5,
        )

    def states(self, *ids: str) -> dict[str, str]:
        filters = [{"Name": "instance-id", "Values": list(ids)}]
        pages = self.ec2.describe_instances(Filters=filters)["Reservations"]
        return {row["InstanceId"]: row["State"]["Name"] for page in pages for row in page["Instances"]}


def launched(reply: dict[str, Any]) -> list[str]:
    return [name for row in reply.get("Instances", ()) for name in row["InstanceIds"]]


def refusals(reply: dict[str, Any]) -> list[str]:
    return sorted({row.get("ErrorCode", "") for row in reply.get("Errors", ())})
