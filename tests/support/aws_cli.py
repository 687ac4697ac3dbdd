"""The AWS CLI's commands, read with botocore's models, and run with boto3: what a hint tells the user to type has to work."""

from __future__ import annotations

import re
import shlex
from functools import cache
from itertools import takewhile
from typing import TYPE_CHECKING, Any, NamedTuple

import botocore.session
from botocore import xform_name
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Commands of the AWS CLI itself, which no model has: their words, without the parameters.
ITS_OWN = frozenset(
    {
        "configure",
        "configure sso",
        "configure list",
        "configure list-profiles",
        "configure get credential_process",
        "login",
        "sso login",
    }
)
# Its own commands over S3, with their options.
_OVER_S3 = {"rb": {"--force"}}
# Parameters that every command takes.
_GLOBAL = ("--region", "--profile", "--output", "--query")
# How the AWS CLI reads what is no text.
_READ_AS: dict[str, Callable[[Any], Any]] = {
    "list": lambda text: text if isinstance(text, list) else [text],
    "integer": lambda text: int(text.replace("X", "1")),  # X: the value of a placeholder
}
# Parameters that the AWS CLI has and the API has not.
_SHORTER = {"authorize-security-group-ingress": ("--protocol", "--port", "--cidr")}


class Gone(Exception):  # noqa: N818 - it is what was wanted
    """What the command is about is not there any more: another command, or AWS, took it along."""


class NotYet(Gone):
    """An address whose interface is still on its way out: it can be released after that."""


class Command(NamedTuple):
    """A command as boto3 takes it: `arguments` by the names of the API. `wide`: what no API takes."""

    service: str
    operation: str
    arguments: dict[str, Any]
    wide: dict[str, Any]


def _options(words: list[str]) -> Iterator[tuple[str, Any]]:
    """Each with its value; True where it has none, a list where it has several."""
    assert not words or words[0].startswith("--"), words
    for at, word in enumerate(words):
        if word.startswith("--"):
            values = list(takewhile(lambda word: not word.startswith("--"), words[at + 1 :]))
            yield word, values if len(values) > 1 else next(iter(values), True)


@cache
def _model(service: str) -> Any:
    return botocore.session.get_session().get_service_model(service)


def parse(command: str) -> Command | None:
    """`aws SERVICE OPERATION --parameter value …`; None for a command of the AWS CLI's own.

    Raises AssertionError or KeyError for words that the AWS CLI does not know, and for what is missing.
    """
    program, *words = shlex.split(command)
    assert program == "aws", command
    plain = list(words[: next((at for at, word in enumerate(words) if word.startswith("--")), len(words))])
    given = dict(_options(words[len(plain) :]))
    wide = {flag: given.pop(flag) for flag in (*_GLOBAL, *_SHORTER.get(plain[-1], ())) if flag in given}
    if " ".join(plain) in ITS_OWN:
        assert not given, command
        return None
    if plain[0] == "s3":
        assert set(given) <= _OVER_S3[plain[1]], command
        assert plain[2].startswith("s3://"), command
        return None
    service, operation = plain
    model = _model(service)
    names = {xform_name(name, "-"): name for name in model.operation_names}
    shape = model.operation_model(names[operation]).input_shape
    members = {} if shape is None else shape.members
    parameters = {f"--{xform_name(name, '-')}": name for name in members}
    arguments: dict[str, Any] = {}
    for flag, value in given.items():
        name = parameters[flag]
        assert not isinstance(value, list) or members[name].type_name == "list", command
        assert (value is True) == (members[name].type_name == "boolean"), command
        arguments[name] = _READ_AS.get(members[name].type_name, lambda text: text)(value)
    assert shape is None or set(shape.required_members) <= set(arguments), command
    return Command(service, operation, arguments, wide)


def run(command: str, client: Callable[..., Any]) -> None:
    """Raises Gone, whatever else AWS raises, and what `parse` raises."""
    parsed = parse(command)
    assert parsed is not None, command
    service = client(parsed.service, parsed.wide.get("--region", "us-east-1"))
    try:
        getattr(service, re.sub("-", "_", parsed.operation))(**parsed.arguments)
    except ClientError as error:
        if "NotFound" in error.response["Error"]["Code"]:
            raise Gone(command) from error
        if error.response["Error"]["Code"] == "InvalidIPAddress.InUse":
            raise NotYet(command) from error
        raise
