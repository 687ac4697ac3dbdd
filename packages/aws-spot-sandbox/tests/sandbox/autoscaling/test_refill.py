"""Refill, health checks and scaling activities. Source: Auto Scaling user guide, "Health checks", "Capacity Rebalancing"."""

from __future__ import annotations

import json

from sandbox.autoscaling.scaling_groups import NAME, ZONES, Setting
from sandbox.ec2.clusters import refused


def test_activities_tell_why(setting: Setting) -> None:
    """User guide, "Verify a scaling activity": the causes of launches and terminations."""
    setting.group(1)
    (activity,) = setting.activities()
    assert activity["StatusCode"] == "InProgress"
    assert (
        "a user request created an AutoScalingGroup changing the desired capacity from 0 to 1."
        in activity["Cause"]
    )
    assert (
        "an instance was started in response to a difference between desired and actual capacity"
        in activity["Cause"]
    )
    setting.advance(1)
    (activity,) = setting.activities("Successful")
    (instance,) = setting.running()
    assert activity["Description"] == f"Launching a new EC2 instance: {instance['InstanceId']}"
    assert activity["Progress"] == 100
    details = json.loads(activity["Details"])
    assert details["Availability Zone"] == instance["Placement"]["AvailabilityZone"]
    setting.scaling.set_desired_capacity(AutoScalingGroupName=NAME, DesiredCapacity=0)
    newest = setting.activities()[0]
    assert newest["Description"] == f"Terminating EC2 instance: {instance['InstanceId']}"
    assert "shrinking the capacity from 1 to 0." in newest["Cause"]
    assert setting.ids("Terminating") == [instance["InstanceId"]]
    setting.advance(1)
    assert setting.states() == {}


def test_a_terminated_instance_is_noticed_within_a_minute(setting: Setting) -> None:
    setting.group(4)
    setting.advance(1)
    ended = setting.ids()[0]
    setting.ec2.terminate_instances(InstanceIds=[ended])
    setting.advance(60)
    assert len(setting.running()) == 4
    setting.advance(1)
    assert len(setting.ids()) == 4
    assert ended not in setting.states()
    texts = [row["Cause"] for row in setting.activities()]
    assert any("an EC2 health check indicating it has been terminated or stopped" in text for text in texts)
    assert any("in response to an unhealthy instance needing to be replaced" in text for text in texts)


def test_an_interrupted_instance_is_replaced_in_another_zone_without_capacity(setting: Setting) -> None:
    """Instance distribution: a launch that fails in one zone is tried in another."""
    setting.group(4)
    setting.advance(1)
    victim = next(row for row in setting.running() if row["Placement"]["AvailabilityZone"] == ZONES[0])
    setting.sandbox.settings.outages = [
        {"pool": ZONES[0], "from": 0, "until": setting.sandbox.clock.now() + 3600}
    ]
    setting.sandbox.server.interrupt("us-east-1", victim["InstanceId"], notice_s=120)
    setting.advance(120 + 61)
    zones = [row["Placement"]["AvailabilityZone"] for row in setting.running()]
    assert sorted(zones) == [ZONES[0], *[ZONES[1]] * 3]
    (failed,) = setting.activities("Failed")
    assert failed["StatusMessage"] == (
        "Could not launch Spot Instances. UnfulfillableCapacity - Unable to fulfill capacity due to your request "
        "configuration. Please adjust your request and try again. Launching EC2 instance failed."
    )
    assert json.loads(failed["Details"])["Availability Zone"] == ZONES[0]


def test_refusals_in_the_words_of_aws(setting: Setting) -> None:
    """cortex#1258, deepracer-on-the-spot#55."""
    setting.sandbox.settings.capacity = {"us-east-1": 0}
    setting.group(1, MixedInstancesPolicy=setting.policy(("t3.medium",)))
    messages = {row["StatusMessage"] for row in setting.activities("Failed")}
    text = (
        "Could not launch Spot Instances. InsufficientInstanceCapacity - There is no Spot capacity available that matches "
        "your request. Launching EC2 instance failed."
    )
    assert messages == {text}
    assert len(setting.activities("Failed")) == len(ZONES)
    setting.sandbox.settings.capacity = {}
    setting.sandbox.settings.spot_vcpu_quota = {"*": 0}
    setting.scaling.set_desired_capacity(AutoScalingGroupName=NAME, DesiredCapacity=2)
    newest = setting.activities("Failed")[0]["StatusMessage"]
    assert newest == (
        "Could not launch Spot Instances. MaxSpotInstanceCountExceeded - Max spot instance count exceeded. Launching EC2 "
        "instance failed."
    )


