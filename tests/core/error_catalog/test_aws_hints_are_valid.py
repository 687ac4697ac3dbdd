"""Every command of the AWS CLI that we tell the user to type, anywhere, is one: botocore's models know it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from botocore.exceptions import UnknownServiceError

import bacalhau_spot
from bacalhau_spot.cloud.cleanup.dependencies import _ENTITIES, _FIX_COMMANDS, _SERVICES, _USAGES
from bacalhau_spot.cloud.cleanup.dependency_queries import DEPENDENCY_QUERIES
from bacalhau_spot.core.error_catalog.classifier import CATALOG, FAMILIES, MESSAGE_RULES, classify
from support import aws_cli

SOURCE = Path(bacalhau_spot.__file__).parent
# Up to the end of a quotation, of a half-sentence, or of the text.
_COMMAND = re.compile(r"(?<![.\w])aws (?=[a-z0-9-]+\b)((?:\"[^\"]*\"|[^`;,\"…])*)")
_BLANK = re.compile(r"\{[^{}]*\}")
# The verb, or all of it, is filled in: those of the tables are looked at below, and all are run in nuke/test_in_the_way.py.
FILLED_IN = ("aws X", "aws ec2 X", "aws iam X", "aws ec2 revoke-security-group-X")


def commands_in(text: str) -> Iterator[str]:
    """With X wherever something is filled in."""
    for match in _COMMAND.finditer(_BLANK.sub("X", text)):
        yield " ".join(match[0].split()).removesuffix(".")


@cache
def texts_of_the_code() -> tuple[str, ...]:
    """Every string that is not the documentation of something; what is formatted has X in its blanks. Of the modules that name
    a command at all.
    """
    return tuple(_texts_of_the_code())


def _texts_of_the_code() -> Iterator[str]:
    for path in sorted(SOURCE.rglob("*.py")):
        if (
            path.relative_to(SOURCE).parts[0] in {"sandbox", "instance"}
            or path.parent.name == "error_catalog"
        ):
            continue  # nobody is told what is in the one; the hints of the other are looked at filled in
        text = path.read_text(encoding="utf-8")
        if "aws " not in text and "bacalhau-spot" not in text:
            continue
        nodes = list(ast.walk(ast.parse(text)))
        spoken = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
        parts = {id(part) for node in nodes if isinstance(node, ast.JoinedStr) for part in node.values}
        for node in nodes:
            if isinstance(node, ast.JoinedStr):
                yield "".join(
                    str(value.value) if isinstance(value, ast.Constant) else "X" for value in node.values
                )
            elif (
                isinstance(node, ast.Constant)
                and isinstance(node.value, str)
                and id(node) not in spoken | parts
            ):
                yield node.value


def of_the_code() -> set[str]:
    commands = {command for text in texts_of_the_code() for command in commands_in(text)}
    return {command for command in commands if not command.startswith(FILLED_IN)}


def of_the_hints() -> set[str]:
    infos = {*CATALOG.values(), *(rule.info for rule in (*FAMILIES, *MESSAGE_RULES)), classify("")}
    texts = {info.hint_for("eu-west-1", profile="work", action="ec2:CreateVpc") for info in infos}
    return {command for text in texts for command in commands_in(text)}


def of_the_blockers() -> set[str]:
    free = {
        *(question.fix_command for questions in DEPENDENCY_QUERIES.values() for question in questions),
        *(command for _, command in _SERVICES),
        *(f"ec2 {command}" for command in _FIX_COMMANDS.values()),
        *(f"iam {take.format(who=who, name='X', arn='X')}" for _, take in _USAGES for _, who, _ in _ENTITIES
          if not (who == "group" and "boundary" in take)),  # a group has no boundary
        *(f"ec2 revoke-security-group-{way} --group-id X" for way in ("ingress", "egress")),
    }  # fmt: skip
    return {_BLANK.sub("X", f"aws {arguments}") for arguments in free if arguments}


def of_the_docs() -> set[str]:
    """In quotation marks, or on lines of their own."""
    pages = (SOURCE.parent.parent / "README.md", *(SOURCE.parent.parent / "docs").glob("*.md"))
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    texts = (
        match[1] for match in re.finditer(r"(?:`|^ {4,}(?:fix: )?)(aws [a-z][^`\n]*)", text, re.MULTILINE)
    )
    return {command for text_part in texts for command in commands_in(re.sub(r"\$\([^)]*\)", "X", text_part))}


COMMANDS = sorted({*of_the_code(), *of_the_hints(), *of_the_blockers(), *of_the_docs()})


@pytest.mark.parametrize("command", COMMANDS)
def test_the_aws_cli_knows_it(command: str) -> None:
    """The service, the operation, each parameter; and none that is required is missing."""
    aws_cli.parse(command)


def test_they_are_found() -> None:
    """In the hints, in the checkup, and where regions are looked at."""
    assert "aws sso login --profile work" in COMMANDS
    assert "aws account enable-region --region-name X" in COMMANDS
    assert "aws ec2 delete-network-interface --network-interface-id X" in COMMANDS
    assert any(
        command.startswith("aws service-quotas request-service-quota-increase ") for command in COMMANDS
    )
    assert len(COMMANDS) > 40


@pytest.mark.parametrize(
    "command",
    ["aws ec2 describe-vpc", "aws ec2 delete-vpc", "aws ec2 delete-vpc --vpc X", "aws configure sign-in"],
)
def test_what_the_aws_cli_does_not_know_is_noticed(command: str) -> None:
    with pytest.raises((AssertionError, KeyError, ValueError, UnknownServiceError)):
        aws_cli.parse(command)
