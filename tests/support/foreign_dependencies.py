"""Other people's hands on our things: whatever hangs on something of ours and is not ours, one function a way."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from bacalhau_spot.core.kinds import ResourceKind
from support import busy_account
from support.one_of_each import ResourceFixture

REGION = "eu-west-1"


class ForeignScene:
    """A network of ours, and somebody else's hands."""

    def __init__(self, sandbox: Any, fixture: ResourceFixture | None = None) -> None:
        self.sandbox = sandbox
        self.ec2 = sandbox.client("ec2", REGION)
        if fixture is None:
            fixture = ResourceFixture(sandbox.client, REGION, busy_account.OURS, "ours")
            fixture.network()
        self.fixture = fixture

    @property
    def image(self) -> str:
        return self.fixture.image_id()

    def interface(self) -> str:
        reply = self.ec2.create_network_interface(SubnetId=self.fixture.subnet, Groups=[self.fixture.group])
        return str(reply["NetworkInterface"]["NetworkInterfaceId"])

    def instance(self, **where: Any) -> str:
        reply = self.ec2.run_instances(
            ImageId=self.image, InstanceType="t3.small", MinCount=1, MaxCount=1, **where
        )
        self.sandbox.clock.advance(10)
        return str(reply["Instances"][0]["InstanceId"])

    def vpc(self) -> str:
        return str(self.ec2.create_vpc(CidrBlock="10.50.0.0/16")["Vpc"]["VpcId"])

    @cached_property
    def policy(self) -> str:
        """With our role and our profile."""
        self.fixture.identities()
        every = self.sandbox.client("iam").list_policies(Scope="Local")["Policies"]
        return next(str(row["Arn"]) for row in every if row["PolicyName"] == f"{self.fixture.name}-policy")

    def tagged(self, *kinds: str) -> list[dict[str, Any]]:
        return self.fixture.spec(*kinds)


# Each makes something of another's hang on something of ours, and gives the id that must be named.


def an_interface_in_our_subnet(scene: ForeignScene) -> str:
    return scene.interface()


def an_elastic_ip_on_an_interface_in_our_subnet(scene: ForeignScene) -> str:
    address = scene.ec2.allocate_address(Domain="vpc")["AllocationId"]
    scene.ec2.associate_address(AllocationId=address, NetworkInterfaceId=scene.interface())
    return str(address)


def an_instance_in_our_subnet(scene: ForeignScene) -> str:
    return scene.instance(SubnetId=scene.fixture.subnet)


def a_rule_that_names_our_group(scene: ForeignScene) -> str:
    group = scene.ec2.create_security_group(GroupName="corp", Description="theirs", VpcId=scene.fixture.vpc)[
        "GroupId"
    ]
    pair = {"UserIdGroupPairs": [{"GroupId": scene.fixture.group}]}
    scene.ec2.authorize_security_group_ingress(
        GroupId=group, IpPermissions=[{"IpProtocol": "tcp", "FromPort": 5432, "ToPort": 5432, **pair}]
    )
    return str(group)


def a_subnet_in_our_vpc(scene: ForeignScene) -> str:
    reply = scene.ec2.create_subnet(VpcId=scene.fixture.vpc, CidrBlock="10.7.99.0/24")
    return str(reply["Subnet"]["SubnetId"])


def a_route_table_in_our_vpc(scene: ForeignScene) -> str:
    return str(scene.ec2.create_route_table(VpcId=scene.fixture.vpc)["RouteTable"]["RouteTableId"])


def an_acl_in_our_vpc(scene: ForeignScene) -> str:
    return str(scene.ec2.create_network_acl(VpcId=scene.fixture.vpc)["NetworkAcl"]["NetworkAclId"])


def a_subnet_that_has_our_acl(scene: ForeignScene) -> str:
    theirs = scene.ec2.create_subnet(VpcId=scene.fixture.vpc, CidrBlock="10.7.98.0/24")["Subnet"]["SubnetId"]
    rows = scene.ec2.describe_network_acls(Filters=[{"Name": "association.subnet-id", "Values": [theirs]}])
    associations = [
        association
        for association in rows["NetworkAcls"][0]["Associations"]
        if association["SubnetId"] == theirs
    ]
    scene.ec2.replace_network_acl_association(
        AssociationId=associations[0]["NetworkAclAssociationId"],
        NetworkAclId=scene.fixture.resource_ids[ResourceKind.ACL][0],
    )
    return str(theirs)


