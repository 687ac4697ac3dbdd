"""AZRebalance. Source: Auto Scaling user guide, "Rebalancing activities"."""

from __future__ import annotations

from collections import Counter

from sandbox.autoscaling.scaling_groups import NAME, ZONES, Setting


def zones(setting: Setting) -> Counter[str]:
    return Counter(row["Placement"]["AvailabilityZone"] for row in setting.running())


def unequal(setting: Setting, *, most: int = 20) -> None:
    """Four instances in one zone, whose neighbour had no capacity at the launch."""
    now = setting.sandbox.clock.now()
    setting.sandbox.settings.outages = [{"pool": ZONES[0], "from": 0, "until": now + 300}]
    setting.group(4, MaxSize=most)
    setting.advance(2)
    assert zones(setting) == {ZONES[1]: 4}


def test_instances_move_to_a_zone_whose_capacity_is_back(setting: Setting) -> None:
    """One after the other, each new one before the old one ends, also at the maximum."""
    unequal(setting, most=4)
    before = set(setting.ids())
    sizes = []
    for _ in range(900):
        setting.advance(1)
        sizes.append(len(setting.running()))
    assert zones(setting) == {ZONES[0]: 2, ZONES[1]: 2}
    assert (min(sizes), max(sizes)) == (4, 5)
    assert len(before & set(setting.ids())) == 2
    causes = [row["Cause"] for row in setting.activities("Successful")]
    text = f"instances were launched to balance instances in zones {ZONES[0]} with other zones"
    assert sum(text in cause for cause in causes) == 2


def test_a_suspended_process_moves_none(setting: Setting) -> None:
    unequal(setting)
    before = set(setting.ids())
    setting.scaling.suspend_processes(AutoScalingGroupName=NAME, ScalingProcesses=["AZRebalance"])
    setting.advance(1800)
    assert set(setting.ids()) == before
    setting.scaling.resume_processes(AutoScalingGroupName=NAME, ScalingProcesses=["AZRebalance"])
    setting.advance(600)
    assert zones(setting) == {ZONES[0]: 2, ZONES[1]: 2}


def test_a_zone_that_stays_without_capacity_costs_no_instance(setting: Setting) -> None:
    unequal(setting)
    setting.sandbox.settings.outages = [{"pool": ZONES[0], "from": 0, "until": 1e12}]
    before = set(setting.ids())
    setting.advance(1800)
    assert set(setting.ids()) == before
    assert len(setting.activities("Failed")) <= 1 + 1800 // 300


def test_a_difference_of_one_stays(setting: Setting) -> None:
    setting.group(3)
    setting.advance(2)
    before = set(setting.ids())
    setting.advance(1800)
    assert set(setting.ids()) == before
