"""Nodes that were launched with other values than the configuration's, in every command that shows them."""

from __future__ import annotations

from typing import Any

from bacalhau_spot.core.tags import NODE_SPEC_KEY
from support.cli_runner import CliRunner

REGION = "us-west-2"


def configure(program: CliRunner, more: str = "") -> None:
    program.configure(nodes=2, regions=f"[{REGION}]", more=more)


def created(program: CliRunner, more: str = "") -> None:
    configure(program, more)
    assert program("create", "--yes").code == 0


def test_the_tag_is_on_every_instance_and_tags_are_in_its_metadata(sandbox: Any, program: CliRunner) -> None:
    created(program)
    ec2 = sandbox.client("ec2", REGION)
    rows = [row for group in ec2.describe_instances()["Reservations"] for row in group["Instances"]]
    assert len(rows) == 2
    for row in rows:
        assert NODE_SPEC_KEY in {tag["Key"] for tag in row["Tags"]}
        assert row["MetadataOptions"]["InstanceMetadataTags"] == "enabled"


def test_a_key_that_the_metadata_service_refuses_still_launches(sandbox: Any, program: CliRunner) -> None:
    """EC2 would refuse the launch of an instance with both, also if the account's default is `enabled`."""
    created(program, "cluster:\n  tags:\n    a/b: c\n")
    (region,) = sandbox.client("ec2", REGION).describe_instances()["Reservations"][0]["Instances"][:1]
    assert region["MetadataOptions"]["InstanceMetadataTags"] == "disabled"
    templates = sandbox.client("ec2", REGION).describe_launch_template_versions(Versions=["$Latest"])
    (data,) = (row["LaunchTemplateData"] for row in templates["LaunchTemplateVersions"])
    assert data["MetadataOptions"]["InstanceMetadataTags"] == "disabled"


def test_no_command_says_nothing_to_do_while_a_node_differs(sandbox: Any, program: CliRunner) -> None:
    created(program)
    again = program("create", "--yes")
    assert "nothing to do" in again.stdout and "differ" not in again.stdout
    assert "differ" not in program("list").stdout

    configure(program, "instance: {root_volume_gib: 40}\n")
    create = program("create", "--yes")
    assert create.code == 0
    assert "nothing to launch: 2 of 2 nodes exist" in create.stdout
    for command in ("create", "list", "status"):
        told = program(command)
        assert "2 of 2 nodes differ from the configuration" in told.stdout
        assert "instance.root_volume_gib 20 → 40: i-" in told.stdout
        assert "bacalhau-spot replace --drifted" in told.stdout
    assert program("status").code == 1
    listed = program("list", "-o", "json").data["drifted"]
    assert [row["differences"] for row in listed] == [
        [{"key": "instance.root_volume_gib", "was": "20", "now": "40"}]
    ] * 2
    assert program("create", "--dry-run", "-o", "json").data["plan"]["drifted"] == listed
    assert program("status", "-o", "json").data["drifted"] == listed


def test_another_cluster_is_not_compared_with_this_configuration(sandbox: Any, program: CliRunner) -> None:
    created(program)
    configure(program, "instance: {root_volume_gib: 40}\ncluster: {tag_value: other}\n")
    told = program("list", "--cluster", "bacalhau-aws-spot")
    assert "i-" in told.stdout and "differ" not in told.stdout


def test_a_value_that_cannot_be_read_here_is_no_difference(sandbox: Any, program: CliRunner) -> None:
    """A file may be on the machine that runs `create`, and not on the one that runs `list`."""
    commands = program.folder / "run.sh"
    commands.write_text("apt-get update\n")
    created(program, "instance: {additional_commands_file: run.sh}\n")
    commands.unlink()
    assert "differ" not in program("list").stdout
    commands.write_text("apt-get upgrade\n")
    assert "instance.additional_commands another value → changed" in program("list").stdout
