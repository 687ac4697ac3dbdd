"""`iam-policy`: the least-privilege policy for an administrator. Makes no AWS calls."""

from __future__ import annotations

import re
from typing import Annotated

from cyclopts import Parameter

from bacalhau_spot.cli.runtime.context import CommandContext
from bacalhau_spot.cli.runtime.environment import Runtime
from bacalhau_spot.cli.runtime.result import Result
from bacalhau_spot.cli.runtime.shared_options import AT_LEAST_ONE, NO_OPTIONS, CommonOptions
from bacalhau_spot.core.iam.permissions import COMMANDS, OPT_IN_COMMANDS
from bacalhau_spot.core.iam.policy import MAX_CHARACTERS, Document, documents
from bacalhau_spot.errors import ExitCode, UserError
from bacalhau_spot.ui import json_output, views


def iam_policy(
    *,
    command: Annotated[
        list[str] | None, Parameter(name="--command", negative="", metavar="COMMAND...")
    ] = None,
    account: Annotated[str, Parameter(name="--account", metavar="ID")] = "*",
    part: Annotated[int | None, AT_LEAST_ONE, Parameter(name="--part", metavar="NUMBER")] = None,
    common: CommonOptions = NO_OPTIONS,
    runtime: Annotated[Runtime, Parameter(parse=False)],
) -> Result:
    """Print the least-privilege IAM policy for this configuration.

    For `aws iam create-policy --policy-name bacalhau-spot --policy-document file://policy.json`. It allows the creation
    of resources with the cluster's tag only, and changes to and deletion of resources that carry it. Makes no AWS calls.

    Parameters
    ----------
    command
        Only the permissions of this command; may be repeated. "nuke --adopt" also allows tagging untagged resources;
        "reconcile --on-orchestrator" is the part for a managed orchestrator's machine.
    account
        The account's id (default: any account).
    part
        Number of the document, if AWS's limit of 6,144 characters requires several.
    """
    context = CommandContext("iam-policy", common, runtime)
    chosen = _commands(command)
    if not re.fullmatch(r"\*|\d{12}", account):
        raise UserError(
            f"--account {account}: an account id has twelve digits",
            hint="`aws sts get-caller-identity --query Account --output text` prints your account's id",
            exit_code=ExitCode.USAGE,
        )
    made = documents(context.spec(lenient=True), commands=chosen, account=account)
    if context.for_people or part is not None:
        made = (_one(made, part),)
    # IAM accepts no character beyond U+00FF in a document (IAM user guide, "IAM and AWS STS quotas"); a tag may contain
    # any letter.
    view = views.json_text(made[0], ascii_only=True)
    return Result("iam-policy", view=view, data=json_output.policy_data(made, commands=chosen))


def _commands(names: list[str] | None) -> tuple[str, ...]:
    unknown = sorted(set(names or ()) - {*COMMANDS, *OPT_IN_COMMANDS})
    if unknown:
        raise UserError(
            f"--command {unknown[0]}: no such command, or it needs no AWS permission",
            hint=f"name one of {', '.join((*COMMANDS, *OPT_IN_COMMANDS))}",
            exit_code=ExitCode.USAGE,
        )
    return tuple(dict.fromkeys(names)) if names else COMMANDS


def _one(made: tuple[Document, ...], part: int | None) -> Document:
    """The selected document. Raises UserError if one must be selected: a part would look like a whole policy."""
    count = len(made)
    if part is None and count > 1:
        lines = [
            f"bacalhau-spot iam-policy --part {number} > policy-{number}.json"
            for number in range(1, count + 1)
        ]
        raise UserError(
            f"the policy takes {count} documents: AWS allows {MAX_CHARACTERS} characters in one",
            details=tuple(lines),
            hint="write each to a file with the commands above and attach all of them, or select with --command",
            exit_code=ExitCode.USAGE,
        )
    if part is not None and part > count:
        raise UserError(
            f"--part {part}: the policy has {count} {'document' if count == 1 else 'documents'}",
            hint="leave --part out" if count == 1 else f"name 1 to {count}",
            exit_code=ExitCode.USAGE,
        )
    return made[(part or 1) - 1]
