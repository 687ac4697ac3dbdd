"""Blocked and asynchronous deletions that a cleanup meets besides those of groups, subnets and gateways."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.ec2.clusters import TAGS, build_network, image, refused, spec

REGION = "us-east-1"
ZONE = f"{REGION}a"


@pytest.fixture
def net(sandbox: Any) -> dict[str, Any]:
    return build_network(sandbox.client(), (ZONE,))


def launch(sandbox: Any, **how: Any) -> str:
    ec2 = sandbox.client()
    reply = ec2.run_instances(ImageId=image(ec2), InstanceType="t3.micro", MinCount=1, MaxCount=1, **how)
    sandbox.clock.advance(30)
    return str(reply["Instances"][0]["InstanceId"])


# --- EC2


def test_a_running_instance_holds_its_subnet_and_its_gateway(sandbox: Any, net: dict[str, Any]) -> None:
    """VPC user guide: it uses the subnet until terminated, and the gateway while an address of the VPC is mapped."""
    ec2 = sandbox.client()
    subnet = net["subnets"][ZONE]
    where = {"DeviceIndex": 0, "SubnetId": subnet, "AssociatePublicIpAddress": True}
    instance = launch(sandbox, NetworkInterfaces=[where])
    sandbox.settings.terminate_s = 60.0
    gateway = {"InternetGatewayId": net["igw"], "VpcId": net["vpc"]}
    for _ in range(2):
        with refused("DependencyViolation"):
            ec2.delete_subnet(SubnetId=subnet)
        with refused("DependencyViolation") as caught:
            ec2.detach_internet_gateway(**gateway)
        assert "mapped public address" in str(caught.value)
        ec2.terminate_instances(InstanceIds=[instance])  # and while shutting down
    sandbox.clock.advance(60)
    ec2.detach_internet_gateway(**gateway)
    ec2.delete_subnet(SubnetId=subnet)


def test_an_address_in_use(sandbox: Any) -> None:
    """ReleaseAddress: InvalidIPAddress.InUse until it is disassociated."""
    ec2 = sandbox.client()
    address = ec2.allocate_address(Domain="vpc")["AllocationId"]
    reply = ec2.associate_address(AllocationId=address, InstanceId=launch(sandbox))
    with refused("InvalidIPAddress.InUse"):
        ec2.release_address(AllocationId=address)
    ec2.disassociate_address(AssociationId=reply["AssociationId"])
    ec2.release_address(AllocationId=address)


@pytest.mark.parametrize("protection", ["DisableApiTermination", "DisableApiStop"])
def test_a_protected_instance_keeps_the_others_of_its_zone(sandbox: Any, protection: str) -> None:
    """TerminateInstances: instances in zones without a protected one terminate. Stop protection has the same effect."""
    ec2 = sandbox.client()
    remaining, attached, elsewhere = (
        launch(sandbox, Placement={"AvailabilityZone": zone}, **more)
        for zone, more in ((ZONE, {protection: True}), (ZONE, {}), ("us-east-1b", {}))
    )
    with refused("OperationNotPermitted") as caught:
        ec2.terminate_instances(InstanceIds=[elsewhere, attached, remaining])
    assert protection[0].lower() + protection[1:] in str(caught.value)
    rows = ec2.describe_instances(InstanceIds=[remaining, attached, elsewhere])["Reservations"]
    states = {
        instance["InstanceId"]: instance["State"]["Name"] for row in rows for instance in row["Instances"]
    }
    assert states == {remaining: "running", attached: "running", elsewhere: "shutting-down"}
    attribute = {"InstanceId": remaining, "Attribute": protection[0].lower() + protection[1:]}
    assert ec2.describe_instance_attribute(**attribute)[protection]["Value"] is True
    ec2.modify_instance_attribute(InstanceId=remaining, **{protection: {"Value": False}})
    assert ec2.describe_instance_attribute(**attribute)[protection]["Value"] is False
    ec2.terminate_instances(InstanceIds=[remaining, attached])


def test_a_nat_gateway_takes_its_time(sandbox: Any, net: dict[str, Any]) -> None:
    """DeleteNatGateway: `deleting` uses subnet and gateway; the address stays allocated; it is listed for an hour."""
    ec2 = sandbox.client()
    sandbox.settings.terminate_s = 60.0
    address = ec2.allocate_address(Domain="vpc")["AllocationId"]
    nat = ec2.create_nat_gateway(SubnetId=net["subnets"][ZONE], AllocationId=address)["NatGateway"]
    ec2.delete_nat_gateway(NatGatewayId=nat["NatGatewayId"])
    shown = ec2.describe_nat_gateways(NatGatewayIds=[nat["NatGatewayId"]])["NatGateways"][0]
    assert shown["State"] == "deleting"
    with refused("DependencyViolation"):
        ec2.delete_subnet(SubnetId=net["subnets"][ZONE])
    with refused("InvalidIPAddress.InUse"):
        ec2.release_address(AllocationId=address)
    sandbox.clock.advance(60)
    ec2.delete_subnet(SubnetId=net["subnets"][ZONE])
    ec2.release_address(AllocationId=address)
    assert ec2.describe_nat_gateways()["NatGateways"][0]["State"] == "deleted"


@pytest.mark.parametrize("kind", ["endpoint", "connect endpoint"])
def test_endpoints_hold_their_subnet_while_they_go(sandbox: Any, net: dict[str, Any], kind: str) -> None:
    """Both are deleted asynchronously, and their interfaces, managed by AWS, cannot be deleted."""
    ec2 = sandbox.client()
    sandbox.settings.terminate_s = 60.0
    subnet = net["subnets"][ZONE]
    if kind == "endpoint":
        vpc_endpoint = ec2.create_vpc_endpoint(
            VpcId=net["vpc"],
            ServiceName=f"com.amazonaws.{REGION}.ssm",
            VpcEndpointType="Interface",
            SubnetIds=[subnet],
        )["VpcEndpoint"]
        assert ec2.delete_vpc_endpoints(VpcEndpointIds=[vpc_endpoint["VpcEndpointId"]])["Unsuccessful"] == []
    else:
        vpc_endpoint = ec2.create_instance_connect_endpoint(SubnetId=subnet)["InstanceConnectEndpoint"]
        going = ec2.delete_instance_connect_endpoint(
            InstanceConnectEndpointId=vpc_endpoint["InstanceConnectEndpointId"]
        )
        assert going["InstanceConnectEndpoint"]["State"] == "delete-in-progress"
    interface = ec2.describe_network_interfaces()["NetworkInterfaces"][0]
    assert interface["RequesterManaged"]
    with refused("OperationNotPermitted"):
        ec2.delete_network_interface(NetworkInterfaceId=interface["NetworkInterfaceId"])
    with refused("DependencyViolation"):
        ec2.delete_subnet(SubnetId=subnet)
    sandbox.clock.advance(60)
    ec2.delete_subnet(SubnetId=subnet)


def test_a_batch_of_endpoints_is_done_in_part(sandbox: Any, net: dict[str, Any]) -> None:
    """DeleteVpcEndpoints and DeleteFlowLogs succeed and list the failures in their replies."""
    ec2 = sandbox.client()
    vpc_endpoint = ec2.create_vpc_endpoint(VpcId=net["vpc"], ServiceName=f"com.amazonaws.{REGION}.s3")[
        "VpcEndpoint"
    ]
    ids = [vpc_endpoint["VpcEndpointId"], "vpce-00000000000000000"]
    left = ec2.delete_vpc_endpoints(VpcEndpointIds=ids)["Unsuccessful"]
    assert [(failure["ResourceId"], failure["Error"]["Code"]) for failure in left] == [
        (ids[1], "InvalidVpcEndpointId.NotFound")
    ]
    logs = ec2.delete_flow_logs(FlowLogIds=["fl-00000000000000000"])["Unsuccessful"]
    assert logs[0]["Error"]["Code"] == "InvalidFlowLogId.NotFound"


def test_what_holds_a_vpc_beside_its_parts(sandbox: Any) -> None:
    """An egress-only gateway, a peering connection."""
    ec2 = sandbox.client()
    own_vpc, other = (ec2.create_vpc(CidrBlock=f"10.{block}.0.0/16")["Vpc"]["VpcId"] for block in (1, 2))
    egress = ec2.create_egress_only_internet_gateway(VpcId=own_vpc)["EgressOnlyInternetGateway"]
    peering = ec2.create_vpc_peering_connection(VpcId=own_vpc, PeerVpcId=other)["VpcPeeringConnection"]
    with refused("DependencyViolation"):
        ec2.delete_vpc(VpcId=own_vpc)
    ec2.delete_egress_only_internet_gateway(EgressOnlyInternetGatewayId=egress["EgressOnlyInternetGatewayId"])
    for vpc in (own_vpc, other):
        with refused("DependencyViolation"):
            ec2.delete_vpc(VpcId=vpc)
    ec2.delete_vpc_peering_connection(VpcPeeringConnectionId=peering["VpcPeeringConnectionId"])
    for vpc in (own_vpc, other):
        ec2.delete_vpc(VpcId=vpc)


def test_an_acl_in_use(sandbox: Any, net: dict[str, Any]) -> None:
    """DeleteNetworkAcl: refused while a subnet uses it, and for the default ACL."""
    ec2 = sandbox.client()
    by_vpc = [{"Name": "vpc-id", "Values": [net["vpc"]]}]
    default = ec2.describe_network_acls(Filters=by_vpc)["NetworkAcls"][0]
    acl = ec2.create_network_acl(VpcId=net["vpc"])["NetworkAcl"]["NetworkAclId"]
    association = default["Associations"][0]["NetworkAclAssociationId"]
    ec2.replace_network_acl_association(AssociationId=association, NetworkAclId=acl)
    with refused("DependencyViolation"):
        ec2.delete_network_acl(NetworkAclId=acl)
    with refused("InvalidParameterValue"):
        ec2.delete_network_acl(NetworkAclId=default["NetworkAclId"])
    ec2.delete_subnet(SubnetId=net["subnets"][ZONE])
    ec2.delete_network_acl(NetworkAclId=acl)


def test_dhcp_options_in_use_and_their_tags(sandbox: Any) -> None:
    """DeleteDhcpOptions: refused while a VPC uses them. The tags of the create call match filters."""
    ec2 = sandbox.client()
    options = ec2.create_dhcp_options(
        DhcpConfigurations=[{"Key": "domain-name", "Values": ["example.com"]}],
        TagSpecifications=spec("dhcp-options"),
    )["DhcpOptions"]["DhcpOptionsId"]
    by_tag = [{"Name": f"tag:{TAGS[0]['Key']}", "Values": [TAGS[0]["Value"]]}]
    assert [
        option["DhcpOptionsId"] for option in ec2.describe_dhcp_options(Filters=by_tag)["DhcpOptions"]
    ] == [options]
    vpc = ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
    ec2.associate_dhcp_options(DhcpOptionsId=options, VpcId=vpc)
    with refused("DependencyViolation"):
        ec2.delete_dhcp_options(DhcpOptionsId=options)
    ec2.delete_vpc(VpcId=vpc)
    ec2.delete_dhcp_options(DhcpOptionsId=options)


def test_a_volume_in_use(sandbox: Any) -> None:
    """DeleteVolume: VolumeInUse. DetachVolume needs only the id, and refuses the root volume."""
    ec2 = sandbox.client()
    instance = launch(sandbox, Placement={"AvailabilityZone": ZONE})
    volume = ec2.create_volume(AvailabilityZone=ZONE, Size=1)["VolumeId"]
    sandbox.clock.advance(2)
    ec2.attach_volume(VolumeId=volume, InstanceId=instance, Device="/dev/sdf")
    with refused("VolumeInUse"):
        ec2.delete_volume(VolumeId=volume)
    assert ec2.detach_volume(VolumeId=volume)["InstanceId"] == instance
    with refused("VolumeInUse"):  # while it is detaching
        ec2.delete_volume(VolumeId=volume)
    sandbox.clock.advance(2)
    with refused("IncorrectState"):
        ec2.detach_volume(VolumeId=volume)
    ec2.delete_volume(VolumeId=volume)
    root = ec2.describe_volumes()["Volumes"][0]["VolumeId"]
    with refused("OperationNotPermitted"):
        ec2.detach_volume(VolumeId=root)


def test_a_snapshot_of_an_image(sandbox: Any) -> None:
    """DeleteSnapshot: InvalidSnapshot.InUse while an image uses it."""
    ec2 = sandbox.client()
    volume = ec2.create_volume(AvailabilityZone=ZONE, Size=1)["VolumeId"]
    snapshot = ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
    disk = {"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": snapshot}}
    image_id = ec2.register_image(Name="one", RootDeviceName="/dev/sda1", BlockDeviceMappings=[disk])[
        "ImageId"
    ]
    with refused("InvalidSnapshot.InUse"):
        ec2.delete_snapshot(SnapshotId=snapshot)
    ec2.enable_image_deregistration_protection(ImageId=image_id)
    with refused("OperationNotPermitted"):
        ec2.deregister_image(ImageId=image_id)
    ec2.disable_image_deregistration_protection(ImageId=image_id)
    ec2.deregister_image(ImageId=image_id)
    ec2.delete_snapshot(SnapshotId=snapshot)


def test_a_placement_group_in_use(sandbox: Any) -> None:
    """DeletePlacementGroup: InvalidPlacementGroup.InUse until its instances are terminated."""
    ec2 = sandbox.client()
    ec2.create_placement_group(GroupName="near", Strategy="spread")
    instance = launch(sandbox, Placement={"GroupName": "near"})
    named = [{"Name": "placement-group-name", "Values": ["near"]}]
    instances = ec2.describe_instances(Filters=named)["Reservations"][0]["Instances"]
    assert [row["InstanceId"] for row in instances] == [instance]
    with refused("InvalidPlacementGroup.InUse"):
        ec2.delete_placement_group(GroupName="near")
    ec2.terminate_instances(InstanceIds=[instance])
    sandbox.clock.advance(60)
    ec2.delete_placement_group(GroupName="near")
    with refused("InvalidPlacementGroup.Unknown"):
        ec2.delete_placement_group(GroupName="near")


def test_a_commitment_must_be_paid(sandbox: Any) -> None:
    """CancelCapacityReservation: an ordinary one is cancelled and stays listed; a committed one is refused."""
    ec2 = sandbox.client()
    what = {
        "InstanceType": "t3.medium",
        "InstancePlatform": "Linux/UNIX",
        "AvailabilityZone": ZONE,
        "InstanceCount": 1,
    }
    free = ec2.create_capacity_reservation(**what)["CapacityReservation"]["CapacityReservationId"]
    paid = ec2.create_capacity_reservation(
        **what, StartDate="2027-01-01T00:00:00Z", CommitmentDuration=1209600
    )["CapacityReservation"]["CapacityReservationId"]
    ec2.cancel_capacity_reservation(CapacityReservationId=free)
    rows = ec2.describe_capacity_reservations()["CapacityReservations"]
    assert {row["CapacityReservationId"]: row["State"] for row in rows} == {free: "cancelled", paid: "active"}
    with refused("OperationNotPermitted"):
        ec2.cancel_capacity_reservation(CapacityReservationId=paid)


def test_the_lifecycle_filter_knows_spot_only(sandbox: Any) -> None:
    """DescribeInstances: on-demand instances have no lifecycle to filter by."""
    ec2 = sandbox.client()
    spot = launch(sandbox, InstanceMarketOptions={"MarketType": "spot"})
    launch(sandbox)
    spot_filter = [{"Name": "instance-lifecycle", "Values": ["spot"]}]
    rows = ec2.describe_instances(Filters=spot_filter)["Reservations"]
    assert [instance["InstanceId"] for row in rows for instance in row["Instances"]] == [spot]


@pytest.mark.parametrize("kind", ["fleet", "spot fleet"])
def test_a_fleets_instances_carry_its_id(sandbox: Any, net: dict[str, Any], kind: str) -> None:
    """In AWS's tag, the only link between a fleet that is not instant and its instances."""
    ec2 = sandbox.client()
    template = ec2.create_launch_template(
        LaunchTemplateName="one", LaunchTemplateData={"ImageId": image(ec2), "InstanceType": "t3.micro"}
    )["LaunchTemplate"]["LaunchTemplateId"]
    configs = [
        {
            "LaunchTemplateSpecification": {"LaunchTemplateId": template, "Version": "$Latest"},
            "Overrides": [{"SubnetId": net["subnets"][ZONE]}],
        }
    ]
    if kind == "fleet":
        fleet_id = ec2.create_fleet(
            Type="maintain",
            LaunchTemplateConfigs=configs,
            TargetCapacitySpecification={"TotalTargetCapacity": 1, "DefaultTargetCapacityType": "spot"},
        )["FleetId"]
        key = "aws:ec2:fleet-id"
    else:
        fleet_id = ec2.request_spot_fleet(
            SpotFleetRequestConfig={
                "IamFleetRole": "arn:aws:iam::000000000000:role/fleet",
                "TargetCapacity": 1,
                "LaunchTemplateConfigs": configs,
            }
        )["SpotFleetRequestId"]
        key = "aws:ec2spot:fleet-request-id"
    reservations = ec2.describe_instances(Filters=[{"Name": f"tag:{key}", "Values": [fleet_id]}])[
        "Reservations"
    ]
    assert len(reservations) == 1


