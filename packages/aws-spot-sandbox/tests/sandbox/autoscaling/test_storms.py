"""Random storms over one group: interruptions, recommendations, outages and reports, with changes of the size."""

from __future__ import annotations

import random

import pytest

from sandbox.autoscaling.scaling_groups import NAME, ZONES, Setting

POOLS = ("us-east-1", *ZONES, f"{ZONES[0]}/t3.medium", "t3a.medium")


def step(setting: Setting, dice: random.Random) -> None:
    """One event of a storm."""
    server, settings, now = setting.sandbox.server, setting.sandbox.settings, setting.sandbox.clock.now()
    ids = setting.ids()
    match dice.randrange(6):
        case 0:
            server.interrupt_some(dice.randint(1, 7), notice_s=dice.choice([0, 120]))
        case 1 if ids:
            server.recommend_rebalance("us-east-1", dice.choice(ids))
        case 2:
            outage = {"pool": dice.choice(POOLS), "from": now, "until": now + dice.randint(60, 1800)}
            settings.outages = [*settings.outages, outage]
        case 3 if ids:
            setting.scaling.set_instance_health(InstanceId=dice.choice(ids), HealthStatus="Unhealthy")
        case 4 if ids:
            setting.ec2.terminate_instances(InstanceIds=[dice.choice(ids)])
        case _:
            setting.scaling.set_desired_capacity(
                AutoScalingGroupName=NAME, DesiredCapacity=dice.randint(5, 20)
            )


@pytest.mark.parametrize("rebalance", [False, True])
def test_a_group_is_complete_after_every_storm(setting: Setting, rebalance: bool) -> None:
    """Never more than the maximum and Capacity Rebalancing's tenth, and exactly the desired number in the end."""
    setting.sandbox.settings.scaling_s = 2.0
    setting.group(20, CapacityRebalance=rebalance)
    for seed in range(6):
        dice = random.Random(seed)
        for _ in range(12):
            step(setting, dice)
            setting.advance(dice.choice([0, 1, 5, 60, 300]))
            assert len(setting.running()) <= 20 + 2 * rebalance
        setting.sandbox.settings.outages = []
        setting.advance(900)
        desired = setting.described()["DesiredCapacity"]
        assert len(setting.ids()) == desired == len(setting.running())
        assert len(setting.states()) == desired
    setting.scaling.delete_auto_scaling_group(AutoScalingGroupName=NAME, ForceDelete=True)
    setting.advance(600)
    assert setting.running() == []