def a_vpn_gateway_of_our_vpc(scene: ForeignScene) -> str:
    gateway = scene.ec2.create_vpn_gateway(Type="ipsec.1")["VpnGateway"]["VpnGatewayId"]
    scene.ec2.attach_vpn_gateway(VpnGatewayId=gateway, VpcId=scene.fixture.vpc)
    return str(gateway)


def a_peering_with_our_vpc(scene: ForeignScene) -> str:
    reply = scene.ec2.create_vpc_peering_connection(VpcId=scene.vpc(), PeerVpcId=scene.fixture.vpc)
    peering = reply["VpcPeeringConnection"]["VpcPeeringConnectionId"]
    scene.ec2.accept_vpc_peering_connection(VpcPeeringConnectionId=peering)
    return str(peering)


def an_egress_gateway_of_our_vpc(scene: ForeignScene) -> str:
    reply = scene.ec2.create_egress_only_internet_gateway(VpcId=scene.fixture.vpc)
    return str(reply["EgressOnlyInternetGateway"]["EgressOnlyInternetGatewayId"])


def a_nat_gateway_in_our_subnet(scene: ForeignScene) -> str:
    address = scene.ec2.allocate_address(Domain="vpc")["AllocationId"]
    reply = scene.ec2.create_nat_gateway(SubnetId=scene.fixture.subnet, AllocationId=address)
    return str(reply["NatGateway"]["NatGatewayId"])


def an_endpoint_in_our_subnet(scene: ForeignScene) -> str:
    reply = scene.ec2.create_vpc_endpoint(
        VpcId=scene.fixture.vpc,
        ServiceName=f"com.amazonaws.{REGION}.ssm",
        VpcEndpointType="Interface",
        SubnetIds=[scene.fixture.subnet],
    )
    return str(reply["VpcEndpoint"]["VpcEndpointId"])


def a_connect_endpoint_in_our_subnet(scene: ForeignScene) -> str:
    reply = scene.ec2.create_instance_connect_endpoint(SubnetId=scene.fixture.subnet)
    return str(reply["InstanceConnectEndpoint"]["InstanceConnectEndpointId"])


def an_instance_that_uses_our_volume(scene: ForeignScene) -> str:
    volume = scene.ec2.create_volume(
        AvailabilityZone=f"{REGION}a", Size=1, TagSpecifications=scene.tagged("volume")
    )["VolumeId"]
    instance = scene.instance(Placement={"AvailabilityZone": f"{REGION}a"})
    scene.ec2.attach_volume(VolumeId=volume, InstanceId=instance, Device="/dev/sdf")
    return instance


def an_instance_that_has_our_address(scene: ForeignScene) -> str:
    address = scene.ec2.allocate_address(Domain="vpc", TagSpecifications=scene.tagged("elastic-ip"))
    instance = scene.instance()
    scene.ec2.associate_address(AllocationId=address["AllocationId"], InstanceId=instance)
    return instance


def an_instance_that_has_our_interface(scene: ForeignScene) -> str:
    """In a subnet of the default VPC: there is nothing else of ours in it."""
    instance = scene.instance(Placement={"AvailabilityZone": f"{REGION}a"})
    subnet = scene.ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]
    network_interface_id = scene.ec2.create_network_interface(
        SubnetId=subnet["SubnetId"], TagSpecifications=scene.tagged("network-interface")
    )["NetworkInterface"]["NetworkInterfaceId"]
    scene.ec2.attach_network_interface(
        NetworkInterfaceId=network_interface_id, InstanceId=instance, DeviceIndex=1
    )
    return instance


def a_vpc_that_has_our_gateway(scene: ForeignScene) -> str:
    reply = scene.ec2.create_internet_gateway(TagSpecifications=scene.tagged("internet-gateway"))
    vpc = scene.vpc()
    gateway = reply["InternetGateway"]["InternetGatewayId"]
    scene.ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    return vpc


