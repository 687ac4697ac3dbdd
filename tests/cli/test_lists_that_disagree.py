"""AWS's lists learn of a launch one after the other, in any order: nothing is launched twice and nothing called gone.

Source: EC2 API reference, "Eventual consistency in the Amazon EC2 API", which promises no order; trust.md T1.
"""

from __future__ import annotations

from typing import Any

import pytest

from bacalhau_spot.cloud.aws import Aws
from support.cli_runner import CliRunner
from support.killed_process import Killed

ALL_KINDS = [
    *("instance", "fleet", "volume", "network-interface", "spot-instances-request", "launch-template"),
    *("vpc", "subnet", "internet-gateway", "security-group", "route-table"),
]


def alive(sandbox: Any, *regions: str) -> int:
    """How many instances run, by a list that does not lag."""
    sandbox.settings.list_lag_s = {}
    sandbox.settings.read_lag_s = 0.0
    pages = (sandbox.client("ec2", region).describe_instances()["Reservations"] for region in regions)
    instances = (instance for page in pages for row in page for instance in row["Instances"])
    return sum(instance["State"]["Name"] in {"pending", "running"} for instance in instances)


def kill_after_fleet(monkeypatch: pytest.MonkeyPatch, number: int, *, sandbox: Any, wait_s: float = 0) -> Any:
    """End the process after so many fleets; `wait_s` passes after each of the earlier ones."""
    launch = Aws.launch
    fleets = 0

    async def launch_and_die(self: Any, region: str, request: Any) -> Any:
        nonlocal fleets
        result = await launch(self, region, request)
        fleets += 1
        if fleets == number:
            raise Killed
        sandbox.clock.advance(wait_s)
        return result

    monkeypatch.setattr(Aws, "launch", launch_and_die)
    return lambda: monkeypatch.setattr(Aws, "launch", launch)


@pytest.mark.parametrize("lag_s", [2.0, 5.0, 10.0, 40.0])
def test_instances_show_after_their_tags(
    sandbox: Any, program: CliRunner, monkeypatch: pytest.MonkeyPatch, lag_s: float
) -> None:
    """T1's mirror: DescribeTags named the instances, DescribeInstances not yet: 6 ran, 3 were asked for, exit 0."""
    program.configure(nodes=3, regions="[us-east-1]")
    sandbox.settings.list_lag_s = {"DescribeInstances": lag_s}
    live_again = kill_after_fleet(monkeypatch, 1, sandbox=sandbox)
    with pytest.raises(Killed):
        program("create", "--yes")
    live_again()
    assert program("create", "--yes").code == 0
    assert alive(sandbox, "us-east-1") == 3


@pytest.mark.parametrize("before", [0, 2])
def test_a_second_create_at_once(sandbox: Any, program: CliRunner, before: int) -> None:
    """The same without a kill: `create --wait none`, and `create`; for a new cluster and for one that grows."""
    if before:
        program.configure(nodes=before, regions="[us-east-1]")
        assert program("create", "--yes").code == 0
        sandbox.clock.advance(3600)
    program.configure(nodes=4, regions="[us-east-1]")
    sandbox.settings.list_lag_s = {"DescribeInstances": 5.0}
    program("create", "--yes", "--wait", "none")
    assert program("create", "--yes").code == 0
    assert alive(sandbox, "us-east-1") == 4


@pytest.mark.parametrize("lag_s", [2.0, 5.0])
def test_tags_show_after_the_instances(
    sandbox: Any, program: CliRunner, monkeypatch: pytest.MonkeyPatch, lag_s: float
) -> None:
    """T1, several fleets in a region: the second run did not see the first fleet's row, and so asked AWS for another one."""
    program.configure(nodes=4, regions="[us-east-1]", more="max_share_per_pool: 0.5\n")
    sandbox.settings.list_lag_s = {"DescribeInstances": lag_s, "DescribeTags": 10.0}
    live_again = kill_after_fleet(monkeypatch, 2, sandbox=sandbox, wait_s=lag_s + 1)
    with pytest.raises(Killed):
        program("create", "--yes")
    live_again()
    assert program("create", "--yes").code == 0
    assert alive(sandbox, "us-east-1") == 4


