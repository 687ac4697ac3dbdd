"""Who we are and where we ask: what one region refuses, and what goes wrong before the first call."""

from __future__ import annotations

import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from bacalhau_spot.cli.runtime import aws_profile
from bacalhau_spot.cli.runtime.banner import print_banner
from bacalhau_spot.cli.runtime.endpoint import other_endpoints
from bacalhau_spot.cli.runtime.environment import Runtime
from bacalhau_spot.cloud import credentials
from bacalhau_spot.cloud.cloud_error import CloudError
from bacalhau_spot.cloud.connection import AwsConnection
from support.cli_runner import CliRunner

ELSEWHERE = "eu-west-1"


def test_a_token_that_is_not_valid_in_one_region(sandbox: Any, program: CliRunner) -> None:
    """F8: tokens of the global STS endpoint are refused in opt-in regions (aws-vault#512, saml2aws#928)."""
    sandbox.world.settings.tokens_not_valid = [ELSEWHERE]
    program.configure(nodes=1, regions="[us-east-1]")
    result = program("create", "--yes")
    assert result.code == 0, result.stderr
    for command in (("list",), ("destroy", "--yes")):
        result = program(*command)
        output = " ".join((result.stdout + result.stderr).split())
        assert result.code == 5, output
        assert ELSEWHERE in output
        assert "AWS_STS_REGIONAL_ENDPOINTS=regional" in output
        assert "enter others" not in output


def test_a_configured_region_that_refuses_the_token(sandbox: Any, program: CliRunner) -> None:
    """F8: launching blindly could double nodes, so that region stops the create, with the hint that helps."""
    sandbox.world.settings.tokens_not_valid = [ELSEWHERE]
    program.configure(nodes=1, regions=f"[{ELSEWHERE}]")
    result = program("create", "--yes")
    output = " ".join(result.stderr.split())
    assert result.code == 4, output
    assert f"but not in {ELSEWHERE}" in output
    assert "v2Token" in output


@pytest.fixture
def aws_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_DEFAULT_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    return tmp_path / "config"


