"""What is wrong with a command line that could not be understood, and how it is typed."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

from cyclopts import UnknownCommandError, UnusedCliTokensError

from bacalhau_spot.cli.app import COMMANDS, GROUPS
from bacalhau_spot.cli.runtime.argv import without_context_flags
from bacalhau_spot.errors import ExitCode, UserError

if TYPE_CHECKING:
    from cyclopts import CycloptsError

# What a mistyped option is never taken for: each of these agrees to something.
_NEVER_SUGGESTED = ("--yes", "--force", "--allow-removal")
# The library lists the commands in one line and cuts it; the help page has them all.
_LIST = re.compile(r" Available commands: .*")


def usage_error(error: CycloptsError, argv: list[str]) -> UserError:
    """In one line, without a suggestion that agrees to something."""
    what = _what(error)
    hint = f"`bacalhau-spot {_nearest_help(argv)}--help` lists the options"
    first = _first_unknown(error)
    if isinstance(error, UnknownCommandError) and first.startswith("-"):
        what = f"{first} is an option before the command; options follow the command"
        hint = f"for example: `bacalhau-spot {_separator_note(argv)}`"
    return UserError(what, hint=hint, exit_code=ExitCode.USAGE)


def _what(error: CycloptsError) -> str:
    if isinstance(error, UnusedCliTokensError):
        return f"unexpected argument: {' '.join(map(str, error.unused_tokens or ()))}"
    text = _LIST.sub("", " ".join(str(error).split())).rstrip(".")
    for option in _NEVER_SUGGESTED:
        text = re.sub(rf"\.? Did you mean {option}\b.*", "", text)
    return text[:1].lower() + text[1:]


def _first_unknown(error: CycloptsError) -> str:
    return str(error.unused_tokens[0]) if error.unused_tokens else ""


# What is shown where the command line names no command: it changes nothing.
_HARMLESS = "list"


def _separator_note(argv: list[str]) -> str:
    """The same words with the command first, less those that every command of ours is printed with."""
    words = without_context_flags(argv)
    group = words.pop(0) if words[:1] and words[0] in GROUPS else ""
    known = GROUPS[group][1] if group else COMMANDS
    verb = next((word for word in words if word in known), "")
    if verb:
        words.remove(verb)
    otherwise = next(iter(known)) if group else _HARMLESS
    return shlex.join(word for word in (group, verb or otherwise, *words) if word)


def _nearest_help(argv: list[str]) -> str:
    """The command whose help page fits, with a space behind it, or nothing."""
    if not argv:
        return ""
    if argv[0] in COMMANDS:
        return f"{argv[0]} "
    if argv[0] in GROUPS:
        inner = argv[1] if len(argv) > 1 and argv[1] in GROUPS[argv[0]][1] else ""
        return f"{argv[0]} {inner} " if inner else f"{argv[0]} "
    return ""