@pytest.mark.parametrize("command", [("destroy", "--yes"), ("nuke", "--force")], ids=lambda row: row[0])
def test_an_index_that_shows_nothing(sandbox: Any, program: CliRunner, command: tuple[str, ...]) -> None:
    """T1: a region that left the configuration, or `regions: auto`: "nothing to delete", exit 0, and nodes ran on."""
    program.configure(nodes=2, regions="[eu-west-1]")
    assert program("create", "--yes").code == 0
    program.configure(nodes=2, regions="{auto: {count: 1}}")
    sandbox.settings.hidden_in_tags = ALL_KINDS
    program(*command)
    assert alive(sandbox, "eu-west-1") == 0


def test_auto_counts_by_instances(sandbox: Any, program: CliRunner) -> None:
    """T1: with `regions: auto` the region of the nodes was looked for in the index alone: 8 ran, 4 were asked for."""
    program.configure(nodes=4, regions="[eu-west-1]")
    assert program("create", "--yes").code == 0
    program.configure(nodes=4, regions="{auto: {count: 1}}")
    sandbox.settings.hidden_in_tags = ALL_KINDS
    result = program("create", "--yes", "-o", "json")
    assert (result.code, result.data["plan"]["launch"]) == (0, 0)


def test_auto_does_not_leave_a_region_that_refuses(sandbox: Any, program: CliRunner) -> None:
    """F8: a region that refuses our tokens was taken for empty, and the whole cluster launched again elsewhere, exit 0."""
    program.configure(nodes=4, regions="{auto: {count: 1}}")
    first = program("create", "--yes", "-o", "json")
    (region,) = [row["region"] for row in first.data["receipt"]["regions"] if row["launched"]]
    sandbox.settings.tokens_not_valid = [region]
    result = program("create", "--yes", "-o", "json")
    assert result.code == 4
    assert region in result.envelope["errors"][0]["what"] and "nothing was launched" in result.stdout
    other = next(name for name in ("ap-southeast-1", "eu-west-1") if name != region)
    sandbox.settings.tokens_not_valid = [other]
    # A region in which this machine has not launched blocks nothing.
    assert program("create", "--yes").code == 0


def test_nuke_of_some_regions_leaves_what_all_share(sandbox: Any, program: CliRunner) -> None:
    """`nuke --region` deleted the role and the profile with which nodes of other regions read their token."""
    program.configure(nodes=2, regions="[us-east-1, eu-west-1]", more="  token: 7f3a9c5e1b\n  secrets: ssm\n")
    assert program("create", "--yes").code == 0
    result = program("nuke", "--force", "--region", "us-east-1")
    assert result.code == 0
    assert "roles and instance profiles are retained" in result.stdout + result.stderr
    assert len(sandbox.client("iam").list_instance_profiles()["InstanceProfiles"]) == 1
    assert program("nuke", "--force").code == 0
    assert sandbox.client("iam").list_instance_profiles()["InstanceProfiles"] == []


def test_an_answer_that_is_lost_until_the_end(sandbox: Any, program: CliRunner) -> None:
    """F10: AWS launched, and no answer came through: "launched 0", while two nodes ran."""
    program.configure(nodes=4, regions="[us-east-1, eu-west-1]")
    sandbox.settings.faults = [
        {"match": "CreateFleet", "region": "us-east-1", "code": "ConnectionReset", "when": "after"}
    ]
    result = program("create", "--yes", "-o", "json")
    launched = {row["region"]: len(row["launched"]) for row in result.data["receipt"]["regions"]}
    assert launched == {"us-east-1": 2, "eu-west-1": 2}


def test_the_second_of_two_creates_ends_with_the_first(
    sandbox: Any, program: CliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """B5: it saw AWS's code twelve times and waited for a minute, although the first one was done."""
    program.configure(nodes=2, regions="[us-east-1]")
    sandbox.settings.hidden_in_tags = ALL_KINDS
    sandbox.settings.list_lag_s = {"DescribeInstances": 8.0}
    live_again = kill_after_fleet(monkeypatch, 1, sandbox=sandbox)
    with pytest.raises(Killed):
        program("create", "--yes")
    live_again()
    begun = sandbox.clock.now()
    result = program("create", "--yes")
    assert result.code == 0 and sandbox.clock.now() - begun < 30
    assert result.stderr.count("another create of this cluster is running") == 1
    assert alive(sandbox, "us-east-1") == 2
