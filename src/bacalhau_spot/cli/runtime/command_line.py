"""Reads the command line with the CLI library, before the command's own module is imported.

The shared options are read separately: they are valid before and after the command, and both the first line on the
screen and the error about an invalid word need them.
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
    """The meaning of `argv`; if a word is invalid, the parts that can be read."""
    try:
        shared, rest = shared_options(argv)
    except CycloptsError:
        shared, rest = _each_alone(argv), leading_options(argv)[1]
    command = rest[0] if rest and not rest[0].startswith("-") else ""
    return Invocation(tuple(argv), command, shared, page=shared.page)


def command_first(words: Sequence[str], *, chain: tuple[str, ...] = ()) -> list[str]:
    """`words` with the shared options after the command, or the word in its place, where the library expects them.

    `chain`: the commands before `words`.
    """
    if not command_names(chain):
        return list(words)
    given, rest = leading_options(words)
    if not rest or rest[0].startswith("-"):
        return list(words)
    return [rest[0], *command_first([*given, *rest[1:]], chain=(*chain, rest[0]))]


def named_commands(argv: Sequence[str]) -> tuple[str, ...]:
    """The commands among the first words."""
    chain: tuple[str, ...] = ()
    for word in command_first(argv):
        if word not in command_names(chain):
            break
        chain = (*chain, word)
    return chain


def page_words(argv: Sequence[str], invocation: Invocation, *, version: bool) -> list[str]:
    """The shortest command line for the page that `argv` asks for."""
    wanted = ("--version",) if version else (*named_commands(argv), "--help")
    return [*wanted, *(["--no-color"] if invocation.common.no_color else [])]


def shared_options(words: Sequence[str]) -> tuple[SharedOptions, list[str]]:
    """The shared options among `words`, and the other words. Raises CycloptsError if one of the options is invalid."""
    _, bound, rest, _ = _reader().meta.parse_known_args(words)
    return bound.arguments.get("shared", _NONE), rest


def leading_options(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """The shared options before any other word, with their values, and the rest. No options if one of them is invalid."""
    if not words or not words[0].startswith("-"):  # saves some milliseconds of the library
        return [], list(words)
    rest = _reader().parse_commands(words)[2]
    return list(words[: len(words) - len(rest)]), rest


def _reader() -> App:
    """An app with the shared options only. The options of a meta app may precede a command."""
    app = App(help_flags=(), version_flags=())
    app.meta.default(_read)
    return app


def _read(*, shared: SharedOptions = _NONE) -> None:
    """Does nothing: only the parsed options matter."""


def _each_alone(words: Sequence[str]) -> SharedOptions:
    """The valid shared options: an invalid one does not affect the others."""
    values = {}
    for name, hint in get_type_hints(SharedOptions, include_extras=True).items():
        # The last value that can be read: that of the longest beginning of the line that is valid.
        for length in range(len(words), -1, -1):
            with suppress(CycloptsError):
                values[name] = _alone(hint, words[:length])
                break
    return SharedOptions(**values)


def _alone(hint: object, words: Sequence[str]) -> Any:
    """The value of one option. Raises CycloptsError if it is invalid or missing."""

    def read(*, value: Any) -> None: ...

    read.__annotations__["value"] = hint
    app = App(help_flags=(), version_flags=())
    app.default(read)
    return app.parse_known_args(words)[1].arguments["value"]


def validate_arguments(argv: Sequence[str]) -> None:
    """Raises UserError for a word that is not valid text: no AWS call, file or message could contain it."""
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