def a_vpc_that_has_our_dhcp_options(scene: ForeignScene) -> str:
    vpc = scene.vpc()
    dhcp_options_id = scene.ec2.create_dhcp_options(
        DhcpConfigurations=[{"Key": "domain-name", "Values": ["example.org"]}],
        TagSpecifications=scene.tagged("dhcp-options"),
    )["DhcpOptions"]["DhcpOptionsId"]
    scene.ec2.associate_dhcp_options(DhcpOptionsId=dhcp_options_id, VpcId=vpc)
    return vpc


def an_image_of_our_snapshot(scene: ForeignScene) -> str:
    volume = scene.ec2.create_volume(AvailabilityZone=f"{REGION}a", Size=1)["VolumeId"]
    snapshot = scene.ec2.create_snapshot(VolumeId=volume, TagSpecifications=scene.tagged("snapshot"))
    disk = {"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": snapshot["SnapshotId"]}}
    reply = scene.ec2.register_image(
        Name="theirs", Architecture="x86_64", RootDeviceName="/dev/sda1", BlockDeviceMappings=[disk]
    )
    return str(reply["ImageId"])


def an_instance_in_our_placement_group(scene: ForeignScene) -> str:
    scene.ec2.create_placement_group(
        GroupName="near", Strategy="spread", TagSpecifications=scene.tagged("placement-group")
    )
    return scene.instance(Placement={"GroupName": "near", "AvailabilityZone": f"{REGION}a"})


def a_profile_that_has_our_role(scene: ForeignScene) -> str:
    assert scene.policy
    iam = scene.sandbox.client("iam")
    iam.create_instance_profile(InstanceProfileName="theirs-profile")
    iam.add_role_to_instance_profile(
        InstanceProfileName="theirs-profile", RoleName=f"{scene.fixture.name}-role"
    )
    return "theirs-profile"


def a_role_that_has_our_policy(scene: ForeignScene) -> str:
    iam = scene.sandbox.client("iam")
    iam.create_role(RoleName="theirs", AssumeRolePolicyDocument='{"Version": "2012-10-17", "Statement": []}')
    iam.attach_role_policy(RoleName="theirs", PolicyArn=scene.policy)
    return "theirs"


def a_user_that_has_our_policy(scene: ForeignScene) -> str:
    iam = scene.sandbox.client("iam")
    iam.create_user(UserName="somebody")
    iam.attach_user_policy(UserName="somebody", PolicyArn=scene.policy)
    return "somebody"


def a_role_whose_boundary_is_our_policy(scene: ForeignScene) -> str:
    iam = scene.sandbox.client("iam")
    nobody = '{"Version": "2012-10-17", "Statement": []}'
    iam.create_role(RoleName="fenced", AssumeRolePolicyDocument=nobody, PermissionsBoundary=scene.policy)
    return "fenced"


IN_OUR_NETWORK = (
    an_interface_in_our_subnet,
    an_elastic_ip_on_an_interface_in_our_subnet,
    an_instance_in_our_subnet,
    a_rule_that_names_our_group,
    a_subnet_in_our_vpc,
    a_subnet_that_has_our_acl,
    a_route_table_in_our_vpc,
    an_acl_in_our_vpc,
    an_egress_gateway_of_our_vpc,
    a_vpn_gateway_of_our_vpc,
    a_peering_with_our_vpc,
    a_nat_gateway_in_our_subnet,
    an_endpoint_in_our_subnet,
    a_connect_endpoint_in_our_subnet,
)
ATTACHED_TO_OURS = (
    an_instance_that_uses_our_volume,
    an_instance_that_has_our_address,
    an_instance_that_has_our_interface,
    a_vpc_that_has_our_gateway,
    a_vpc_that_has_our_dhcp_options,
    an_image_of_our_snapshot,
    an_instance_in_our_placement_group,
)
OF_OUR_IDENTITIES = (
    a_profile_that_has_our_role,
    a_role_that_has_our_policy,
    a_user_that_has_our_policy,
    a_role_whose_boundary_is_our_policy,
)
