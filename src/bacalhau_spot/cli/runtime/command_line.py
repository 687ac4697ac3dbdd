"""What a command line asks for, read by the CLI library before the command's own module is imported.

The options that every command takes are read alone, whatever else stands there: they may stand before the command as well as
after it, the first line on the screen needs them, and so does the error about a word that is wrong.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, get_type_hints

from cyclopts import App, CycloptsError

from bacalhau_spot.cli.app import command_names
from bacalhau_spot.cli.runtime.invocation import Invocation
from bacalhau_spot.cli.runtime.shared_options import SharedOptions
from bacalhau_spot.errors import ExitCode, UserError

if TYPE_CHECKING:
    from collections.abc import Sequence


_NONE = SharedOptions()


def read_invocation(argv: Sequence[str]) -> Invocation:
    """What `argv` asks for; where a word is wrong, what can be read in spite of it."""
    try:
        shared, rest = shared_options(argv)
    except CycloptsError:
        shared, rest = _each_alone(argv), leading_options(argv)[1]
    command = rest[0] if rest and not rest[0].startswith("-") else ""
    return Invocation(tuple(argv), command, shared, page=shared.page)


def command_first(words: Sequence[str], *, chain: tuple[str, ...] = ()) -> list[str]:
    """`words` with the shared options behind the command, or behind what stands in its place: the library expects them there.

    `chain`: the commands before `words`.
    """
    if not command_names(chain):
        return list(words)
    given, rest = leading_options(words)
    if not rest or rest[0].startswith("-"):
        return list(words)
    return [rest[0], *command_first([*given, *rest[1:]], chain=(*chain, rest[0]))]


def shared_options(words: Sequence[str]) -> tuple[SharedOptions, list[str]]:
    """The shared options among `words`, and the other words. Raises CycloptsError when one of the options is wrong."""
    _, bound, rest, _ = _reader().meta.parse_known_args(words)
    return bound.arguments.get("shared", _NONE), rest


def leading_options(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """The shared options before anything else, each with its value, and what follows. None where one of them is wrong."""
    if not words or not words[0].startswith("-"):  # the library takes some milliseconds to find that out
        return [], list(words)
    rest = _reader().parse_commands(words)[2]
    return list(words[: len(words) - len(rest)]), rest


def _reader() -> App:
    """Knows the shared options and nothing else. Those of a meta app may stand before a command."""
    app = App(help_flags=(), version_flags=())
    app.meta.default(_read)
    return app


def _read(*, shared: SharedOptions = _NONE) -> None:
    """What is read; there is nothing to do."""


def _each_alone(words: Sequence[str]) -> SharedOptions:
    """The shared options that are right: a wrong one keeps no other from being heeded."""
    values = {}
    for name, hint in get_type_hints(SharedOptions, include_extras=True).items():
        with suppress(CycloptsError):
            values[name] = _alone(hint, words)
    return SharedOptions(**values)


def _alone(hint: object, words: Sequence[str]) -> Any:
    """The value of one option. Raises CycloptsError when it is wrong or missing."""

    def read(*, value: Any) -> None: ...

    read.__annotations__["value"] = hint
    app = App(help_flags=(), version_flags=())
    app.default(read)
    return app.parse_known_args(words)[1].arguments["value"]


def check_words(argv: Sequence[str]) -> None:
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
