"""The few options that are needed when the command line itself could not be understood."""

from __future__ import annotations

import os
import shlex
import sys
from itertools import islice
from typing import TextIO

from bacalhau_spot.cli.runtime.aws_profile import profile_option
from bacalhau_spot.cli.runtime.endpoint import SANDBOX, asked_instead
from bacalhau_spot.errors import ExitCode, UserError

_OUTPUT = ("-o", "--output", "--format")
_LONGEST = 24  # of an amount: more digits than any price has
_FORMS = ("table", "wide", "json", "yaml", "ndjson", "csv")


def chosen_output(argv: list[str]) -> str:
    """The form of output that the command line asks for, the last one winning."""
    form = "table"
    argv = own_args(argv)
    for index, word in enumerate(argv):
        name, sign, value = word.partition("=")
        if name not in _OUTPUT:
            continue
        if not sign:
            value = argv[index + 1] if index + 1 < len(argv) else ""
        if value in _FORMS:
            form = value
    return form


def check_words(argv: list[str]) -> None:
    """Raises UserError for a word that is no text: no AWS call, file or message could hold it."""
    for number, word in enumerate(argv, start=1):
        try:
            word.encode()
        except UnicodeEncodeError:
            shown = word.encode("utf-8", "backslashreplace").decode()
            raise UserError(
                f"word {number} of the command line is not text: {shown}",
                why=f"its bytes are not {sys.getfilesystemencoding().upper()}",
                hint="write it in UTF-8; in a C or POSIX locale, `export LC_ALL=C.UTF-8` first",
                exit_code=ExitCode.USAGE,
            ) from None


# Commands that talk to AWS, and so take longer than a blink.
_SLOW = (
    *("create", "list", "status", "ssh", "console", "destroy", "nuke", "prune"),
    *("cost", "prices", "offers", "doctor"),
)


def print_banner(argv: list[str], stderr: TextIO) -> None:
    """Say what is begun, before anything is imported that takes time."""
    if (
        not argv
        or argv[0] not in _SLOW
        or chosen_output(argv) not in {"table", "wide"}
        or has_flag(argv, "--help")
        or has_flag(argv, "-h")
    ):
        return
    endpoint = asked_endpoint(argv)
    where = f"not AWS: {endpoint} (endpoint_url or AWS_ENDPOINT_URL)" if endpoint else "AWS"
    if endpoint == SANDBOX:
        where = "sandbox: not AWS"
    stderr.write(f"bacalhau-spot {argv[0]} \N{MIDDLE DOT} {where}\n")
    stderr.flush()


def asked_endpoint(argv: list[str]) -> str:
    """`endpoint.asked_instead` for a command line that may not have been understood."""
    profile = profile_option(own_args(argv))
    return asked_instead(profile, sandbox=has_flag(argv, "--sandbox"), environ=os.environ)


def has_flag(argv: list[str], flag: str) -> bool:
    return flag in own_args(argv)


def own_args(argv: list[str]) -> list[str]:
    """The words that are meant for this program; behind `--` stands somebody else's command."""
    return argv[: argv.index("--")] if "--" in argv else argv


def args_after_separator(argv: list[str]) -> list[str]:
    """The command behind `--`."""
    return argv[argv.index("--") + 1 :] if "--" in argv else []


# Options that decide which cluster is meant: the commands that we suggest need them too.
_KEPT = ("--config", "-c", "--profile", "--cluster")


def context_flags(argv: list[str]) -> tuple[str, ...]:
    """The options of this command line that the next one needs as well, each with its value, as it is typed."""
    return tuple(_sorted(own_args(argv))[0])


def without_context_flags(argv: list[str]) -> list[str]:
    """The words that `kept_flags` leaves out, in their order."""
    return _sorted(argv)[1]


def _sorted(words: list[str]) -> tuple[list[str], list[str]]:
    """What the next command needs as well, each as it is typed, and the rest."""
    kept = ["--sandbox"] if "--sandbox" in words else []
    rest: list[str] = []
    coming = iter(words)
    for word in coming:
        name, sign, _ = word.partition("=")
        if name in _KEPT:
            kept.append(word if sign else shlex.join([word, *islice(coming, 1)]))
        elif word != "--sandbox":
            rest.append(word)
    return kept, rest
