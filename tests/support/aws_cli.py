"""Runs a command of the AWS CLI with boto3: what a hint tells the user to type has to do what it says."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, Any

from botocore import xform_name
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from collections.abc import Callable


class Gone(Exception):  # noqa: N818 - it is what was wanted
    """What the command is about is not there any more: another command, or AWS, took it along."""


def run(command: str, client: Callable[..., Any]) -> None:
    """`aws SERVICE OPERATION --parameter value … [--region R]`.

    Raises Gone, whatever else AWS raises, and KeyError for words that the AWS CLI does not know.
    """
    program, service, operation, *words = shlex.split(command)
    assert program == "aws", command
    given = dict(zip(words[::2], words[1::2], strict=True))
    region = given.pop("--region", "us-east-1")
    there = client(service, region)
    model = there.meta.service_model
    names = {xform_name(name, "-"): name for name in model.operation_names}
    shape = model.operation_model(names[operation]).input_shape
    parameters = {f"--{xform_name(name, '-')}": name for name in shape.members}
    arguments = {}
    for flag, value in given.items():
        name = parameters[flag]
        arguments[name] = [value] if shape.members[name].type_name == "list" else value
    try:
        getattr(there, re.sub("-", "_", operation))(**arguments)
    except ClientError as error:
        if "NotFound" in error.response["Error"]["Code"]:
            raise Gone(command) from error
        raise
