"""Two operators on one cluster: one changes it at a time, and each one is told about the other."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from bacalhau_spot.cli.runtime.cluster_lock import ClusterLock
from bacalhau_spot.cli.state.machine_mark import machine_mark
from bacalhau_spot.core.lifecycle.operator_lock import (
    LEASE,
    MAX_SKEW,
    LockHolder,
    holder_of,
    lock_name,
    lock_tags,
)
from bacalhau_spot.core.model import Naming
from bacalhau_spot.core.tags import time_in_tag
from support.cli_runner import CliRunner
from support.processes import Process, Turns, run_as_processes, users
from support.storms import machines

REGION = "us-west-2"
ARN = "arn:aws:sts::123456789012:assumed-role/operator/anna"

# Of a lease that a command with another clock has written. A wait is shorter.
LONGEST_S = (LEASE + MAX_SKEW).total_seconds()


def locked(
    sandbox: Any,
    user: CliRunner,
    *,
    host: str = "elsewhere",
    pid: int = 7,
    left_s: float = 540,
    machine: str = "",
) -> Any:
    """The lock of a command, on another machine unless `machine` is the user's. Returns a client of its region."""
    ec2 = sandbox.client("ec2", REGION)
    now = user.clock.now()
    until = now + timedelta(seconds=left_s)
    holder = LockHolder("scale", ARN, host, pid, "other-run", until - LEASE, until, machine)
    tags = [{"Key": key, "Value": value} for key, value in lock_tags(Naming(), holder).items()]
    ec2.create_launch_template(
        LaunchTemplateName=lock_name(Naming()),
        LaunchTemplateData={"MetadataOptions": {"HttpTokens": "required"}},
        TagSpecifications=[{"ResourceType": "launch-template", "Tags": tags}],
    )
    return ec2


def own_machine(user: CliRunner) -> str:
    return machine_mark(user.folder / ".local" / "state" / "bacalhau-spot", host=user.host)


def lock_rows(ec2: Any) -> list[dict[str, Any]]:
    rows = ec2.describe_launch_templates()["LaunchTemplates"]
    return [row for row in rows if row["LaunchTemplateName"].endswith("-lock")]


def locks(ec2: Any) -> list[str]:
    return [row["LaunchTemplateName"] for row in lock_rows(ec2)]


def test_a_command_leaves_no_lock(sandbox: Any, program: CliRunner) -> None:
    program.configure(nodes=1, regions=f"[{REGION}]")
    before = sandbox.leftovers()
    assert program("create", "--yes").code == 0
    assert locks(sandbox.client("ec2", REGION)) == []
    assert program("destroy", "--yes").code == 0
    assert sandbox.leftovers() == before


def test_a_command_with_unlisted_nodes_leaves_its_lock_for_a_moment(sandbox: Any, program: CliRunner) -> None:
    """AWS's lists may omit the nodes: the next command must be able to tell."""
    program.configure(nodes=1, regions=f"[{REGION}]")
    before = sandbox.leftovers()
    assert program("create", "--yes", "--wait", "none").code == 0
    (lock,) = lock_rows(sandbox.client("ec2", REGION))
    tags = {tag["Key"]: tag["Value"] for tag in lock["Tags"]}
    until = time_in_tag(tags["LockedUntil"])
    assert until is not None and until <= program.clock.now() + timedelta(seconds=12)
    assert program("destroy", "--yes").code == 0
    assert sandbox.leftovers() == before


def test_a_second_command_waits_and_names_the_first(sandbox: Any, program: CliRunner) -> None:
    """It waits no longer than the other one's lease, since that one is dead by then."""
    program.configure(nodes=1, regions=f"[{REGION}]")
    ec2 = locked(sandbox, program, left_s=300)
    began = program.clock.now()
    created = program("create", "--yes")
    assert created.code == 0
    assert f"waiting for `scale` of {ARN} on elsewhere" in created.stderr
    assert "another command has changed the cluster meanwhile" in created.stderr
    assert program.clock.now() - began >= timedelta(seconds=300)
    assert locks(ec2) == []


@pytest.mark.parametrize("command", ["create", "destroy"])
def test_a_wait_has_an_end_and_changes_nothing(sandbox: Any, program: CliRunner, command: str) -> None:
    """The hint is to wait, never to destroy what belongs to the other."""
    program.configure(nodes=1, regions=f"[{REGION}]")
    ec2 = locked(sandbox, program, left_s=LONGEST_S)
    before = sandbox.leftovers()
    refused = program(command, "--yes")
    assert refused.code == 1
    assert "another command is changing this cluster; nothing was changed" in refused.stderr
    assert ARN in refused.stderr and "destroy" not in refused.stderr.partition("nothing was changed")[2]
    assert sandbox.leftovers() == before
    assert len(locks(ec2)) == 1


