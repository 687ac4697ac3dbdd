"""A cluster that was renamed in the configuration is named, where nothing of the configured one exists."""

from __future__ import annotations

from typing import Any

import pytest

from support.cli_runner import CliRunner
from support.orchestrator import cluster_node, stand_in


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


def test_errors_name_it_too(program: CliRunner) -> None:
    """`ssh` and `console` without a node, and the commands for a managed orchestrator that does not exist."""
    program.configure(nodes=1, regions="[us-east-1]", more="cluster: {tag_value: hunt}\n")
    assert program("create", "--yes").code == 0
    program.configure(nodes=1, regions="[us-east-1]", more="cluster: {tag_value: hunt2}\n")
    for command in ("ssh", "console"):
        result = program(command)
        assert result.code == 1
        output = " ".join(result.stderr.split())
        assert "hunt2 has no node" in output
        assert (
            f"1 instance of another cluster under bacalhau-cluster: hunt; `bacalhau-spot {command} --cluster"
            in output
        )
    [error] = program("console", "-o", "json").envelope["errors"]
    assert any("hunt" in line for line in error["details"])
    (program.folder / "config.yaml").write_text(
        "nodes: 1\nregions: [us-east-1]\norchestrator: managed\ncluster: {tag_value: hunt2}\n"
    )
    for command in ("env", "smoke-test", "prune"):
        result = program(command)
        output = " ".join(result.stderr.split())
        assert "cluster hunt2 has no orchestrator" in output, command
        assert "1 instance of another cluster under bacalhau-cluster: hunt;" in output, command


def test_an_orchestrator_of_several_clusters(program: CliRunner) -> None:
    """`prune` and `smoke-test` name the clusters whose nodes the orchestrator lists, without a call to AWS."""
    with stand_in() as server:
        server.nodes = [
            cluster_node(f"i-0aaaaaaaaaaaaaaa{number}", region="us-west-1", cluster="hunt")
            for number in (1, 2)
        ]
        path = program.configure(nodes=1, more="cluster: {tag_value: hunt2}\n")
        text = path.read_text().replace('4222"]', f'4222"]\n  api: {{host: "{server.url}"}}')
        path.write_text(text)
        for command, code, advice in (
            ("prune", 0, "`bacalhau-spot prune --cluster hunt"),
            ("smoke-test", 1, "--config"),
        ):
            result = program(command)
            output = " ".join(result.stderr.split())
            assert result.code == code, result.stderr
            assert "2 nodes of another cluster in the orchestrator" in output
            assert f"hunt; {advice}" in output or f"hunt; add {advice}" in output
        assert any("hunt" in text for text in program("prune", "-o", "json").envelope["warnings"])


@pytest.mark.parametrize("name", ["", " ", "a\x01b", "x" * 256], ids=["empty", "blank", "control", "long"])
@pytest.mark.parametrize("command", [("list",), ("destroy", "--yes"), ("extend", "4h")], ids=" ".join)
def test_a_value_that_no_tag_can_have_is_refused(
    sandbox: Any, program: CliRunner, command: tuple[str, ...], name: str
) -> None:
    """An empty one, as from an unset variable, does not select the configured cluster."""
    result = program(*command, "--cluster", name)
    assert (result.code, "--cluster" in result.stderr) == (2, True), result.stderr
    assert "\x01" not in result.stderr
    assert sandbox.world.calls == []
