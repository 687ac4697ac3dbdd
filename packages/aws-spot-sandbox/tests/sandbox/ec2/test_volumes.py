"""EBS volumes. Source: EC2 API Reference, CreateVolume, AttachVolume, DetachVolume, DeleteVolume; EBS User Guide."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.ec2.clusters import TAGS, image, instances, refused, spec

ZONE = "us-east-1a"


def launch(sandbox: Any, *, settle: bool = True, **options: Any) -> str:
    ec2 = sandbox.client()
    arguments: dict[str, Any] = {
        "ImageId": image(ec2),
        "InstanceType": "t3.small",
        "MinCount": 1,
        "MaxCount": 1,
        "Placement": {"AvailabilityZone": ZONE},
    }
    instance_id = ec2.run_instances(**arguments | options)["Instances"][0]["InstanceId"]
    if settle:
        sandbox.clock.advance(2)
    return str(instance_id)


def create(sandbox: Any, *, settle: bool = True, **options: Any) -> str:
    arguments = {"AvailabilityZone": ZONE, "Size": 20, "VolumeType": "gp3", "Encrypted": True}
    volume_id = sandbox.client().create_volume(**arguments | options)["VolumeId"]
    if settle:
        sandbox.clock.advance(2)
    return str(volume_id)


def volume(sandbox: Any, volume_id: str) -> Any:
    return sandbox.client().describe_volumes(VolumeIds=[volume_id])["Volumes"][0]


def attach(sandbox: Any, volume_id: str, instance_id: str, device: str = "/dev/sdf") -> Any:
    return sandbox.client().attach_volume(VolumeId=volume_id, InstanceId=instance_id, Device=device)


def test_a_volume_is_tagged_at_birth_and_becomes_available(sandbox: Any) -> None:
    """CreateVolume, TagSpecifications, State: creating, then available (EBS User Guide, "volume lifecycle")."""
    ec2 = sandbox.client()
    made = ec2.create_volume(
        AvailabilityZone=ZONE,
        Size=20,
        VolumeType="gp3",
        Encrypted=True,
        ClientToken="one",
        TagSpecifications=spec("volume"),
    )
    assert (made["State"], made["Encrypted"], made["Iops"], made["Tags"]) == ("creating", True, 3000, TAGS)
    with refused("IncorrectState"):
        ec2.delete_volume(VolumeId=made["VolumeId"])
    sandbox.clock.advance(2)
    found = ec2.describe_volumes(Filters=[{"Name": "tag:bacalhau-cluster", "Values": ["one"]}])["Volumes"]
    assert [(row["VolumeId"], row["State"]) for row in found] == [(made["VolumeId"], "available")]


def test_a_repeated_client_token_returns_the_same_volume(sandbox: Any) -> None:
    """CreateVolume, ClientToken."""
    one, two = (create(sandbox, ClientToken="token") for _ in range(2))
    assert one == two
    with refused("IdempotentParameterMismatch"):
        create(sandbox, ClientToken="token", Size=21)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"AvailabilityZone": "us-east-1z"}, "InvalidZone.NotFound"),
        ({"AvailabilityZone": None}, "MissingParameter"),
        ({"Size": None}, "MissingParameter"),
        ({"Size": 65_537}, "InvalidParameterValue"),
        ({"VolumeType": "st1", "Size": 100}, "InvalidParameterValue"),
        ({"Encrypted": False, "KmsKeyId": "alias/own"}, "InvalidParameterDependency"),
        ({"TagSpecifications": spec("instance")}, "InvalidParameterValue"),
        ({"SnapshotId": "snap-00000000000000000"}, "InvalidSnapshot.NotFound"),
    ],
)
def test_wrong_volumes_are_refused(sandbox: Any, change: dict[str, Any], code: str) -> None:
    """CreateVolume, "Error codes"; EBS User Guide, "EBS volume types" (sizes)."""
    arguments = {"AvailabilityZone": ZONE, "Size": 20, "VolumeType": "gp3", "Encrypted": True} | change
    with refused(code):
        sandbox.client().create_volume(
            **{name: value for name, value in arguments.items() if value is not None}
        )
    assert sandbox.client().describe_volumes()["Volumes"] == []


def test_the_states_of_an_attachment(sandbox: Any) -> None:
    """AttachVolume, DetachVolume: attaching, attached, detaching; the volume is in-use, then available."""
    ec2 = sandbox.client()
    instance_id, volume_id = launch(sandbox), create(sandbox)
    assert attach(sandbox, volume_id, instance_id)["State"] == "attaching"
    shown = volume(sandbox, volume_id)
    assert (shown["State"], shown["Attachments"][0]["State"]) == ("in-use", "attaching")
    sandbox.clock.advance(2)
    row = volume(sandbox, volume_id)["Attachments"][0]
    assert (row["State"], row["Device"], row["InstanceId"]) == ("attached", "/dev/sdf", instance_id)
    assert row["DeleteOnTermination"] is False
    disks = {disk["DeviceName"]: disk["Ebs"] for disk in instances(ec2)[0]["BlockDeviceMappings"]}
    assert (disks["/dev/sdf"]["VolumeId"], disks["/dev/sdf"]["Status"]) == (volume_id, "attached")
    assert ec2.detach_volume(VolumeId=volume_id)["State"] == "detaching"
    with refused("VolumeInUse"):
        ec2.delete_volume(VolumeId=volume_id)
    sandbox.clock.advance(2)
    assert volume(sandbox, volume_id)["State"] == "available"
    ec2.delete_volume(VolumeId=volume_id)
    with refused("InvalidVolume.NotFound"):
        ec2.describe_volumes(VolumeIds=[volume_id])


def test_attachments_that_are_refused(sandbox: Any) -> None:
    """AttachVolume, "Error codes"; a pending instance is recorded in amazon.aws#497, a used device in terraform#8565."""
    instance_id, volume_id = launch(sandbox), create(sandbox)
    with refused("InvalidVolume.NotFound"):
        attach(sandbox, "vol-00000000000000000", instance_id)
    with refused("InvalidInstanceID.NotFound"):
        attach(sandbox, volume_id, "i-00000000000000000")
    with refused("InvalidVolume.ZoneMismatch"):
        attach(sandbox, create(sandbox, AvailabilityZone="us-east-1b"), instance_id)
    with refused("InvalidParameterValue"):
        attach(sandbox, volume_id, instance_id, device="data")
    with refused("IncorrectState"):
        attach(sandbox, create(sandbox, settle=False), instance_id)
    with refused("IncorrectState"):
        attach(sandbox, volume_id, launch(sandbox, settle=False))
    attach(sandbox, volume_id, instance_id)
    with refused("VolumeInUse"):
        attach(sandbox, volume_id, launch(sandbox))
    with refused("InvalidParameterValue"):
        attach(sandbox, create(sandbox), instance_id)
    sandbox.client().terminate_instances(InstanceIds=[instance_id])
    with refused("IncorrectState"):
        attach(sandbox, create(sandbox), instance_id)


