"""`create` launches nothing for a configuration that names no orchestrator, unless the command line says so."""

from __future__ import annotations

import base64
import gzip
from typing import Any

import pytest

from support.cli_runner import CliRunner
from support.nats_server import NatsServer, running

TOKEN = "7f3a9c5e1b0d"
ADDRESS = '  orchestrators: ["nats://192.0.2.1:4222"]\n'


def configured(program: CliRunner, *, bacalhau: str = "", more: str = "") -> None:
    path = program.configure(nodes=2, regions="[us-west-2]", more=more)
    path.write_text(path.read_text().replace(f"bacalhau:\n{ADDRESS}", bacalhau))


@pytest.mark.parametrize("option", ["--yes", "--dry-run"])
def test_no_choice_is_refused_before_anything_is_created(
    sandbox: Any, program: CliRunner, option: str
) -> None:
    configured(program, bacalhau=f"bacalhau: {{token: {TOKEN}}}\n")
    refused = program("create", option)
    assert refused.code == 2
    said = " ".join(refused.stderr.split())
    for remedy in (
        "`bacalhau-spot configure --set orchestrator=managed`",
        "`bacalhau-spot configure --set 'orchestrator={cluster: NAME}'`",
        "`bacalhau-spot configure --set 'bacalhau.orchestrators=[nats://HOST:4222]'`",
        "`bacalhau-spot create --without-orchestrator`",
    ):
        assert remedy in said
    assert sandbox.leftovers() == []


def findings(program: CliRunner) -> dict[str, list[dict[str, Any]]]:
    """By check, those of `doctor` that depend on the orchestrator."""
    rows = program("doctor", "-o", "json").data["findings"]
    return {
        check: [row for row in rows if row["check"] == check] for check in ("orchestrator", "token", "create")
    }


def test_doctor_fails_in_the_same_words_and_once(program: CliRunner) -> None:
    """The checks that need an orchestrator name the one that fails."""
    configured(program)
    (refused,) = program("create", "--dry-run", "-o", "json").envelope["errors"]
    found = findings(program)
    (row,) = found["orchestrator"]
    assert row["status"] == "FAIL"
    assert (row["message"], row["details"]) == (refused["what"], refused["details"])
    for check in ("token", "create"):
        (row,) = found[check]
        assert (row["status"], row["message"], row["hint"]) == (
            "WARN",
            "not checked: needs an orchestrator first",
            "see orchestrator",
        )
    assert program("doctor").code == 1


@pytest.mark.parametrize(
    ("choice", "orchestrator", "token", "create"),
    [
        (
            "managed",
            ("PASS", "managed: create launches a t3.small on demand, in us-west-2"),
            ("PASS", "created with the managed orchestrator"),
            ("PASS", "would launch 2 instances now"),
        ),
        (
            "{cluster: blue}",
            ("FAIL", "cluster blue has no managed orchestrator in this account"),
            ("WARN", "not checked: needs an orchestrator first"),
            ("WARN", "not checked: needs an orchestrator first"),
        ),
        (
            "none",
            ("WARN", "none: nodes run without joining a cluster, and receive no jobs"),
            ("PASS", "not needed without an orchestrator"),
            ("PASS", "would launch 2 instances now"),
        ),
    ],
)
def test_each_choice_has_one_finding(
    program: CliRunner,
    choice: str,
    orchestrator: tuple[str, str],
    token: tuple[str, str],
    create: tuple[str, str],
) -> None:
    configured(program, more=f"orchestrator: {choice}\n")
    found = findings(program)
    for check, wanted in (("orchestrator", orchestrator), ("token", token), ("create", create)):
        assert [(row["status"], row["message"]) for row in found[check]] == [wanted]


def test_each_remedy_is_one(sandbox: Any, program: CliRunner) -> None:
    configured(program)
    assert program("configure", "--set", "bacalhau.orchestrators=[nats://192.0.2.1:4222]").code == 0
    assert program("create", "--dry-run").code == 0
    configured(program, more="orchestrator: none\n")
    assert program("create", "--dry-run").code == 0
    configured(program)
    assert program("create", "--yes", "--without-orchestrator").code == 0
    assert len([line for line in sandbox.leftovers() if " instance " in line]) == 2


