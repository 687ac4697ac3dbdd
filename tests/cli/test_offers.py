"""`offers`: where to go, from the whole account's regions, and into the configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bacalhau_spot.config.document import parse
from support.program import Program
from support.schemas import contract

FEW = ("--region", "us-east-1,us-west-2,eu-west-1")


@pytest.fixture
def program(sandbox: Any, program: Program) -> Program:
    program.environ["BACALHAU_SPOT_ADVISOR_URL"] = f"{sandbox.url}/_sandbox/advisor"
    program.environ["XDG_STATE_HOME"] = str(program.folder / "state")
    return program


def actions(sandbox: Any, start: int = 0) -> list[tuple[str, str]]:
    return [(region, name) for region, name, _ in list(sandbox.world.calls)[start:]]


def test_every_pool_of_every_region_with_few_calls(sandbox: Any, program: Program) -> None:
    """The configuration's types in all enabled regions: each pool with its price, week, rate; four or five calls a region."""
    done = program("offers", "-o", "json")
    assert done.code == 0, done.stdout
    pools = done.data["pools"]
    contract("offers", {**done.data, "pools": pools[:1], "regions": done.data["regions"][:1]})
    assert {pool["type"] for pool in pools} == {"t3.medium", "t3a.medium"}
    assert len({pool["region"] for pool in pools}) == len(done.data["looked_into"]) == 17
    assert done.data["nodes"] == 3
    for pool in pools:
        low, now, high = (
            float(one) for one in (pool["week"]["low"], pool["usd_per_hour"], pool["week"]["high"])
        )
        assert low <= now <= high
        assert pool["interruption"] in {"<5%", "5-10%", "10-15%", "15-20%", ">20%"}
    prices = [float(pool["usd_per_hour"]) for pool in pools]
    assert prices == sorted(prices)
    by_region: dict[str, int] = {}
    for region, _ in actions(sandbox):
        by_region[region] = by_region.get(region, 0) + 1
    assert max(count for region, count in by_region.items() if region != "us-east-1") <= 5


def test_filters_sorting_and_the_first_rows(program: Program) -> None:
    """What the options ask for is what is shown, in the order asked for."""
    done = program(
        "offers", *FEW, "--vcpus", "2..2", "--memory", "4..8", "--arch", "arm64", "--family", "t4g,m7*",
        "--sort", "interruption", "--top", "7", "-o", "json",
    )  # fmt: skip
    assert done.code == 0, done.stdout
    pools = done.data["pools"]
    assert len(pools) == 7
    assert {(pool["vcpus"], pool["arch"]) for pool in pools} == {(2, "arm64")}
    assert all(pool["type"].startswith(("t4g.", "m7")) for pool in pools)
    order = ["<5%", "5-10%", "10-15%", "15-20%", ">20%"]
    bands = [order.index(pool["interruption"]) for pool in pools]
    assert bands == sorted(bands)
    gpus = program("offers", "-r", "us-east-1", "--gpus", "1", "--family", "g4dn", "-o", "json")
    assert {pool["gpus"] for pool in gpus.data["pools"]} == {1}
    nothing = program("offers", "-r", "us-east-1", "--type", "x9.huge")
    assert nothing.code == 0
    assert "nothing to offer in 1 region" in nothing.stdout


@pytest.mark.parametrize(
    ("argv", "word"),
    [
        (("--vcpus", "two"), "--vcpus: 'two' is no range"),
        (("--region", "mars-1"), "mars-1 is not an enabled region"),
    ],
)
def test_a_wrong_option_is_told(program: Program, argv: tuple[str, ...], word: str) -> None:
    done = program("offers", *argv)
    assert done.code == 2
    assert word in done.stderr


