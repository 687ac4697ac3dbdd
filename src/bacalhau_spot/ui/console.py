"""The two streams: stdout is data, stderr is talk. Each is tested for a terminal on its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

from rich.console import Console

if TYPE_CHECKING:
    from collections.abc import Mapping

# A pipe has no width; lines for programs and logs are not folded at 80 columns.
PIPE_WIDTH = 140


def talk(stream: TextIO, *, environ: Mapping[str, str], no_color: bool = False) -> Console:
    """The console for messages, prompts and progress (stderr)."""
    return _console(stream, environ=environ, no_color=no_color)


def data(stream: TextIO, *, environ: Mapping[str, str], no_color: bool = False) -> Console:
    """The console for results (stdout)."""
    return _console(stream, environ=environ, no_color=no_color)


def _console(stream: TextIO, *, environ: Mapping[str, str], no_color: bool) -> Console:
    terminal = stream.isatty()
    dumb = environ.get("TERM", "") in {"dumb", "unknown"}
    plain = no_color or dumb or bool(environ.get("NO_COLOR"))
    return Console(
        file=stream,
        # Rich would take FORCE_COLOR for a terminal and animate into a log file.
        force_terminal=terminal,
        force_interactive=terminal and not dumb,
        no_color=plain,
        width=None if terminal else PIPE_WIDTH,
        # The words are ours and AWS's: brackets in them are brackets.
        markup=False,
        emoji=False,
        highlight=False,
    )
