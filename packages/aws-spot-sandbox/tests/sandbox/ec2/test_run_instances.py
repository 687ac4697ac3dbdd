"""RunInstances: counts, validation, refusals. Source: EC2 API reference, RunInstances and error codes."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from sandbox.ec2.clusters import (
    BORN_WITH_AN_INSTANCE,
    TAGS,
    build_network,
    build_template,
    image,
    instances,
    refused,
    spec,
    tags_of,
)

SPOT = {"MarketType": "spot"}


def run(ec2: Any, **options: Any) -> Any:
    arguments = {"ImageId": image(ec2), "InstanceType": "t3.micro", "MinCount": 1, "MaxCount": 1}
    return ec2.run_instances(
        **{key: value for key, value in (arguments | options).items() if value is not None}
    )


def test_as_many_as_fit_between_least_and_most(sandbox: Any) -> None:
    """MaxCount, "if you specify more than EC2 can launch, the largest possible number above MinCount"."""
    ec2 = sandbox.client()
    assert len(run(ec2, MaxCount=4)["Instances"]) == 4
    sandbox.world.settings.capacity = {"us-east-1": 6}
    assert len(run(ec2, MaxCount=4)["Instances"]) == 2
    with refused("InsufficientInstanceCapacity"):
        run(ec2)


def test_one_spot_call_tags_all_that_is_born(sandbox: Any) -> None:
    """Tag specifications for instance, volume, interface and spot request in the one call."""
    ec2 = sandbox.client()
    instance = run(ec2, InstanceMarketOptions=SPOT, TagSpecifications=spec(*BORN_WITH_AN_INSTANCE))[
        "Instances"
    ][0]
    assert instance["InstanceLifecycle"] == "spot"
    assert instance["SpotInstanceRequestId"]
    wanted = {tag["Key"]: tag["Value"] for tag in TAGS}
    cluster_filter = [{"Name": "tag:bacalhau-cluster", "Values": ["one"]}]
    assert tags_of(instance) == wanted
    assert [tags_of(row) for row in ec2.describe_volumes(Filters=cluster_filter)["Volumes"]] == [wanted]
    enis = ec2.describe_network_interfaces(Filters=cluster_filter)["NetworkInterfaces"]
    assert [tags_of(row, "TagSet") for row in enis] == [wanted]
    requests = ec2.describe_spot_instance_requests(Filters=cluster_filter)["SpotInstanceRequests"]
    assert [tags_of(row) for row in requests] == [wanted]


def test_request_tags_need_a_request(sandbox: Any) -> None:
    """On-demand with spot request tags is InvalidParameterValue (recorded in karpenter-provider-aws issue 5850)."""
    with refused("InvalidParameterValue"):
        run(sandbox.client(), TagSpecifications=spec("spot-instances-request"))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"ImageId": "ami-00000000000000000"}, "InvalidAMIID.NotFound"),
        ({"ImageId": "ami-nonsense"}, "InvalidAMIID.Malformed"),
        ({"ImageId": None}, "MissingParameter"),
        ({"InstanceType": "t9.micro"}, "InvalidParameterValue"),
        ({"InstanceType": "t4g.micro"}, "InvalidParameterValue"),
        ({"SubnetId": "subnet-00000000000000000"}, "InvalidSubnetID.NotFound"),
        ({"SecurityGroupIds": ["sg-00000000000000000"]}, "InvalidGroup.NotFound"),
        ({"KeyName": "nobody"}, "InvalidKeyPair.NotFound"),
        ({"UserData": base64.b64encode(b"x" * 16385)}, "InvalidParameterValue"),
        (
            {"LaunchTemplate": {"LaunchTemplateId": "lt-00000000000000000"}},
            "InvalidLaunchTemplateId.NotFound",
        ),
        (
            {"LaunchTemplate": {"LaunchTemplateName": "nobody"}},
            "InvalidLaunchTemplateName.NotFoundException",
        ),
        ({"Placement": {"AvailabilityZone": "us-west-2a"}}, "InvalidParameterValue"),
        ({"MinCount": 2, "MaxCount": 1}, "InvalidParameterValue"),
        ({"TagSpecifications": spec("vpc")}, "InvalidParameterValue"),
        (
            {"BlockDeviceMappings": [{"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": 4}}]},
            "InvalidBlockDeviceMapping",
        ),
    ],
)
def test_what_aws_refuses(sandbox: Any, change: dict[str, Any], code: str) -> None:
    """The error codes of EC2's reference; nothing is launched."""
    ec2 = sandbox.client()
    with refused(code):
        run(ec2, **change)
    assert instances(ec2) == []


def test_a_group_of_another_network(sandbox: Any) -> None:
    """InvalidParameter: "Security group … and subnet … belong to different networks." (ansible-modules-core issue 347)"""
    ec2 = sandbox.client()
    net = build_network(ec2)
    with refused("InvalidParameter") as caught:
        run(ec2, SecurityGroupIds=[net["group"]])
    assert "belong to different networks" in str(caught.value)