@pytest.mark.parametrize(
    "tag", [{"LockedOn": "{host}:{machine}:99999999999999999999"}, {"LockedUntil": "2076-01-01T00:00:00Z"}]
)
def test_a_forged_tag_of_the_lock_stops_no_command(
    sandbox: Any, program: CliRunner, tag: dict[str, str]
) -> None:
    """Whoever may tag resources can write any value: a number that no process has, a lease of fifty years."""
    program.configure(nodes=1, regions=f"[{REGION}]")
    before = sandbox.leftovers()
    assert program("create", "--yes").code == 0
    own = {"host": program.host, "machine": own_machine(program)}
    for words in (["extend", "4h"], ["scale", "2"], ["destroy"]):
        ec2 = locked(sandbox, program)
        (lock,) = lock_rows(ec2)
        tags = [{"Key": key, "Value": value.format(**own)} for key, value in tag.items()]
        ec2.create_tags(Resources=[lock["LaunchTemplateId"]], Tags=tags)
        changed = program(*words, "--yes")
        assert "internal error" not in changed.stderr and "Traceback" not in changed.stderr
        # A plan that was made before a wait is not carried out.
        assert changed.code == 0 or "since this plan was made" in changed.stderr, changed.stderr
        assert locks(ec2) == []
    assert sandbox.leftovers() == before


def ended_process() -> int:
    dead = os.fork()
    if dead == 0:
        os._exit(0)
    os.waitpid(dead, 0)
    return dead


def test_the_lock_of_a_killed_process_of_this_machine_is_taken_over(sandbox: Any, program: CliRunner) -> None:
    program.configure(nodes=1, regions=f"[{REGION}]")
    machine = own_machine(program)
    ec2 = locked(sandbox, program, host=program.host, pid=ended_process(), left_s=LONGEST_S, machine=machine)
    created = program("create", "--yes")
    assert created.code == 0 and "waiting" not in created.stderr
    assert locks(ec2) == []


@pytest.mark.parametrize("pid", [os.getpid, ended_process], ids=["own", "ended"])
@pytest.mark.parametrize("known", [True, False], ids=["other", "unknown"])
def test_a_host_of_the_same_name_is_not_this_machine(
    sandbox: Any, program: CliRunner, pid: Callable[[], int], known: bool
) -> None:
    """Two containers with one host name, in which the program is process 1; two laptops. An earlier version wrote no more."""
    program.configure(nodes=1, regions=f"[{REGION}]")
    other = replace(program, folder=program.folder / "other")
    other.folder.mkdir()
    machine = own_machine(other) if known else ""
    ec2 = locked(sandbox, program, host=program.host, pid=pid(), left_s=LONGEST_S, machine=machine)
    before = sandbox.leftovers()
    refused = program("create", "--yes")
    assert refused.code == 1
    assert f"waiting for `scale` of {ARN} on {program.host} (since" in refused.stderr
    assert "another command is changing this cluster; nothing was changed" in refused.stderr
    assert sandbox.leftovers() == before
    assert len(locks(ec2)) == 1


def test_a_lock_names_its_process(sandbox: Any, program: CliRunner) -> None:
    """By what the next command of this machine compares."""
    program.configure(nodes=1, regions=f"[{REGION}]")
    assert program("create", "--yes", "--wait", "none").code == 0
    (lock,) = lock_rows(sandbox.client("ec2", REGION))
    holder = holder_of({tag["Key"]: tag["Value"] for tag in lock["Tags"]})
    assert holder is not None and holder.is_on(own_machine(program))
    assert (holder.host, holder.pid) == (program.host, os.getpid())


@pytest.mark.parametrize(
    "words", [["scale", "1", "--write"], ["replace", "--drifted"]], ids=["scale", "replace"]
)
def test_nothing_to_change_is_not_said_in_the_middle_of_another_command(
    sandbox: Any, program: CliRunner, words: list[str]
) -> None:
    """`replace` has its new node before the old one leaves: the number is right for a moment, and then it is not."""
    path = program.configure(nodes=1, regions=f"[{REGION}]")
    assert program("create", "--yes").code == 0
    ec2 = locked(sandbox, program, left_s=300)
    before, began = path.read_text(), program.clock.now()
    refused = program(*words, "--yes")
    assert refused.code == 1 and "nothing to change" not in refused.stdout + refused.stderr
    assert f"waiting for `scale` of {ARN} on elsewhere" in refused.stderr
    assert "another command has changed the cluster since this plan was made" in refused.stderr
    assert program.clock.now() - began >= timedelta(seconds=300)
    assert (locks(ec2), path.read_text()) == ([], before)
    unchanged = program(*words, "--yes")
    assert unchanged.code == 0 and "nothing to change" in unchanged.stdout


