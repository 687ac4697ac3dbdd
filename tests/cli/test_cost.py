"""`cost` in the sandbox: a whole life of a cluster, beside what it must have cost, computed by hand."""

from __future__ import annotations

import csv
import json
from decimal import Decimal
from io import StringIO
from typing import Any

import pytest

from support.cli_runner import CliResult, CliRunner
from support.schemas import contract

MINUTE, HOUR = 60, 3600


class Story:
    """A sandbox whose clock is moved to moments counted from the beginning, with prices that are written down."""

    def __init__(self, sandbox: Any, program: CliRunner) -> None:
        self.sandbox, self.program = sandbox, program
        self.start = sandbox.clock.now()

    def until(self, seconds: float) -> None:
        """Move the time there; what happens on the way happens at its own moment."""
        self.sandbox.clock.advance(self.start + seconds - self.sandbox.clock.now())

    def price(self, pool: str, *steps: tuple[float, float]) -> None:
        self.sandbox.settings.prices += [
            {"pool": pool, "at": self.start + at, "usd": usd} for at, usd in steps
        ]

    def launched(self, result: CliResult) -> dict[str, str]:
        """Id -> zone, of what was launched at this very moment."""
        assert result.code == 0, result.stdout + result.stderr
        return {
            instance["id"]: instance["zone"]
            for region in result.data["receipt"]["regions"]
            for instance in region["instances"]
        }

    def take_back(self, region: str, instance_id: str) -> None:
        """At once, without the two minutes' notice."""
        self.sandbox.server.interrupt(region, instance_id, notice_s=0)


@pytest.fixture
def story(sandbox: Any, program: CliRunner) -> Story:
    """Two regions, one pool each that is cheaper than all others, and prices that change at known times."""
    program.environ = {"XDG_STATE_HOME": str(program.folder / "state")}
    program.configure(nodes=3, regions="{us-east-1: {nodes: 2}, eu-west-1: {nodes: 1}}")
    story = Story(sandbox, program)
    story.price("*", (-HOUR, 0.5))
    story.price("us-east-1a/t3.medium", (-HOUR, 0.0120), (90 * MINUTE, 0.0180), (190 * MINUTE, 0.0100))
    story.price("eu-west-1b/t3.medium", (-HOUR, 0.0132), (150 * MINUTE, 0.0140))
    return story


def life(story: Story) -> tuple[str, str, str, str]:
    """A, B and C launched; C taken back after 40 minutes; D in its place at 2:00; B taken back at 3:10."""
    first = story.launched(story.program("create", "--yes", "-o", "json"))
    assert sorted(first.values()) == ["eu-west-1b", "us-east-1a", "us-east-1a"]
    first_id, two, lost = sorted(first, key=lambda each: (first[each] != "us-east-1a", each))
    story.until(40 * MINUTE)
    story.take_back("eu-west-1", lost)
    story.until(2 * HOUR)
    (heir,) = story.launched(story.program("create", "--yes", "-o", "json"))
    story.until(190 * MINUTE)
    story.take_back("us-east-1", two)
    return first_id, two, lost, heir


def cost(story: Story, *argv: str) -> dict[str, Any]:
    result = story.program("cost", "-o", "json", *argv)
    assert result.code == 0, result.stdout
    contract("cost", result.data)
    return result.data


def by_id(data: dict[str, Any]) -> dict[str, Decimal]:
    return {instance["id"]: Decimal(instance["instance_usd"]) for instance in data["instances"]}


# On paper. An instance pays the price in force at the beginning of each of its hours; all were launched at 0:00, but D at 2:00.
# us-east-1a: 0.0120, from 1:30 on 0.0180, from 3:10 on 0.0100.     eu-west-1b: 0.0132, from 2:30 on 0.0140.
A_AT_5 = 0.0120 + 0.0120 + 0.0180 + 0.0180 + 0.0100  # hours 0 to 4
B = 0.0120 + 0.0120 + 0.0180 + 0.0180 * 10 / 60  # 3 hours and 10 minutes
C = 0.0  # 40 minutes, taken back by EC2 in its first hour
D_AT_5 = 0.0132 + 0.0140 + 0.0140  # hours 2 to 4
# A month of a GiB costs 0.08 in us-east-1 and 0.0918 in eu-west-1, an hour on demand 0.0413 and 0.0474 (the sandbox's lists).
VOLUMES_AT_5 = 20 * 0.08 / 730 * (5 + 3 + 10 / 60) + 20 * 0.0918 / 730 * (40 / 60 + 3)
ON_DEMAND_AT_5 = 0.0413 * (5 + 3 + 10 / 60) + 0.0474 * (40 / 60 + 3)
ADDRESSES_AT_5 = 0.005 * (5 + 3 + 10 / 60 + 40 / 60 + 3)


