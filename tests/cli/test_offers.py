"""`offers`: where to go, from the whole account's regions, and into the configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bacalhau_spot.config.yaml_document import parse_yaml
from cli.conftest import ENABLED
from support.cli_runner import CliRunner
from support.schemas import contract

FEW = ("--region", "us-east-1,us-west-2,eu-west-1")


@pytest.fixture
def program(sandbox: Any, program: CliRunner) -> CliRunner:
    program.environ["BACALHAU_SPOT_ADVISOR_URL"] = f"{sandbox.url}/_sandbox/advisor"
    program.environ["XDG_STATE_HOME"] = str(program.folder / "state")
    return program


def actions(sandbox: Any, start: int = 0) -> list[tuple[str, str]]:
    return [(region, name) for region, name, _ in list(sandbox.world.calls)[start:]]


def test_every_pool_of_every_region_with_few_calls(sandbox: Any, program: CliRunner) -> None:
    """The configuration's types in all enabled regions: each pool with its price, week, rate; four or five calls a region."""
    result = program("offers", "-o", "json")
    assert result.code == 0, result.stdout
    pools = result.data["pools"]
    contract("offers", {**result.data, "pools": pools[:1], "regions": result.data["regions"][:1]})
    assert {pool["type"] for pool in pools} == {"t3.medium", "t3a.medium"}
    assert len({pool["region"] for pool in pools}) == len(result.data["regions_scanned"]) == len(ENABLED)
    assert result.data["nodes"] == 3
    for pool in pools:
        low, now, high = (
            float(price) for price in (pool["week"]["low"], pool["usd_per_hour"], pool["week"]["high"])
        )
        assert low <= now <= high
        assert pool["interruption"] in {"<5%", "5-10%", "10-15%", "15-20%", ">20%"}
    prices = [float(pool["usd_per_hour"]) for pool in pools]
    assert prices == sorted(prices)
    by_region: dict[str, int] = {}
    for region, _ in actions(sandbox):
        by_region[region] = by_region.get(region, 0) + 1
    assert max(count for region, count in by_region.items() if region != "us-east-1") <= 5


def test_filters_sorting_and_the_first_rows(program: CliRunner) -> None:
    """What the options ask for is what is shown, in the order asked for."""
    result = program(
        "offers", *FEW, "--vcpus", "2..2", "--memory", "4..8", "--arch", "arm64", "--family", "t4g,m7*",
        "--sort", "interruption", "--top", "7", "-o", "json",
    )  # fmt: skip
    assert result.code == 0, result.stdout
    pools = result.data["pools"]
    assert len(pools) == 7
    assert {(pool["vcpus"], pool["arch"]) for pool in pools} == {(2, "arm64")}
    assert all(pool["type"].startswith(("t4g.", "m7")) for pool in pools)
    order = ["<5%", "5-10%", "10-15%", "15-20%", ">20%"]
    bands = [order.index(pool["interruption"]) for pool in pools]
    assert bands == sorted(bands)
    gpus = program("offers", "-r", "us-east-1", "--gpus", "1", "--family", "g4dn", "-o", "json")
    assert {(pool["gpus"], pool["gpu_name"], pool["gpu_memory_mib"]) for pool in gpus.data["pools"]} == {
        (1, "T4", 16384)
    }
    nothing = program("offers", "-r", "us-east-1", "--type", "x9.huge")
    assert nothing.code == 0
    assert "nothing to offer in 1 region" in nothing.stdout


@pytest.mark.parametrize(
    ("argv", "word"),
    [
        (("--vcpus", "two"), "--vcpus: 'two' is not a range"),
        (("--region", "mars-1"), "mars-1 is not among the enabled regions"),
    ],
)
def test_a_wrong_option_is_told(program: CliRunner, argv: tuple[str, ...], word: str) -> None:
    result = program("offers", *argv)
    assert result.code == 2
    assert word in result.stderr


def test_a_region_that_refuses_is_told_and_the_others_shown(sandbox: Any, program: CliRunner) -> None:
    """Blind in one region: exit 5, and the rest is there."""
    sandbox.settings.faults = [
        {"match": "ec2:DescribeSpotPriceHistory", "region": "eu-west-1", "code": "UnauthorizedOperation"}
    ]
    result = program("offers", *FEW, "--by", "region")
    assert result.code == 5
    assert "not scanned: eu-west-1 (not allowed)" in result.stdout
    assert "us-west-2" in result.stdout
    json = program("offers", *FEW, "-o", "json")
    assert [problem["region"] for problem in json.data["failed_regions"]] == ["eu-west-1"]
    assert {region["region"] for region in json.data["regions"]} == {"us-east-1", "us-west-2"}


