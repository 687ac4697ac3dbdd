"""How many calls of AWS a deletion makes: bounded by regions and kinds, never by nodes."""

from __future__ import annotations

import json
from collections import Counter
from io import StringIO
from typing import Any
from unittest.mock import patch

import pytest

from bacalhau_spot.core.model import BacalhauSpec
from bacalhau_spot.core.orchestrator.nats_check import NatsCheck, NatsStatus
from bacalhau_spot.engine.doctor import checks
from support.cli_runner import CliRunner
from support.long_tests import sample

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


def without_polls(calls: Counter[str]) -> int:
    """With the two calls of the lock, where it is. Polls: the lists of the instances that AWS is terminating."""
    return calls.total() - max(0, calls["ec2:DescribeInstances"] - 2)


def created(sandbox: Any, program: CliRunner, *, age_s: float = 0) -> int:
    """A cluster of this age. Returns the number of calls until then."""
    program.configure(nodes=6, regions=f"[{', '.join(BUSY)}]")
    assert program("create", "--yes").code == 0
    sandbox.clock.advance(age_s)
    return len(sandbox.world.calls)


# The command line, and what somebody types.
WAYS = {
    "unasked": (("destroy", "--yes"), None),
    "asked": (("destroy",), "bacalhau-aws-spot\n"),
    "its name": (("destroy", "--yes", "--cluster", "bacalhau-aws-spot"), None),
}
LOCK = Counter({"ec2:CreateLaunchTemplate": 1, "ec2:DeleteLaunchTemplate": 1})


@pytest.mark.parametrize(
    ("way", "terminate_s", "age_s"),
    sample([(way, s, age) for way in WAYS for s in (0, 20) for age in (0, 3600)], every=5),
)
def test_destroy_of_a_cluster(
    sandbox: Any, program: CliRunner, way: str, terminate_s: float, age_s: float
) -> None:
    """Three calls in a clear region; elsewhere one list of each kind, one call per deletion, and two looks at the whole."""
    start = created(sandbox, program, age_s=age_s)
    before = sandbox.clock.now()
    sandbox.settings.terminate_s = terminate_s
    argv, answers = WAYS[way]
    assert program(*argv, answers=answers).code == 0
    counts = calls_by_region(sandbox, start)
    for region in CLEAR:
        assert counts[region] == THREE, counts[region]
    for region, zones in zip(BUSY, (5, 3), strict=True):
        lock = LOCK.total() if region == BUSY[0] else 0
        assert without_polls(counts[region]) == 23 + zones + lock <= 30, counts[region]
        assert counts[region]["ec2:DescribeInstances"] - 2 <= terminate_s / 2 + 2
        assert counts[region]["ec2:DescribeTags"] == 2
    waited_s = sandbox.clock.now() - before
    assert waited_s <= terminate_s + 5, "the command ends when AWS says so"


@pytest.mark.parametrize("lost", [True, False], ids=["heard nothing", "heard long ago"])
def test_prices_leave_the_bound_of_calls(sandbox: Any, program: CliRunner, lost: bool) -> None:
    """Without prices of the last twelve hours, the region with three zones is asked, and the one with five is not."""
    start = created(sandbox, program, age_s=60 if lost else 13 * 3600)
    if lost:
        for heard in program.folder.rglob("spot-prices.json"):
            heard.unlink()
    result = program("destroy", "--yes", "-o", "json")
    assert result.code == 0
    counts = calls_by_region(sandbox, start)
    assert without_polls(counts[BUSY[0]]) == 23 + 5 + LOCK.total() <= 30, counts[BUSY[0]]
    assert [counts[region]["ec2:DescribeSpotPriceHistory"] for region in BUSY] == [0, 1]


def test_a_deletion_knows_the_prices_of_its_create(sandbox: Any, program: CliRunner) -> None:
    """The estimate stands without a call."""
    start = created(sandbox, program, age_s=3600)
    assert "saves about $" in program("destroy", "--dry-run").stdout
    assert not any(call[1] == "ec2:DescribeSpotPriceHistory" for call in sandbox.world.calls[start:])


@pytest.mark.parametrize(("age_s", "empty", "busy"), [(3600, 3, 30), (0, 5, 34)], ids=["old", "young"])
def test_destroy_of_another_cluster(
    sandbox: Any, program: CliRunner, age_s: float, empty: int, busy: int
) -> None:
    """Its commands may have another lock. If it is young, everything is looked at again, after twelve seconds."""
    start = created(sandbox, program, age_s=age_s)
    program.configure(nodes=6, regions="[us-west-2]", more="cluster: {tag_value: other}\n")
    before = sandbox.clock.now()
    assert program("destroy", "--yes", "--cluster", "bacalhau-aws-spot").code == 0
    counts = calls_by_region(sandbox, start)
    for region in CLEAR:
        # The tagging API lists the lock, so that EC2's index is asked, too.
        lock = LOCK.total() + 1 if region == "us-west-2" else 0
        assert empty <= counts[region].total() <= empty + lock, counts[region]
    for region in BUSY:
        assert without_polls(counts[region]) <= busy, counts[region]
    assert (sandbox.clock.now() - before >= 12) == (age_s == 0)


