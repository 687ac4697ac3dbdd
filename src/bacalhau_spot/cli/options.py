"""The few options that are needed when the command line itself could not be understood."""

from __future__ import annotations

import re
import shlex
from datetime import timedelta
from typing import TextIO

from bacalhau_spot.errors import ExitCode, UserError

_OUTPUT = ("-o", "--output", "--format")
_FORMS = ("table", "wide", "json", "yaml", "ndjson")


def chosen_output(argv: list[str]) -> str:
    """The form of output that the command line asks for, the last one winning."""
    form = "table"
    argv = ours(argv)
    for index, word in enumerate(argv):
        name, sign, value = word.partition("=")
        if name not in _OUTPUT:
            continue
        if not sign:
            value = argv[index + 1] if index + 1 < len(argv) else ""
        if value in _FORMS:
            form = value
    return form


# Commands that talk to AWS, and so take longer than a blink.
_SLOW = ("create", "list", "status", "destroy", "nuke", "prune")


def first_words(argv: list[str], stderr: TextIO) -> None:
    """Say what is begun, before anything is imported that takes time."""
    if (
        not argv
        or argv[0] not in _SLOW
        or chosen_output(argv) not in {"table", "wide"}
        or wants(argv, "--help")
    ):
        return
    where = "sandbox: nothing here is AWS" if wants(argv, "--sandbox") else "AWS"
    stderr.write(f"bacalhau-spot {argv[0]} \N{MIDDLE DOT} {where}\n")
    stderr.flush()


def wants(argv: list[str], flag: str) -> bool:
    return flag in ours(argv)


def ours(argv: list[str]) -> list[str]:
    """The words that are meant for this program; behind `--` stands somebody else's command."""
    return argv[: argv.index("--")] if "--" in argv else argv


# Options that decide which cluster is meant: the commands that we suggest need them too.
_KEPT = ("--config", "-c", "--profile", "--cluster")


def kept_flags(argv: list[str]) -> str:
    """The options of this command line that the next one needs as well, with a space before each."""
    argv = ours(argv)
    kept = ["--sandbox"] if "--sandbox" in argv else []
    for index, word in enumerate(argv):
        name, sign, _ = word.partition("=")
        if name in _KEPT:
            kept.append(word if sign else shlex.join(argv[index : index + 2]))
    return "".join(f" {flag}" for flag in kept)


_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def duration(text: str, *, flag: str) -> timedelta:
    """`90s`, `30m`, `2h`, `7d`. Raises UserError."""
    found = re.fullmatch(r"(\d+)\s*([smhd])", text.strip().lower())
    if found is None:
        raise UserError(
            f"{flag}: {text!r} is no length of time",
            hint="a whole number with s, m, h or d behind it, such as 30m or 7d",
            exit_code=ExitCode.USAGE,
        )
    return timedelta(**{_UNITS[found[2]]: int(found[1])})
