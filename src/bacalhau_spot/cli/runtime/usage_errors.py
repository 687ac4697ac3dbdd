"""The error for an invalid command line, with a correct example."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

from cyclopts import CycloptsError, MissingArgumentError, UnknownCommandError, UnusedCliTokensError

from bacalhau_spot.cli.app import COMMANDS, GROUPS, command_names
from bacalhau_spot.cli.runtime.command_line import leading_options, shared_options
from bacalhau_spot.cli.runtime.other_verbs import closest_word, commands_for, line_effects
from bacalhau_spot.errors import ExitCode, UserError

if TYPE_CHECKING:
    from cyclopts import App

# Never suggested for a mistyped option: each of these confirms a change.
_NEVER_SUGGESTED = ("--yes", "--force", "--allow-removal")


def usage_error(error: CycloptsError, app: App) -> UserError:
    """One line, without suggesting an option that confirms a change. `app` checks the suggestions."""
    words = [str(word) for word in error.unused_tokens or ()]
    chain = tuple(error.command_chain or ())
    if isinstance(error, UnknownCommandError) and words[0].startswith("-"):
        return _command_missing(words, app, chain=chain)
    if isinstance(error, UnknownCommandError):
        return _unknown_command(words[0], chain)
    return _usage(_what(error), chain=chain, shown="options")


def _unknown_command(word: str, chain: tuple[str, ...]) -> UserError:
    """In the library's words, which would import every command to compose them; for another tool's verb, ours."""
    meant = () if chain else commands_for(word)
    if meant:
        return UserError(
            f'unknown command "{word}"',
            hint="; ".join(f"`bacalhau-spot {line}`: {_effect(line)}" for line in meant),
            exit_code=ExitCode.USAGE,
        )
    close = closest_word(word, command_names(chain))
    what = f'unknown command "{word}"' + (f'. Did you mean "{close}"?' if close else "")
    return _usage(what, chain=chain, shown="commands")


def _effect(line: str) -> str:
    """The command's own description, as the rest of a sentence."""
    name = line.partition(" -")[0]
    text = COMMANDS[name][1] if name in COMMANDS else _in_group(name)
    text = line_effects.get(line) or text.partition(", ")[0].rstrip(".")
    return text[:1].lower() + text[1:]


def _in_group(name: str) -> str:
    group, _, command = name.partition(" ")
    text, commands = GROUPS[group]
    return commands[command][1] if command else text


def _usage(what: str, *, chain: tuple[str, ...], shown: str) -> UserError:
    hint = f"`{' '.join(('bacalhau-spot', *chain, '--help'))}` lists the {shown}"
    return UserError(what, hint=hint, exit_code=ExitCode.USAGE)


def _command_missing(words: list[str], app: App, *, chain: tuple[str, ...]) -> UserError:
    """`words` start with an option where a command is expected after those of `chain`."""
    try:
        shared_options(words)
    except CycloptsError as error:
        return _usage(_what(error), chain=chain, shown="options")
    _, rest = leading_options(words)
    if not rest:
        return _usage("no command is given", chain=chain, shown="commands")
    option, known = rest[0].partition("=")[0], command_names(chain)
    place = next((number for number, word in enumerate(rest) if word in known), None)
    if place is None:
        return _usage(f"unknown option: {option}", chain=chain, shown="commands")
    line = [*chain, rest.pop(place), *rest]
    try:
        app.parse_args(line, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        return usage_error(error, app)
    _, own = shared_options(line)  # printed commands get the shared options of this run
    return UserError(
        f"{option} must follow the command; only the shared options may precede it",
        hint=f"for example: `bacalhau-spot {shlex.join(own)}`",
        exit_code=ExitCode.USAGE,
    )


def _is_near(option: str, text: str) -> bool:
    """Whether the option is a misspelling of the one that `text` begins with: `--force` is none of `--format`."""
    typed = re.search(r"--?[\w-]+", text)
    return typed is not None and bool(closest_word(typed[0], [option]))


def _positional(error: MissingArgumentError) -> str:
    """`NODES`: the name of a missing argument that is typed without an option; empty for an option."""
    if error.argument is None or error.argument.index is None:
        return ""
    return error.argument.names[0].lstrip("-").upper()


def _what(error: CycloptsError) -> str:
    if isinstance(error, UnusedCliTokensError):
        return f"unexpected argument: {' '.join(map(str, error.unused_tokens or ()))}"
    if isinstance(error, MissingArgumentError) and (name := _positional(error)):
        return f"{' '.join(error.command_chain or ())} needs {name}"
    error.verbose = False  # without the location in the source code
    text = " ".join(str(error).split()).rstrip(".")
    suggested = re.search(r'\.? Did you mean "?(--?[\w-]+).*', text)
    if suggested and (suggested[1] in _NEVER_SUGGESTED or not _is_near(suggested[1], text)):
        text = text[: suggested.start()]
    return text[:1].lower() + text[1:]