def test_a_type_that_the_zone_does_not_offer(sandbox: Any) -> None:
    """Unsupported, with the zones that offer it."""
    sandbox.world.settings.not_offered = ["us-east-1a/t3.micro"]
    ec2 = sandbox.client()
    with refused("Unsupported") as caught:
        run(ec2, Placement={"AvailabilityZone": "us-east-1a"})
    assert "us-east-1b" in str(caught.value)
    assert run(ec2)["Instances"][0]["Placement"]["AvailabilityZone"] == "us-east-1b"


def test_the_interface_block_decides_network_groups_and_address(sandbox: Any) -> None:
    """NetworkInterfaces: subnet, groups, public address; not together with an instance-level subnet or groups."""
    ec2 = sandbox.client()
    net = build_network(ec2)
    subnet = net["subnets"]["us-east-1b"]
    block = {
        "DeviceIndex": 0,
        "SubnetId": subnet,
        "Groups": [net["group"]],
        "AssociatePublicIpAddress": False,
    }
    instance = instances(
        ec2, InstanceIds=[run(ec2, NetworkInterfaces=[block])["Instances"][0]["InstanceId"]]
    )[0]
    assert instance["SubnetId"] == subnet
    assert instance["VpcId"] == net["vpc"]
    assert "PublicIpAddress" not in instance
    assert [group["GroupId"] for group in instance["SecurityGroups"]] == [net["group"]]
    with refused("InvalidParameterCombination"):
        run(ec2, NetworkInterfaces=[block], SubnetId=subnet)
    with refused("InvalidParameterCombination"):
        run(ec2, NetworkInterfaces=[block], SecurityGroupIds=[net["group"]])


def test_a_template_gives_what_the_call_leaves_open(sandbox: Any) -> None:
    """Parameters of the request override those of the template; market options are included."""
    ec2 = sandbox.client()
    net = build_network(ec2)
    data: dict[str, Any] = {"InstanceType": "t3.small", "ImageId": image(ec2), "InstanceMarketOptions": SPOT}
    template = build_template(ec2, net["group"], **data)
    network = [{"DeviceIndex": 0, "SubnetId": net["subnets"]["us-east-1a"], "Groups": [net["group"]]}]
    which = {"LaunchTemplateId": template, "Version": "$Default"}
    instance = run(ec2, ImageId=None, InstanceType=None, LaunchTemplate=which, NetworkInterfaces=network)[
        "Instances"
    ][0]
    assert (instance["InstanceType"], instance["InstanceLifecycle"]) == ("t3.small", "spot")
    assert tags_of(instance)["aws:ec2launchtemplate:id"] == template
    bigger = run(ec2, InstanceType="t3.large", ImageId=None, LaunchTemplate=which, NetworkInterfaces=network)
    assert bigger["Instances"][0]["InstanceType"] == "t3.large"


def test_profile_key_and_monitoring_are_shown(sandbox: Any) -> None:
    ec2 = sandbox.client()
    sandbox.client("iam").create_instance_profile(InstanceProfileName="worker")
    ec2.create_key_pair(KeyName="mine")
    instance = run(ec2, IamInstanceProfile={"Name": "worker"}, KeyName="mine", Monitoring={"Enabled": True})[
        "Instances"
    ][0]
    assert instance["IamInstanceProfile"]["Arn"].endswith(":instance-profile/worker")
    assert instance["KeyName"] == "mine"
    assert instance["Monitoring"]["State"] == "enabled"


def test_a_profile_is_known_to_ec2_some_time_after_its_birth(sandbox: Any) -> None:
    """IAM user guide, "Troubleshoot IAM roles": not always immediately visible. An unknown profile never is."""
    ec2, iam = sandbox.client(), sandbox.client("iam")
    with refused("InvalidParameterValue"):
        run(ec2, IamInstanceProfile={"Name": "late"})
    sandbox.world.settings.iam_lag_s = 10
    iam.create_instance_profile(InstanceProfileName="late")
    with refused("InvalidParameterValue"):
        run(ec2, IamInstanceProfile={"Name": "late"})
    sandbox.clock.advance(10)
    assert run(ec2, IamInstanceProfile={"Name": "late"})["Instances"]


def test_spot_prices_and_quotas_refuse(sandbox: Any) -> None:
    """SpotMaxPriceTooLow and MaxSpotInstanceCountExceeded; on-demand launches are not affected."""
    ec2 = sandbox.client()
    cheap = {"MarketType": "spot", "SpotOptions": {"MaxPrice": "0.0001"}}
    with refused("SpotMaxPriceTooLow"):
        run(ec2, InstanceMarketOptions=cheap)
    sandbox.world.settings.spot_vcpu_quota = {"*": 3}
    run(ec2, InstanceMarketOptions=SPOT)
    with refused("MaxSpotInstanceCountExceeded"):
        run(ec2, InstanceMarketOptions=SPOT)
    run(ec2)
