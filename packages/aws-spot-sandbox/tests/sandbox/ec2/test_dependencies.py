"""Blocked deletions. Source: VPC user guide, "Delete your VPC"; EC2 API reference, DependencyViolation."""

from __future__ import annotations

from typing import Any

from sandbox.ec2.clusters import build_network, refused


def test_a_group_on_an_interface(sandbox: Any) -> None:
    """DependencyViolation, "resource sg-… has a dependent object", until the interface is deleted."""
    ec2 = sandbox.client()
    net = build_network(ec2)
    subnet = net["subnets"]["us-east-1a"]
    network_interface = ec2.create_network_interface(SubnetId=subnet, Groups=[net["group"]])[
        "NetworkInterface"
    ]
    with refused("DependencyViolation") as caught:
        ec2.delete_security_group(GroupId=net["group"])
    assert f"resource {net['group']} has a dependent object" in str(caught.value)
    with refused("DependencyViolation") as caught:
        ec2.delete_subnet(SubnetId=subnet)
    assert f"The subnet '{subnet}' has dependencies and cannot be deleted." in str(caught.value)
    ec2.delete_network_interface(NetworkInterfaceId=network_interface["NetworkInterfaceId"])
    ec2.delete_security_group(GroupId=net["group"])
    ec2.delete_subnet(SubnetId=subnet)


def test_a_group_that_another_ones_rule_names(sandbox: Any) -> None:
    """A reference from another group blocks the deletion; one from itself does not."""
    ec2 = sandbox.client()
    net = build_network(ec2)
    other = ec2.create_security_group(GroupName="other", Description="other", VpcId=net["vpc"])["GroupId"]

    def rule(group: str) -> list[dict[str, Any]]:
        return [{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "UserIdGroupPairs": [{"GroupId": group}]}]

    ec2.authorize_security_group_ingress(GroupId=other, IpPermissions=rule(net["group"]))
    ec2.authorize_security_group_ingress(GroupId=net["group"], IpPermissions=rule(net["group"]))
    with refused("DependencyViolation"):
        ec2.delete_security_group(GroupId=net["group"])
    ec2.revoke_security_group_ingress(GroupId=other, IpPermissions=rule(net["group"]))
    ec2.delete_security_group(GroupId=net["group"])


def test_a_default_group_stays(sandbox: Any) -> None:
    """CannotDelete: it is deleted only with its VPC."""
    ec2 = sandbox.client()
    net = build_network(ec2)
    groups = ec2.describe_security_groups(Filters=[{"Name": "vpc-id", "Values": [net["vpc"]]}])[
        "SecurityGroups"
    ]
    default = next(group["GroupId"] for group in groups if group["GroupName"] == "default")
    with refused("CannotDelete"):
        ec2.delete_security_group(GroupId=default)


def test_an_interface_in_use(sandbox: Any) -> None:
    """DeleteNetworkInterface of an attached one: "is currently in use"."""
    ec2 = sandbox.client()
    images = ec2.describe_images(Filters=[{"Name": "architecture", "Values": ["x86_64"]}])["Images"]
    ec2.run_instances(ImageId=images[0]["ImageId"], InstanceType="t3.micro", MinCount=1, MaxCount=1)
    eni = ec2.describe_network_interfaces()["NetworkInterfaces"][0]["NetworkInterfaceId"]
    with refused("InvalidParameterValue") as caught:
        ec2.delete_network_interface(NetworkInterfaceId=eni)
    assert "is currently in use" in str(caught.value)


def test_gateways_hold_and_are_held(sandbox: Any) -> None:
    """An attached gateway cannot be deleted; the VPC cannot be deleted before it is detached."""
    ec2 = sandbox.client()
    vpc = ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
    igw = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=igw, VpcId=vpc)
    with refused("DependencyViolation"):
        ec2.delete_internet_gateway(InternetGatewayId=igw)
    with refused("DependencyViolation") as caught:
        ec2.delete_vpc(VpcId=vpc)
    assert f"The vpc '{vpc}' has dependencies and cannot be deleted." in str(caught.value)
    ec2.detach_internet_gateway(InternetGatewayId=igw, VpcId=vpc)
    with refused("Gateway.NotAttached"):
        ec2.detach_internet_gateway(InternetGatewayId=igw, VpcId=vpc)
    ec2.delete_internet_gateway(InternetGatewayId=igw)
    ec2.delete_vpc(VpcId=vpc)
    with refused("InvalidVpcID.NotFound"):
        ec2.delete_vpc(VpcId=vpc)


def test_route_tables_hold_until_disassociated(sandbox: Any) -> None:
    """Associated and main route tables cannot be deleted; the main one is deleted with the VPC."""
    ec2 = sandbox.client()
    net = build_network(ec2)
    by_vpc = [{"Name": "vpc-id", "Values": [net["vpc"]]}]
    tables = ec2.describe_route_tables(Filters=by_vpc)["RouteTables"]
    main = next(table["RouteTableId"] for table in tables if table["RouteTableId"] != net["table"])
    for table in (main, net["table"]):
        with refused("DependencyViolation"):
            ec2.delete_route_table(RouteTableId=table)
    own_table = ec2.describe_route_tables(RouteTableIds=[net["table"]])["RouteTables"][0]
    for association in own_table["Associations"]:
        ec2.disassociate_route_table(AssociationId=association["RouteTableAssociationId"])
    ec2.delete_route_table(RouteTableId=net["table"])


def test_a_vpc_goes_after_subnets_of_its_main_table(sandbox: Any) -> None:
    """Deleting a subnet deletes its association, even with the main route table (moto never removes it)."""
    ec2 = sandbox.client()
    vpc = ec2.create_vpc(CidrBlock="10.2.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.2.0.0/24", AvailabilityZone="us-east-1a")["Subnet"]
    by_vpc = [{"Name": "vpc-id", "Values": [vpc]}]
    main = ec2.describe_route_tables(Filters=by_vpc)["RouteTables"][0]["RouteTableId"]
    ec2.associate_route_table(RouteTableId=main, SubnetId=subnet["SubnetId"])
    with refused("DependencyViolation"):
        ec2.delete_vpc(VpcId=vpc)
    ec2.delete_subnet(SubnetId=subnet["SubnetId"])
    ec2.delete_vpc(VpcId=vpc)
    for describe, key in (
        (ec2.describe_route_tables, "RouteTables"),
        (ec2.describe_security_groups, "SecurityGroups"),
        (ec2.describe_network_acls, "NetworkAcls"),
    ):
        assert describe(Filters=by_vpc)[key] == []