def test_without_an_orchestrator_nodes_get_neither_address_nor_token(
    sandbox: Any, program: CliRunner
) -> None:
    """Even where the configuration has both; and nobody asks an orchestrator that no node will join."""
    with running(NatsServer(token="another-token")) as server:
        address = f"nats://127.0.0.1:{server.port}"
        configured(program, bacalhau=f'bacalhau:\n  orchestrators: ["{address}"]\n  token: {TOKEN}\n')
        program.asks_orchestrator = True
        assert program("create", "--yes").code == 2
        done = program("create", "--yes", "--without-orchestrator")
    assert done.code == 0, done.stderr
    assert "without an orchestrator, as chosen" in done.stderr
    ec2 = sandbox.client("ec2", "us-west-2")
    (template,) = ec2.describe_launch_templates()["LaunchTemplates"]
    versions = ec2.describe_launch_template_versions(
        LaunchTemplateId=template["LaunchTemplateId"], Versions=["$Latest"]
    )["LaunchTemplateVersions"]
    user_data = gzip.decompress(base64.b64decode(versions[0]["LaunchTemplateData"]["UserData"])).decode()
    assert TOKEN not in user_data
    assert address not in user_data


@pytest.mark.parametrize("choice", ["own", "none"])
def test_without_an_orchestrator_nothing_waits_for_joins(
    sandbox: Any, program: CliRunner, choice: str
) -> None:
    """Although the configuration has the API of one, whose list the nodes will never enter."""
    api = "  api: {host: 'http://127.0.0.1:9'}\n"
    addresses = ADDRESS if choice == "own" else ""
    options = ("--without-orchestrator",) if choice == "own" else ()
    more = "" if choice == "own" else "orchestrator: none\n"
    configured(program, bacalhau=f"bacalhau:\n{addresses}{api}", more=more)
    refused = program("create", "--yes", "--wait", "joined", *options)
    assert refused.code == 2
    assert "--wait running" in refused.stderr
    assert sandbox.leftovers() == []
    done = program("create", "--yes", *options, "-o", "json")
    assert done.code == 0
    receipt = done.data["receipt"]
    assert (receipt["running"], receipt["joined"]) == (2, None)


@pytest.mark.sockets
def test_a_cluster_without_an_orchestrator_is_healthy_as_chosen(sandbox: Any, program: CliRunner) -> None:
    """The nodes' consoles report that they join nothing."""
    configured(program, more="orchestrator: none\n")
    assert program("create", "--yes").code == 0
    sandbox.clock.advance(300)
    sandbox.server.settle()
    shown = program("status")
    assert shown.code == 0, shown.stdout
    assert "2 of 2 nodes running without an orchestrator, as chosen" in shown.stdout
    for excess in ("failed", "destroy", "bacalhau.api"):
        assert excess not in shown.stdout
    nodes = program("status", "-o", "json").data["nodes"]
    assert [node["diagnosis"]["kind"] for node in nodes] == ["without-orchestrator"] * 2


@pytest.mark.parametrize("command", ["env", "smoke-test"])
def test_the_sandboxs_own_orchestrator_is_not_that_of_a_cluster_without(
    program: CliRunner, command: str
) -> None:
    configured(program, more="orchestrator: none\n")
    refused = program(command, "--sandbox")
    assert (refused.code, refused.stdout) == (2, "")
    assert (
        f"{command} needs an orchestrator, and the configuration has `orchestrator: none`" in refused.stderr
    )


def test_the_command_that_goes_on_has_the_options_of_this_one(sandbox: Any, program: CliRunner) -> None:
    configured(program)
    sandbox.world.settings.capacity = {"us-west-2": 0}
    short = program("create", "--yes", "--without-orchestrator", "--budget", "2", "--wait", "running")
    assert (
        "to go on: bacalhau-spot create --without-orchestrator --budget 2 --wait running" in short.stdout
    ), short.stdout


def test_the_home_region_has_to_be_enabled(sandbox: Any, program: CliRunner) -> None:
    configured(program, more="orchestrator: {region: eu-south-9}\n")
    refused = program("create", "--yes")
    assert refused.code == 2
    assert "eu-south-9: no such region" in refused.stderr
    assert sandbox.leftovers() == []