def test_a_region_that_refuses_is_told_and_the_others_shown(sandbox: Any, program: Program) -> None:
    """Blind in one region: exit 5, and the rest is there."""
    sandbox.settings.faults = [
        {"match": "ec2:DescribeSpotPriceHistory", "region": "eu-west-1", "code": "UnauthorizedOperation"}
    ]
    done = program("offers", *FEW, "--by", "region")
    assert done.code == 5
    assert "not looked into: eu-west-1 (not allowed)" in done.stdout
    assert "us-west-2" in done.stdout
    json = program("offers", *FEW, "-o", "json")
    assert [problem["region"] for problem in json.data["unseen"]] == ["eu-west-1"]
    assert {one["region"] for one in json.data["regions"]} == {"us-east-1", "us-west-2"}


def test_rates_are_fetched_once_a_day_and_are_not_needed(sandbox: Any, program: Program) -> None:
    """AWS's file is remembered; where it cannot be read, that is said, and all else is there."""
    assert program("offers", "-r", "us-east-1", "-o", "json").data["pools"][0]["interruption"]
    program.environ["BACALHAU_SPOT_ADVISOR_URL"] = f"{sandbox.url}/nothing-here"
    assert program("offers", "-r", "us-east-1", "-o", "json").data["pools"][0]["interruption"]
    sandbox.clock.advance(2 * 86400)
    later = program("offers", "-r", "us-east-1", "-o", "json")
    assert later.data["pools"][0]["interruption"] is None
    assert later.envelope["warnings"][-1].startswith("no interruption rates")


def test_writing_a_choice(program: Program) -> None:
    """Regions and types go into the file after a question; comments stay; again changes nothing; no is no."""
    path = program.folder / "config.yaml"
    path.write_text(
        "# ours\n" + path.read_text().replace("nodes: 12", "nodes: 4  # four") + "spread: strict  # so\n"
    )
    before = path.read_text()
    options = (
        "offers",
        *FEW,
        "--vcpus",
        "2",
        "--memory",
        "4..8",
        "--family",
        "t3a,m7g",
        "--write",
        "--count",
        "2",
    )
    assert program(*options).code == 3
    refused = program(*options, answers="n\n")
    assert (refused.code, path.read_text()) == (3, before)
    looked = program(*options, "--dry-run", "--top", "1", "-o", "json")
    assert (looked.code, path.read_text()) == (0, before)
    contract("offers", looked.data)
    assert looked.data["written"]["changed"] is False
    done = program(*options, answers="y\n")
    assert done.code == 0, done.stderr
    assert "+regions: [" in done.stderr
    after = path.read_text()
    data: Any = parse(after).data
    assert len(data["regions"]) == 2
    assert set(data["regions"]) < {"us-east-1", "us-west-2", "eu-west-1"}
    assert {name.partition(".")[0] for name in data["instance_types"]} == {"t3a", "m7g"}
    for line in ("# ours", "nodes: 4  # four", "spread: strict  # so"):
        assert line in after.splitlines()
    again = program(*options, "--yes")
    assert again.code == 0
    assert "says so already" in again.stdout
    assert program("create", "--yes", "--dry-run").code == 0


def test_writing_makes_the_file_that_is_missing(program: Program) -> None:
    """From the template, as `configure` does; what was not asked for stays commented."""
    Path(program.folder / "config.yaml").unlink()
    done = program("offers", *FEW, "--type", "t3.medium,t3a.medium,m6a.large", "--write", "--yes")
    assert done.code == 0, done.stderr
    text = (program.folder / "config.yaml").read_text()
    data: Any = parse(text).data
    assert len(data["regions"]) == 3
    assert set(data["instance_types"]) == {"t3.medium", "t3a.medium", "m6a.large"}
    assert "\n#nodes: 12\n" in text
    assert "wrote " in done.stdout


def test_an_image_that_does_not_fit_is_told_before_writing(program: Program) -> None:
    """x86_64's image, arm64's types: nothing is written."""
    image = "ssm:/aws/service/canonical/ubuntu/server/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id"
    program.configure(more=f'image: "{image}"\n')
    before = (program.folder / "config.yaml").read_text()
    done = program("offers", *FEW, "--vcpus", "2", "--memory", "4", "--arch", "arm64", "--write", "--yes")
    assert done.code == 2
    assert "is for x86_64, but" in done.stderr
    assert (program.folder / "config.yaml").read_text() == before
