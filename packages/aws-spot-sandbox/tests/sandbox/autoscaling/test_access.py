"""Who may do what with groups. Source: Service Authorization Reference, "Amazon EC2 Auto Scaling"; user guide, "Control
Amazon EC2 launch template usage", "Service-linked roles".
"""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.autoscaling.scaling_groups import NAME, Setting

OURS = [{"Key": "cluster", "Value": "blue"}]
LAUNCH = ("ec2:RunInstances", "ec2:CreateTags")


def allow(setting: Setting, *statements: tuple[tuple[str, ...], dict[str, Any]]) -> None:
    rows = [
        {
            "Effect": "Allow",
            "Action": list(actions),
            "Resource": "*",
            **({"Condition": condition} if condition else {}),
        }
        for actions, condition in statements
    ]
    setting.sandbox.settings.policies = [{"Version": "2012-10-17", "Statement": rows}]


def refusal(call: Any, **arguments: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as refused:
        call(**arguments)
    error = refused.value.response["Error"]
    return error["Code"], error["Message"]


def test_tags_decide(setting: Setting) -> None:
    """aws:RequestTag for a new group, aws:ResourceTag for an existing one, by its name or by one of its instances."""
    request = {"StringEquals": {"aws:RequestTag/cluster": "blue"}}
    resource = {"StringEquals": {"aws:ResourceTag/cluster": "blue"}}
    changes = ("autoscaling:Set*", "autoscaling:Delete*", "autoscaling:CreateOrUpdateTags")
    setting.group(1, AutoScalingGroupName="theirs")
    allow(
        setting,
        (("autoscaling:CreateAutoScalingGroup",), request),
        (changes, resource),
        ((*LAUNCH, "autoscaling:Describe*"), {}),
    )
    code, text = refusal(setting.group, desired=1)
    assert (code, "autoscaling:CreateAutoScalingGroup" in text) == ("AccessDenied", True)
    setting.group(1, Tags=OURS)
    setting.scaling.set_desired_capacity(AutoScalingGroupName=NAME, DesiredCapacity=2)
    setting.advance(1)
    setting.scaling.set_instance_health(InstanceId=setting.ids()[0], HealthStatus="Healthy")
    (other,) = [
        row["InstanceId"]
        for row in setting.scaling.describe_auto_scaling_instances()["AutoScalingInstances"]
        if row["AutoScalingGroupName"] == "theirs"
    ]
    for call, arguments in (
        (setting.scaling.set_desired_capacity, {"AutoScalingGroupName": "theirs", "DesiredCapacity": 0}),
        (setting.scaling.delete_auto_scaling_group, {"AutoScalingGroupName": "theirs"}),
        (setting.scaling.set_instance_health, {"InstanceId": other, "HealthStatus": "Unhealthy"}),
        (setting.scaling.update_auto_scaling_group, {"AutoScalingGroupName": NAME, "MaxSize": 9}),
    ):
        assert refusal(call, **arguments)[0] == "AccessDenied"


def test_the_caller_needs_the_permissions_of_the_launch(setting: Setting) -> None:
    allow(setting, (("autoscaling:*",), {}))
    code, text = refusal(setting.group, desired=1)
    assert (code, text.startswith("You are not authorized to use launch template")) == ("AccessDenied", True)
    assert "ec2:RunInstances" in text
    allow(setting, (("autoscaling:*", "ec2:RunInstances"), {}))
    assert "ec2:CreateTags" in refusal(setting.group, desired=1)[1]
    allow(setting, (("autoscaling:*", *LAUNCH), {}))
    setting.group(1)
    launch = {
        "AutoScalingGroupName": NAME,
        "RequestedCapacity": 1,
        "AvailabilityZones": ["us-east-1a"],
        "ClientToken": "t",
    }
    assert "ec2:CreateFleet" in refusal(setting.scaling.launch_instances, **launch)[1]
    allow(setting, (("autoscaling:*", "ec2:CreateFleet", "ec2:DescribeLaunchTemplateVersions"), {}))
    setting.scaling.launch_instances(**launch)


def test_the_first_group_creates_the_service_linked_role(setting: Setting) -> None:
    """ServiceLinkedRoleFailure without permission; the role is found by IAM afterwards."""
    iam = setting.sandbox.client("iam")
    setting.sandbox.settings.service_roles = []
    role = {"RoleName": "AWSServiceRoleForAutoScaling"}
    assert refusal(iam.get_role, **role)[0] == "NoSuchEntity"
    setting.sandbox.settings.deny = ["iam:CreateServiceLinkedRole"]
    assert refusal(setting.group, desired=1)[0] == "ServiceLinkedRoleFailure"
    setting.sandbox.settings.deny = []
    allow(setting, (("autoscaling:*", *LAUNCH), {}))
    assert refusal(setting.group, desired=1)[0] == "ServiceLinkedRoleFailure"
    service = {"StringEquals": {"iam:AWSServiceName": "autoscaling.amazonaws.com"}}
    allow(
        setting, (("autoscaling:*", *LAUNCH, "iam:GetRole"), {}), (("iam:CreateServiceLinkedRole",), service)
    )
    setting.group(1)
    assert iam.get_role(**role)["Role"]["Arn"].endswith(
        "autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"
    )
    assert setting.sandbox.settings.service_roles == ["autoscaling.amazonaws.com", "spot.amazonaws.com"]


def test_calls_are_throttled_denied_recorded_and_lost(setting: Setting) -> None:
    settings = setting.sandbox.settings
    settings.faults = [
        {
            "match": "autoscaling:CreateAutoScalingGroup",
            "code": "ResourceContention",
            "status": 500,
            "count": 1,
        }
    ]
    assert refusal(setting.group, desired=0)[0] == "ResourceContention"
    setting.group(0)
    settings.deny = ["autoscaling:SetDesiredCapacity"]
    change = {"AutoScalingGroupName": NAME, "DesiredCapacity": 0}
    assert refusal(setting.scaling.set_desired_capacity, **change)[0] == "AccessDenied"
    settings.deny, settings.throttle = [], True
    codes = set()
    for _ in range(51):
        try:
            setting.scaling.set_desired_capacity(**change)
        except ClientError as refused:
            codes.add(refused.response["Error"]["Code"])
    assert codes == {"Throttling"}
    outcomes = [
        outcome for _, name, outcome in setting.sandbox.world.calls if name.endswith("SetDesiredCapacity")
    ]
    assert outcomes == ["AccessDenied", *["ok"] * 50, "Throttling"]
    wrong = {"AutoScalingGroupName": NAME, "HonorCooldown": True}
    with pytest.raises(Exception, match="DesiredCapacity"):
        setting.scaling.set_desired_capacity(**wrong)


def test_groups_are_among_the_leftovers(setting: Setting) -> None:
    setting.group(0)
    assert f"us-east-1 asg {NAME}" in setting.sandbox.leftovers()
    setting.scaling.delete_auto_scaling_group(AutoScalingGroupName=NAME)
    assert f"us-east-1 asg {NAME}" not in setting.sandbox.leftovers()
