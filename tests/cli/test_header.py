"""The first two lines of a command: the endpoint, the file, the account, the caller and the cluster."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from bacalhau_spot.cli.app import COMMANDS
from bacalhau_spot.cli.runtime.banner import print_banner
from support.cli_runner import CliRunner

ACCOUNT = "000000000000"
ALIASES = "iam:ListAccountAliases"


def first_line(*argv: str) -> str:
    stderr = StringIO()
    print_banner(argv, stderr)
    return stderr.getvalue()


@pytest.mark.parametrize(
    ("typed", "shown"),
    [((), "../config.yaml"), (("--config", "x/y.yaml"), "x/y.yaml")],
    ids=["found", "named"],
)
def test_the_first_line_names_the_configuration_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, typed: tuple[str, ...], shown: str
) -> None:
    """Also one from a folder above, which the user may not mean."""
    (tmp_path / "config.yaml").write_text("nodes: 1\n")
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path / "sub")
    monkeypatch.delenv("BACALHAU_SPOT_CONFIG", raising=False)
    assert first_line("destroy", *typed) == f"bacalhau-spot destroy · AWS · {shown}\n"


def test_a_file_far_away_is_named_by_its_shorter_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = tmp_path / "a" / "b" / "c"
    deep.mkdir(parents=True)
    monkeypatch.chdir(deep)
    assert first_line("list", "--config", "/etc/x.yaml").endswith("· /etc/x.yaml\n")


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_that_calls_aws_has_a_first_line(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    without = {"configure", "explain", "iam-policy", "env", "notify-test", "completion", "help", "version"}
    assert bool(first_line(command, "--sandbox")) is (command not in without)


def test_the_name_of_a_command_in_a_group_has_two_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert first_line("image", "list", "--sandbox") == "bacalhau-spot image list · sandbox: not AWS\n"


def account_lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("account ")]


def test_the_second_line_names_account_alias_caller_and_cluster(sandbox: Any, program: CliRunner) -> None:
    """The alias is asked once a day, not by each command."""
    sandbox.client("iam").create_account_alias(AccountAlias="acme")
    sandbox.world.calls.clear()
    expected = [f"account acme ({ACCOUNT}) as user/sandbox · cluster bacalhau-aws-spot"]
    assert account_lines(program("list").stderr) == expected
    assert account_lines(program("status").stderr) == expected
    assert [action for _, action, _ in sandbox.world.calls].count(ALIASES) == 1


def test_another_cluster_is_named_in_its_place(program: CliRunner) -> None:
    assert account_lines(program("list", "--cluster", "blue").stderr)[0].endswith("· cluster blue")


def test_commands_for_the_account_name_no_cluster(program: CliRunner) -> None:
    assert account_lines(program("clusters").stderr) == [f"account {ACCOUNT} as user/sandbox"]


def test_a_denied_alias_is_left_out(sandbox: Any, program: CliRunner) -> None:
    sandbox.settings.faults = [{"match": "ListAccountAliases", "code": "AccessDenied", "status": 403}]
    result = program("list")
    assert result.code == 0
    assert account_lines(result.stderr)[0].startswith(f"account {ACCOUNT} as ")


@pytest.mark.parametrize("form", ["json", "yaml"])
def test_a_document_has_no_line_about_the_account(sandbox: Any, program: CliRunner, form: str) -> None:
    """Nor the call for it."""
    assert account_lines(program("list", "-o", form).stderr) == []
    assert ALIASES not in {action for _, action, _ in sandbox.world.calls}