# --- Services other than EC2


def test_a_group_with_instances_is_deleted_by_force_only(sandbox: Any, net: dict[str, Any]) -> None:
    """DeleteAutoScalingGroup: ResourceInUse; ForceDelete terminates the instances first; it is listed until then."""
    scaling, ec2 = sandbox.client("autoscaling"), sandbox.client()
    sandbox.settings.terminate_s = 60.0
    template = ec2.create_launch_template(
        LaunchTemplateName="one", LaunchTemplateData={"ImageId": image(ec2), "InstanceType": "t3.micro"}
    )["LaunchTemplate"]["LaunchTemplateId"]
    name = {"AutoScalingGroupName": "g"}
    scaling.create_auto_scaling_group(
        **name,
        LaunchTemplate={"LaunchTemplateId": template, "Version": "$Latest"},
        MinSize=1,
        MaxSize=1,
        VPCZoneIdentifier=net["subnets"][ZONE],
    )
    with refused("ResourceInUse"):
        scaling.delete_auto_scaling_group(**name)
    scaling.delete_auto_scaling_group(**name, ForceDelete=True)
    assert scaling.describe_auto_scaling_groups()["AutoScalingGroups"][0]["Status"] == "Delete in progress"
    sandbox.clock.advance(60)
    assert scaling.describe_auto_scaling_groups()["AutoScalingGroups"] == []


