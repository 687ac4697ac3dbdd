"""One on-demand instance with an address, a data volume and a profile. Source: EC2 API Reference, RunInstances; EC2 User
Guide; Service Authorization Reference, "Actions, resources, and condition keys for Amazon EC2".
"""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from sandbox.ec2.clusters import TAGS, image, instances, refused, spec, tags_of

TRUST = {"Version": "2012-10-17", "Statement": []}
ALLOW = "Allow"


def create_profile(sandbox: Any, name: str = "machine") -> str:
    iam = sandbox.client("iam")
    iam.create_role(RoleName=name, Path="/own/", AssumeRolePolicyDocument=json.dumps(TRUST))
    iam.create_instance_profile(InstanceProfileName=name, Path="/own/")
    iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)
    return f"arn:aws:iam::000000000000:instance-profile/own/{name}"


def arguments(sandbox: Any, **change: Any) -> dict[str, Any]:
    ec2 = sandbox.client()
    subnets = ec2.describe_subnets(Filters=[{"Name": "availability-zone", "Values": ["us-east-1a"]}])[
        "Subnets"
    ]
    group = ec2.describe_security_groups()["SecurityGroups"][0]["GroupId"]
    root = {"VolumeSize": 20, "VolumeType": "gp3", "Encrypted": True, "DeleteOnTermination": True}
    return {
        "ImageId": image(ec2),
        "InstanceType": "t3.small",
        "MinCount": 1,
        "MaxCount": 1,
        "ClientToken": "orchestrator-1",
        "NetworkInterfaces": [
            {
                "DeviceIndex": 0,
                "SubnetId": subnets[0]["SubnetId"],
                "Groups": [group],
                "AssociatePublicIpAddress": True,
            }
        ],
        "BlockDeviceMappings": [{"DeviceName": "/dev/sda1", "Ebs": root}],
        "MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": 1},
        "MaintenanceOptions": {"AutoRecovery": "default"},
        "UserData": "#cloud-config\n",
        "TagSpecifications": spec("instance", "volume", "network-interface"),
    } | change


def test_the_answer_of_a_launch(sandbox: Any) -> None:
    """RunInstances, response: an on-demand instance has no lifecycle; all options are as requested, and found again."""
    ec2 = sandbox.client()
    arn = create_profile(sandbox)
    made = ec2.run_instances(**arguments(sandbox, IamInstanceProfile={"Name": "machine"}))["Instances"][0]
    sandbox.clock.advance(2)
    found = instances(ec2, Filters=[{"Name": "tag:bacalhau-cluster", "Values": ["one"]}])[0]
    assert (made["State"]["Name"], found["State"]["Name"]) == ("pending", "running")
    for row in (made, found):
        assert "InstanceLifecycle" not in row
        assert "SpotInstanceRequestId" not in row
        assert row["ClientToken"] == "orchestrator-1"
        assert row["MaintenanceOptions"]["AutoRecovery"] == "default"
        assert row["MetadataOptions"]["HttpTokens"] == "required"
        assert tags_of(row) == {tag["Key"]: tag["Value"] for tag in TAGS}
    assert (
        ec2.describe_instances(Filters=[{"Name": "instance-lifecycle", "Values": ["spot"]}])["Reservations"]
        == []
    )
    user_data = ec2.describe_instance_attribute(InstanceId=made["InstanceId"], Attribute="userData")
    assert base64.b64decode(user_data["UserData"]["Value"]) == b"#cloud-config\n"
    assert found["IamInstanceProfile"]["Arn"].rpartition("/")[2] == arn.rpartition("/")[2]


def test_automatic_recovery_can_be_disabled(sandbox: Any) -> None:
    """RunInstances, MaintenanceOptions, AutoRecovery: disabled or default."""
    ec2 = sandbox.client()
    ec2.run_instances(**arguments(sandbox, MaintenanceOptions={"AutoRecovery": "disabled"}))
    assert instances(ec2)[0]["MaintenanceOptions"]["AutoRecovery"] == "disabled"
    with refused("InvalidParameterValue"):
        ec2.run_instances(
            **arguments(sandbox, MaintenanceOptions={"AutoRecovery": "sometimes"}, ClientToken="other")
        )


def test_a_client_token_launches_once_even_after_the_termination(sandbox: Any) -> None:
    """EC2 API Reference, "Ensuring idempotency": the same response; a terminated instance does not return."""
    ec2 = sandbox.client()
    one, two = (ec2.run_instances(**arguments(sandbox))["Instances"][0]["InstanceId"] for _ in range(2))
    assert one == two
    with refused("IdempotentParameterMismatch"):
        ec2.run_instances(**arguments(sandbox, InstanceType="t3.medium"))
    ec2.terminate_instances(InstanceIds=[one])
    sandbox.clock.advance(5)
    assert ec2.run_instances(**arguments(sandbox))["Instances"][0]["InstanceId"] == one
    assert [row["State"]["Name"] for row in instances(ec2)] == ["terminated"]


