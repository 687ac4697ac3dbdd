"""Attach, detach, terminate. Source: Auto Scaling user guide, "Detach or attach instances", "Manual scaling"."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.autoscaling.scaling_groups import NAME, ZONES, Setting
from sandbox.ec2.clusters import build_fleet, fleet_ids, refused, tags_of


def fleet(setting: Setting, count: int, zone: str = ZONES[0]) -> list[str]:
    pools = [{"InstanceType": "t3.medium", "SubnetId": setting.net["subnets"][zone]}]
    return fleet_ids(build_fleet(setting.ec2, setting.template, pools, count))


def attach(setting: Setting, ids: list[str]) -> Any:
    return setting.scaling.attach_instances(AutoScalingGroupName=NAME, InstanceIds=ids)


def test_running_spot_instances_are_attached(setting: Setting) -> None:
    setting.group(1, Tags=[{"Key": "Name", "Value": "g", "PropagateAtLaunch": True}], MaxSize=3)
    ids = fleet(setting, 2)
    with pytest.raises(ClientError, match="must be in 'running' state"):
        attach(setting, ids)
    setting.advance(1)
    attach(setting, ids)
    row = setting.described()
    assert row["DesiredCapacity"] == 3
    assert set(ids) < set(setting.ids())
    tags = [tags_of(instance) for instance in setting.running()]
    assert [tag["Name"] for tag in tags] == ["g"] * 3
    members = {member["InstanceId"]: member for member in row["Instances"]}
    assert members[ids[0]]["LaunchTemplate"]["LaunchTemplateId"] == setting.template
    setting.ec2.terminate_instances(InstanceIds=ids[:1])
    setting.advance(62)
    assert len(setting.ids()) == 3


def test_which_instances_cannot_be_attached(setting: Setting) -> None:
    setting.group(1, VPCZoneIdentifier=setting.net["subnets"][ZONES[0]], MaxSize=2)
    setting.group(0, AutoScalingGroupName="other")
    there, here = fleet(setting, 1, ZONES[1]), fleet(setting, 2)
    setting.advance(1)
    for ids, text in (
        (there, "availability zones"),
        (here, "desired-size=1. To attach 2 instances, please update the AutoScalingGroup sizes"),
        (["i-00000000000000000"], "Invalid Instance ID"),
        ([], "between 1 and 20"),
        (setting.ids(), "already part of AutoScalingGroup"),
    ):
        with pytest.raises(ClientError, match=text):
            attach(setting, ids)
    setting.scaling.attach_instances(AutoScalingGroupName="other", InstanceIds=here[:1])
    with pytest.raises(ClientError, match="already part of AutoScalingGroup:other"):
        attach(setting, here[:1])


def test_detached_instances_go_on(setting: Setting) -> None:
    setting.group(2)
    with pytest.raises(ClientError, match="not in InService"):
        setting.scaling.detach_instances(
            AutoScalingGroupName=NAME,
            InstanceIds=setting.ids("Pending")[:1],
            ShouldDecrementDesiredCapacity=True,
        )
    setting.advance(1)
    first, second = setting.ids()
    reply = setting.scaling.detach_instances(
        AutoScalingGroupName=NAME, InstanceIds=[first], ShouldDecrementDesiredCapacity=True
    )
    assert reply["Activities"][0]["Description"] == f"Detaching EC2 instance: {first}"
    assert setting.described()["DesiredCapacity"] == 1
    assert setting.ids() == [second]
    instance = setting.ec2.describe_instances(InstanceIds=[first])["Reservations"][0]["Instances"][0]
    assert instance["State"]["Name"] == "running"
    assert "aws:autoscaling:groupName" not in tags_of(instance)
    setting.scaling.detach_instances(
        AutoScalingGroupName=NAME, InstanceIds=[second], ShouldDecrementDesiredCapacity=False
    )
    assert len(setting.running()) == 1
    with pytest.raises(ClientError, match="is not part of Auto Scaling group"):
        setting.scaling.detach_instances(
            AutoScalingGroupName=NAME, InstanceIds=[first], ShouldDecrementDesiredCapacity=True
        )


def test_terminating_with_and_without_a_replacement(setting: Setting) -> None:
    setting.group(3, MinSize=2)
    setting.advance(1)
    first, second, third = setting.ids()
    terminate = setting.scaling.terminate_instance_in_auto_scaling_group
    reply = terminate(InstanceId=first, ShouldDecrementDesiredCapacity=True)
    assert "shrinking the capacity from 3 to 2." in reply["Activity"]["Cause"]
    assert reply["Activity"]["StatusCode"] == "InProgress"
    with refused("ScalingActivityInProgress"):
        terminate(InstanceId=first, ShouldDecrementDesiredCapacity=False)
    with pytest.raises(ClientError, match="desiredSize equals minSize"):
        terminate(InstanceId=second, ShouldDecrementDesiredCapacity=True)
    reply = terminate(
        AutoScalingGroupName=NAME, InstanceIds=[second, third], ShouldDecrementDesiredCapacity=False
    )
    assert len(reply["Activities"]) == 2
    setting.advance(2)
    assert len(setting.ids()) == 2
    assert not {first, second, third} & set(setting.states())
    with refused("ValidationError"):
        terminate(InstanceId="i-00000000000000000", ShouldDecrementDesiredCapacity=False)


def test_instances_of_all_groups_are_listed(setting: Setting) -> None:
    setting.group(2)
    setting.group(1, AutoScalingGroupName="h")
    setting.advance(1)
    rows = setting.scaling.describe_auto_scaling_instances()["AutoScalingInstances"]
    assert [row["AutoScalingGroupName"] for row in rows] == [NAME, NAME, "h"]
    assert {row["HealthStatus"] for row in rows} == {"HEALTHY"}
    one = setting.scaling.describe_auto_scaling_instances(InstanceIds=[rows[0]["InstanceId"], "i-unknown"])
    assert len(one["AutoScalingInstances"]) == 1
