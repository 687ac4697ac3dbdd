"""`env`: the lines for a shell, the file of the certificate authority, and the only secret that a command prints."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from bacalhau_spot.cli import run
from bacalhau_spot.cli.runtime.environment import Runtime
from bacalhau_spot.orchestrator.http import HttpOrchestrator
from support import planted_secrets
from support.certificates import self_signed
from support.cli_runner import CliRunner, Terminal
from support.orchestrator import StandIn, stand_in
from support.planted_secrets import API_KEY, BACALHAU_TOKEN
from support.schemas import contract

PASSWORD = 'it\'s "my" $HOME `pass` \\ word'


@pytest.fixture
def api() -> Iterator[StandIn]:
    with stand_in() as here:
        yield here


@pytest.fixture
def user(program: CliRunner, api: StandIn) -> CliRunner:
    """An orchestrator of the user's own with a key, on plain HTTP."""
    more = f"  token: {BACALHAU_TOKEN}\n  api: {{host: '{api.url}', key_env: ORCH}}\n"
    program.configure(nodes=1, more=more)
    program.environ |= {"ORCH": API_KEY, "SHELL": "/bin/bash"}
    return program


def evaluated(lines: str) -> dict[str, str]:
    """The client's variables after bash has evaluated the lines."""
    environment = {"PATH": os.environ["PATH"], "BACALHAU_API_USERNAME": "of before", "BACALHAU_API_PORT": "1"}
    result = subprocess.run(
        ["bash", "--norc", "-c", 'eval "$(cat)"; env -0'],
        input=lines,
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    pairs = (pair.partition("=") for pair in result.stdout.split("\0"))
    return {name: value for name, _, value in pairs if name.startswith("BACALHAU_")}


def test_the_lines_are_for_eval(user: CliRunner, api: StandIn) -> None:
    """Nothing on stderr, no request, and nothing of an earlier connection remains."""
    result = user("env")
    assert (result.code, result.stderr) == (0, "")
    assert evaluated(result.stdout) == {
        "BACALHAU_API_HOST": api.url,
        "BACALHAU_API_TLS_USETLS": "false",
        "BACALHAU_API_KEY": API_KEY,
    }
    assert api.requests == []


@pytest.mark.parametrize(
    ("shell", "option", "line"),
    [
        ("/usr/bin/fish", [], f"set -gx BACALHAU_API_KEY '{API_KEY}'"),
        ("/usr/bin/fish", ["--shell", "bash"], f"export BACALHAU_API_KEY={API_KEY}"),
        ("", [], f"export BACALHAU_API_KEY={API_KEY}"),
        ("/bin/bash", ["--shell", "powershell"], f"$env:BACALHAU_API_KEY = '{API_KEY}'"),
    ],
)
def test_the_shell_is_guessed_or_named(user: CliRunner, shell: str, option: list[str], line: str) -> None:
    user.environ["SHELL"] = shell
    assert line in user("env", *option).stdout.splitlines()


def test_a_user_and_a_password_of_any_characters_arrive_as_they_are(user: CliRunner, api: StandIn) -> None:
    user.configure(
        nodes=1, more=f"  api: {{host: '{api.url}', user_env: ORCH_USER, password_env: ORCH_PASSWORD}}\n"
    )
    user.environ |= {"ORCH_USER": "a user", "ORCH_PASSWORD": PASSWORD}
    result = user("env")
    assert evaluated(result.stdout) == {
        "BACALHAU_API_HOST": api.url,
        "BACALHAU_API_TLS_USETLS": "false",
        "BACALHAU_API_USERNAME": "a user",
        "BACALHAU_API_PASSWORD": PASSWORD,
    }


def test_the_certificate_authority_is_a_file_of_the_users_alone(user: CliRunner, tmp_path: Path) -> None:
    """0600 below the state folder whatever the umask, and the same file each time."""
    text = self_signed(tmp_path)
    (tmp_path / "ours.pem").write_text(text)
    with stand_in(certificate=tmp_path) as secure:
        user.configure(nodes=1, more=f"  api: {{host: '{secure.url}', key_env: ORCH, ca_file: ours.pem}}\n")
        before = os.umask(0)
        try:
            first, second = evaluated(user("env").stdout), evaluated(user("env").stdout)
        finally:
            os.umask(before)
    assert first == second and first["BACALHAU_API_TLS_USETLS"] == "true"
    path = Path(first["BACALHAU_API_TLS_CAFILE"])
    assert path.read_text() == text
    assert path.is_relative_to(tmp_path / ".local" / "state" / "bacalhau-spot")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_file_that_cannot_be_written_is_an_error(user: CliRunner, tmp_path: Path) -> None:
    self_signed(tmp_path)
    user.configure(nodes=1, more="  api: {host: 'https://127.0.0.1:9', key_env: ORCH, ca_file: server.pem}\n")
    folder = tmp_path / ".local" / "state" / "bacalhau-spot"
    folder.mkdir(parents=True)
    (folder / "ca").write_text("a file in the way")
    result = user("env")
    assert result.code == 1 and "cannot be written" in result.stderr and "XDG_STATE_HOME" in result.stderr
    assert result.stdout == ""


def test_programs_get_the_same_and_the_clients_address(user: CliRunner, api: StandIn) -> None:
    result = user("env", "-o", "json")
    contract("env", result.data)
    assert result.data["orchestrator"] == api.url
    assert result.data["variables"]["BACALHAU_API_KEY"] == API_KEY
    assert set(result.data["removed"]) | set(result.data["variables"]) == {
        f"BACALHAU_API_{name}"
        for name in ("HOST", "PORT", "TLS_USETLS", "TLS_CAFILE", "KEY", "USERNAME", "PASSWORD")
    }
    client = result.data["client"]
    assert client["version"] == "v1.9.3" and "/v1.9.3/bacalhau_v1.9.3_" in client["download_url"]


def on_a_terminal(user: CliRunner, *argv: str) -> tuple[int, str, str]:
    """With stdout on a terminal, too."""
    stdout, stderr = Terminal(), Terminal()
    runtime = Runtime(
        environ=user.environ,
        cwd=user.folder,
        home=user.folder,
        stdin=StringIO(),
        stdout=stdout,
        stderr=stderr,
    )
    code = run(list(argv), runtime=runtime)
    return code, stdout.getvalue(), stderr.getvalue()


def test_on_a_terminal_the_use_is_explained(user: CliRunner, api: StandIn) -> None:
    """On stderr, without the secret; the version is the orchestrator's own."""
    code, stdout, stderr = on_a_terminal(user, "env", "--no-color")
    assert code == 0 and evaluated(stdout)["BACALHAU_API_KEY"] == API_KEY
    assert 'eval "$(bacalhau-spot env)"' in stderr
    assert "curl -fsSL" in stderr and "bacalhau_v1.9.3_" in stderr
    assert stderr.index("tar -xz") < stderr.index('export PATH="$PWD:$PATH"') < stderr.index("bacalhau node")
    planted_secrets.check(stderr, where="the explanation")
    assert [path for _, path, _, _ in api.requests] == ["/api/v1/agent/version"]


def test_the_clients_address_is_for_curl(user: CliRunner, api: StandIn) -> None:
    """One line and no secret, on a terminal too; the same with `-o json`."""
    address = user("env", "-o", "json").data["client"]["download_url"]
    result = user("env", "--client-url")
    assert (result.code, result.stdout, result.stderr) == (0, f"{address}\n", "")
    code, stdout, stderr = on_a_terminal(user, "env", "--client-url", "--no-color")
    assert (code, stdout) == (0, f"{address}\n") and "eval" not in stderr
    assert user("env", "--client-url", "-o", "json").data["client"]["download_url"] == address


def test_the_explanation_needs_no_answer(user: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    user.configure(nodes=1, more="  api: {host: 'http://127.0.0.1:9', key_env: ORCH}\n  version: v1.9.2\n")
    code, stdout, stderr = on_a_terminal(user, "env", "--no-color")
    assert (code, evaluated(stdout)["BACALHAU_API_HOST"]) == (0, "http://127.0.0.1:9")
    assert "does not answer" in stderr and "bacalhau_v1.9.2_" in stderr


def test_a_build_that_is_no_release_has_no_archive(user: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    async def version(_: HttpOrchestrator) -> str:
        return "v1.9.4-7-gabcdef0"

    monkeypatch.setattr(HttpOrchestrator, "version", version)
    assert user("env", "-o", "json").data["client"]["version"] == "v1.9.3"


@pytest.mark.parametrize("form", ["table", "json", "yaml", "ndjson"])
def test_only_env_prints_the_key_and_only_on_stdout(user: CliRunner, form: str) -> None:
    """Other commands with the same configuration do not (`CliRunner` checks each), and neither does a failure of `env`."""
    assert API_KEY in user("env", "-o", form, "--debug").stdout
    for command in (["config", "show"], ["list"], ["smoke-test"]):
        shown = user(*command, "-o", form)
        assert API_KEY not in shown.stdout + shown.stderr
    user.environ["ORCH"] = f"{API_KEY}\x1b[31m"
    failed = user("env", "-o", form)
    assert failed.code == 2 and API_KEY not in failed.stdout + failed.stderr


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("", ("needs the orchestrator's API", "bacalhau.api.host")),
        ("  api: {host: 'https://o.example/prefix', key_env: ORCH}\n", ("bacalhau.api.host",)),
        ("  api: {host: 'https://o.example', key_env: NOT_SET}\n", ("NOT_SET",)),
    ],
)
def test_what_is_missing_is_said(user: CliRunner, more: str, words: tuple[str, ...]) -> None:
    user.configure(nodes=1, more=more)
    result = user("env")
    assert (result.code, result.stdout) == (2, "")
    assert all(word in result.stderr for word in words)
    envelope: dict[str, Any] = json.loads(user("env", "-o", "json").stdout)
    assert envelope["data"] is None and envelope["errors"][0]["hint"]