def test_a_price_limit_is_held(setting: Setting) -> None:
    setting.group(1, MixedInstancesPolicy=setting.policy(SpotMaxPrice="0.0011"))
    assert setting.running() == []
    assert "SpotMaxPriceTooLow" in setting.activities("Failed")[0]["StatusMessage"]
    with refused("ValidationError"):
        setting.group(1, AutoScalingGroupName="h", MixedInstancesPolicy=setting.policy(SpotMaxPrice="0.001"))


def test_failed_launches_are_retried_with_a_growing_delay(setting: Setting) -> None:
    start = setting.sandbox.clock.now()
    setting.sandbox.settings.outages = [{"pool": "us-east-1", "from": 0, "until": start + 3600}]
    setting.group(3)
    setting.advance(3599)
    assert setting.running() == []
    tries = sorted({row["StartTime"].timestamp() - start for row in setting.activities("Failed")})
    assert tries[:4] == [0, 60, 180, 420]
    assert 10 <= len(tries) <= 20
    setting.advance(301)
    assert len(setting.running()) == 3


def test_impaired_instances_are_replaced_after_minutes(setting: Setting) -> None:
    setting.group(2)
    setting.advance(1)
    sick, well = setting.ids()
    setting.sandbox.settings.impaired = [sick]
    setting.advance(120)
    assert sick in setting.states()
    setting.advance(181)
    assert sick not in setting.ids()
    assert well in setting.ids()
    assert len(setting.running()) == 2


def test_a_reported_instance_is_replaced(setting: Setting) -> None:
    setting.group(2, HealthCheckGracePeriod=100)
    setting.advance(1)
    sick, well = setting.ids()
    report = {"InstanceId": sick, "HealthStatus": "Unhealthy"}
    setting.scaling.set_instance_health(**report)  # within the grace period
    assert setting.ids() == [sick, well]
    setting.scaling.set_instance_health(**report, ShouldRespectGracePeriod=False)
    assert setting.states()[sick] == "Terminating"
    assert len(setting.running()) == 2
    cause = next(row["Cause"] for row in setting.activities() if sick in row["Description"])
    assert "in response to a user health-check." in cause
    with refused("ValidationError"):
        setting.scaling.set_instance_health(**{**report, "HealthStatus": "Sick"})
    with refused("ValidationError"):
        setting.scaling.set_instance_health(InstanceId="i-00000000000000000", HealthStatus="Unhealthy")


def test_capacity_rebalancing_launches_before_it_terminates(setting: Setting) -> None:
    setting.group(2, CapacityRebalance=True, MaxSize=2)
    setting.advance(1)
    old, other = setting.ids()
    setting.sandbox.server.recommend_rebalance("us-east-1", old)
    states = setting.states()
    assert (states[old], states[other]) == ("InService", "InService")
    assert len(states) == 3
    setting.advance(1)
    assert setting.states()[old] == "Terminating"
    assert len(setting.ids()) == 2
    setting.advance(1)
    assert old not in setting.states()
    causes = [row["Cause"] for row in setting.activities()]
    assert sum("EC2 instance rebalance recommendation" in cause for cause in causes) == 2


def test_without_rebalancing_a_recommendation_changes_nothing(setting: Setting) -> None:
    setting.group(2)
    setting.advance(1)
    before = setting.states()
    setting.sandbox.server.recommend_rebalance("us-east-1", next(iter(before)))
    setting.advance(120)
    assert setting.states() == before


def test_a_notice_with_rebalancing_launches_at_once(setting: Setting) -> None:
    """Capacity Rebalancing: with "a final two-minute interruption notice", a replacement is launched immediately."""
    setting.group(2, CapacityRebalance=True)
    setting.advance(1)
    victim = setting.ids()[0]
    setting.sandbox.server.interrupt("us-east-1", victim, notice_s=120)
    assert len(setting.states()) == 3
    setting.advance(300)
    assert len(setting.ids()) == 2
    assert victim not in setting.states()


def test_an_instance_that_never_runs_is_a_failed_launch(setting: Setting) -> None:
    setting.sandbox.settings.default_key_without_spot = True
    setting.group(1)
    setting.advance(1)
    (failed,) = setting.activities("Failed")
    assert (
        "Instance became unhealthy while waiting for instance to be in InService state"
        in failed["StatusMessage"]
    )
    setting.sandbox.settings.default_key_without_spot = False
    setting.advance(61)
    assert len(setting.ids()) == 1
