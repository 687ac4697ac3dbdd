"""T2: what answers in AWS's place, well formed and with status 200, is never taken for an empty account."""

from __future__ import annotations

from typing import Any

import pytest

from support.cli_runner import CliRunner
from support.internal_errors import check_no_internal_error

PAGE = "<html><body>Sign in</body></html>"
NUMBERED = "<Response><requestId>0b9d</requestId></Response>"
FALSE_WORDS = ("verified", "nothing to delete", "no instances")


def alive(sandbox: Any, region: str) -> int:
    pages = sandbox.client(region=region).describe_instances()["Reservations"]
    return sum(instance["State"]["Name"] == "running" for page in pages for instance in page["Instances"])


@pytest.mark.parametrize("body", [PAGE, NUMBERED, ""], ids=["a page", "another root", "nothing"])
@pytest.mark.parametrize(
    "command", [["list"], ["destroy", "--yes"], ["nuke", "--force"]], ids=lambda line: line[0]
)
def test_a_stranger_in_one_region(sandbox: Any, program: CliRunner, command: list[str], body: str) -> None:
    """T2: `destroy` said "verified" over a region with three running nodes, and exited with 0."""
    program.configure(nodes=2, regions="[us-east-1, eu-west-1]")
    assert program("create", "--yes").code == 0
    sandbox.settings.faults = [{"match": "ec2:*", "region": "eu-west-1", "code": "NotAws", "message": body}]
    result = program(*command)
    assert result.code not in {0, 1}, result.stderr
    assert "eu-west-1" in result.stderr
    assert not any(words in result.stdout + result.stderr for words in FALSE_WORDS)
    check_no_internal_error(result.stdout + result.stderr)
    sandbox.settings.faults = []
    assert alive(sandbox, "eu-west-1") == 1


def test_a_stranger_for_one_operation(sandbox: Any, program: CliRunner) -> None:
    """T2: two launch templates were left behind a "verified"."""
    program.configure(nodes=1, regions="[us-east-1]")
    assert program("create", "--yes").code == 0
    sandbox.settings.faults = [{"match": "DescribeLaunchTemplates", "code": "NotAws", "message": PAGE}]
    result = program("destroy", "--yes")
    assert result.code != 0
    assert "verified" not in result.stderr
    sandbox.settings.faults = []
    assert len(sandbox.client().describe_launch_templates()["LaunchTemplates"]) == 1


@pytest.mark.parametrize(
    "operation",
    [
        "DescribeRegions",
        "CreateVpc",
        "CreateSubnet",
        "CreateFleet",
        "CreateLaunchTemplate",
        "ssm:GetParameters",
    ],
)
@pytest.mark.parametrize("body", [PAGE, "{}"], ids=["a page", "an empty object"])
def test_a_create_that_a_stranger_answers(
    sandbox: Any, program: CliRunner, operation: str, body: str
) -> None:
    """T2: 26 of 1,008 faults ended in "this program made a mistake" (KeyError); `{}` from SSM was "no image"."""
    program.configure(nodes=1, regions="[us-east-1]")
    sandbox.settings.faults = [{"match": operation, "code": "NotAws", "message": body}]
    result = program("create", "--yes")
    assert result.code == 1, result.stderr
    check_no_internal_error(result.stdout + result.stderr)
    assert "shows no image" not in result.stderr
    sandbox.settings.faults = []
    assert program("destroy", "--yes").code == 0
    assert alive(sandbox, "us-east-1") == 0


def test_pages_that_do_not_end(sandbox: Any, program: CliRunner) -> None:
    """T8: an endless NextToken was followed for ever."""
    program.configure(nodes=1, regions="[us-east-1]")
    body = (
        '<DescribeTagsResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>1</requestId>'
        "<tagSet/><nextToken>again</nextToken></DescribeTagsResponse>"
    )
    sandbox.settings.faults = [{"match": "DescribeTags", "code": "NotAws", "message": body}]
    result = program("list")
    assert result.code == 5, result.stderr
    calls = [call for call in sandbox.world.calls if call[:2] == ("us-east-1", "ec2:DescribeTags")]
    assert 2 <= len(calls) < 100


TRUNCATED = '<?xml version="1.0"?><DescribeInstancesResponse><requestId>0b9d</requestId><reserv'


@pytest.mark.parametrize(
    "body", [PAGE, NUMBERED, "", TRUNCATED], ids=["a page", "another root", "nothing", "truncated"]
)
def test_a_stranger_costs_a_command_seconds(sandbox: Any, program: CliRunner, body: str) -> None:
    """It answered, and a minute of the same question gets the same answer: each call is repeated for ten seconds."""
    program.configure(nodes=2, regions="[us-east-1, eu-west-1]")
    assert program("create", "--yes").code == 0
    sandbox.settings.faults = [{"match": "ec2:*", "region": "eu-west-1", "code": "NotAws", "message": body}]
    for command in ("list", "status", "reconcile"):
        begin, since = sandbox.clock.now(), len(sandbox.world.calls)
        result = program(command)
        spent_s = sandbox.clock.now() - begin
        assert (result.code != 0, "eu-west-1" in result.stdout + result.stderr) == (True, True), command
        assert spent_s < 15, f"{command}: {spent_s:.0f} s"
        asked = [call for region, call, _ in sandbox.world.calls[since:] if region == "eu-west-1"]
        assert asked.count("ec2:DescribeInstances") > 1, "a single one may be a glitch"