def test_to_the_cent(story: Story) -> None:
    """Launches, price changes, two interruptions, a replacement, an end: what it cost is the sum on paper."""
    story.sandbox.settings.forget_s = 24 * HOUR  # AWS still shows all of it
    first_id, two, lost, heir = life(story)
    story.until(5 * HOUR)
    data = cost(story)
    paper = {first_id: A_AT_5, two: B, lost: C, heir: D_AT_5}
    assert by_id(data) == {
        name: pytest.approx(Decimal(str(usd)), abs=Decimal("1e-6")) for name, usd in paper.items()
    }
    total = data["total"]
    assert float(total["instance_usd"]) == pytest.approx(0.07 + 0.045 + 0.0412, abs=1e-6)
    assert float(total["volume_usd"]) == pytest.approx(VOLUMES_AT_5, abs=1e-6)
    assert float(total["address_usd"]) == pytest.approx(ADDRESSES_AT_5, abs=1e-6)
    assert float(total["usd"]) == pytest.approx(0.1562 + 0.0271 + 0.0592, abs=1e-4)
    overhead = VOLUMES_AT_5 + ADDRESSES_AT_5
    assert float(total["on_demand_usd"]) == pytest.approx(ON_DEMAND_AT_5 + overhead, abs=1e-6)
    assert float(total["saving"]) == pytest.approx(1 - 0.2425 / (0.5111 + 0.0863), abs=1e-3)
    assert (total["instances"], total["running"]) == (4, 2)
    assert {instance["id"] for instance in data["instances"] if instance["interrupted"]} == {two, lost}
    # A and D now, with 20 GiB and an address each.
    assert float(total["current_usd_per_hour"]) == pytest.approx(
        0.0100 + 0.0140 + 20 * (0.08 + 0.0918) / 730 + 2 * 0.005, abs=1e-6
    )
    shown = story.program("cost").stdout
    assert "bacalhau-aws-spot: $0.2425 since" in shown  # 0.1562 + 0.0271 + 0.0592
    # Only what the fifth hour has cost: A at 0.0100 and D at 0.0140.
    last = cost(story, "--since", "1h")["total"]
    assert float(last["instance_usd"]) == pytest.approx(0.0100 + 0.0140, abs=1e-6)
    assert (last["instances"], float(last["hours"])) == (2, 2.0)
    rows = list(csv.DictReader(StringIO(story.program("cost", "-o", "csv").stdout)))
    assert sum(float(row["usd"]) for row in rows) == pytest.approx(float(total["usd"]), abs=1e-5)
    assert len(rows) == 4 * 3
    # And how the prices moved meanwhile, of the two pools that the cluster was in.
    story.sandbox.world.calls.clear()
    moved = story.program("prices", "--since", "6h", "-o", "json")
    assert moved.code == 0
    assert "pricing:GetProducts" not in {name for _, name, _ in story.sandbox.world.calls}
    contract("prices", moved.data)
    steps = {
        pool["zone"]: [float(step["usd_per_hour"]) for step in pool["steps"]] for pool in moved.data["pools"]
    }
    assert steps == {"eu-west-1b": [0.0132, 0.0140], "us-east-1a": [0.0120, 0.0180, 0.0100]}
    marks = [(mark["zone"], mark["label"], mark["instances"]) for mark in moved.data["interruptions"]]
    assert marks == [
        ("eu-west-1b", "launched", 1),
        ("eu-west-1b", "taken back", 1),
        ("eu-west-1b", "launched", 1),
        ("us-east-1a", "launched", 2),
        ("us-east-1a", "taken back", 1),
    ]


