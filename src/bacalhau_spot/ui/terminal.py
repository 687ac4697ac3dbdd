"""The two streams: stdout is data, stderr is talk. Each is tested for a terminal on its own."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TextIO

from rich.console import Console
from rich.segment import Segment

from bacalhau_spot.core.sanitize import sanitized
from bacalhau_spot.ui.filtered import FilteredStream
from bacalhau_spot.ui.palette import THEME

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rich.console import ConsoleOptions, RenderableType, RenderResult

CSV = "csv"  # the form of output for spreadsheets
HTML = "html"  # and for browsers
# A pipe has no width: no line is folded and no column is dropped. No output is as wide as this.
WIDE: Final = "wide"  # the form of output that has none in a window either
NO_WIDTH: Final = 10_000_000

# Commands of the program in a sentence. Those for the cluster get the options of this run.
_OURS: Final = re.compile(r"\bbacalhau-spot (--help|(?:sandbox|config|image) [a-z]+|[a-z]+(?:-[a-z]+)*)")
_ABOUT_THE_CLUSTER: Final = frozenset(
    {
        "create",
        "list",
        "destroy",
        "nuke",
        "status",
        "cost",
        "offers",
        "prices",
        "history",
        "report",
        "clusters",
        "reconcile",
        "extend",
        "image bake",
        "image list",
        "image delete",
        "remove",
        "replace",
        "scale",
        "notify-test",
        "ssh",
        "console",
        "logs",
        "doctor",
        "iam-policy",
        "prune",
        "env",
        "smoke-test",
    }
)
# Commands for the configuration's cluster or none: they have no --cluster.
_NOT_ABOUT_ANOTHER: Final = frozenset(
    {
        "create",
        "nuke",
        "offers",
        "doctor",
        "iam-policy",
        "env",
        "smoke-test",
        "image bake",
        "image list",
        "image delete",
    }
)
_ANOTHER: Final = "--cluster"
# After a command that names its cluster itself.
_NAMES_CLUSTER: Final = re.compile(rf" {_ANOTHER}\b")
# About the configuration's file alone.
_ABOUT_THE_FILE: Final = frozenset({"configure", "config show", "config upgrade"})
_FILE: Final = ("--config", "-c")
_COMMANDS: Final = (
    _ABOUT_THE_CLUSTER
    | _ABOUT_THE_FILE
    | {"explain", "completion", "help", "version", "sandbox", "config", "image", "--help"}
)


class Terminal(Console):
    """A console that removes foreign control characters and adds this run's options to every printed command, so that
    it can be copied.
    """

    program: str = "bacalhau-spot"
    flags: tuple[str, ...] = ()  # each with its value

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """All output passes here: foreign text loses its control characters before it is styled."""
        for segment in super().render(renderable, options):
            if segment.control or segment.text.isprintable():
                yield segment
            else:
                yield Segment(sanitized(segment.text), segment.style)

    def with_invocation_flags(self, text: str) -> str:
        """`text` with its `bacalhau-spot …` as the user would have to type them here."""

        def with_flags(match: re.Match[str]) -> str:
            verb = match[1]
            if verb not in _COMMANDS and " " not in verb:
                return match[0]  # a sentence about the program
            flags = self.flags if verb in _ABOUT_THE_CLUSTER | _ABOUT_THE_FILE else ()
            if verb in _ABOUT_THE_FILE:
                flags = tuple(flag for flag in flags if flag.startswith(_FILE))
            if verb in _NOT_ABOUT_ANOTHER or _NAMES_CLUSTER.match(text, match.end()):
                flags = tuple(flag for flag in flags if not flag.startswith(_ANOTHER))
            return " ".join((self.program, verb, *flags))

        return _OURS.sub(with_flags, text)


@dataclass(frozen=True)
class UnwrappedOutput:
    """As in a pipe: each row on one line, with all columns. The terminal itself folds or crops what does not fit."""

    shown: RenderableType

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from console.render(self.shown, options.update(max_width=NO_WIDTH))


def with_invocation_flags(console: Console, text: str) -> str:
    """As `Terminal.spoken`; on any other console the text as it is."""
    return console.with_invocation_flags(text) if isinstance(console, Terminal) else text


def stream_console(
    stream: TextIO,
    *,
    environ: Mapping[str, str],
    no_color: bool = False,
    program: str = "",
    flags: tuple[str, ...] = (),
) -> Terminal:
    """The console for a stream: results go to stdout, messages, prompts and progress to stderr."""
    terminal = stream.isatty()
    # Someone may be reading a dumb terminal, but no frame can be drawn on it: it gets lines, as a pipe does.
    able = terminal and environ.get("TERM", "") not in {"dumb", "unknown"}
    plain = no_color or not able or bool(environ.get("NO_COLOR"))
    made = Terminal(
        file=stream.styled if isinstance(stream, FilteredStream) else stream,
        # Rich would take FORCE_COLOR for a terminal and animate into a log file.
        force_terminal=able,
        force_interactive=able,
        no_color=plain,
        width=None if terminal else NO_WIDTH,
        theme=THEME,
        # Brackets in messages are text, not markup.
        markup=False,
        emoji=False,
        highlight=False,
    )
    made.program = program or Terminal.program
    made.flags = flags
    return made
