"""CreateImage and CopyImage: states, names, tags, refusals. The codes are in the EC2 API reference, "Error codes"."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.ec2.clusters import image, refused, spec

REGION, OTHER = "us-east-1", "eu-west-1"


@pytest.fixture
def instance(sandbox: Any) -> str:
    """A running instance."""
    ec2 = sandbox.client()
    reply = ec2.run_instances(ImageId=image(ec2), InstanceType="t3.micro", MinCount=1, MaxCount=1)
    sandbox.clock.advance(30)
    return str(reply["Instances"][0]["InstanceId"])


def described(sandbox: Any, region: str, image_id: str) -> dict[str, Any]:
    found: dict[str, Any] = sandbox.client("ec2", region).describe_images(ImageIds=[image_id])["Images"][0]
    return found


def made(sandbox: Any, instance: str, name: str = "first") -> str:
    """The id of an image that is available."""
    reply = sandbox.client().create_image(
        InstanceId=instance, Name=name, TagSpecifications=spec("image", "snapshot")
    )
    sandbox.clock.advance(10)
    return str(described(sandbox, REGION, reply["ImageId"])["ImageId"])


def test_an_image_is_pending_and_then_available(sandbox: Any, instance: str) -> None:
    """With its tags and a snapshot of its own from the beginning; until it is available, nothing starts from it."""
    ec2 = sandbox.client()
    image_id = ec2.create_image(
        InstanceId=instance, Name="first", TagSpecifications=spec("image", "snapshot")
    )["ImageId"]
    found = described(sandbox, REGION, image_id)
    assert (found["State"], found["Architecture"], found["Public"]) == ("pending", "x86_64", False)
    (snapshot,) = ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]
    assert found["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"] == snapshot["SnapshotId"]
    assert snapshot["Tags"] == found["Tags"]
    launch = {"ImageId": image_id, "InstanceType": "t3.micro", "MinCount": 1, "MaxCount": 1}
    with refused("InvalidAMIID.Unavailable"):
        ec2.run_instances(**launch)
    with refused("InvalidAMIID.Unavailable"):
        sandbox.client("ec2", OTHER).copy_image(SourceRegion=REGION, SourceImageId=image_id, Name="copy")
    sandbox.clock.advance(10)
    assert described(sandbox, REGION, image_id)["State"] == "available"
    ec2.run_instances(**launch)


def test_a_copy_has_an_id_a_snapshot_and_tags_of_its_own(sandbox: Any, instance: str) -> None:
    """CopyImage: user-defined tags are not copied; a repeated client token returns the same copy."""
    source, there = made(sandbox, instance), sandbox.client("ec2", OTHER)
    request = {"SourceRegion": REGION, "SourceImageId": source, "Name": "first", "ClientToken": "once"}
    copied = there.copy_image(**request)["ImageId"]
    assert there.copy_image(**request)["ImageId"] == copied
    with refused("IdempotentParameterMismatch"):
        there.copy_image(**{**request, "Name": "second"})
    sandbox.clock.advance(10)
    found = described(sandbox, OTHER, copied)
    assert (found["State"], found["SourceImageId"], found.get("Tags")) == ("available", source, None)
    snapshot = found["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    with refused("InvalidSnapshot.InUse"):
        there.delete_snapshot(SnapshotId=snapshot)
    sandbox.client().deregister_image(ImageId=source)
    there.run_instances(ImageId=copied, InstanceType="t3.micro", MinCount=1, MaxCount=1)


def test_refusals(sandbox: Any, instance: str) -> None:
    ec2 = sandbox.client()
    made(sandbox, instance)
    with refused("InvalidAMIName.Duplicate"):
        ec2.create_image(InstanceId=instance, Name="first")
    for name in ("an#image", "one*"):
        with refused("InvalidAMIName.Malformed"):
            ec2.create_image(InstanceId=instance, Name=name)
    with refused("InvalidParameterValue"):
        ec2.create_image(InstanceId=instance, Name="tagged", TagSpecifications=spec("instance"))
    with refused("InvalidInstanceID.NotFound"):
        ec2.create_image(InstanceId="i-0123456789abcdef0", Name="second")
    with refused("InvalidAMIID.NotFound"):
        sandbox.client("ec2", OTHER).copy_image(
            SourceRegion=REGION, SourceImageId="ami-0123456789abcdef0", Name="copy"
        )
    ec2.terminate_instances(InstanceIds=[instance])
    with refused("IncorrectState"):
        ec2.create_image(InstanceId=instance, Name="second")


def test_a_stopped_instance_and_its_disk(sandbox: Any, instance: str) -> None:
    ec2 = sandbox.client()
    ec2.stop_instances(InstanceIds=[instance])
    image_id = made(sandbox, instance)
    ec2.terminate_instances(InstanceIds=[instance])
    sandbox.clock.advance(30)
    assert described(sandbox, REGION, image_id)["BlockDeviceMappings"][0]["Ebs"]["VolumeSize"] == 8
    assert len(ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]) == 1