def test_what_aws_has_forgotten(story: Story) -> None:
    """With the audit log the same sum comes out of an account that shows nothing any more; without it, nothing is claimed."""
    first = story.launched(story.program("create", "--yes", "-o", "json"))
    lost = next(each for each in first if first[each] == "eu-west-1b")
    story.until(40 * MINUTE)
    story.take_back("eu-west-1", lost)
    story.until(HOUR)
    # AWS still knows the end of C; from now on the log does, as whoever looks notes it, once.
    log = story.program.folder / "state" / "bacalhau-spot" / "audit.jsonl"
    for look in ("status", "list", "status"):
        story.program(look, "--region", "eu-west-1")
    assert [row["id"] for row in map(json.loads, log.open()) if row["event"] == "usage-ended"] == [lost]
    story.until(3 * HOUR)
    assert story.program("destroy", "--yes").code == 0
    story.until(30 * HOUR)
    data = cost(story)
    assert (data["log_only"], data["unknown_end_ids"], data["total"]["running"]) == (3, [], 0)
    # A and B for three hours each; C, taken back in its first hour, but for its volume and address.
    assert float(data["total"]["instance_usd"]) == pytest.approx(2 * (0.0120 + 0.0120 + 0.0180), abs=1e-4)
    assert float(data["total"]["address_usd"]) == pytest.approx(0.005 * (3 + 3 + 40 / 60), abs=1e-4)
    assert data["total"]["current_usd_per_hour"] == "0.000000"
    log.unlink()
    assert cost(story)["instances"] == []
    shown = story.program("cost").stdout
    assert "no audit log on this machine contains" in " ".join(shown.split())


def test_a_budget_is_kept(story: Story) -> None:
    """What is there already counts; a plan above is refused before anything is made; what has no price counts as above."""
    program, before = story.program, story.sandbox.leftovers()
    program.configure(
        nodes=3, regions="{us-east-1: {nodes: 2}, eu-west-1: {nodes: 1}}", more="budget_usd_per_hour: 0.5\n"
    )
    refused = program("create", "--yes")
    assert refused.code == 2
    # Two and one nodes in the dearest pools, 0.5 each, with 20 GiB and an address.
    assert "it may cost $1.52 an hour, $1.02 too much" in refused.stderr
    assert story.sandbox.leftovers() == before
    # With a limit for each instance the dear pools cannot be: 3 * (0.02 + 0.0022 + 0.0050).
    assert program("create", "--yes", "--max-price", "0.02").code == 0
    more = program("create", "--dry-run", "--max-price", "0.02", "--budget", "0.05")
    assert more.code == 0, "nothing is launched, so there is nothing to refuse"
    program.configure(nodes=4, regions="{us-east-1: {nodes: 3}, eu-west-1: {nodes: 1}}")
    more = program("create", "--dry-run", "--max-price", "0.02", "--budget", "0.08", "-o", "json")
    assert more.code == 2
    assert "3 instances there already: $0.0588 an hour" in more.envelope["errors"][0]["details"]
    lifted = program("create", "--dry-run", "--budget", "none", "-o", "json")
    assert (lifted.code, lifted.data["plan"]["budget"]) == (0, None)


def test_what_may_not_be_asked(story: Story) -> None:
    """Without the price list a plan and a cost are told without on demand; a region that may not be seen ends in 5."""
    story.sandbox.settings.deny = ["pricing:GetProducts"]
    planned = story.program("create", "--yes", "-o", "json")
    assert planned.code == 0
    assert planned.data["plan"]["estimate"]["on_demand"] is None
    row = cost(story)
    assert row["total"]["on_demand_usd"] is None
    assert {problem["operation"] for problem in row["unpriced"]} == {"GetProducts"}
    story.sandbox.settings.deny = ["pricing:GetProducts", "ec2:DescribeSpotPriceHistory"]
    story.until(HOUR)
    without_history = story.program("cost", "-o", "json")
    assert without_history.code == 5
    assert without_history.data["total"]["unpriced_hours"] == "3.0000"
    assert {error["code"] for error in without_history.envelope["errors"]} == {"UnauthorizedOperation"}
    story.sandbox.settings.faults = [
        {"match": "DescribeTags", "code": "UnauthorizedOperation", "region": "eu-west-1"}
    ]
    unreachable = story.program("cost", "-o", "json")
    assert (unreachable.code, [region["region"] for region in unreachable.data["failed_regions"]]) == (
        5,
        ["eu-west-1"],
    )


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (("cost", "--since", "yesterday"), "neither a date nor a duration"),
        (("cost", "--since", "2999-01-01"), "in the future"),
        (("create", "--budget", "much"), "not a valid amount of US dollars"),
        (("create", "--max-price", "-1"), "not a valid amount of US dollars"),
        (("destroy", "-o", "csv"), "csv"),
        (("prices", "--region", "mars-1"), "not among the enabled regions"),
        (("prices", "--plot", "prices.pdf"), "none of the extensions .png, .svg, .html"),
    ],
)
def test_what_cannot_be_understood(program: CliRunner, argv: tuple[str, ...], says: str) -> None:
    result = program(*argv)
    assert (result.code, result.stdout) == (2, "")
    assert says in result.stderr