def test_rates_are_fetched_once_a_day_and_are_not_needed(sandbox: Any, program: CliRunner) -> None:
    """AWS's file is remembered; where it cannot be read, that is said, and all else is there."""
    assert program("offers", "-r", "us-east-1", "-o", "json").data["pools"][0]["interruption"]
    program.environ["BACALHAU_SPOT_ADVISOR_URL"] = f"{sandbox.url}/nothing-here"
    assert program("offers", "-r", "us-east-1", "-o", "json").data["pools"][0]["interruption"]
    sandbox.clock.advance(2 * 86400)
    later = program("offers", "-r", "us-east-1", "-o", "json")
    assert later.data["pools"][0]["interruption"] is None
    assert later.envelope["warnings"][-1].startswith("no interruption rates")


def test_writing_a_choice(program: CliRunner) -> None:
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
    result = program(*options, answers="y\n")
    assert result.code == 0, result.stderr
    assert "+regions: [" in result.stderr
    after = path.read_text()
    data: Any = parse_yaml(after).data
    assert len(data["regions"]) == 2
    assert set(data["regions"]) < {"us-east-1", "us-west-2", "eu-west-1"}
    assert {name.partition(".")[0] for name in data["instance_types"]} == {"t3a", "m7g"}
    for line in ("# ours", "nodes: 4  # four", "spread: strict  # so"):
        assert line in after.splitlines()
    again = program(*options, "--yes")
    assert again.code == 0
    assert "has these values already" in again.stdout
    assert program("create", "--yes", "--dry-run").code == 0


def test_writing_makes_the_file_that_is_missing(program: CliRunner) -> None:
    """From the template, as `configure` does; what was not asked for stays commented."""
    Path(program.folder / "config.yaml").unlink()
    result = program("offers", *FEW, "--type", "t3.medium,t3a.medium,m6a.large", "--write", "--yes")
    assert result.code == 0, result.stderr
    text = (program.folder / "config.yaml").read_text()
    data: Any = parse_yaml(text).data
    assert len(data["regions"]) == 3
    assert set(data["instance_types"]) == {"t3.medium", "t3a.medium", "m6a.large"}
    assert "\n#nodes: 12\n" in text
    assert "wrote " in result.stdout


def test_an_image_that_does_not_fit_is_told_before_writing(program: CliRunner) -> None:
    """x86_64's image, arm64's types: nothing is written."""
    image = "ssm:/aws/service/canonical/ubuntu/server/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id"
    program.configure(more=f'image: "{image}"\n')
    before = (program.folder / "config.yaml").read_text()
    result = program("offers", *FEW, "--vcpus", "2", "--memory", "4", "--arch", "arm64", "--write", "--yes")
    assert result.code == 2
    assert "is for x86_64, but" in result.stderr
    assert (program.folder / "config.yaml").read_text() == before


def test_scores_and_room(sandbox: Any, program: CliRunner) -> None:
    """AWS's score for all regions is one question, asked once; the quota's room counts whosever instances there are."""
    sandbox.settings.spot_vcpu_quota = {"us-west-2": 10}
    sandbox.client("ec2", "us-west-2").run_instances(
        ImageId=an_image(sandbox),
        InstanceType="t3.large",
        MinCount=2,
        MaxCount=2,
        InstanceMarketOptions={"MarketType": "spot"},
    )
    options = ("offers", *FEW, "--type", "t3.medium,t3a.medium,m6a.large", "-o", "json")
    result = program(*options, "--nodes", "4")
    assert result.code == 0, result.stdout
    assert result.data["partial_failures"] == []
    regions = {region["region"]: region for region in result.data["regions"]}
    assert regions["us-west-2"]["quota_headroom"] == 3
    assert regions["us-west-2"]["suitability"] == "no-room"
    assert result.data["regions"][-1]["region"] == "us-west-2"
    assert all(1 <= region["score"] <= 10 for region in regions.values())
    assert all(0 < float(region["saving"]) < 1 for region in regions.values())
    assert program(*options, "--nodes", "5").code == 0  # the same question, as AWS counts them
    calls = [name for _, name in actions(sandbox) if name == "ec2:GetSpotPlacementScores"]
    assert len(calls) == 1


