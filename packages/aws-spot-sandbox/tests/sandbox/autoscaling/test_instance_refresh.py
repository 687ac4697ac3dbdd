"""Instance refreshes. Source: Auto Scaling API reference, StartInstanceRefresh; user guide, "Instance refresh"."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.autoscaling.scaling_groups import NAME, Setting
from sandbox.ec2.clusters import refused


def new_version(setting: Setting) -> None:
    setting.ec2.create_launch_template_version(
        LaunchTemplateId=setting.template, SourceVersion="1", LaunchTemplateData={"EbsOptimized": True}
    )


def start(setting: Setting, **preferences: Any) -> str:
    reply = setting.scaling.start_instance_refresh(AutoScalingGroupName=NAME, Preferences=preferences)
    return str(reply["InstanceRefreshId"])


def refresh(setting: Setting) -> dict[str, Any]:
    rows = setting.scaling.describe_instance_refreshes(AutoScalingGroupName=NAME)["InstanceRefreshes"]
    return dict(rows[0])


def versions(setting: Setting) -> list[str]:
    return sorted(row["LaunchTemplate"]["Version"] for row in setting.described()["Instances"])


def watch(setting: Setting, seconds: int) -> tuple[int, int]:
    """The least and the greatest number of instances in service during this time."""
    numbers = []
    for _ in range(seconds):
        numbers.append(len(setting.ids()))
        setting.advance(1)
    return min(numbers), max(numbers)


@pytest.mark.parametrize(
    ("preferences", "least", "most"),
    [
        ({"MinHealthyPercentage": 75}, 3, 4),
        ({"MinHealthyPercentage": 100}, 3, 4),  # one at a time
        ({"MinHealthyPercentage": 0}, 0, 4),
        ({"MinHealthyPercentage": 100, "MaxHealthyPercentage": 150}, 4, 6),
    ],
)
def test_the_healthy_percentages_are_held(
    setting: Setting, preferences: dict[str, Any], least: int, most: int
) -> None:
    setting.group(4)
    setting.advance(1)
    before = set(setting.ids())
    new_version(setting)
    start(setting, InstanceWarmup=2, **preferences)
    assert refresh(setting)["Status"] in ("Pending", "InProgress")
    assert watch(setting, 40) == (least, most)
    row = refresh(setting)
    assert (row["Status"], row["PercentageComplete"], row["InstancesToUpdate"]) == ("Successful", 100, 0)
    assert not before & set(setting.states())
    assert versions(setting) == ["2"] * 4


def test_a_desired_configuration_becomes_that_of_the_group(setting: Setting) -> None:
    setting.group(2)
    setting.advance(1)
    desired = {"MixedInstancesPolicy": setting.policy(("t3.large",))}
    setting.scaling.start_instance_refresh(
        AutoScalingGroupName=NAME, DesiredConfiguration=desired, Preferences={"MinHealthyPercentage": 50}
    )
    source = setting.described()["MixedInstancesPolicy"]["LaunchTemplate"]
    assert [row["InstanceType"] for row in source["Overrides"]] == ["t3.medium", "t3a.medium"]
    setting.advance(30)
    source = setting.described()["MixedInstancesPolicy"]["LaunchTemplate"]
    assert [row["InstanceType"] for row in source["Overrides"]] == ["t3.large"]
    assert {row["InstanceType"] for row in setting.running()} == {"t3.large"}


def test_matching_instances_are_skipped(setting: Setting) -> None:
    setting.group(2)
    setting.advance(1)
    before = setting.ids()
    start(setting, SkipMatching=True)
    setting.advance(1)
    assert refresh(setting)["Status"] == "Successful"
    assert setting.ids() == before
    new_version(setting)
    start(setting, SkipMatching=True, MinHealthyPercentage=0)
    setting.advance(5)
    assert versions(setting) == ["2", "2"]


def test_one_refresh_at_a_time_until_it_is_cancelled(setting: Setting) -> None:
    setting.group(4)
    setting.advance(1)
    cancel = setting.scaling.cancel_instance_refresh
    with refused("ActiveInstanceRefreshNotFound"):
        cancel(AutoScalingGroupName=NAME)
    new_version(setting)
    refresh_id = start(setting, MinHealthyPercentage=75)
    with refused("InstanceRefreshInProgress"):
        start(setting)
    assert cancel(AutoScalingGroupName=NAME)["InstanceRefreshId"] == refresh_id
    assert refresh(setting)["Status"] == "Cancelling"
    setting.advance(5)
    row = refresh(setting)
    assert row["Status"] == "Cancelled"
    assert 0 < row["InstancesToUpdate"] < 4
    setting.advance(60)
    assert versions(setting) == ["1", "1", "1", "2"]


def test_a_refresh_without_capacity_fails_after_an_hour(setting: Setting) -> None:
    setting.group(2)
    setting.advance(1)
    setting.sandbox.settings.outages = [
        {"pool": "us-east-1", "from": 0, "until": setting.sandbox.clock.now() + 9000}
    ]
    start(setting, MinHealthyPercentage=50)
    setting.advance(3500)
    assert refresh(setting)["Status"] == "InProgress"
    setting.advance(400)
    row = refresh(setting)
    assert row["Status"] == "Failed"
    assert "failed launches" in row["StatusReason"]
    assert len(setting.ids()) == 1


def test_protected_instances(setting: Setting) -> None:
    setting.group(2, NewInstancesProtectedFromScaleIn=True)
    setting.advance(1)
    before = setting.ids()
    start(setting, MinHealthyPercentage=0, ScaleInProtectedInstances="Ignore")
    setting.advance(10)
    assert (refresh(setting)["Status"], setting.ids()) == ("Successful", before)
    start(setting, MinHealthyPercentage=0, ScaleInProtectedInstances="Refresh")
    setting.advance(10)
    assert refresh(setting)["Status"] == "Successful"
    assert not set(before) & set(setting.ids())


def test_preferences_that_are_refused(setting: Setting) -> None:
    setting.group(0)
    for preferences, text in (
        ({"MaxHealthyPercentage": 110}, "you must also specify MinHealthyPercentage"),
        ({"MinHealthyPercentage": 50, "MaxHealthyPercentage": 200}, "difference"),
        ({"CheckpointPercentages": [50]}, "CheckpointPercentages"),
    ):
        with pytest.raises(ClientError, match=text):
            start(setting, **preferences)
