"""Every command of this program that it tells the user to type, anywhere, is one: its own command line understands it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import pytest
from cyclopts import CycloptsError

from bacalhau_spot.cli import app as tree
from bacalhau_spot.config import json_schema
from bacalhau_spot.core.error_catalog.classifier import CATALOG, FAMILIES, MESSAGE_RULES, classify
from bacalhau_spot.core.health import diagnosis, orchestrator_status, termination_reasons
from bacalhau_spot.core.iam.permissions import COMMANDS as NEED_RIGHTS
from core.error_catalog.test_aws_hints_are_valid import SOURCE, texts_of_the_code

# In backquotes up to their end; without, to the end of a text that begins so.
_QUOTED = re.compile(r"`(bacalhau-spot [^`]*)`")
_BARE = re.compile(r"bacalhau-spot [^`;,]*")
_NAMED = {"node": "i-0123", "region": "eu-west-1", "member": "n-0123", "cluster": "hub"}


def commands_in(text: str) -> Iterator[str]:
    for text_part in (*_QUOTED.findall(text), *([text] if _BARE.fullmatch(text) else ())):
        yield " ".join(text_part.partition(" | ")[0].split())  # behind it is another program


def texts() -> Iterator[str]:
    yield from texts_of_the_code()
    for info in {*CATALOG.values(), *(rule.info for rule in (*FAMILIES, *MESSAGE_RULES)), classify("")}:
        yield info.hint_for("eu-west-1", profile="work", action="ec2:CreateVpc", host="http://there:1234")
    yield from (row.hint.format(**_NAMED) for row in diagnosis.RULES)
    for rule in orchestrator_status.ORCHESTRATOR_RULES:
        yield from (hint.format(**_NAMED) for hint in (rule.hint, rule.shared_hint))
    yield from (failure.hint for failure in termination_reasons.JOIN_FAILURES)


def of_the_docs() -> Iterator[str]:
    """In backquotes, in substitutions, or on lines of their own; what stands behind `#`, `|` and `>` is the shell's."""
    pages = (SOURCE.parent.parent / "README.md", *(SOURCE.parent.parent / "docs").glob("**/*.md"))
    for page in pages:
        text = page.read_text(encoding="utf-8").replace("uv run -s deploy_spot.py ", "bacalhau-spot ")
        for match in re.finditer(r"\$\((bacalhau-spot [^)|\n]*)", text):
            yield match[1].strip()
        for match in re.finditer(
            r"(?:`|\$ | {4,}|&& )(bacalhau-spot [a-z][^`\n]*)", re.sub(r"\$\([^)\n]*\)", "X", text)
        ):
            yield re.split(r" [#|>]|  | &&", match[1])[0].strip()


# What is filled in, where X is not a word like any other.
FILLED_IN = {
    "bacalhau-spot X --delete-results": (
        "bacalhau-spot destroy --delete-results",
        "bacalhau-spot nuke --delete-results",
    ),
    "bacalhau-spot X --columns X": ("bacalhau-spot list --columns id,state",),
    "bacalhau-spot createX": ("bacalhau-spot create", "bacalhau-spot create --allow-removal --grace 2h"),
    "bacalhau-spot X": ("bacalhau-spot create", "bacalhau-spot nuke"),
    "bacalhau-spot X NODE": ("bacalhau-spot remove i-0123", "bacalhau-spot replace i-0123"),
    "bacalhau-spot X X": ("bacalhau-spot ssh i-0123", "bacalhau-spot console i-0123"),
    "bacalhau-spot scale X": ("bacalhau-spot scale 3",),
    "bacalhau-spot scale X --region X": ("bacalhau-spot scale 3 --region us-east-1",),
    "bacalhau-spot X--help": ("bacalhau-spot --help", "bacalhau-spot config show --help"),
    "bacalhau-spot iam-policy --part X > policy-X.json": ("bacalhau-spot iam-policy --part 2",),
}
# The title of the schema, the first line of each run, and the names of two certificates.
NO_COMMANDS = {
    "bacalhau-spot configuration",
    "bacalhau-spot X \N{MIDDLE DOT} X",
    "bacalhau-spot certificate authority",
    "bacalhau-spot orchestrator",
}


def spoken() -> set[str]:
    commands = {command for text in texts() for command in commands_in(text)} - NO_COMMANDS
    return {
        filled for command in (*commands, *of_the_docs()) for filled in FILLED_IN.get(command, (command,))
    }


COMMANDS = sorted(spoken() - {"bacalhau-spot"})


@pytest.mark.parametrize("command", COMMANDS)
def test_the_program_knows_it(command: str) -> None:
    """The verb, each option, and the number of words."""
    words = ["--output=json" if word == "--json" else word for word in shlex.split(command)[1:]]
    tree.build_app(words).parse_args(words, exit_on_error=False, print_error=False)


def test_they_are_found() -> None:
    """In the hints, in the checkup, in what is told next, in the documentation."""
    assert "bacalhau-spot iam-policy" in COMMANDS
    assert "bacalhau-spot destroy --disable-protection" in COMMANDS
    assert "bacalhau-spot ssh i-0123 -- journalctl -u bacalhau -n 50" in COMMANDS
    assert "bacalhau-spot env --sandbox --client-url" in COMMANDS
    assert "bacalhau-spot create --sandbox --yes" in COMMANDS
    assert len(COMMANDS) > 40
    assert {command.split()[1] for command in COMMANDS} >= {*NEED_RIGHTS, *tree.GROUPS, "configure"}


def test_the_keys_that_it_is_told_to_set_are_keys_of_the_configuration() -> None:
    keys = {"key", *(name for name, _ in json_schema.every_key())}
    key_names = {key for command in COMMANDS for key in re.findall(r"--set '?([a-z_.]+)=", command)}
    assert {"bacalhau.token_file", "bacalhau.api.host", "public_ssh_key_path"} <= key_names <= keys


@pytest.mark.parametrize("command", ["bacalhau-spot craete", "bacalhau-spot list --everything"])
def test_what_the_program_does_not_know_is_noticed(command: str) -> None:
    words = shlex.split(command)[1:]
    with pytest.raises(CycloptsError):
        tree.build_app(words).parse_args(words, exit_on_error=False, print_error=False)
