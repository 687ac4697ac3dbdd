"""What AWS refuses is never taken for what is not there: the refusal is named, and the exit code tells of it."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from support.cli_runner import CliRunner

HERE, THERE = "us-west-1", "eu-west-1"
TYPES = "instance_types: [t3.medium, t3a.medium]"
REQUIREMENTS = "requirements: {vcpus: 2..2, memory_gib: 4..4, arch: x86_64}"


def refuse(sandbox: Any, match: str = "", code: str = "UnauthorizedOperation", **more: Any) -> None:
    """From now on; with nothing, nothing any more."""
    sandbox.settings.faults = (
        [{"match": match, "code": code, "message": "AWS's words", **more}] if match else []
    )


def one_line(text: str) -> str:
    return " ".join(text.split())


class Look(NamedTuple):
    """A command that only looks, what is refused it, and what it is to say of that."""

    line: str
    match: str
    region: str
    code: int
    says: str
    never: str


TAGS, INSTANCES, PRICES = "ec2:DescribeTags", "ec2:DescribeInstances", "ec2:DescribeSpotPriceHistory"
LOOKS = (
    Look(f"console {HERE}", INSTANCES, "", 5, "DescribeInstances: UnauthorizedOperation", "no node"),
    Look(f"ssh {HERE} --print", INSTANCES, "", 5, "DescribeInstances: UnauthorizedOperation", "no node"),
    Look(f"ssh {HERE} --print", INSTANCES, HERE, 5, f"{HERE}: DescribeInstances: UnauthorizedOperation", "no node here"),
    Look("ssh --all --print", INSTANCES, HERE, 5, "DescribeInstances: UnauthorizedOperation", "no node"),
    Look("prices", PRICES, "", 5, "no spot prices could be read", "AWS shows no"),
    Look("status", INSTANCES, HERE, 1, f"{HERE} 1 ? ?", f"{HERE} 1 0 0"),
    Look("status", "ec2:GetConsoleOutput", "", 1, "its console could not be read", "nothing on its console"),
    Look("destroy --dry-run", INSTANCES, "", 4, "all 6 regions", "nothing of"),
    Look("destroy --dry-run", TAGS, "", 5, f"not scanned: {THERE} and {HERE} (not allowed)", "was found not scanned"),
    Look("nuke --dry-run", INSTANCES, "", 4, "all 6 regions", "nothing carries"),
    Look("nuke --dry-run", TAGS, "", 5, f"not scanned: {THERE} and {HERE} (not allowed)", "was found not scanned"),
    # `create` has heard the prices.
    Look("nuke --dry-run", PRICES, HERE, 0, "saves about", "savings unknown"),
)  # fmt: skip


@pytest.mark.sockets
def test_a_command_that_looks(sandbox: Any, program: CliRunner) -> None:
    """Each command beside a cluster that is there, with one call refused everywhere or in one region."""
    program.configure(nodes=2, regions=f"[{HERE}, {THERE}]")
    assert program("create", "--yes").code == 0
    for look in LOOKS:
        refuse(sandbox, look.match, **({"region": look.region} if look.region else {}))
        result = program(*look.line.split())
        output = one_line(result.stdout + result.stderr)
        assert (result.code, look.says in output, look.never in output) == (look.code, True, False), (
            look,
            output,
        )


def choose(program: CliRunner, *, count: int = 1) -> None:
    """A node in a region that create is to choose."""
    path = program.configure(nodes=1, regions=f"{{auto: {{count: {count}}}}}")
    path.write_text(path.read_text().replace(TYPES, REQUIREMENTS))


def test_a_choice_among_regions_of_which_some_would_not_say(sandbox: Any, program: CliRunner) -> None:
    """That nothing is offered, and that nothing is there, is not concluded from a refusal."""
    choose(program)
    wrong = ["--type", "t9.huge", "--write", "--yes"]
    refuse(sandbox, "ec2:DescribeInstanceTypes", region=HERE)
    few = program("offers", *wrong)
    assert few.code == 5 and "DescribeInstanceTypes: UnauthorizedOperation" in one_line(few.stderr)
    assert "regions that were asked for can take" not in one_line(few.stderr)
    refuse(sandbox, PRICES, region=HERE)
    some = program("offers", "--type", "t3.medium,t3a.medium,m6a.large", "--count", "6", "--write", "--yes")
    assert some.code == 5 and "5 of the 6 regions that were asked for can take" in one_line(some.stderr)
    assert f"not known: {HERE}: DescribeSpotPriceHistory: UnauthorizedOperation" in one_line(some.stderr)

    path = program.folder / "config.yaml"
    path.write_text(path.read_text().replace(REQUIREMENTS, "instance_types: [t9.huge]"))
    refuse(sandbox, "ec2:DescribeInstanceTypes", region=HERE)
    nowhere = program("create", "--dry-run")
    assert nowhere.code == 4 and "no enabled region offers" not in nowhere.stderr
    assert "DescribeInstanceTypes: UnauthorizedOperation" in one_line(nowhere.stderr)


def test_a_region_that_may_hold_the_cluster_is_not_taken_for_empty(sandbox: Any, program: CliRunner) -> None:
    """With `regions: auto`, nodes are not launched beside those that could not be seen; one that is closed to us is told."""
    choose(program)
    assert program("create", "--yes").code == 0
    (region,) = {instance["region"] for instance in program("list", "-o", "json").data["instances"]}
    refuse(sandbox, TAGS, "InternalError", status=500, region=region)
    creation = program("create", "--yes")
    assert creation.code == 1 and "DescribeTags: InternalError" in one_line(creation.stderr), creation.stdout
    refuse(sandbox)
    assert len(program("list", "-o", "json").data["instances"]) == 1
    other = next(region_name for region_name in (HERE, THERE) if region_name != region)
    refuse(sandbox, TAGS, region=other)
    result = program("create", "--dry-run")
    assert result.code == 0
    assert f"could not scan {other}: AWS refused DescribeTags (UnauthorizedOperation)" in one_line(
        result.stdout
    )


def test_a_budget_is_not_judged_by_prices_that_were_refused(sandbox: Any, program: CliRunner) -> None:
    """The nodes that are there count; that their price could not be asked for is said, not that there is none."""
    program.configure(nodes=1, regions=f"[{HERE}]")
    assert program("create", "--yes").code == 0
    program.configure(nodes=2, regions=f"[{HERE}, {THERE}]", more="budget_usd_per_hour: 1\n")
    refuse(sandbox, PRICES, region=HERE)
    result = program("create", "--dry-run")
    assert result.code == 4 and "DescribeSpotPriceHistory: UnauthorizedOperation" in one_line(result.stderr)
    assert "AWS shows no price" not in result.stderr
    program.configure(nodes=1, regions=f"[{THERE}]", more="image: ssm:/nobody/has/this\n")
    lacking = program("create", "--dry-run")
    assert lacking.code == 2
    assert f"AWS lists no image ssm:/nobody/has/this in {THERE}" in one_line(lacking.stderr)


def test_nodes_that_would_not_end_are_no_success(sandbox: Any, program: CliRunner) -> None:
    """With --allow-removal, a refused drain is told by the exit code, whatever else went well."""
    program.configure(nodes=2, regions=f"[{HERE}, {THERE}]")
    assert program("create", "--yes").code == 0
    program.configure(nodes=1, regions=f"[{HERE}]")
    stays = program("create", "--yes")  # what is too many may stay
    assert (stays.code, "1 too many" in stays.stdout) == (0, True), stays.stdout
    refuse(sandbox, "ec2:CreateTags", "InternalError", status=500)
    result = program("create", "--allow-removal", "--yes")
    assert (result.code, "CreateTags: InternalError" in one_line(result.stderr)) == (1, True), result.stdout
    assert (
        "2 nodes running, 1 requested: 1 too many" in result.stdout
        and "create --allow-removal" in result.stdout
    )
    refuse(sandbox, "ec2:CreateTags")
    assert program("create", "--allow-removal", "--yes").code == 4
    refuse(sandbox)
    ended = program("create", "--allow-removal", "--yes")
    assert (ended.code, "1 of 1 node running" in ended.stdout) == (0, True), ended.stdout


def test_what_was_granted_and_not_seen_is_not_said_to_be_starting(sandbox: Any, program: CliRunner) -> None:
    """AWS has launched it, and then would not show it: what it is now nobody knows."""
    program.configure(nodes=1, regions=f"[{HERE}]")
    refuse(sandbox, "ec2:DescribeInstances")
    assert program("create", "--yes").code == 4
    assert not any(" instance " in line for line in sandbox.leftovers()), (
        "what may not be counted is not launched"
    )
    sandbox.settings.faults = []
    refuse(sandbox, "ec2:DescribeInstances", region=HERE, after=1)
    result = program("create", "--yes")
    assert (result.code, "starting" in result.stdout) == (4, False)
    assert "0 of 1 node running after 0 s, 1 granted by AWS, not yet visible" in result.stdout, (
        "no cost: it may run, and its price is not known"
    )


def test_what_cannot_be_listed_any_more_is_not_gone(sandbox: Any, program: CliRunner) -> None:
    """A service that refuses from the second look on: what was seen in the first is not reported as deleted."""
    program.configure(nodes=1, regions=f"[{HERE}]", more="  token: 7f3a9c5e1b\n  secrets: ssm\n")
    assert program("create", "--yes").code == 0
    refuse(sandbox, "ssm:DescribeParameters", "AccessDeniedException", region=HERE, after=1)
    refused = program("destroy", "--yes", "-o", "json")
    (outcome,) = [outcome for outcome in refused.data["outcomes"] if outcome["kind"] == "parameter"]
    assert (refused.code, outcome["status"], outcome["problem"]["operation"]) == (
        4,
        "left",
        "DescribeParameters",
    )
    assert all(kind != "instance" for _, kind, _ in map(str.split, sandbox.leftovers()))


def test_what_the_index_names_is_not_gone_because_it_may_not_be_looked_at(
    sandbox: Any, program: CliRunner
) -> None:
    """A cluster needs no queue; but one with its tag is there, and whoever may not look at it cannot verify that it went."""
    program.configure(nodes=1, regions=f"[{HERE}]")
    tags = {"bacalhau-cluster": "bacalhau-aws-spot", "CreatedBy": "bacalhau-aws-spot-script"}
    sandbox.client("sqs", HERE).create_queue(QueueName="bacalhau-jobs", tags=tags)
    sandbox.settings.deny = ["sqs:ListQueueTags"]
    for line in (["destroy", "--dry-run"], ["destroy", "--yes"]):
        result = program(*line)
        assert (result.code, "ListQueueTags: AccessDenied" in one_line(result.stderr)) == (5, True), (
            result.stdout
        )
        assert "verified" not in result.stdout
    sandbox.settings.deny = []
    assert program("destroy", "--yes").code == 0


def test_a_dry_run_without_an_answer_is_no_permission(sandbox: Any, program: CliRunner) -> None:
    """The checkup counts as allowed only what AWS has said is."""
    path = program.configure(nodes=1, regions=f"[{HERE}]")
    path.write_text(path.read_text().replace("192.0.2.1", "127.0.0.1"))
    refuse(sandbox, "ec2:CreateVpc", "InternalError", status=500)
    findings = program("doctor", "-o", "json").data["findings"]
    (rights,) = [finding for finding in findings if finding["check"] == "permissions"]
    assert (
        rights["status"],
        "1 actions could not be checked (CreateVpc: InternalError" in rights["message"],
    ) == (
        "WARN",
        True,
    ), rights