def test_a_source_profile_that_waits(aws_config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Complaint 2: the bound holds for a program behind a role, too (aws-cli#3624, granted#133)."""
    monkeypatch.setattr(credentials, "PROCESS_S", 0.1)
    aws_config.write_text(
        "[profile a]\nrole_arn = arn:aws:iam::123456789012:role/r\nsource_profile = b\nregion = us-east-1\n"
        "[profile b]\ncredential_process = /bin/sleep 20\n"
    )
    with pytest.raises(CloudError) as caught:
        credentials.core_session(AwsConnection(profile="a"))
    assert caught.value.code == "CredentialProcessTimeout"


@pytest.mark.parametrize("name", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
def test_a_key_with_a_line_break(aws_config: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Complaint 6: a fault of the credentials, and no part of them is shown (botocore#2001)."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hidden")
    monkeypatch.setenv(name, "AKIAHIDDEN\n")
    with pytest.raises(CloudError) as caught:
        credentials.core_session(AwsConnection())
    assert caught.value.code == "InvalidSetting"
    assert "AKIA" not in caught.value.message
    assert "line break" in caught.value.message


def test_an_empty_profile_is_none(aws_config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Complaint 8: an empty AWS_PROFILE was "profile ()" (botocore#1927)."""
    monkeypatch.setenv("AWS_PROFILE", "")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hidden")
    assert credentials.core_session(AwsConnection()).get_credentials().method == "env"


def test_the_profile_beside_keys_still_counts(tmp_path: Path) -> None:
    """Complaint 8: "is not used", and then the command failed because of it (aws-gate#109)."""
    (tmp_path / "config").write_text("[profile work]\nregion = eu-west-1\n")
    environ = {"AWS_ACCESS_KEY_ID": "a", "AWS_CONFIG_FILE": str(tmp_path / "config")}
    note = aws_profile.credential_precedence_note(None, environ={**environ, "AWS_PROFILE": "work"})
    assert "AWS_PROFILE=work gives only the other settings" in note
    # One that is not there is an error, and no advice about it stands above that.
    assert aws_profile.credential_precedence_note(None, environ={**environ, "AWS_PROFILE": "nosuch"}) == ""


def test_no_home_and_no_working_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Complaint 7: neither ends in a traceback (scuba#11, knack#177)."""

    def missing(*_: object) -> Path:
        raise FileNotFoundError

    def unknown(*_: object) -> Path:
        raise RuntimeError

    monkeypatch.setattr(Path, "cwd", missing)
    monkeypatch.setattr(Path, "home", unknown)
    monkeypatch.setenv("PWD", "/deleted")
    world = Runtime.real()
    assert (world.cwd, world.home) == (Path("/deleted"), Path("~"))


def test_a_relative_state_folder_is_ignored(program: CliRunner) -> None:
    """Complaint 7: XDG base directory specification, "all paths must be absolute"."""
    program.environ["XDG_STATE_HOME"] = "relative"
    runtime = Runtime(program.environ, program.folder, program.folder, sys.stdin, sys.stdout, sys.stderr)
    assert runtime.state_dir == program.folder / ".local" / "state" / "bacalhau-spot"


def test_the_script_without_uv() -> None:
    """Complaint 12: `python3 deploy_spot.py` says how it is run (uv#19222)."""
    script = Path(__file__).parents[2] / "deploy_spot.py"
    result = subprocess.run(
        [sys.executable, "-S", "-I", str(script)], capture_output=True, text=True, check=False
    )
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert f"`uv run -s {script}`" in result.stderr


def test_a_link_to_the_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Complaint 12 (uv#19222): `python3 ~/bin/spot` names the script itself; so do all printed commands."""
    script = Path(__file__).parents[2] / "deploy_spot.py"
    link = tmp_path / "spot"
    link.symlink_to(script)
    result = subprocess.run(
        [sys.executable, "-S", "-I", str(link)], capture_output=True, text=True, check=False
    )
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert f"`uv run -s {script}`" in result.stderr
    for typed, message in (
        (str(link), f"uv run -s {script}"),
        ("deploy_spot.py", "uv run -s deploy_spot.py"),
        ("../a b/deploy_spot.py", "uv run -s '../a b/deploy_spot.py'"),
        ("/usr/bin/bacalhau-spot", "bacalhau-spot"),
    ):
        monkeypatch.setattr(sys, "argv", [typed])
        assert Runtime.real().program == message


def test_a_link_to_the_script_where_the_program_is_installed(tmp_path: Path) -> None:
    """Complaint 12: it runs."""
    link = tmp_path / "spot"
    link.symlink_to(Path(__file__).parents[2] / "deploy_spot.py")
    result = subprocess.run(
        [sys.executable, str(link), "--version"], capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize(
    ("variables", "config", "named"),
    [
        ({"AWS_ENDPOINT_URL": "http://localhost:4566"}, "", ("http://localhost:4566",)),
        ({"AWS_ENDPOINT_URL_EC2": "http://localhost:5000"}, "", ("http://localhost:5000",)),
        ({}, "[default]\nendpoint_url = http://a:1\n", ("http://a:1",)),
        ({"AWS_PROFILE": "p"}, "[profile p]\nendpoint_url = http://b:1\n", ("http://b:1",)),
        (
            {},
            "[default]\nservices = s\n[services s]\nec2 =\n  endpoint_url = http://c:1\n",
            ("http://c:1",),
        ),
        (
            {"AWS_ENDPOINT_URL": "http://a:1", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"},
            "",
            (),
        ),
        ({"AWS_ENDPOINT_URL": "https://ec2.us-east-1.api.aws"}, "", ()),
        ({"AWS_ENDPOINT_URL": "https://vpce-1-a.ec2.us-east-1.vpce.amazonaws.com"}, "", ()),
        ({"AWS_ENDPOINT_URL": "https://ec2.cn-north-1.amazonaws.com.cn"}, "", ()),
        (
            {"AWS_ENDPOINT_URL": "https://amazonaws.com.example.org"},
            "",
            ("https://amazonaws.com.example.org",),
        ),
    ],
)
def test_another_endpoint(
    tmp_path: Path, variables: dict[str, str], config: str, named: tuple[str, ...]
) -> None:
    """Complaint 5: what is not AWS's own address is known, wherever it is set (awscli-local#76, datahub#13861)."""
    (tmp_path / "config").write_text(config)
    environ = {"AWS_CONFIG_FILE": str(tmp_path / "config"), **variables}
    assert other_endpoints(None, environ=environ) == named


def test_another_endpoint_is_not_called_aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Complaint 5: "destroy · AWS", while the real cluster ran on (awscli-local#76)."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://localhost:4566")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    stderr = StringIO()
    print_banner(["destroy"], stderr)
    assert "not AWS: http://localhost:4566" in stderr.getvalue()
