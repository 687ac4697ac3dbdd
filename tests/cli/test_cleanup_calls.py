"""How many calls of AWS a deletion makes: bounded by regions and kinds, never by nodes."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from support.cli_runner import CliRunner

CLEAR = ("us-east-2", "us-west-1", "us-west-2", "ap-southeast-1")
BUSY = ("us-east-1", "eu-west-1")  # with five zones, and with three
# Of a region in which nothing is found, in one scan.
THREE = {
    "autoscaling:DescribeAutoScalingGroups": 1,
    "ec2:DescribeInstances": 1,
    "tagging:GetResources": 1,
}


def calls_by_region(sandbox: Any, start: int) -> dict[str, Counter[str]]:
    """Without those of account-wide services."""
    counts: dict[str, Counter[str]] = {}
    for region, action, _ in sandbox.world.calls[start:]:
        if action.partition(":")[0] not in {"iam", "sts", "pricing"} and action != "ec2:DescribeRegions":
            counts.setdefault(region, Counter())[action] += 1
    return counts


def without_polls_and_lock(calls: Counter[str]) -> int:
    polls = calls["ec2:DescribeInstances"] - 2
    return calls.total() - polls - 2 * calls["ec2:CreateLaunchTemplate"]


def created(sandbox: Any, program: CliRunner, *, age_s: float = 0) -> int:
    """A cluster of this age. Returns the number of calls until then."""
    program.configure(nodes=6, regions=f"[{', '.join(BUSY)}]")
    assert program("create", "--yes").code == 0
    sandbox.clock.advance(age_s)
    return len(sandbox.world.calls)


@pytest.mark.parametrize("terminate_s", [0, 20])
def test_destroy_of_an_old_cluster(sandbox: Any, program: CliRunner, terminate_s: float) -> None:
    """Three calls in a clear region; elsewhere one list of each kind, one call per deletion, and some looks at the whole."""
    start = created(sandbox, program, age_s=3600)
    before = sandbox.clock.now()
    sandbox.settings.terminate_s = terminate_s
    assert program("destroy", "--yes").code == 0
    counts = calls_by_region(sandbox, start)
    for region in CLEAR:
        # The lock is in one of them.
        locks = Counter({"ec2:CreateLaunchTemplate": 1, "ec2:DeleteLaunchTemplate": 1})
        assert counts[region] in (THREE, Counter(THREE) + locks), counts[region]
    for region, zones in zip(BUSY, (5, 3), strict=True):
        polls = counts[region]["ec2:DescribeInstances"] - 2
        assert without_polls_and_lock(counts[region]) <= 27 + zones, counts[region]  # one of them for prices
        assert polls <= terminate_s / 2 + 2
        assert counts[region]["ec2:DescribeTags"] <= 4
    waited_s = sandbox.clock.now() - before
    assert waited_s <= terminate_s + 5, "the command ends when AWS says so"


def test_destroy_of_a_young_cluster(sandbox: Any, program: CliRunner) -> None:
    """AWS's lists may still omit something: one more call in every region, when they do no longer."""
    start = created(sandbox, program)
    before = sandbox.clock.now()
    assert program("destroy", "--yes").code == 0
    counts = calls_by_region(sandbox, start)
    for region in CLEAR:
        assert counts[region]["ec2:DescribeTags"] == 1
        assert counts[region].total() <= 6, counts[region]
    for region, zones in zip(BUSY, (5, 3), strict=True):
        assert without_polls_and_lock(counts[region]) <= 27 + zones, counts[region]
    assert sandbox.clock.now() - before >= 12


def test_nuke_of_a_cluster(sandbox: Any, program: CliRunner) -> None:
    """No lock keeps others from creating: everything is looked at again when AWS's lists omit nothing any more."""
    start = created(sandbox, program)
    assert program("nuke", "--force").code == 0
    counts = calls_by_region(sandbox, start)
    for region in CLEAR:
        assert counts[region] == Counter(THREE) + Counter({"ec2:DescribeInstances": 1, "ec2:DescribeTags": 1})
    for region in BUSY:
        assert counts[region].total() <= 80, counts[region]


def test_nuke_with_nothing_left(sandbox: Any, program: CliRunner) -> None:
    assert program("nuke", "--force").code == 0
    counts = calls_by_region(sandbox, 0)
    assert len(counts) == len(CLEAR) + len(BUSY)
    for region, calls in counts.items():
        assert calls.total() == 5, (region, calls)


def test_nodes_that_no_list_shows_yet(sandbox: Any, program: CliRunner) -> None:
    """An old cluster grew a moment ago, and no list shows the new nodes yet."""
    before = sandbox.leftovers()
    created(sandbox, program, age_s=3600)
    program.configure(nodes=8, regions=f"[{', '.join((*BUSY, 'us-west-2'))}]")
    sandbox.settings.read_lag_s = 9.0
    assert program("create", "--yes", "--wait", "none").code == 0
    program.configure(nodes=6, regions=f"[{', '.join(BUSY)}]")
    assert program("destroy", "--yes").code == 0
    sandbox.settings.read_lag_s = 0.0
    assert sandbox.leftovers() == before


def test_a_region_without_resources_is_asked_once(sandbox: Any, program: CliRunner) -> None:
    created(sandbox, program)
    for command in ("list", "status", "cost", "history", "clusters", "reconcile", "create"):
        start = len(sandbox.world.calls)
        program(command, *(["--dry-run"] if command == "create" else []))
        counts = calls_by_region(sandbox, start)
        for region in CLEAR:
            assert counts[region].total() <= 1, (command, region, counts[region])


def test_aws_refuses_no_call(sandbox: Any, program: CliRunner) -> None:
    """With AWS's token buckets, and as many nodes as a region usually has."""
    sandbox.settings.throttle = True
    program.configure(nodes=60, regions=f"[{', '.join(BUSY)}]")
    assert program("create", "--yes").code == 0
    program("status")
    assert program("list").code == 0
    assert program("destroy", "--yes").code == 0
    assert program("nuke", "--force").code == 0
    assert {outcome for _, _, outcome in sandbox.world.calls} == {"ok"}