def test_when_aws_answers_no_more_questions(sandbox: Any, program: CliRunner) -> None:
    """The day's new questions are used up: that is told, an answer of earlier today is used, and all else is there."""
    sandbox.settings.placement_configurations = 1
    options = ("offers", "-r", "us-east-1", "--type", "t3.medium,t3a.medium,m6a.large", "-o", "json")
    first = program(*options)
    assert first.data["pools"][0]["score"] is not None
    other = program(*options, "--nodes", "50")
    assert other.code == 0
    assert [problem["code"] for problem in other.data["partial_failures"]] == ["MaxConfigLimitExceeded"]
    assert other.data["pools"][0]["score"] is None
    assert other.data["pools"][0]["usd_per_hour"] is not None
    sandbox.clock.advance(3600)
    sandbox.settings.placement_configurations = 0
    later = program(*options)
    assert later.data["pools"][0]["score"] == first.data["pools"][0]["score"]


def an_image(sandbox: Any) -> str:
    name = "/aws/service/canonical/ubuntu/server/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id"
    image_id: str = sandbox.client("ssm", "us-west-2").get_parameters(Names=[name])["Parameters"][0]["Value"]
    return image_id


def test_auto_goes_where_there_is_room(sandbox: Any, program: CliRunner) -> None:
    """`regions: auto`: the cheapest region has too little quota, so it is passed over, and the plan says so."""
    path = program.configure(nodes=4, regions="{auto: {count: 1}}")
    path.write_text(path.read_text().replace("t3a.medium]", "t3a.medium, m6a.large]"))
    cheapest = program("create", "--dry-run", "-o", "json").data["plan"]["region_decisions"][0]
    assert (cheapest["selected"], cheapest["reason"]) == (True, "cheapest")
    sandbox.settings.spot_vcpu_quota = {cheapest["region"]: 6}
    shown = program("create", "--dry-run")
    assert (
        f"cheaper, but not chosen: {cheapest['region']} (its spot quota leaves room for 3 of 4 nodes)"
        in " ".join(shown.stdout.split())
    )
    plan = program("create", "--dry-run", "-o", "json").data["plan"]
    (chosen,) = [decision for decision in plan["region_decisions"] if decision["selected"]]
    assert chosen["region"] != cheapest["region"]
    assert [region["region"] for region in plan["regions"]] == [chosen["region"]]
    sandbox.settings.spot_vcpu_quota = {"*": 6}
    nowhere = program("create", "--yes")
    assert nowhere.code == 1
    assert "quota for spot instances" in nowhere.stderr


@pytest.mark.parametrize("action", ["DescribeInstanceTypes", "DescribeSpotPriceHistory"])
def test_what_no_region_may_be_asked_is_told_as_that(sandbox: Any, program: CliRunner, action: str) -> None:
    """Not as an account in which there is nothing to be had: neither by `offers` nor where `auto` chooses."""
    sandbox.settings.deny = [f"ec2:{action}"]
    program.configure(nodes=2, regions="{auto: {count: 2}}")
    shown = program("offers")
    assert (shown.code, f"ec2:{action}" in shown.stderr) == (5, True), shown.stderr
    result = program("create", "--yes")
    assert (result.code, f"ec2:{action}" in result.stderr) == (4, True), result.stderr
    assert "no enabled region" not in result.stderr
    assert sandbox.leftovers() == []


def test_a_region_that_may_not_be_looked_into_is_not_considered(sandbox: Any, program: CliRunner) -> None:
    """The choice is made among the others, and the plan says which was left out and why."""
    sandbox.settings.faults = [
        {
            "match": "ec2:DescribeSpotPriceHistory",
            "region": "us-east-2",
            "code": "UnauthorizedOperation",
            "status": 403,
        }
    ]
    program.configure(nodes=2, regions="{auto: {count: 2}}")
    result = program("create", "--dry-run")
    assert result.code == 0
    refused = "AWS refused DescribeSpotPriceHistory (UnauthorizedOperation)"
    assert f"not considered: us-east-2: {refused}" in " ".join(result.stdout.split())