@pytest.mark.parametrize("after_s", [6, 8, 10])
def test_a_scale_during_a_replacement_ends_with_its_number_or_not_in_order(
    sandbox: Any, program: CliRunner, monkeypatch: pytest.MonkeyPatch, after_s: int
) -> None:
    """After 8 s there are three nodes: the two old ones, and the new one of `replace`."""
    run_as_processes(sandbox, monkeypatch)
    anna, bert = users(sandbox, program, "here", "there")
    for user in (anna, bert):
        user.configure(nodes=2, regions=f"[{REGION}]")
    assert anna("create", "--yes").code == 0
    old = next(machine.id for machine in machines(sandbox) if machine.spot)
    replacement = Process(anna, ("replace", old, "--yes", "--grace", "0"))
    scaling = Process(bert, ("scale", "3", "--yes"), wakes_at=sandbox.clock.now() + after_s)
    Turns(sandbox.clock, seed=1).run([replacement, scaling])
    assert replacement.result is not None and replacement.result.code == 0
    assert scaling.result is not None
    assert scaling.result.code == 1 or sum(machine.spot for machine in machines(sandbox)) == 3


def test_a_dry_run_does_not_wait_for_another_command(sandbox: Any, program: CliRunner) -> None:
    program.configure(nodes=1, regions=f"[{REGION}]")
    assert program("create", "--yes").code == 0
    locked(sandbox, program, left_s=300)
    shown = program("scale", "1", "--dry-run")
    assert shown.code == 0 and "waiting" not in shown.stderr


def test_nothing_to_change_is_not_said_of_a_cluster_that_has_changed(
    sandbox: Any, program: CliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other command ended between the look and the answer: no lock tells of it."""
    program.configure(nodes=1, regions=f"[{REGION}]")
    assert program("create", "--yes").code == 0
    (node,) = program("list", "-o", "json").data["instances"]

    def ends(_: ClusterLock) -> str:
        sandbox.client("ec2", REGION).terminate_instances(InstanceIds=[node["id"]])
        return ""

    monkeypatch.setattr(ClusterLock, "changing", ends)
    refused = program("scale", "1", "--yes")
    assert refused.code == 1
    assert "another command has changed the cluster since this plan was made" in refused.stderr


def test_without_the_permission_for_a_lock_the_command_warns_and_goes_on(
    sandbox: Any, program: CliRunner
) -> None:
    """Above all `destroy`, which would otherwise leave what costs money."""
    program.configure(nodes=1, regions=f"[{REGION}]")
    assert program("create", "--yes").code == 0
    sandbox.settings.deny = ["ec2:CreateLaunchTemplate"]
    destroyed = program("destroy", "--yes", "-o", "json")
    assert destroyed.code == 0
    assert "could not be locked" in destroyed.envelope["warnings"][0]


def test_a_lock_that_cannot_be_released_is_told(sandbox: Any, program: CliRunner) -> None:
    program.configure(nodes=1, regions=f"[{REGION}]")
    sandbox.settings.deny = ["ec2:DeleteLaunchTemplate"]
    created = program("create", "--yes")
    assert created.code == 0
    assert "the lock of the cluster could not be released" in created.stderr


def test_a_long_command_renews_its_lock(sandbox: Any, program: CliRunner) -> None:
    """Otherwise a second one would take over in the middle of it."""
    program.configure(nodes=1, regions=f"[{REGION}]")
    assert program("create", "--yes").code == 0
    sandbox.world.settings.terminate_s = 500
    assert program("destroy", "--yes").code == 0
    renewed = [call for call in sandbox.world.calls if call[1] == "ec2:CreateTags"]
    assert len(renewed) >= 2


@pytest.mark.parametrize("left_s", [None, 300], ids=["free", "held"])
def test_the_log_names_no_lock(sandbox: Any, program: CliRunner, left_s: float | None) -> None:
    """Neither this command's own nor the one that it waited for: all that `create` names stays."""
    program.configure(nodes=1, regions=f"[{REGION}]")
    ec2 = sandbox.client("ec2", REGION)
    others = set()
    if left_s is not None:
        locked(sandbox, program, left_s=left_s)
        others = {row["LaunchTemplateId"] for row in ec2.describe_launch_templates()["LaunchTemplates"]}
    created = program("create", "--yes")
    assert created.code == 0, created.stderr
    kept = {row["LaunchTemplateId"] for row in ec2.describe_launch_templates()["LaunchTemplates"]}
    named = set(re.findall(r"lt-[0-9a-f]+", created.stdout + created.stderr))
    assert named and named <= kept and not named & others
    shown = program("create", "--yes", "--debug").stderr
    assert "lt-" not in shown