def test_identities_in_use(sandbox: Any) -> None:
    """DeleteConflict: a role with policies or in a profile, a profile with a role, a policy attached or with versions."""
    iam = sandbox.client("iam")
    nobody = '{"Version": "2012-10-17", "Statement": []}'
    role, profile = {"RoleName": "r"}, {"InstanceProfileName": "p"}
    iam.create_role(**role, AssumeRolePolicyDocument=nobody)
    iam.create_instance_profile(**profile)
    iam.add_role_to_instance_profile(**profile, **role)
    document = (
        '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:List*", "Resource": "*"}]}'
    )
    policy = {"PolicyArn": iam.create_policy(PolicyName="y", PolicyDocument=document)["Policy"]["Arn"]}
    iam.attach_role_policy(**role, **policy)
    second = iam.create_policy_version(**policy, PolicyDocument=document)["PolicyVersion"]["VersionId"]
    iam.put_role_policy(**role, PolicyName="inline", PolicyDocument=document)
    for delete, named in (
        (iam.delete_role, role),
        (iam.delete_policy, policy),
        (iam.delete_instance_profile, profile),
    ):
        with refused("DeleteConflict"):
            delete(**named)
    assert [role["RoleName"] for role in iam.list_entities_for_policy(**policy)["PolicyRoles"]] == ["r"]
    iam.remove_role_from_instance_profile(**profile, **role)
    with refused("NoSuchEntity"):
        iam.remove_role_from_instance_profile(**profile, **role)
    iam.delete_instance_profile(**profile)
    iam.detach_role_policy(**role, **policy)
    for delete, named in ((iam.delete_role, role), (iam.delete_policy, policy)):
        with refused("DeleteConflict"):
            delete(**named)
    iam.delete_role_policy(**role, PolicyName="inline")
    iam.delete_role(**role)
    iam.delete_policy_version(**policy, VersionId=second)
    iam.delete_policy(**policy)


