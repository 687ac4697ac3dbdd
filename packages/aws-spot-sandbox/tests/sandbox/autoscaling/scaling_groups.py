"""Helpers of the tests in this folder: a network, a template and a group over two zones and two types."""

from __future__ import annotations

from typing import Any

from sandbox.ec2.clusters import build_network, build_template, image

NAME = "g"
TYPES = ("t3.medium", "t3a.medium")
ZONES = ("us-east-1a", "us-east-1b")


class Setting:
    """An account with a network and a template. `group` creates a group; the rest reads it."""

    def __init__(self, sandbox: Any) -> None:
        self.sandbox = sandbox
        self.ec2 = sandbox.client()
        self.scaling = sandbox.client("autoscaling")
        self.net = build_network(self.ec2)
        self.image = image(self.ec2)
        self.template = build_template(self.ec2, self.net["group"], ImageId=self.image)

    def policy(self, types: tuple[str, ...] = TYPES, **distribution: Any) -> dict[str, Any]:
        return {
            "LaunchTemplate": {
                "LaunchTemplateSpecification": {"LaunchTemplateId": self.template, "Version": "$Latest"},
                "Overrides": [{"InstanceType": name} for name in types],
            },
            "InstancesDistribution": {
                "OnDemandBaseCapacity": 0,
                "OnDemandPercentageAboveBaseCapacity": 0,
                "SpotAllocationStrategy": "price-capacity-optimized",
                **distribution,
            },
        }

    def group(self, desired: int = 4, **options: Any) -> None:
        defaults: dict[str, Any] = {
            "AutoScalingGroupName": NAME,
            "MixedInstancesPolicy": self.policy(),
            "VPCZoneIdentifier": ",".join(self.net["subnets"].values()),
            "MinSize": 0,
            "MaxSize": 20,
            "DesiredCapacity": desired,
        }
        self.scaling.create_auto_scaling_group(**{**defaults, **options})

    def described(self) -> dict[str, Any]:
        (row,) = self.scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[NAME])["AutoScalingGroups"]
        return dict(row)

    def states(self) -> dict[str, str]:
        """Instance id -> lifecycle state."""
        return {row["InstanceId"]: row["LifecycleState"] for row in self.described()["Instances"]}

    def ids(self, state: str = "InService") -> list[str]:
        return [name for name, now in self.states().items() if now == state]

    def running(self) -> list[dict[str, Any]]:
        """The group's instances in EC2 that are pending or running."""
        conditions = [
            {"Name": "instance-state-name", "Values": ["pending", "running"]},
            {"Name": "tag:aws:autoscaling:groupName", "Values": [NAME]},
        ]
        reply = self.ec2.describe_instances(Filters=conditions)
        return [instance for row in reply["Reservations"] for instance in row["Instances"]]

    def activities(self, status: str = "") -> list[dict[str, Any]]:
        rows = self.scaling.describe_scaling_activities(AutoScalingGroupName=NAME)["Activities"]
        return [row for row in rows if status in ("", row["StatusCode"])]

    def advance(self, seconds: float) -> None:
        self.sandbox.clock.advance(seconds)
