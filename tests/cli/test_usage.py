"""A command line that cannot be understood: what is wrong with it, and how it is typed. AWS is not asked."""

from __future__ import annotations

from typing import Any

import pytest

from support.cli_runner import CliRunner

NO_SUCH = "`bacalhau-spot --help` lists the options"
BEHIND = "is an option before the command; options follow the command"


@pytest.mark.parametrize(
    ("line", "what", "hint"),
    [
        ("frobnicate", 'unknown command "frobnicate"', NO_SUCH),
        ("lst", 'unknown command "lst". Did you mean "list"?', NO_SUCH),
        ("config shw", 'unknown command "shw". Did you mean "show"?', "`bacalhau-spot config --help`"),
        ("list more", "nothing is expected there: more", "`bacalhau-spot list --help`"),
        ("create --yse", "unknown option: --yse", "`bacalhau-spot create --help`"),
        ("--profile a list", f"--profile {BEHIND}", "`bacalhau-spot list --profile a`"),
        ("--sandbox -c=a create -r b", f"--sandbox {BEHIND}", "`bacalhau-spot create --sandbox -c=a -r b`"),
        ("--debug", f"--debug {BEHIND}", "`bacalhau-spot list --debug`"),
        ("config -o json", f"-o {BEHIND}", "`bacalhau-spot config show -o json`"),
    ],
)
def test_what_cannot_be_understood(sandbox: Any, program: CliRunner, line: str, what: str, hint: str) -> None:
    """One sentence with the word that is wrong, never one that agrees to something; and what to type instead."""
    done = program(*line.split())
    assert done.code == 2
    said = done.stderr + done.stdout
    assert what in said
    assert hint in said
    assert "--yes" not in said
    assert sandbox.world.calls == []