def test_a_stopped_instance_takes_a_volume(sandbox: Any) -> None:
    """AttachVolume: "Attaches an Amazon EBS volume to a running or stopped instance"."""
    instance_id, volume_id = launch(sandbox), create(sandbox)
    sandbox.client().stop_instances(InstanceIds=[instance_id])
    sandbox.clock.advance(5)
    attach(sandbox, volume_id, instance_id)
    assert volume(sandbox, volume_id)["State"] == "in-use"


def test_a_volume_outlives_its_instance(sandbox: Any) -> None:
    """EC2 User Guide, "Preserve data when an instance is terminated": DeleteOnTermination is false when attached later."""
    ec2 = sandbox.client()
    instance_id, volume_id = launch(sandbox), create(sandbox)
    attach(sandbox, volume_id, instance_id)
    ec2.terminate_instances(InstanceIds=[instance_id])
    assert volume(sandbox, volume_id)["State"] == "in-use"
    sandbox.clock.advance(5)
    assert volume(sandbox, volume_id)["State"] == "available"
    assert [row["VolumeId"] for row in ec2.describe_volumes()["Volumes"]] == [volume_id]
    attach(sandbox, volume_id, launch(sandbox))


def test_a_detachment_names_the_attachment(sandbox: Any) -> None:
    """DetachVolume, InstanceId and Device; "Error codes": InvalidAttachment.NotFound."""
    ec2 = sandbox.client()
    instance_id, volume_id = launch(sandbox), create(sandbox)
    with refused("IncorrectState"):
        ec2.detach_volume(VolumeId=volume_id)
    attach(sandbox, volume_id, instance_id)
    with refused("InvalidAttachment.NotFound"):
        ec2.detach_volume(VolumeId=volume_id, Device="/dev/sdg")
    ec2.detach_volume(VolumeId=volume_id, InstanceId=instance_id, Device="/dev/sdf")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("status", "in-use"),
        ("attachment.device", "/dev/sdf"),
        ("attachment.status", "attached"),
        ("size", "20"),
        ("encrypted", "true"),
        ("volume-type", "gp3"),
    ],
)
def test_filters_of_volumes(sandbox: Any, name: str, value: str) -> None:
    """DescribeVolumes, Filters."""
    ec2 = sandbox.client()
    instance_id, volume_id = launch(sandbox), create(sandbox)
    attach(sandbox, volume_id, instance_id)
    create(sandbox, Size=5, VolumeType="gp2", Encrypted=False)
    mine = {
        "Name": "volume-id",
        "Values": [row["VolumeId"] for row in ec2.describe_volumes()["Volumes"] if row["SnapshotId"] == ""],
    }
    rows = ec2.describe_volumes(Filters=[{"Name": name, "Values": [value]}, mine])["Volumes"]
    assert [row["VolumeId"] for row in rows] == [volume_id]
