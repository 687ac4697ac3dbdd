"""A command line that cannot be understood: what is wrong with it, and how it is typed. AWS is not asked."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest

from bacalhau_spot.cli.runtime.banner import print_banner
from support.cli_runner import CliRunner

NO_SUCH = "`bacalhau-spot --help` lists the options"
COMMANDS = "`bacalhau-spot --help` lists the commands"
BEFORE = "must follow the command; only the shared options may precede it"
MISSING = "no command is given"


@pytest.mark.parametrize(
    ("line", "what", "hint"),
    [
        ("frobnicate", 'unknown command "frobnicate"', COMMANDS),
        ("lst", 'unknown command "lst". Did you mean "list"?', COMMANDS),
        ("config shw", 'unknown command "shw". Did you mean "show"?', "`bacalhau-spot config --help`"),
        ("list more", "unexpected argument: more", "`bacalhau-spot list --help`"),
        ("create --yse", "unknown option: --yse", "`bacalhau-spot create --help`"),
        ("--profile a lst", 'unknown command "lst". Did you mean "list"?', COMMANDS),
        ("--region b list", f"--region {BEFORE}", "`bacalhau-spot list --region b`"),
        (
            "--sandbox -c=a -r=b list",
            f"-r {BEFORE}",
            "`bacalhau-spot list --sandbox --config a -r=b`",
        ),
        (
            "sandbox --notice-s 5 interrupt i",
            f"--notice-s {BEFORE}",
            "`bacalhau-spot sandbox interrupt --notice-s 5 i`",
        ),
        ("--yse create", "unknown option: --yse", "`bacalhau-spot create --help`"),
        (
            "--install-completion",
            "unknown option: --install-completion",
            "`bacalhau-spot --help` lists the commands",
        ),
        ("--install-completion list", "unknown option: --install-completion", "`bacalhau-spot list --help`"),
        ("--debug", MISSING, "`bacalhau-spot --help` lists the commands"),
        ("config -o json", MISSING, "`bacalhau-spot config --help` lists the commands"),
        ("--sandbox --profile", "parameter --profile requires an argument", NO_SUCH),
        ("-o xml list", 'invalid value "xml" for -o', "`bacalhau-spot list --help`"),
        ("-- list", f"-- {BEFORE}", "`bacalhau-spot list`"),
    ],
)
def test_what_cannot_be_understood(sandbox: Any, program: CliRunner, line: str, what: str, hint: str) -> None:
    """One sentence with the word that is wrong, never one that agrees to something; and what to type instead."""
    result = program(*line.split())
    assert result.code == 2
    output = result.stderr + result.stdout
    assert what in output
    assert hint in output
    assert "--yes" not in output
    assert sandbox.world.calls == []


@pytest.mark.parametrize(
    "argv", ["list -o json -o", "-o json list -o", "list -o json --output", "list -o json -o xml"]
)
def test_the_last_readable_format_is_the_errors_format(program: CliRunner, argv: str) -> None:
    """A program that reads JSON gets the error about the other option as JSON, too."""
    refused = program(*argv.split())
    assert refused.code == 2
    assert refused.envelope["errors"]


def test_a_corrected_command_has_each_option_once(program: CliRunner) -> None:
    refused = program("--force", "nuke", "--sandbox", "-o", "json")
    hint = refused.envelope["errors"][0]["hint"]
    assert hint == "for example: `bacalhau-spot nuke --sandbox --force`"


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        ("list --sandbox=true", "bacalhau-spot list \N{MIDDLE DOT} sandbox: not AWS\n"),
        ("list --sandbox --sandbox=false", "bacalhau-spot list \N{MIDDLE DOT} AWS\n"),
        ("list -ojson --sandbox", ""),
        ("list -o=json --sandbox", ""),
        ("-owide list --sandbox", "bacalhau-spot list \N{MIDDLE DOT} sandbox: not AWS\n"),
    ],
)
def test_the_first_line_names_what_is_asked(argv: str, line: str) -> None:
    stderr = StringIO()
    print_banner(argv.split(), stderr)
    assert stderr.getvalue() == line