def test_the_quota_of_on_demand_instances(sandbox: Any) -> None:
    """EC2 User Guide, "On-Demand Instance quotas": vCPUs of the group of families; spot instances do not count. The error
    is recorded in scrapoxy#202. Service Quotas: L-1216C47A.
    """
    ec2 = sandbox.client()
    sandbox.settings.on_demand_vcpu_quota = {"us-east-1": 4}
    ec2.run_instances(**arguments(sandbox))
    ec2.run_instances(
        **arguments(
            sandbox, ClientToken="spot", InstanceMarketOptions={"MarketType": "spot"}, MinCount=3, MaxCount=3
        )
    )
    with refused("VcpuLimitExceeded"):
        ec2.run_instances(**arguments(sandbox, ClientToken="two", InstanceType="t3.xlarge"))
    ec2.run_instances(**arguments(sandbox, ClientToken="three"))
    quota = sandbox.client("service-quotas").get_service_quota(ServiceCode="ec2", QuotaCode="L-1216C47A")[
        "Quota"
    ]
    assert quota["Value"] == 4.0
    elsewhere = sandbox.client("service-quotas", "eu-west-1")
    assert elsewhere.get_service_quota(ServiceCode="ec2", QuotaCode="L-1216C47A")["Quota"]["Value"] == 100_000


def test_a_stopped_instance_keeps_its_elastic_ip_and_loses_an_automatic_address(sandbox: Any) -> None:
    """EC2 User Guide, "Public IPv4 addresses" and "Elastic IP addresses"; the stopped instance uses no quota of vCPUs."""
    ec2 = sandbox.client()
    plain = ec2.run_instances(**arguments(sandbox, ClientToken="plain"))["Instances"][0]["InstanceId"]
    kept = ec2.run_instances(**arguments(sandbox, ClientToken="kept"))["Instances"][0]["InstanceId"]
    sandbox.clock.advance(2)
    address = ec2.allocate_address(Domain="vpc")
    ec2.associate_address(AllocationId=address["AllocationId"], InstanceId=kept)
    before = instances(ec2, InstanceIds=[plain])[0]["PublicIpAddress"]
    sandbox.clock.advance(3600)
    stopped_at = datetime.fromtimestamp(int(sandbox.clock.now()), UTC)
    ec2.stop_instances(InstanceIds=[plain, kept])
    sandbox.clock.advance(5)
    stopped = instances(ec2, InstanceIds=[kept])[0]
    assert stopped["StateTransitionReason"] == f"User initiated ({stopped_at:%Y-%m-%d %H:%M:%S} GMT)"
    assert stopped["StateReason"]["Code"] == "Client.UserInitiatedShutdown"
    assert "PublicIpAddress" not in instances(ec2, InstanceIds=[plain])[0]
    assert instances(ec2, InstanceIds=[kept])[0]["PublicIpAddress"] == address["PublicIp"]
    ec2.start_instances(InstanceIds=[plain, kept])
    sandbox.clock.advance(5)
    rows = {row["InstanceId"]: row for row in instances(ec2)}
    assert {row["State"]["Name"] for row in rows.values()} == {"running"}
    assert {(row["StateTransitionReason"], "StateReason" in row) for row in rows.values()} == {("", False)}
    assert rows[kept]["PublicIpAddress"] == address["PublicIp"]
    assert rows[plain]["PublicIpAddress"] != before
    assert rows[plain]["PublicIpAddress"].startswith("127.")


def allow(*statements: tuple[str, str, dict[str, Any]]) -> dict[str, Any]:
    rows = [
        {"Effect": ALLOW, "Action": action, "Resource": resource}
        | ({"Condition": condition} if condition else {})
        for action, resource, condition in statements
    ]
    return {"Version": "2012-10-17", "Statement": rows}


MINE = {"StringEquals": {"aws:ResourceTag/bacalhau-cluster": "one"}}
NEW = {"StringEquals": {"aws:RequestTag/bacalhau-cluster": "one"}}


