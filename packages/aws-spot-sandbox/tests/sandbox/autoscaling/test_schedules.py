"""Scheduled actions. Source: Auto Scaling user guide, "Scheduled scaling"; API reference, PutScheduledUpdateGroupAction."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from aws_spot_sandbox.autoscaling import cron, schedules
from sandbox.autoscaling.scaling_groups import NAME, Setting
from sandbox.ec2.clusters import refused


def at(setting: Setting, seconds: float) -> datetime:
    return datetime.fromtimestamp(setting.sandbox.clock.now() + seconds, UTC)


def put(setting: Setting, name: str = "end", **options: Any) -> None:
    setting.scaling.put_scheduled_update_group_action(
        AutoScalingGroupName=NAME, ScheduledActionName=name, **options
    )


def names(setting: Setting, **query: Any) -> list[str]:
    reply = setting.scaling.describe_scheduled_actions(AutoScalingGroupName=NAME, **query)
    return [row["ScheduledActionName"] for row in reply["ScheduledUpdateGroupActions"]]


def test_an_action_ends_a_group_at_its_time(setting: Setting) -> None:
    setting.group(3, MinSize=3)
    put(setting, StartTime=at(setting, 8 * 3600), MinSize=0, MaxSize=0, DesiredCapacity=0)
    setting.advance(8 * 3600 - 1)
    assert len(setting.ids()) == 3
    assert names(setting) == ["end"]
    setting.advance(3)
    assert setting.running() == []
    row = setting.described()
    assert (row["MinSize"], row["DesiredCapacity"], row["MaxSize"]) == (0, 0, 0)
    assert names(setting) == []
    assert "the scheduled action end executed" in setting.activities()[0]["Cause"]


def test_an_action_is_moved_by_a_second_put(setting: Setting) -> None:
    setting.group(1)
    put(setting, StartTime=at(setting, 3600), DesiredCapacity=0)
    put(setting, StartTime=at(setting, 7200), DesiredCapacity=0)
    setting.advance(3700)
    assert len(setting.running()) == 1
    setting.advance(3600)
    assert setting.running() == []


def test_a_deleted_action_does_not_run(setting: Setting) -> None:
    setting.group(1)
    put(setting, StartTime=at(setting, 60), DesiredCapacity=0)
    setting.scaling.delete_scheduled_action(AutoScalingGroupName=NAME, ScheduledActionName="end")
    with refused("ValidationError"):
        setting.scaling.delete_scheduled_action(AutoScalingGroupName=NAME, ScheduledActionName="end")
    setting.advance(120)
    assert len(setting.running()) == 1


def test_an_action_may_run_up_to_two_minutes_late(setting: Setting) -> None:
    setting.sandbox.settings.schedule_delay_s = 120
    setting.group(1)
    put(setting, StartTime=at(setting, 60), DesiredCapacity=0)
    setting.advance(179)
    assert (len(setting.running()), names(setting)) == (1, ["end"])
    setting.advance(3)
    assert (setting.running(), names(setting)) == ([], [])


def test_recurring_actions(setting: Setting) -> None:
    setting.group(1)
    put(setting, "up", Recurrence="0 8 * * *", DesiredCapacity=3)
    put(setting, "down", Recurrence="0 18 * * *", DesiredCapacity=1, EndTime=at(setting, 3 * 86400))
    sizes = set()
    for _ in range(6 * 24):
        setting.advance(3600)
        hour = datetime.fromtimestamp(setting.sandbox.clock.now(), UTC).hour
        sizes.add((hour, setting.described()["DesiredCapacity"]))
    assert {(9, 3), (17, 3), (19, 1), (7, 1), (20, 3)} <= sizes
    assert names(setting) == ["up"]


def test_suspended_schedules_do_not_run(setting: Setting) -> None:
    setting.group(1)
    put(setting, StartTime=at(setting, 60), DesiredCapacity=0)
    setting.scaling.suspend_processes(AutoScalingGroupName=NAME, ScalingProcesses=["ScheduledActions"])
    setting.advance(120)
    assert len(setting.running()) == 1


def test_invalid_actions(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    setting.group(1)
    for options, text in (
        ({"StartTime": at(setting, -60), "DesiredCapacity": 0}, "in the past"),
        ({"StartTime": at(setting, 0), "DesiredCapacity": 0}, "in the past"),
        ({"StartTime": at(setting, 60), "Time": at(setting, 61), "DesiredCapacity": 0}, "identical"),
        ({"name": "n" * 256, "StartTime": at(setting, 60), "DesiredCapacity": 0}, "at most 255"),
        ({"StartTime": at(setting, 60)}, "At least one of"),
        ({"DesiredCapacity": 0}, "start time or a recurrence"),
        ({"StartTime": at(setting, 60), "MinSize": 3, "MaxSize": 2}, "between"),
        ({"Recurrence": "* * * *", "DesiredCapacity": 0}, "five fields"),
        ({"Recurrence": "61 * * * *", "DesiredCapacity": 0}, "not valid"),
        ({"Recurrence": "0 0 * * *", "TimeZone": "Moon/Crater", "DesiredCapacity": 0}, "time zone"),
    ):
        with pytest.raises(ClientError, match=text):
            put(setting, **options)
    assert schedules.ACTIONS_LIMIT == 125
    monkeypatch.setattr(schedules, "ACTIONS_LIMIT", 1)
    put(setting, StartTime=at(setting, 60), DesiredCapacity=0)
    with refused("LimitExceeded"):
        put(setting, "second", StartTime=at(setting, 61), DesiredCapacity=0)
    monkeypatch.undo()
    with refused("AlreadyExists"):
        put(setting, "second", StartTime=at(setting, 60), DesiredCapacity=1)


@pytest.mark.parametrize(
    ("text", "zone", "expected"),
    [
        ("30 0 1 1,6,12 *", "UTC", "2026-12-01T00:30:00+00:00"),
        ("*/15 * * * *", "UTC", "2026-11-28T21:15:00+00:00"),
        ("0 9 * * mon-fri", "UTC", "2026-11-30T09:00:00+00:00"),
        ("0 9 * * 7", "UTC", "2026-11-29T09:00:00+00:00"),
        ("0 0 13 * fri", "UTC", "2026-12-04T00:00:00+00:00"),  # either of the days
        ("0 9 * * *", "Europe/Berlin", "2026-11-29T08:00:00+00:00"),
        ("0 0 29 2 *", "UTC", "2028-02-29T00:00:00+00:00"),
    ],
)
def test_the_next_time_of_a_recurrence(text: str, zone: str, expected: str) -> None:
    now = datetime(2026, 11, 28, 21, 5, tzinfo=UTC).timestamp()  # a Saturday
    due = cron.following(cron.parse(text), now, cron.zone(zone))
    assert due == datetime.fromisoformat(expected).timestamp()


def test_a_recurrence_that_never_happens() -> None:
    assert cron.following(cron.parse("0 0 31 2 *"), 1_795_000_000.0, cron.zone("UTC")) is None