def test_a_boundary_is_a_use_of_another_kind(sandbox: Any) -> None:
    """ListEntitiesForPolicy distinguishes the two by PolicyUsageFilter; either blocks the deletion of the policy."""
    iam = sandbox.client("iam")
    nobody = '{"Version": "2012-10-17", "Statement": []}'
    document = nobody.replace("[]", '[{"Effect": "Allow", "Action": "s3:List*", "Resource": "*"}]')
    policy = {"PolicyArn": iam.create_policy(PolicyName="y", PolicyDocument=document)["Policy"]["Arn"]}
    iam.create_role(RoleName="r", AssumeRolePolicyDocument=nobody, PermissionsBoundary=policy["PolicyArn"])
    uses = {
        usage: [
            role["RoleName"]
            for role in iam.list_entities_for_policy(**policy, PolicyUsageFilter=usage)["PolicyRoles"]
        ]
        for usage in ("PermissionsPolicy", "PermissionsBoundary")
    }
    assert uses == {"PermissionsPolicy": [], "PermissionsBoundary": ["r"]}
    with refused("DeleteConflict"):
        iam.delete_policy(**policy)


def test_a_flow_log_makes_its_log_group_again(sandbox: Any, net: dict[str, Any]) -> None:
    """A service that still writes creates the group again, without tags."""
    logs, ec2 = sandbox.client("logs"), sandbox.client()
    logs.create_log_group(logGroupName="/flow", tags={"a": "b"})
    flow_log_ids = ec2.create_flow_logs(
        ResourceIds=[net["vpc"]],
        ResourceType="VPC",
        TrafficType="ALL",
        LogGroupName="/flow",
        DeliverLogsPermissionArn="arn:aws:iam::000000000000:role/r",
    )["FlowLogIds"]

    def names() -> list[str]:
        sandbox.clock.advance(30)
        return [log_group["logGroupName"] for log_group in logs.describe_log_groups()["logGroups"]]

    logs.delete_log_group(logGroupName="/flow")
    assert names() == ["/flow"]
    arn = logs.describe_log_groups()["logGroups"][0]["arn"].removesuffix(":*")
    assert not logs.list_tags_for_resource(resourceArn=arn).get("tags")
    ec2.delete_flow_logs(FlowLogIds=flow_log_ids)
    logs.delete_log_group(logGroupName="/flow")
    assert names() == []


