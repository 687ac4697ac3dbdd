"""A cluster that was renamed in the configuration is named, where nothing of the configured one exists."""

from __future__ import annotations

from typing import Any

import pytest

from support.cli_runner import CliRunner


@pytest.mark.parametrize(
    "command",
    [("list",), ("status",), ("cost",), ("destroy", "--yes"), ("destroy", "--dry-run")],
    ids=" ".join,
)
def test_a_renamed_cluster_is_named(sandbox: Any, program: CliRunner, command: tuple[str, ...]) -> None:
    """Complaint 10 (flintrock#113): created as `hunt`, renamed to `hunt2`: "nothing to delete" was all that was said."""
    program.configure(nodes=2, regions="[us-east-1]", more="cluster: {tag_value: hunt}\n")
    assert program("create", "--yes").code == 0
    program.configure(nodes=2, regions="[us-east-1]", more="cluster: {tag_value: hunt2}\n")
    result = program(*command)
    assert result.code == (1 if command == ("status",) else 0)  # nodes are missing
    output = " ".join(result.stderr.split())
    assert (
        f"2 instances of another cluster under bacalhau-cluster: hunt; `bacalhau-spot {command[0]} --cluster hunt"
        in output
    )
    warnings = program(*command, "-o", "json").envelope["warnings"]
    assert any("hunt" in warning for warning in warnings)
    assert program(*command, "--cluster", "hunt").stderr.count("another cluster") == 0


def test_also_beside_ended_nodes_of_its_own(program: CliRunner) -> None:
    """Complaint 10: AWS lists the ended nodes for an hour; they hid the other cluster, which runs and costs money."""
    program.configure(nodes=1, regions="[us-east-1]")
    assert program("create", "--yes").code == 0
    assert program("destroy", "--yes").code == 0
    program.configure(nodes=2, regions="[us-east-1]", more="cluster: {tag_value: hunt}\n")
    assert program("create", "--yes").code == 0
    program.configure(nodes=1, regions="[us-east-1]")
    for command in (("list",), ("status",), ("cost",), ("destroy", "--yes")):
        assert "2 instances of another cluster" in " ".join(program(*command).stderr.split()), command
