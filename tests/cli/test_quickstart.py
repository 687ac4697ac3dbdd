"""The seed's four command lines, the command line's mistakes, and what the help costs."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

from bacalhau_spot.cli.app import COMMANDS, GROUPS
from support.cli_runner import CliRunner


def test_the_four_lines(program: CliRunner) -> None:
    """create, list, destroy and nuke do it; nuke without --force needs somebody who can answer."""
    assert program("create", "--yes").code == 0
    assert program("list").code == 0
    refused = program("nuke")
    assert refused.code == 3
    assert "--force" in refused.stderr
    assert program("nuke", "--force").code == 0
    assert not program("list", "-o", "json").data["instances"]
    assert program("create", "--yes").code == 0
    assert program("destroy", "--yes").code == 0


@pytest.mark.parametrize(
    ("line", "word"),
    [
        (["creat"], "create"),
        (["create", "--bogus"], "--bogus"),
        (["list", "-o", "xml"], "xml"),
        (["sandbox", "fly"], "fly"),
    ],
)
def test_a_mistake_in_the_command_line(program: CliRunner, line: list[str], word: str) -> None:
    """Exit 2, one sentence, and where to look; never a traceback."""
    result = program(*line)
    assert result.code == 2
    assert word in result.stderr
    assert "hint:" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    "line", [["create", "--hep"], ["create", "--ye"], ["nuke", "--forc"], ["create", "--es"]]
)
def test_a_typo_is_never_taken_for_agreement(program: CliRunner, line: list[str]) -> None:
    """No suggestion points at a flag that agrees to something."""
    result = program(*line)
    assert result.code == 2
    assert "Did you mean --yes" not in result.stderr
    assert "Did you mean --force" not in result.stderr


def test_json_speaks_on_failure_too(program: CliRunner) -> None:
    """A usage error and a configuration error have the envelope as well, and stderr is silent."""
    for line in (["create", "--bogus", "-o", "json"], ["create", "--config", "nowhere.yaml", "-o", "json"]):
        result = program(*line)
        assert result.code == 2
        assert result.envelope["status"] == "error"
        assert result.envelope["exit_code"] == 2
        assert result.envelope["errors"][0]["what"]
        assert result.stderr == ""


def test_help_waits_for_nothing_slow() -> None:
    """--help and --version import neither boto3 nor pydantic nor moto, nor the models of a command's output."""
    for flag in ("--help", "--version"):
        code = (
            "import sys; from bacalhau_spot.cli import run; run(sys.argv[1:]);"
            "slow = {'boto3', 'botocore', 'cryptography', 'pydantic', 'moto', 'ruamel.yaml'};"
            "slow = (slow | {'bacalhau_spot.ui.json_output.status'}) & set(sys.modules);"
            "sys.exit(repr(slow) if slow else 0)"
        )
        result = subprocess.run(
            [sys.executable, "-c", code, flag], capture_output=True, text=True, check=False, timeout=60
        )
        assert result.returncode == 0, result.stderr


def test_the_first_words_wait_for_nothing() -> None:
    """They are out before cyclopts, rich, boto3 or pydantic are imported: the reader sees at once that something is going on."""
    code = (
        "import sys\n"
        "class Stream:\n"
        "    def write(self, text):\n"
        "        slow = {'cyclopts', 'rich', 'boto3', 'pydantic', 'asyncio'} & set(sys.modules)\n"
        "        sys.stdout.write(text + repr(slow))\n"
        "        sys.stdout.flush()\n"
        "        import os; os._exit(0)\n"
        "    def flush(self): pass\n"
        "sys.stderr = Stream()\n"
        "from bacalhau_spot.cli import run\n"
        "run(['create', '--sandbox'])\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert result.stdout == "bacalhau-spot create · sandbox: not AWS\nset()"


def test_the_help_page_says_what_each_command_does() -> None:
    """In the words of the command itself, though it is not imported for that."""
    listed = COMMANDS | {name: row for _, group in GROUPS.values() for name, row in group.items()}
    for where, text in listed.values():
        module, _, function = where.partition(":")
        docstring = getattr(importlib.import_module(module), function).__doc__ or ""
        assert docstring.splitlines()[0] == text, where
