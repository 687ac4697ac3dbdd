"""CPU credits, default keys and images without an EBS root. Each test names its source."""

from __future__ import annotations

from typing import Any

from sandbox.ec2.clusters import (
    build_fleet,
    build_network,
    build_template,
    codes,
    fleet_ids,
    image,
    instances,
    overrides,
    states,
    template_data,
)


def test_unlimited_unless_the_template_says_standard(sandbox: Any) -> None:
    """EC2 user guide, "Unlimited mode": t3, t3a and t4g launch as unlimited by default."""
    ec2 = sandbox.client()
    net = build_network(ec2)
    plain = build_template(ec2, net["group"])
    standard = build_template(ec2, net["group"], "standard", CreditSpecification={"CpuCredits": "standard"})
    (instance_id,) = fleet_ids(build_fleet(ec2, plain, overrides(net["subnets"]), 1))
    (other,) = fleet_ids(build_fleet(ec2, standard, overrides(net["subnets"]), 1))
    rows = ec2.describe_instance_credit_specifications(InstanceIds=[instance_id, other])
    credits_of = {row["InstanceId"]: row["CpuCredits"] for row in rows["InstanceCreditSpecifications"]}
    assert credits_of == {instance_id: "unlimited", other: "standard"}


def test_credits_are_for_t_instances_alone(sandbox: Any) -> None:
    """EC2 API reference, RequestLaunchTemplateData: "Valid only for T instances"; terraform-provider-aws#5081."""
    ec2 = sandbox.client()
    net = build_network(ec2)
    template = build_template(ec2, net["group"], CreditSpecification={"CpuCredits": "standard"})
    fleet = build_fleet(ec2, template, overrides(net["subnets"], ("m5.large",)), 1)
    assert fleet_ids(fleet) == [] and "InvalidParameterCombination" in codes(fleet)


def test_a_default_key_that_spot_may_not_use(sandbox: Any) -> None:
    """F14: runs-on#151, karpenter-provider-aws#1407: the instance terminates within seconds with Client.InternalError."""
    sandbox.settings.default_key_without_spot = True
    ec2 = sandbox.client()
    assert ec2.get_ebs_default_kms_key_id()["KmsKeyId"].startswith("arn:aws:kms:")
    net = build_network(ec2)
    ids = fleet_ids(build_fleet(ec2, build_template(ec2, net["group"]), overrides(net["subnets"]), 1))
    sandbox.clock.sleep(5)
    (row,) = instances(ec2, InstanceIds=ids)
    assert row["State"]["Name"] == "terminated" and row["StateReason"]["Code"] == "Client.InternalError"
    disks = template_data(net["group"])["BlockDeviceMappings"]
    disks[0]["Ebs"]["KmsKeyId"] = "alias/aws/ebs"
    template = build_template(ec2, net["group"], "aws-key", BlockDeviceMappings=disks)
    ids = fleet_ids(build_fleet(ec2, template, overrides(net["subnets"]), 1))
    sandbox.clock.sleep(5)
    assert states(ec2, ids) == {"running"}


def test_encryption_by_default_takes_the_default_key(sandbox: Any) -> None:
    """F14: EC2 API reference, EnableEbsEncryptionByDefault: new disks "are always encrypted", without a parameter."""
    sandbox.settings.default_key_without_spot = True
    ec2 = sandbox.client()
    net = build_network(ec2)
    disks = template_data(net["group"])["BlockDeviceMappings"]
    del disks[0]["Ebs"]["Encrypted"]
    template = build_template(ec2, net["group"], "plain", BlockDeviceMappings=disks)
    for by_default, state in ((False, "running"), (True, "terminated")):
        if by_default:
            ec2.enable_ebs_encryption_by_default()
        assert ec2.get_ebs_encryption_by_default()["EbsEncryptionByDefault"] is by_default
        ids = fleet_ids(build_fleet(ec2, template, overrides(net["subnets"]), 1))
        sandbox.clock.sleep(5)
        assert states(ec2, ids) == {state}


def test_an_instance_store_image_has_no_root_device(sandbox: Any) -> None:
    """F18: recorded by cloud-custodian (test_ami_set_permissions_remove_matched_no_add); RegisterImage with ImageLocation."""
    ec2 = sandbox.client()
    reply = ec2.register_image(Name="old", ImageLocation="bucket/image.manifest.xml", Architecture="x86_64")
    (row,) = ec2.describe_images(ImageIds=[reply["ImageId"]])["Images"]
    assert row["RootDeviceType"] == "instance-store" and "RootDeviceName" not in row
    assert image(ec2) != reply["ImageId"]