def test_a_rule_with_targets_and_a_bucket_with_objects(sandbox: Any) -> None:
    """Both must be emptied first; a versioned bucket also of old versions and delete markers."""
    events, s3 = sandbox.client("events"), sandbox.client("s3")
    events.put_rule(Name="r", ScheduleExpression="rate(1 day)")
    events.put_targets(Rule="r", Targets=[{"Id": "1", "Arn": "arn:aws:sqs:us-east-1:000000000000:q"}])
    with refused("ValidationException"):
        events.delete_rule(Name="r")
    events.remove_targets(Rule="r", Ids=["1"])
    events.delete_rule(Name="r")
    s3.create_bucket(Bucket="bucket")
    s3.put_bucket_versioning(Bucket="bucket", VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket="bucket", Key="k", Body=b"1")
    s3.delete_object(Bucket="bucket", Key="k")
    with refused("BucketNotEmpty"):
        s3.delete_bucket(Bucket="bucket")


def test_what_the_tagging_api_covers(sandbox: Any) -> None:
    """Elastic IPs, templates, key pairs, ACLs and DHCP options as well; neither roles nor Auto Scaling groups."""
    ec2 = sandbox.client()
    vpc = ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
    ec2.allocate_address(Domain="vpc", TagSpecifications=spec("elastic-ip"))
    ec2.create_launch_template(
        LaunchTemplateName="one",
        LaunchTemplateData={"InstanceType": "t3.micro"},
        TagSpecifications=spec("launch-template"),
    )
    ec2.create_key_pair(KeyName="k", TagSpecifications=spec("key-pair"))
    ec2.create_network_acl(VpcId=vpc, TagSpecifications=spec("network-acl"))
    ec2.create_egress_only_internet_gateway(VpcId=vpc, TagSpecifications=spec("egress-only-internet-gateway"))
    ec2.create_dhcp_options(
        DhcpConfigurations=[{"Key": "domain-name", "Values": ["x.org"]}],
        TagSpecifications=spec("dhcp-options"),
    )
    nobody = '{"Version": "2012-10-17", "Statement": []}'
    sandbox.client("iam").create_role(RoleName="r", AssumeRolePolicyDocument=nobody, Tags=TAGS)
    filters = [{"Key": TAGS[0]["Key"], "Values": [TAGS[0]["Value"]]}]
    reply = sandbox.client("resourcegroupstaggingapi").get_resources(TagFilters=filters)
    kinds = {row["ResourceARN"].split(":", 5)[5].split("/")[0] for row in reply["ResourceTagMappingList"]}
    assert kinds == {
        *("elastic-ip", "launch-template", "key-pair", "network-acl"),
        *("egress-only-internet-gateway", "dhcp-options"),
    }


def test_an_elastic_ip_outlives_its_interface(sandbox: Any) -> None:
    """AWS: EC2 user guide, "Delete a network interface": disassociates its Elastic IPs, for use by another interface."""
    ec2 = sandbox.client()
    subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
    network_interface_id = ec2.create_network_interface(SubnetId=subnet)["NetworkInterface"][
        "NetworkInterfaceId"
    ]
    address = ec2.allocate_address(Domain="vpc")["AllocationId"]
    ec2.associate_address(AllocationId=address, NetworkInterfaceId=network_interface_id)
    ec2.delete_network_interface(NetworkInterfaceId=network_interface_id)
    (row,) = ec2.describe_addresses(AllocationIds=[address])["Addresses"]
    assert "AssociationId" not in row
    ec2.release_address(AllocationId=address)
