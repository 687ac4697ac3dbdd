"""What was created a moment ago is not shown yet: nothing is called absent after one look."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from bacalhau_spot.cli.runtime.cluster_lock import ClusterLock
from bacalhau_spot.cloud.session import Session
from support.cli_runner import CliRunner
from support.killed_process import Killed, is_read
from support.long_tests import sample


@pytest.mark.parametrize("command", [("destroy", "--yes"), ("nuke", "--force")], ids=lambda row: row[0])
def test_absence_takes_two_looks(sandbox: Any, program: CliRunner, command: tuple[str, ...]) -> None:
    """T3: "nothing to delete" with exit 0, while a VPC and its parts were there; it is said that the command waits."""
    program.configure(nodes=2, regions="[us-east-1, eu-west-1]")
    assert program("create", "--yes").code == 0
    assert program("destroy", "--yes").code == 0
    before = sandbox.leftovers()
    sandbox.settings.read_lag_s = 10.0
    sandbox.settings.deny = ["ec2:CreateFleet", "ec2:CreateLaunchTemplate"]
    tags = [{"Key": "bacalhau-cluster", "Value": "bacalhau-aws-spot"}]
    for region in ("us-east-1", "eu-west-1"):
        sandbox.client(region=region).create_vpc(
            CidrBlock="10.9.0.0/16", TagSpecifications=[{"ResourceType": "vpc", "Tags": tags}]
        )
    result = program(*command)
    assert result.code == 0, result.stdout + result.stderr
    assert "checking again in 12 s" in result.stderr
    assert sandbox.leftovers() == before


def test_nothing_that_shows_late_is_deleted_unasked(sandbox: Any, program: CliRunner) -> None:
    """T3: the second look comes before the question."""
    sandbox.settings.read_lag_s = 10.0
    tags = [{"Key": "bacalhau-cluster", "Value": "bacalhau-aws-spot"}]
    sandbox.client().create_vpc(
        CidrBlock="10.9.0.0/16", TagSpecifications=[{"ResourceType": "vpc", "Tags": tags}]
    )
    before = sandbox.leftovers()
    assert program("nuke").code == 3
    assert program("destroy").code == 3
    assert sandbox.leftovers() == before


@contextmanager
def killed_at(number: int) -> Iterator[None]:
    """The process ends with its n-th change, after its effect and before the answer; it releases nothing."""
    with pytest.MonkeyPatch.context() as patch:
        call, left = Session.call, number

        async def dying(
            self: Session, service: str, region: str | None, operation: str, **kwargs: Any
        ) -> Any:
            nonlocal left
            if left <= 0 and not is_read(operation):
                raise Killed
            reply = await call(self, service, region, operation, **kwargs)
            left -= not is_read(operation)
            if left == 0 and not is_read(operation):
                raise Killed
            return reply

        patch.setattr(Session, "call", dying)
        patch.setattr(ClusterLock, "__exit__", lambda *_: None)
        with pytest.raises(Killed):
            yield


REGIONS = "[us-east-1, eu-west-1]"
OTHER = "cluster: {tag_value: other}\n"


@pytest.mark.parametrize(
    ("whose", "number", "lag_s"),
    sample(
        [
            (whose, number, lag_s)
            for whose in ("this machine's", "another machine's", "another cluster's")
            for number, lag_s in [(1, 5.0), (3, 0.5), (5, 5.0), (9, 5.0), (20, 5.0)]
        ],
        every=4,
    ),
)
def test_nuke_after_a_killed_create(
    sandbox: Any, program: CliRunner, whose: str, number: int, lag_s: float
) -> None:
    """T3: its lock is taken, or this machine has the mark of a change without an end. Everything is found."""
    before = sandbox.leftovers()
    sandbox.settings.read_lag_s = lag_s
    program.configure(nodes=2, regions=REGIONS, more=OTHER if whose == "another cluster's" else "")
    with killed_at(number):
        program("create", "--yes")
    program.configure(nodes=2, regions=REGIONS)
    if whose == "another machine's":
        program = CliRunner(folder=program.folder, clock=program.clock, host="laptop", runs=50)
    result = program("nuke", "--force")
    assert result.code == 0, result.stdout + result.stderr
    sandbox.settings.read_lag_s = 0.0
    assert sandbox.leftovers() == before


@pytest.mark.parametrize("number", [3, 20])
def test_destroy_after_a_killed_create(sandbox: Any, program: CliRunner, number: int) -> None:
    before = sandbox.leftovers()
    sandbox.settings.read_lag_s = 5.0
    program.configure(nodes=2, regions=REGIONS)
    with killed_at(number):
        program("create", "--yes")
    assert program("destroy", "--yes").code == 0
    sandbox.settings.read_lag_s = 0.0
    assert sandbox.leftovers() == before


def test_a_killed_create_long_ago_costs_no_wait(sandbox: Any, program: CliRunner) -> None:
    """The mark of a killed process counts for two minutes, and is then removed."""
    program.configure(nodes=2, regions=REGIONS, more=OTHER)
    with killed_at(3):
        program("create", "--yes")
    program.configure(nodes=2, regions=REGIONS)
    marks = list(program.folder.rglob("changes/*"))
    assert len(marks) == 1
    assert program("nuke", "--force").code == 0
    assert marks[0].exists()
    sandbox.clock.advance(120)
    before = sandbox.clock.now()
    assert "checking again" not in program("nuke", "--force").stderr
    assert sandbox.clock.now() == before
    assert not marks[0].exists()


def test_a_create_in_order_leaves_no_mark(sandbox: Any, program: CliRunner) -> None:
    program.configure(nodes=2, regions=REGIONS)
    assert program("create", "--yes").code == 0
    assert not list(program.folder.rglob("changes/*"))


@pytest.mark.parametrize("argv", [("nuke", "--force"), ("destroy", "--yes", "--cluster", "other")])
def test_the_wait_is_shown_on_a_terminal(sandbox: Any, program: CliRunner, argv: tuple[str, ...]) -> None:
    """One line in place of silence, with the seconds that are left; it goes away."""
    program.configure(nodes=2, regions=REGIONS, more=OTHER)
    sandbox.settings.read_lag_s = 10.0
    with killed_at(1):
        program("create", "--yes")
    program.configure(nodes=2, regions=REGIONS)
    program.look_line_after_s = 0.0
    result = program(*argv, answers="")
    assert "waiting 12 s for AWS's lists to settle" in result.stderr
    assert "lists to settle\x1b[0m\r\x1b[K" in result.stderr, "it is removed"
