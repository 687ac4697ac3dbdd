"""How many calls of AWS a deletion makes: bounded by regions and kinds, never by nodes."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from support.cli_runner import CliRunner

CLEAR = ("us-east-2", "us-west-1", "us-west-2", "ap-southeast-1")
BUSY = ("us-east-1", "eu-west-1")
# Of a region in which nothing is found, in one scan.
FOUR = {
    "autoscaling:DescribeAutoScalingGroups": 1,
    "ec2:DescribeInstances": 1,
    "ec2:DescribeTags": 1,
    "tagging:GetResources": 1,
}


@pytest.mark.parametrize("command", [("destroy", "--yes"), ("nuke", "--force")], ids=lambda row: row[0])
def test_calls_of_a_deletion_in_two_regions(
    sandbox: Any, program: CliRunner, command: tuple[str, ...]
) -> None:
    program.configure(nodes=6, regions=f"[{', '.join(BUSY)}]")
    assert program("create", "--yes").code == 0
    start = len(sandbox.world.calls)
    result = program(*command)
    assert result.code == 0, result.stdout + result.stderr
    counts: dict[str, Counter[str]] = {}
    for region, action, _ in sandbox.world.calls[start:]:
        counts.setdefault(region, Counter())[action] += 1
    for region in CLEAR:
        assert counts[region] == {action: 2 * number for action, number in FOUR.items()}, (
            "first and last scan"
        )
    for region in BUSY:
        # Two scans before and after, one of each kind when it is its turn, and the polls while the instances end.
        assert counts[region]["ec2:DescribeInstances"] <= 10, counts[region]
        assert counts[region]["ec2:DescribeTags"] == 3, counts[region]
        assert counts[region].total() <= (95 if command[0] == "destroy" else 120), counts[region]
