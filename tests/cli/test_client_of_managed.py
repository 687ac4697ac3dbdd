"""`env` and `smoke-test` with a managed orchestrator: its address, certificate and operator key come from the account."""

from __future__ import annotations

import json
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest

from aws_spot_sandbox_bacalhau.node_settings import NodeSettings
from bacalhau_spot.core.model import Naming
from bacalhau_spot.core.tags import orchestrator_parameter
from cli.test_managed_life import CONFIG, SandboxClock, made
from support.cli_runner import CliRunner
from support.schemas import contract


@pytest.fixture(autouse=True)
def clock(program: CliRunner, sandbox: Any) -> None:
    program.clock = SandboxClock(sandbox)
    program.environ["SHELL"] = "/bin/bash"


def credentials(sandbox: Any) -> dict[str, Any]:
    """The parameter's value, read past the product."""
    name = orchestrator_parameter(Naming())
    answer = sandbox.client("ssm", "us-east-1").get_parameter(Name=name, WithDecryption=True)
    values: dict[str, Any] = json.loads(answer["Parameter"]["Value"])
    return values


def test_env_is_the_operators(program: CliRunner, sandbox: Any) -> None:
    """Not the tool's key, which submits nothing. The authority is in a file of the user's alone."""
    made(program)
    known = credentials(sandbox)
    result = program("env", "-o", "json")
    assert result.code == 0
    contract("env", result.data)
    variables = result.data["variables"]
    assert variables["BACALHAU_API_HOST"] == f"https://{known['host']}:1234"
    assert variables["BACALHAU_API_KEY"] == known["operator_key"]
    path = Path(variables["BACALHAU_API_TLS_CAFILE"])
    assert path.read_text() == known["ca_pem"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    others = {known[name] for name in known if name not in {"host", "ca_pem", "operator_key", "server_pem"}}
    assert not any(str(value) in result.stdout for value in others)
    assert program("env", "--client-url").stdout.endswith(".tar.gz\n")


@pytest.mark.parametrize("shell", ["bash", "fish", "pwsh"])
def test_the_lines_connect_a_client_in_each_shell(program: CliRunner, sandbox: Any, shell: str) -> None:
    """A process of the shell gets the variables and reads the API with them."""
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    made(program)
    lines = program("env", "--shell", "powershell" if shell == "pwsh" else shell).stdout
    option = "-Command" if shell == "pwsh" else "-c"
    curl = 'curl -sS --noproxy "*" --cacert $BACALHAU_API_TLS_CAFILE -H "Authorization: Bearer $BACALHAU_API_KEY"'
    if shell == "pwsh":
        curl = curl.replace("$BACALHAU", "$env:BACALHAU")
    script = f"{lines}\n{curl} $BACALHAU_API_HOST/api/v1/orchestrator/jobs"
    done = subprocess.run([shell, option, script], capture_output=True, text=True, check=True, timeout=60)
    assert json.loads(done.stdout) == {"NextToken": "", "Items": []}


def test_every_node_runs_the_job(program: CliRunner) -> None:
    made(program)
    result = program("smoke-test", "-o", "json")
    assert result.code == 0
    contract("smoke-test", result.data)
    assert [node["outcome"] for node in result.data["nodes"]] == ["ran"] * 4
    assert all(node["seconds"] for node in result.data["nodes"])


def test_a_node_that_fails_has_its_line(program: CliRunner, sandbox: Any) -> None:
    """Exit code 1, with the other nodes' results."""
    made(program)
    node = program("list", "-o", "json").data["instances"][0]["id"]
    sandbox.world.settings_of(NodeSettings).without_docker = (node,)
    result = program("smoke-test")
    assert result.code == 1
    (line,) = [line for line in result.stdout.splitlines() if f"bacalhau-{node} " in line]
    assert "no engine" in line and "wasm" in line
    assert "the job ran on 3 of 4 joined nodes" in result.stdout
    assert f"`bacalhau-spot console {node}`" in result.stdout


def test_a_shared_orchestrator_is_the_others(program: CliRunner, sandbox: Any) -> None:
    """The same API and key; the test runs on the nodes of its own cluster alone."""
    made(program)
    first = program("env", "-o", "json").data["variables"]
    shared = CONFIG.replace("orchestrator: managed", "orchestrator: {cluster: bacalhau-aws-spot}")
    (program.folder / "config.yaml").write_text(
        shared.replace("nodes: 4", "nodes: 2") + "cluster: {name: second, tag_value: second}\n"
    )
    second = program("env", "-o", "json").data["variables"]
    del first["BACALHAU_API_TLS_CAFILE"], second["BACALHAU_API_TLS_CAFILE"]
    assert second == first
    nobody = program("smoke-test")
    assert nobody.code == 1 and "no node of cluster second has joined" in nobody.stderr
    assert program("create", "--yes").code == 0
    result = program("smoke-test", "-o", "json")
    assert result.code == 0 and len(result.data["nodes"]) == 2


@pytest.mark.parametrize("command", ["env", "smoke-test"])
def test_before_create_there_is_none(program: CliRunner, command: str) -> None:
    (program.folder / "config.yaml").write_text(CONFIG)
    result = program(command)
    assert (result.code, result.stdout) == (1, "")
    assert (
        "has no orchestrator, or its credentials were deleted" in result.stderr
        and "bacalhau-spot create" in result.stderr
    )


@pytest.mark.parametrize("command", ["env", "smoke-test"])
def test_without_an_orchestrator_there_is_no_api(program: CliRunner, command: str) -> None:
    """The remedy is an orchestrator, not the address of an API."""
    (program.folder / "config.yaml").write_text(CONFIG.replace("managed", "none"))
    result = program(command)
    assert (result.code, result.stdout) == (2, "")
    assert "orchestrator: none" in result.stderr and "orchestrator=managed" in result.stderr
