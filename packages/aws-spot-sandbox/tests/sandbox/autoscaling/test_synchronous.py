"""LaunchInstances. Source: Auto Scaling API reference; user guide, "Launch instances synchronously"."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.autoscaling.scaling_groups import NAME, ZONES, Setting
from sandbox.ec2.clusters import refused


def launch(setting: Setting, count: int = 2, token: str = "t1", **options: Any) -> Any:
    options = {"AvailabilityZones": [ZONES[0]], **options}
    return setting.scaling.launch_instances(
        AutoScalingGroupName=NAME, RequestedCapacity=count, ClientToken=token, **options
    )


def test_instances_are_answered_at_once(setting: Setting) -> None:
    setting.group(0)
    reply = launch(setting)
    (row,) = reply["Instances"]
    assert (row["AvailabilityZone"], row["MarketType"], len(row["InstanceIds"])) == (ZONES[0], "spot", 2)
    assert reply["Errors"] == []
    assert setting.described()["DesiredCapacity"] == 2
    assert set(setting.ids("Pending")) == set(row["InstanceIds"])
    assert launch(setting)["Instances"] == reply["Instances"]
    assert len(setting.running()) == 2
    with refused("IdempotentParameterMismatch"):
        launch(setting, 3)
    setting.advance(1)
    assert len(setting.ids()) == 2


def test_refusals_are_answered_at_once(setting: Setting) -> None:
    setting.group(0)
    setting.sandbox.settings.outages = [{"pool": ZONES[0], "from": 0, "until": 9e9}]
    reply = launch(setting)
    assert reply["Instances"] == []
    assert {row["ErrorCode"] for row in reply["Errors"]} == {"InsufficientInstanceCapacity"}
    assert {row["AvailabilityZone"] for row in reply["Errors"]} == {ZONES[0]}
    assert setting.described()["DesiredCapacity"] == 0
    launch(setting, token="t2", RetryStrategy="retry-with-group-configuration")
    assert setting.described()["DesiredCapacity"] == 2
    assert {row["Placement"]["AvailabilityZone"] for row in setting.running()} == {ZONES[1]}


def test_invalid_calls(setting: Setting) -> None:
    setting.group(0, MaxSize=3)
    for options, text in (
        ({"AvailabilityZones": []}, "must be specified for a group with multiple zones"),
        ({"AvailabilityZones": ["us-east-1c"]}, "is not one of"),
        ({"SubnetIds": [setting.net["subnets"][ZONES[1]]]}, "is not one of"),
        ({"count": 4}, "exceeds the max size"),
    ):
        with pytest.raises(ClientError, match=text):
            launch(setting, **options)
    setting.scaling.update_auto_scaling_group(AutoScalingGroupName=NAME, MaxSize=200)
    with pytest.raises(ClientError, match="up to 100 instances"):
        launch(setting, 101)
