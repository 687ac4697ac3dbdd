"""A command line that cannot be understood: what is wrong with it, and how it is typed. AWS is not asked."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest

from bacalhau_spot.cli.app import COMMANDS as COMMANDS_OF_PROGRAM
from bacalhau_spot.cli.app import command_names
from bacalhau_spot.cli.runtime import other_verbs
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
        ("scael", 'unknown command "scael". Did you mean "scale"?', COMMANDS),
        ("up", 'unknown command "up"', "`bacalhau-spot create`: launch the nodes"),
        ("down", 'unknown command "down"', "`bacalhau-spot destroy`: delete all resources of this cluster"),
        (
            "delete",
            'unknown command "delete"',
            "`bacalhau-spot destroy`: delete all resources of this cluster",
        ),
        ("init", 'unknown command "init"', "`bacalhau-spot configure`: create a commented config.yaml"),
        ("plan", 'unknown command "plan"', "`bacalhau-spot create --dry-run`: show the plan and its price"),
        ("ps", 'unknown command "ps"', "`bacalhau-spot list`: list the cluster's instances"),
        ("--sandbox PS -o wide", 'unknown command "PS"', "`bacalhau-spot list --sandbox`: list"),
        ("events", 'unknown command "events"', "`bacalhau-spot history`: show the launches"),
        ("validate", 'unknown command "validate"', "`bacalhau-spot config show`: check the configuration"),
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


def test_an_option_that_only_begins_the_same_is_not_suggested(program: CliRunner) -> None:
    """`--force` is no misspelling of `--format`."""
    refused = program("destroy", "--force")
    assert refused.code == 2
    assert "unknown option: --force" in refused.stderr
    assert "Did you mean" not in refused.stderr
    assert "Did you mean --region?" in program("list", "--regino", "x").stderr


def test_every_answer_to_another_verb_is_a_command() -> None:
    for line, verbs in other_verbs._VERBS.items():
        first, *rest = line.split()
        assert first in command_names(()), line
        assert not rest or rest[0].startswith("-") or rest[0] in command_names((first,)), line
        assert not {*verbs.split()} & {*COMMANDS_OF_PROGRAM}, verbs


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
