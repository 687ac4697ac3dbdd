"""A VPC of the user's with public and private subnets, and what blocks them."""

from __future__ import annotations

from typing import Any

from aws_spot_sandbox.ec2 import ways_out
from sandbox.ec2.clusters import image

BLOCK_ALL, BLOCK_INGRESS = {"*": "block-bidirectional"}, {"*": "block-ingress"}


class Net:
    """A VPC with a public subnet, and a private one whose default route leads to a NAT gateway in the public one."""

    def __init__(self, sandbox: Any) -> None:
        self.sandbox, self.ec2 = sandbox, sandbox.client()
        self.vpc = self.ec2.create_vpc(CidrBlock="10.8.0.0/16")["Vpc"]["VpcId"]
        self.public, self.private = self.subnet("10.8.0.0/20"), self.subnet("10.8.16.0/20")
        gateway = self.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
        self.ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=self.vpc)
        self.route(self.public, GatewayId=gateway)

    def subnet(self, cidr: str) -> str:
        reply = self.ec2.create_subnet(VpcId=self.vpc, CidrBlock=cidr, AvailabilityZone="us-east-1a")
        return str(reply["Subnet"]["SubnetId"])

    def route(self, subnet: str, **target: str) -> None:
        table = self.ec2.create_route_table(VpcId=self.vpc)["RouteTable"]["RouteTableId"]
        self.ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", **target)
        self.ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)

    def nat(self) -> None:
        reply = self.ec2.create_nat_gateway(SubnetId=self.public, ConnectivityType="private")
        self.route(self.private, NatGatewayId=reply["NatGateway"]["NatGatewayId"])

    def exclude(self, mode: str = "allow-bidirectional", **where: str) -> str:
        reply = self.ec2.create_vpc_block_public_access_exclusion(InternetGatewayExclusionMode=mode, **where)
        self.sandbox.clock.sleep(5)
        return str(reply["VpcBlockPublicAccessExclusion"]["ExclusionId"])

    def reaches(self, subnet: str, *, public_ip: bool) -> bool:
        card = {"DeviceIndex": 0, "SubnetId": subnet, "AssociatePublicIpAddress": public_ip}
        row = self.ec2.run_instances(
            ImageId=image(self.ec2),
            InstanceType="t3.micro",
            MinCount=1,
            MaxCount=1,
            NetworkInterfaces=[card],
        )
        region = self.sandbox.server._ec2._regions["us-east-1"]
        return ways_out.reaches_internet(region, region.machines[row["Instances"][0]["InstanceId"]])

    def modes(self) -> dict[str, str]:
        rows = self.ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [self.vpc]}])["Subnets"]
        return {row["SubnetId"]: row["BlockPublicAccessStates"]["InternetGatewayBlockMode"] for row in rows}
