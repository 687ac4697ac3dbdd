"""`status --watch`: repeated checks as a frame, as blocks of lines, or as JSON lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TextIO

from rich.segment import Segment
from rich.style import Style
from rich.text import Text

from bacalhau_spot.ui import json_output
from bacalhau_spot.ui.progress.suspension import CursorDuringStops
from bacalhau_spot.ui.terminal import NO_WIDTH, UnwrappedOutput
from bacalhau_spot.ui.views.blocks import Paragraph
from bacalhau_spot.ui.views.status_view import StatusView

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

    from bacalhau_spot.core.health.cluster_status import ClusterStatus

KEYS_HELP = "arrows or j k: select a node; c: its console; s: ssh; r: replace it; q: quit; ?: hide"
_SELECTED = Style(reverse=True)
# The heading, and the line on which the cursor waits.
_BESIDE = 2


class StatusWatcher(Protocol):
    """Shows the checks one after the other."""

    def show(self, status: ClusterStatus) -> None: ...
    def fail(self, why: str) -> None:
        """A check failed; the previous one stays on the screen."""

    def close(self) -> None:
        """Give the terminal back."""


class StatusFrame:
    """The content of the screen: always the same number of lines."""

    def __init__(self, *, interval_s: float, wide: bool) -> None:
        self._interval_s = interval_s
        self._wide = wide
        self.status: ClusterStatus | None = None
        self.trouble = ""
        self.keys = False  # whether they are read
        self.help = False
        self.hint = ""
        self.selected: str | None = None  # the id of an instance

    @property
    def selectable(self) -> list[str]:
        """The ids of the instances, in the order of the table."""
        nodes = self.status.visible.nodes if self.status is not None else ()
        return [node.id for node in nodes if node.observation.instance is not None]

    def move_selection(self, step: int) -> None:
        """To the next or previous node; the first step selects the first, or the last. Ends stay where they are."""
        ids = self.selectable
        if not ids:
            self.selected = None
        elif self.selected not in ids:
            self.selected = ids[0 if step > 0 else -1]
        else:
            self.selected = ids[min(max(0, ids.index(self.selected) + step), len(ids) - 1)]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        room = max(1, console.height - _BESIDE)
        lines = self._lines(console, options, room=room)
        if len(lines) > room:
            more = Text(f"… {len(lines) - room + 1} more lines; enlarge the window to see them", style="dim")
            lines = [*lines[: room - 1], *console.render_lines(more, options, pad=False)[:1]]
        lines = [self._marked(line) for line in lines]
        heading = console.render_lines(self._heading(options.max_width), options, pad=False)[:1]
        for line in [*heading, *lines, *([[]] * (room - len(lines)))]:
            yield from line
            yield Segment.line()

    def _lines(self, console: Console, options: ConsoleOptions, *, room: int) -> list[list[Segment]]:
        if self.status is None:
            return []
        view = StatusView(self.status, wide=self._wide, selected=self.selected)
        if not self._wide:
            return console.render_lines(view.fitted(console, options, room=room), options, pad=False)
        lines = console.render_lines(UnwrappedOutput(view), options.update(max_width=NO_WIDTH), pad=False)
        # A line that the terminal folds would push the frame off the screen.
        return [Segment.adjust_line_length(line, options.max_width, pad=False) for line in lines]

    def _marked(self, line: list[Segment]) -> list[Segment]:
        """The line of the selected node in reverse."""
        if self.selected is None or self.selected not in "".join(segment.text for segment in line):
            return line
        return list(Segment.apply_style(line, post_style=_SELECTED))

    def _every(self) -> str:
        if not self.keys:
            return f"every {self._interval_s:g} s; Ctrl-C ends"
        if self.help:
            return KEYS_HELP
        if self.hint:
            return self.hint
        if self.selected is not None:
            return f"{self.selected}: c console, s ssh, r replace, q quit, ? keys"
        return f"every {self._interval_s:g} s; q ends, ? shows the keys"

    def _heading(self, width: int) -> Text:
        if self.status is None:
            text = "looking"
        else:
            every = self._every()
            text = f"{self.status.snapshot.taken_at:%H:%M:%S} UTC · {self.trouble or every}"
        line = Text(text, style="yellow" if self.trouble else "dim", no_wrap=True)
        line.truncate(width, overflow="ellipsis")
        return line


class LiveWatcher:
    """A frame on the terminal until `close`; redrawn once for each check, at once, so that it does not flicker."""

    def __init__(self, console: Console, *, interval_s: float, wide: bool) -> None:
        from rich.live import Live  # noqa: PLC0415 - only on a terminal, and only with --watch

        self._frame = StatusFrame(interval_s=interval_s, wide=wide)
        self._live = Live(
            self._frame,
            console=console,
            auto_refresh=False,
            # The last check is printed permanently at the end.
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
            vertical_overflow="crop",
        )
        self._cursor = CursorDuringStops(console)
        self._cursor.start()
        self._live.start(refresh=True)

    def show(self, status: ClusterStatus) -> None:
        self._frame.status, self._frame.trouble = status, ""
        if self._frame.selected not in self._frame.selectable:
            self._frame.selected = None
        self._live.refresh()

    @property
    def selected(self) -> str | None:
        """The id of the selected node."""
        return self._frame.selected

    def show_keys(self) -> None:
        """Keys are read from now on."""
        self._frame.keys = True

    def move_selection(self, step: int) -> None:
        self._frame.hint, self._frame.help = "", False
        self._frame.move_selection(step)
        self._live.refresh()

    def toggle_help(self) -> None:
        self._frame.help = not self._frame.help
        self._live.refresh()

    def ask_for_selection(self) -> None:
        self._frame.hint = "select a node first: arrow keys, or j and k"
        self._live.refresh()

    def pause(self) -> None:
        """Give the terminal to another program."""
        self._live.stop()
        self._cursor.stop()

    def resume(self) -> None:
        self._cursor.start()
        self._live.start(refresh=True)

    def fail(self, why: str) -> None:
        self._frame.trouble = f"the last check failed: {why}"
        self._live.refresh()

    def close(self) -> None:
        self._live.stop()
        self._cursor.stop()


class PlainWatcher:
    """One block for each check, with its time above it. For pipes and logs."""

    def __init__(self, console: Console, *, wide: bool) -> None:
        self._console = console
        self._wide = wide

    def show(self, status: ClusterStatus) -> None:
        self._console.print(f"--- {status.snapshot.taken_at:%Y-%m-%d %H:%M:%S} UTC", soft_wrap=True)
        view = StatusView(status, wide=self._wide)
        self._console.print(UnwrappedOutput(view) if self._wide else view, crop=False)

    def fail(self, why: str) -> None:
        self._console.print(Paragraph(f"--- the check failed: {why}", whole=True), crop=False)

    def close(self) -> None:
        """Nothing to give back."""


class JsonWatcher:
    """One envelope for each check, on one line."""

    def __init__(self, stream: TextIO, *, endpoint: str = "") -> None:
        self._stream = stream
        self._endpoint = endpoint

    def show(self, status: ClusterStatus) -> None:
        data = json_output.status_data(status)
        whole = json_output.envelope(
            command="status", data=data, exit_code=status.exit_code, endpoint=self._endpoint
        )
        json_output.write_envelope(self._stream, whole, form="ndjson")
        self._stream.flush()

    def fail(self, why: str) -> None:
        """The time of the next line shows that a check is missing; there is no line without data."""
        del why

    def close(self) -> None:
        """Nothing to give back."""