def test_an_answer_that_comes_late(sandbox: Any, program: CliRunner) -> None:
    """The lock has expired at the prompt, and another operator has created nodes: they are deleted, too."""
    before = sandbox.leftovers()
    created(sandbox, program, age_s=3600)
    other = CliRunner(folder=program.folder, clock=program.clock, host="laptop", runs=50)

    class Slow(StringIO):
        def isatty(self) -> bool:
            return True

        def readline(self, *_: Any) -> Any:
            sandbox.clock.advance(600)
            program.configure(nodes=8, regions=f"[{', '.join((*BUSY, 'us-west-2'))}]")
            assert other("create", "--yes").code == 0
            return "bacalhau-aws-spot\n"

    with patch("support.cli_runner.Terminal", lambda *_: Slow()):
        assert program("destroy", answers="").code == 0
    assert sandbox.leftovers() == before


def test_a_cluster_in_a_region_that_is_not_configured(sandbox: Any, program: CliRunner) -> None:
    """Its commands may have another lock: every region is looked at again, after twelve seconds."""
    start = created(sandbox, program)
    program.configure(nodes=3, regions=f"[{BUSY[0]}]")
    before = sandbox.clock.now()
    assert program("destroy", "--yes").code == 0
    assert sandbox.clock.now() - before >= 12
    for region in CLEAR:
        assert calls_by_region(sandbox, start)[region] == Counter(THREE) + Counter({"ec2:DescribeTags": 1})


def test_nuke_of_a_cluster(sandbox: Any, program: CliRunner) -> None:
    """Other clusters have other locks: everything is looked at again when AWS's lists omit nothing any more."""
    start = created(sandbox, program)
    assert program("nuke", "--force").code == 0
    counts = calls_by_region(sandbox, start)
    for region in CLEAR:
        assert counts[region] == Counter(THREE) + Counter({"ec2:DescribeInstances": 1, "ec2:DescribeTags": 1})
    for region in BUSY:
        assert counts[region].total() <= 80, counts[region]


@pytest.mark.parametrize(
    ("argv", "more"),
    [
        (("nuke", "--force"), {}),
        # Of the clusters with another name, which it lists if it finds nothing.
        (("destroy", "--yes"), {"ec2:DescribeInstances": 1}),
    ],
    ids=["nuke", "destroy"],
)
@pytest.mark.parametrize("after", ["nothing", "a cluster"])
def test_nothing_left(
    sandbox: Any, program: CliRunner, argv: tuple[str, ...], more: dict[str, int], after: str
) -> None:
    """The lock is free, and no command of this machine was killed: nothing is waited for, and one look is enough."""
    start = 0
    if after == "a cluster":
        created(sandbox, program)
        assert program("destroy", "--yes").code == 0
        start = len(sandbox.world.calls)
    before = sandbox.clock.now()
    assert program(*argv).code == 0
    counts = calls_by_region(sandbox, start)
    assert len(counts) == len(CLEAR) + len(BUSY)
    for region in CLEAR:
        assert counts[region] == Counter(THREE) + Counter(more), (region, counts[region])
    # Elsewhere the tagging API lists the lock, or instances and fleets that have ended: up to four lists more.
    for region in BUSY:
        assert counts[region].total() <= sum(THREE.values()) + sum(more.values()) + LOCK.total() + 4, region
    assert sandbox.clock.now() == before


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


# The calls in a region that has nothing and is not configured. Where they are not one, the reason stands beside them.
IN_AN_EMPTY_REGION = {
    "create --dry-run": 1,
    "list": 1,
    "status": 1,
    "cost": 1,
    "history": 1,
    "clusters": 1,
    "reconcile --dry-run": 1,
    "reconcile": 1,
    "extend 4h --dry-run": 1,
    "remove {node} --dry-run": 1,
    "console {node}": 1,
    "ssh {node}": 1,
    "prices": 1,
    # The nodes to keep or to replace; then the facts of the plan, as `create` reads them.
    "scale 7 --dry-run": 2,
    "replace {node} --dry-run": 2,
    # The facts of the plan; and, as `list` does, the nodes that run, whose faults it reports.
    "doctor": 2,
    # No list has both the images and the snapshots that remain of deleted ones.
    "image list": 2,
    "image delete --all --dry-run": 2,
    # Of every region, to compare them: the types, their prices, the quota and its use.
    "offers": 4,
    # The orchestrator is not a managed one: no region is asked.
    "env": 0,
    "smoke-test": 0,
    # Three lists, and the instances of other clusters, because it finds nothing.
    "destroy --dry-run --cluster none": 4,
    "nuke --dry-run": 3,
}


# None of them changes anything, so that several can share a cluster.
SHARES = 3


@pytest.mark.parametrize("share", range(SHARES))
def test_calls_in_an_empty_region(
    sandbox: Any, program: CliRunner, monkeypatch: pytest.MonkeyPatch, share: int
) -> None:
    """One call, whatever the command, and no more than its reason needs."""

    async def accepted(address: str, _bacalhau: BacalhauSpec) -> NatsCheck:
        return NatsCheck(address, NatsStatus.ACCEPTED)

    monkeypatch.setattr(checks, "probe_nats", accepted)  # `doctor` tries the address, which is nobody's
    created(sandbox, program)
    node = json.loads(program("list", "-o", "json").stdout)["data"]["instances"][0]["id"]
    for line, expected in list(IN_AN_EMPTY_REGION.items())[share::SHARES]:
        start = len(sandbox.world.calls)
        program(*line.format(node=node).split())
        counts = calls_by_region(sandbox, start)
        for region in CLEAR:
            own = counts.get(region, Counter())
            assert own.total() == expected, (line, region, own)


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