@pytest.mark.parametrize(
    ("call", "options", "kind", "action"),
    [
        ("allocate_address", {"Domain": "vpc"}, "elastic-ip", "AllocateAddress"),
        (
            "create_volume",
            {"AvailabilityZone": "us-east-1a", "Size": 1, "VolumeType": "gp3"},
            "volume",
            "CreateVolume",
        ),
    ],
)
def test_permission_to_create_with_tags(
    sandbox: Any, call: str, options: dict[str, Any], kind: str, action: str
) -> None:
    """AllocateAddress: elastic-ip; CreateVolume: volume; tags need ec2:CreateTags for the new resource."""
    create = getattr(sandbox.client(), call)
    resource = f"arn:aws:ec2:us-east-1:000000000000:{kind}/*"
    sandbox.settings.policies = [allow((f"ec2:{action}", resource, NEW))]
    with refused("UnauthorizedOperation"):
        create(**options)
    with refused("UnauthorizedOperation"):
        create(**options, TagSpecifications=spec(kind))
    by_action = {"StringEquals": {"ec2:CreateAction": action}}
    sandbox.settings.policies.append(allow(("ec2:CreateTags", resource, by_action)))
    with refused("DryRunOperation"):
        create(**options, TagSpecifications=spec(kind), DryRun=True)
    create(**options, TagSpecifications=spec(kind))


def test_permission_to_attach_and_associate_names_both_resources(sandbox: Any) -> None:
    """AttachVolume: instance and volume; AssociateAddress: elastic-ip and instance; by the tags of each."""
    ec2 = sandbox.client()
    tagged = ec2.run_instances(**arguments(sandbox))["Instances"][0]["InstanceId"]
    plain = ec2.run_instances(**arguments(sandbox, ClientToken="plain", TagSpecifications=[]))["Instances"][
        0
    ]["InstanceId"]
    zone = {"AvailabilityZone": "us-east-1a", "Size": 1}
    volume = ec2.create_volume(**zone, TagSpecifications=spec("volume"))["VolumeId"]
    address = ec2.allocate_address(Domain="vpc", TagSpecifications=spec("elastic-ip"))["AllocationId"]
    sandbox.clock.advance(2)
    actions = (
        "AttachVolume",
        "DetachVolume",
        "DeleteVolume",
        "AssociateAddress",
        "DisassociateAddress",
        "ReleaseAddress",
    )
    sandbox.settings.policies = [allow(*((f"ec2:{action}", "*", MINE) for action in actions))]
    with refused("UnauthorizedOperation"):
        ec2.attach_volume(VolumeId=volume, InstanceId=plain, Device="/dev/sdf")
    with refused("UnauthorizedOperation"):
        ec2.associate_address(AllocationId=address, InstanceId=plain)
    ec2.attach_volume(VolumeId=volume, InstanceId=tagged, Device="/dev/sdf")
    association = ec2.associate_address(AllocationId=address, InstanceId=tagged)["AssociationId"]
    ec2.disassociate_address(AssociationId=association)
    ec2.release_address(AllocationId=address)
    ec2.detach_volume(VolumeId=volume)
    sandbox.clock.advance(2)
    ec2.delete_volume(VolumeId=volume)


@pytest.mark.parametrize("key", ["Name", "Arn"])
def test_a_profile_needs_permission_to_pass_its_role(sandbox: Any, key: str) -> None:
    """IAM User Guide, "Grant a user permissions to pass a role to an AWS service": whether named or by its ARN."""
    value = {"Name": "machine", "Arn": create_profile(sandbox)}[key]
    launch = arguments(sandbox, IamInstanceProfile={key: value})
    sandbox.settings.policies = [allow(("ec2:*", "*", {}))]
    with refused("UnauthorizedOperation"):
        sandbox.client().run_instances(**launch)
    sandbox.settings.policies.append(
        allow(
            (
                "iam:PassRole",
                "arn:aws:iam::000000000000:role/own/machine",
                {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}},
            )
        )
    )
    sandbox.client().run_instances(**launch)


def test_new_addresses_and_volumes_are_listed_late(sandbox: Any) -> None:
    """EC2 API Reference, "Eventual consistency"."""
    ec2 = sandbox.client()
    sandbox.settings.read_lag_s = 10
    volume = ec2.create_volume(AvailabilityZone="us-east-1a", Size=1)["VolumeId"]
    address = ec2.allocate_address(Domain="vpc")["AllocationId"]
    assert ec2.describe_volumes()["Volumes"] == ec2.describe_addresses()["Addresses"] == []
    with refused("InvalidVolume.NotFound"):
        ec2.describe_volumes(VolumeIds=[volume])
    with refused("InvalidAllocationID.NotFound"):
        ec2.release_address(AllocationId=address)
    sandbox.clock.advance(10)
    assert len(ec2.describe_volumes()["Volumes"]) == len(ec2.describe_addresses()["Addresses"]) == 1
