"""Open questions about Auto Scaling groups: with the instance of the first fleet, and with a group that launches nothing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from support.live.fleet_probes import Result
from support.live.ground import TAGS, TOO_LOW, Ground, code_of
from support.live.journal import AS_ASSUMED, OPEN, OTHERWISE
from support.live.place import Late
from support.live.settings import PREFIX

GROUP_TAG = "aws:autoscaling:groupName"
# `create` moves nodes that were refused to another region after so many seconds.
MOVES_AFTER_S = 60.0
WATCHED_S = 420.0


@dataclass
class GroupProbes:
    ground: Ground

    @property
    def client(self) -> Any:
        return self.ground.place.client("autoscaling")

    def _create(self, name: str, *, desired: int, max_price: str = "") -> str:
        """A group with a mixed instances policy, all spot, as the program makes it."""
        template = self.ground.new_template(name, tagged=("instance", "volume"))
        price = {"SpotMaxPrice": max_price} if max_price else {}
        group = f"{PREFIX}{name}"
        self.client.create_auto_scaling_group(
            AutoScalingGroupName=group,
            MinSize=0, MaxSize=2, DesiredCapacity=desired,
            VPCZoneIdentifier=",".join(self.ground.subnets),
            MixedInstancesPolicy={
                "LaunchTemplate": {
                    "LaunchTemplateSpecification": {"LaunchTemplateId": template, "Version": "1"},
                    "Overrides": [{"InstanceType": kind} for kind in self.ground.types],
                },
                "InstancesDistribution": {
                    "OnDemandBaseCapacity": 0, "OnDemandPercentageAboveBaseCapacity": 0,
                    "SpotAllocationStrategy": "price-capacity-optimized", **price,
                },
            },
            Tags=[
                {"Key": key, "Value": value, "PropagateAtLaunch": False, "ResourceId": group,
                 "ResourceType": "auto-scaling-group"}
                for key, value in TAGS.items()
            ],
        )  # fmt: skip
        return group

    def joins_and_leaves(self, instance_id: str) -> tuple[Result, Result]:
        """How soon an instance is free after it has left; and whether one of an instant fleet may join."""
        group = self._create("members", desired=0)
        place, only = self.ground.place, {"AutoScalingGroupName": group, "InstanceIds": [instance_id]}
        try:
            place.until(
                "a running instance",
                lambda: self.ground.states(instance_id) == {instance_id: "running"},
                within_s=180,
            )
            try:
                self.client.attach_instances(**only)
            except ClientError as error:
                words = f"not attached: {code_of(error)}: {error.response['Error']['Message']}"
                return (OPEN, "no instance could join", {}), (OTHERWISE, words, {})
            _, joined_s = place.until(
                "a member", lambda: self._lifecycle(instance_id) == "InService", within_s=300
            )
            self.client.detach_instances(**only, ShouldDecrementDesiredCapacity=True)
            _, free_s = place.until(
                "the end of the tag", lambda: not self._group_tag(instance_id), within_s=180
            )
            _, again_s = place.until("a member again", lambda: self._attached(only), within_s=180, every_s=5)
            facts = {
                "in service after s": joined_s,
                "tag removed after s": free_s,
                "attached again after s": again_s,
            }
            words = (
                f"the tag is removed after {free_s} s, and the instance is attached again {again_s} s later"
            )
            return (AS_ASSUMED, words, facts), (
                AS_ASSUMED,
                f"attached, and in service after {joined_s} s",
                facts,
            )
        finally:
            self.client.delete_auto_scaling_group(AutoScalingGroupName=group, ForceDelete=True)

    def _attached(self, only: dict[str, Any]) -> bool:
        try:
            self.client.attach_instances(**only)
        except ClientError as error:
            if code_of(error) != "ValidationError":
                raise
            return False
        return True

    def _lifecycle(self, instance_id: str) -> str:
        rows = self.client.describe_auto_scaling_instances(InstanceIds=[instance_id])["AutoScalingInstances"]
        return str(rows[0]["LifecycleState"]) if rows else ""

    def _group_tag(self, instance_id: str) -> bool:
        filters = [{"Name": "instance-id", "Values": [instance_id]}]
        (page,) = self.ground.ec2.describe_instances(Filters=filters)["Reservations"]
        return GROUP_TAG in {tag["Key"] for tag in page["Instances"][0].get("Tags", ())}

    def refused_launches(self) -> Result:
        """The time from the refusal in one zone to the attempt in the next."""
        if len(self.ground.subnets) < 2:
            return OPEN, "the region has one zone", {}
        group = self._create("refusals", desired=1, max_price=TOO_LOW)
        attempts: dict[str, datetime] = {}

        def look() -> bool:
            rows = self.client.describe_scaling_activities(AutoScalingGroupName=group)["Activities"]
            for row in sorted(rows, key=lambda row: row["StartTime"]):
                attempts.setdefault(_zone(row), row["StartTime"])
            return len(attempts) > 1

        try:
            self.ground.place.until("attempts in two zones", look, within_s=WATCHED_S, every_s=10)
        except Late:
            return (
                OPEN,
                f"attempts in {len(attempts)} zones within {WATCHED_S:.0f} s",
                {"zones": len(attempts)},
            )
        finally:
            self.client.delete_auto_scaling_group(AutoScalingGroupName=group, ForceDelete=True)
        first, second = sorted(attempts.values())[:2]
        seconds = (second - first).total_seconds()
        outcome = AS_ASSUMED if seconds <= MOVES_AFTER_S else OTHERWISE
        return outcome, f"{seconds:.0f} s from zone to zone", {"seconds": seconds}


def _zone(activity: dict[str, Any]) -> str:
    """Its details name the zone, the subnet or both."""
    details: dict[str, str] = json.loads(activity.get("Details") or "{}")
    return details.get("Availability Zone") or details.get("Subnet ID") or ""
