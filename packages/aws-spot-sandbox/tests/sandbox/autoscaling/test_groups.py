"""Groups. Source: Auto Scaling API reference, CreateAutoScalingGroup, UpdateAutoScalingGroup, DeleteAutoScalingGroup."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.autoscaling.scaling_groups import NAME, TYPES, ZONES, Setting
from sandbox.ec2.clusters import build_template, refused, spec, tags_of


def test_a_group_launches_spot_instances_over_its_zones(setting: Setting) -> None:
    """User guide, "Instance distribution": the zones have equal numbers; the pools are those of the overrides."""
    setting.group(4)
    instances = setting.running()
    assert sorted(row["Placement"]["AvailabilityZone"] for row in instances) == sorted(ZONES * 2)
    assert {row["InstanceLifecycle"] for row in instances} == {"spot"}
    assert {row["InstanceType"] for row in instances} <= set(TYPES)
    requests = setting.ec2.describe_spot_instance_requests()["SpotInstanceRequests"]
    assert {row["InstanceId"] for row in requests} == {row["InstanceId"] for row in instances}
    assert set(setting.states().values()) == {"Pending"}
    setting.advance(1)
    row = setting.described()
    assert {instance["LifecycleState"] for instance in row["Instances"]} == {"InService"}
    assert {instance["HealthStatus"] for instance in row["Instances"]} == {"Healthy"}
    assert row["AvailabilityZones"] == list(ZONES)
    assert (row["MinSize"], row["DesiredCapacity"], row["MaxSize"]) == (0, 4, 20)


def test_an_instance_has_the_tags_of_group_and_template(setting: Setting) -> None:
    """API reference, Tags: the group's value overrides the template's; tags are not propagated to volumes."""
    tags = [
        {"Key": "Name", "Value": "of the group", "PropagateAtLaunch": True},
        {"Key": "mine", "Value": "only", "PropagateAtLaunch": False},
    ]
    setting.group(1, Tags=tags)
    (instance,) = setting.running()
    assert tags_of(instance) == {
        "aws:autoscaling:groupName": NAME,
        "aws:ec2launchtemplate:id": setting.template,
        "aws:ec2launchtemplate:version": "1",
        "bacalhau-cluster": "one",
        "Name": "of the group",
    }
    (volume,) = setting.ec2.describe_volumes()["Volumes"]
    assert tags_of(volume)["Name"] == "bacalhau-x"
    (member,) = setting.described()["Instances"]
    assert member["LaunchTemplate"]["Version"] == "1"


def test_an_override_has_its_own_template(setting: Setting) -> None:
    """LaunchTemplateOverrides: for instance another AMI for another architecture."""
    arm = setting.ec2.describe_images(
        Filters=[
            {"Name": "name", "Values": ["ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-*"]},
            {"Name": "architecture", "Values": ["arm64"]},
        ]
    )["Images"][0]["ImageId"]
    other = build_template(setting.ec2, setting.net["group"], "arm", ImageId=arm)
    policy = setting.policy(("t3.medium",))
    policy["LaunchTemplate"]["Overrides"].append(
        {"InstanceType": "t4g.medium", "LaunchTemplateSpecification": {"LaunchTemplateName": "arm"}}
    )
    setting.sandbox.settings.capacity = {f"{zone}/t3.medium": 0 for zone in ZONES}
    setting.group(2, MixedInstancesPolicy=policy)
    instances = setting.running()
    assert {row["InstanceType"] for row in instances} == {"t4g.medium"}
    assert {row["ImageId"] for row in instances} == {arm}
    assert {row["LaunchTemplate"]["LaunchTemplateId"] for row in setting.described()["Instances"]} == {other}


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"DesiredCapacity": 30}, "Desired capacity:30 must be between"),
        ({"MinSize": 9, "MaxSize": 8}, "must be greater than or equal to min bound"),
        ({"VPCZoneIdentifier": "subnet-0123456789abcdef0"}, "does not exist"),
        ({"VPCZoneIdentifier": " "}, "At least one Availability Zone or VPC Subnet"),
        ({"MixedInstancesPolicy": None}, "Valid requests must contain either LaunchTemplate"),
        ({"AutoScalingGroupName": "a:b"}, "no colon"),
        ({"HealthCheckType": "GUESS"}, "Invalid health check type"),
        ({"TerminationPolicies": ["Random"]}, "Invalid termination policy"),
        ({"Tags": [{"Key": "aws:x", "Value": "1"}]}, "reserved"),
    ],
)
def test_invalid_groups(setting: Setting, change: dict[str, Any], text: str) -> None:
    options = {key: value for key, value in {"desired": 1, **change}.items() if value is not None}
    if change.get("MixedInstancesPolicy", 1) is None:
        with pytest.raises(ClientError, match=text):
            setting.scaling.create_auto_scaling_group(
                AutoScalingGroupName=NAME,
                MinSize=0,
                MaxSize=1,
                VPCZoneIdentifier=setting.net["subnets"][ZONES[0]],
            )
        return
    with pytest.raises(ClientError, match=text) as wrong:
        setting.group(**options)
    assert wrong.value.response["Error"]["Code"] == "ValidationError"


def test_templates_that_a_group_refuses(setting: Setting) -> None:
    """User guide, "Create a launch template": no market options with mixed instances; a fully-formed template."""
    build_template(
        setting.ec2,
        setting.net["group"],
        "spot",
        ImageId=setting.image,
        InstanceMarketOptions={"MarketType": "spot"},
    )
    build_template(setting.ec2, setting.net["group"], "bare")
    for name, text in (
        ("spot", "InstanceMarketOptions"),
        ("bare", "ImageId"),
        ("nobody", "fully-formed launch template"),
    ):
        policy = setting.policy()
        policy["LaunchTemplate"]["LaunchTemplateSpecification"] = {"LaunchTemplateName": name}
        with pytest.raises(ClientError, match=text):
            setting.group(MixedInstancesPolicy=policy)
    policy = setting.policy(("t4g.medium",))
    with pytest.raises(ClientError, match="architecture"):
        setting.group(MixedInstancesPolicy=policy)
    assert setting.scaling.describe_auto_scaling_groups()["AutoScalingGroups"] == []


def test_a_template_by_itself_is_on_demand_unless_it_asks_for_spot(setting: Setting) -> None:
    data = {"ImageId": setting.image, "InstanceType": "t3.small", "TagSpecifications": spec("instance")}
    build_template(setting.ec2, setting.net["group"], "plain", **data)
    setting.scaling.create_auto_scaling_group(
        AutoScalingGroupName=NAME,
        LaunchTemplate={"LaunchTemplateName": "plain", "Version": "1"},
        MinSize=1,
        MaxSize=1,
        VPCZoneIdentifier=setting.net["subnets"][ZONES[0]],
    )
    (instance,) = setting.running()
    assert "InstanceLifecycle" not in instance
    assert instance["InstanceType"] == "t3.small"
    build_template(
        setting.ec2, setting.net["group"], "spot", **data, InstanceMarketOptions={"MarketType": "spot"}
    )
    setting.scaling.update_auto_scaling_group(
        AutoScalingGroupName=NAME, LaunchTemplate={"LaunchTemplateName": "spot"}, MaxSize=2, DesiredCapacity=2
    )
    assert [row.get("InstanceLifecycle") for row in setting.running()] == [None, "spot"]


def test_a_name_is_taken_until_the_group_is_gone(setting: Setting) -> None:
    setting.sandbox.settings.terminate_s = 60.0
    setting.group(1)
    with refused("AlreadyExists"):
        setting.group(1)
    with refused("ResourceInUse"):
        setting.scaling.delete_auto_scaling_group(AutoScalingGroupName=NAME)
    setting.scaling.delete_auto_scaling_group(AutoScalingGroupName=NAME, ForceDelete=True)
    assert setting.described()["Status"] == "Delete in progress"
    with refused("AlreadyExists"):
        setting.group(1)
    with refused("ScalingActivityInProgress"):
        setting.scaling.update_auto_scaling_group(AutoScalingGroupName=NAME, MaxSize=3)
    with refused("ResourceInUse"):
        tag = {"ResourceId": NAME, "ResourceType": "auto-scaling-group", "Key": "k", "Value": "v"}
        setting.scaling.create_or_update_tags(Tags=[tag])
    setting.advance(60)
    assert setting.scaling.describe_auto_scaling_groups()["AutoScalingGroups"] == []
    assert setting.running() == []
    setting.group(1)
    assert len(setting.running()) == 1


def test_protection_from_deletion(setting: Setting) -> None:
    setting.group(0, DeletionProtection="prevent-force-deletion")
    with refused("ValidationError"):
        setting.scaling.delete_auto_scaling_group(AutoScalingGroupName=NAME, ForceDelete=True)
    setting.scaling.delete_auto_scaling_group(AutoScalingGroupName=NAME)
    assert setting.scaling.describe_auto_scaling_groups()["AutoScalingGroups"] == []


def test_the_size_follows_updates(setting: Setting) -> None:
    setting.group(4)
    setting.advance(1)
    setting.scaling.update_auto_scaling_group(AutoScalingGroupName=NAME, MaxSize=3)
    assert setting.described()["DesiredCapacity"] == 3
    setting.advance(2)
    assert len(setting.running()) == 3
    setting.scaling.set_desired_capacity(AutoScalingGroupName=NAME, DesiredCapacity=1)
    setting.advance(2)
    assert len(setting.running()) == 1
    assert len(setting.ids()) == 1
    for wrong in (4, 0):
        setting.scaling.update_auto_scaling_group(AutoScalingGroupName=NAME, MinSize=1)
        with refused("ValidationError"):
            setting.scaling.set_desired_capacity(AutoScalingGroupName=NAME, DesiredCapacity=wrong)
    with refused("ScalingActivityInProgress"):
        setting.scaling.set_desired_capacity(AutoScalingGroupName=NAME, DesiredCapacity=2, HonorCooldown=True)
    setting.advance(300)
    setting.scaling.set_desired_capacity(AutoScalingGroupName=NAME, DesiredCapacity=2, HonorCooldown=True)
    assert len(setting.running()) == 2


def test_scale_in_keeps_the_zones_balanced_and_spares_protected_instances(setting: Setting) -> None:
    setting.group(4)
    setting.advance(1)
    kept = setting.ids()[0]
    setting.scaling.set_instance_protection(
        AutoScalingGroupName=NAME, InstanceIds=[kept], ProtectedFromScaleIn=True
    )
    setting.scaling.set_desired_capacity(AutoScalingGroupName=NAME, DesiredCapacity=2)
    assert sorted(row["Placement"]["AvailabilityZone"] for row in setting.running()) == list(ZONES)
    setting.scaling.set_desired_capacity(AutoScalingGroupName=NAME, DesiredCapacity=0)
    assert [row["InstanceId"] for row in setting.running()] == [kept]


def test_suspended_processes_do_nothing(setting: Setting) -> None:
    setting.group(2)
    setting.advance(1)
    setting.scaling.suspend_processes(AutoScalingGroupName=NAME, ScalingProcesses=["Launch"])
    setting.scaling.set_desired_capacity(AutoScalingGroupName=NAME, DesiredCapacity=3)
    setting.advance(600)
    assert len(setting.running()) == 2
    assert [row["ProcessName"] for row in setting.described()["SuspendedProcesses"]] == ["Launch"]
    setting.scaling.resume_processes(AutoScalingGroupName=NAME)
    assert len(setting.running()) == 3
    with refused("ValidationError"):
        setting.scaling.suspend_processes(AutoScalingGroupName=NAME, ScalingProcesses=["Sleep"])


def test_groups_are_found_by_tags_and_in_pages(setting: Setting) -> None:
    for number in range(3):
        tags = [{"Key": "cluster", "Value": f"c{number % 2}"}]
        setting.group(0, AutoScalingGroupName=f"g{number}", Tags=tags)

    def names(**query: Any) -> list[str]:
        rows = setting.scaling.describe_auto_scaling_groups(**query)["AutoScalingGroups"]
        return [row["AutoScalingGroupName"] for row in rows]

    assert names(Filters=[{"Name": "tag:cluster", "Values": ["c0"]}]) == ["g0", "g2"]
    assert names(Filters=[{"Name": "tag-key", "Values": ["cluster"]}]) == ["g0", "g1", "g2"]
    assert names(Filters=[{"Name": "tag-key", "Values": ["other"]}]) == []
    assert names(AutoScalingGroupNames=["g1", "unknown"]) == ["g1"]
    first = setting.scaling.describe_auto_scaling_groups(MaxRecords=2)
    assert len(first["AutoScalingGroups"]) == 2
    assert names(MaxRecords=2, NextToken=first["NextToken"]) == ["g2"]
    for wrong in ({"MaxRecords": 101}, {"Filters": [{"Name": "zone", "Values": ["a"]}]}):
        with refused("ValidationError"):
            names(**wrong)
    with refused("InvalidNextToken"):
        names(NextToken="x")


def test_tags_of_groups(setting: Setting) -> None:
    setting.group(1)
    tag = {"ResourceId": NAME, "ResourceType": "auto-scaling-group", "Key": "k", "PropagateAtLaunch": True}
    setting.scaling.create_or_update_tags(Tags=[{**tag, "Value": "v"}])
    assert "k" not in tags_of(setting.running()[0])
    setting.scaling.set_desired_capacity(AutoScalingGroupName=NAME, DesiredCapacity=2)
    assert sorted("k" in tags_of(row) for row in setting.running()) == [False, True]
    query = {"Filters": [{"Name": "auto-scaling-group", "Values": [NAME]}, {"Name": "key", "Values": ["k"]}]}
    (row,) = setting.scaling.describe_tags(**query)["Tags"]
    assert row == {**tag, "Value": "v"}
    setting.scaling.delete_tags(Tags=[{**tag, "Value": "other"}])
    assert len(setting.scaling.describe_tags(**query)["Tags"]) == 1
    setting.scaling.delete_tags(Tags=[{**tag, "Value": "v"}])
    assert setting.scaling.describe_tags(**query)["Tags"] == []


def test_limits(setting: Setting) -> None:
    setting.sandbox.settings.quotas = {"scaling_groups": 1}
    setting.group(0)
    with refused("LimitExceeded"):
        setting.group(0, AutoScalingGroupName="second")


def test_unsupported_parts_are_named(setting: Setting) -> None:
    with pytest.raises(ClientError, match="LaunchConfigurationName"):
        setting.group(0, LaunchConfigurationName="old")
    with pytest.raises(ClientError, match="autoscaling:DescribePolicies"):
        setting.scaling.describe_policies()
    with refused("UnsupportedOperation"):
        setting.scaling.create_launch_configuration(LaunchConfigurationName="old", ImageId=setting.image)


def test_new_groups_lag(setting: Setting) -> None:
    setting.sandbox.settings.read_lag_s = 10
    setting.advance(20)
    setting.group(0)
    assert setting.scaling.describe_auto_scaling_groups()["AutoScalingGroups"] == []
    with refused("ValidationError"):
        setting.scaling.set_desired_capacity(AutoScalingGroupName=NAME, DesiredCapacity=1)
    setting.advance(6)
    setting.scaling.set_desired_capacity(AutoScalingGroupName=NAME, DesiredCapacity=1)
    setting.advance(5)
    assert setting.described()["DesiredCapacity"] == 1
