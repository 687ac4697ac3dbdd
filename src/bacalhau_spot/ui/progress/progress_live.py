"""The live frame: the only owner of the terminal. One row a region, constant height, four redraws a second at most."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size
from rich.console import Group
from rich.live import Live
from rich.text import Text

from bacalhau_spot.core.launch import events
from bacalhau_spot.core.launch.progress import Progress, RegionProgress, apply_event
from bacalhau_spot.ui.formatting import kind_label
from bacalhau_spot.ui.progress.progress_log import event_text
from bacalhau_spot.ui.progress.suspension import CursorDuringStops
from bacalhau_spot.ui.progress.typed_keys import EchoOff

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import TextIO

    from rich.console import Console, ConsoleOptions, RenderResult

    from bacalhau_spot.core.launch.events import Event
    from bacalhau_spot.core.launch.progress import Count
    from bacalhau_spot.ui.progress.progress_log import Time

REDRAWS_PER_S = 4
# Heading, footer, the prompt's line below, and two above.
_BESIDE_ROWS = 5
# In a narrower window only the region and the count fit, and a mark shows a failure.
_NARROW = 36
# From here on a row has a bar.
_WITH_BAR = 56
_BAR = 12
_FULL, _EMPTY = "\N{BOX DRAWINGS HEAVY HORIZONTAL}", "\N{BOX DRAWINGS LIGHT HORIZONTAL}"
_BETWEEN = " · "
_GAP = "  "


class ProgressFrame:
    """The content of the live frame. Rich requests it at every redraw, so that the time advances between events."""

    def __init__(self, title: str, regions: tuple[str, ...], clock: Time) -> None:
        self.title = title
        self.clock = clock
        self.started_s = clock.monotonic_s()
        self.progress = Progress(regions={region: RegionProgress() for region in regions})
        self.last = ""
        self._done_s: dict[str, float] = {}

    def apply(self, event: Event) -> None:
        """Keep the event, and the time at which a region is done."""
        self.progress = apply_event(self.progress, event)
        self.last = event_text(event) or self.last
        for name, region in self.progress.regions.items():
            if not region.done:
                self._done_s.pop(name, None)
            elif name not in self._done_s:
                self._done_s[name] = self._elapsed_s

    @property
    def _elapsed_s(self) -> float:
        return self.clock.monotonic_s() - self.started_s

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = options.max_width
        yield heading(self.title, self.progress, elapsed_s=self._elapsed_s, width=width)
        yield progress_rows(self.progress, width=width, height=console.height, done_s=self._done_s)
        yield footer(self.progress, self.last, width=width)


def heading(title: str, progress: Progress, *, elapsed_s: float, width: int) -> Text:
    """Title, totals and elapsed time, on one line however narrow; the title gives way first."""
    numbers = f"{progress.text} · {_clock_text(elapsed_s)}"
    room = width - len(numbers) - len(_BETWEEN)
    name = Text(title)
    name.truncate(max(room, 1), overflow="ellipsis")
    line = f"{name.plain}{_BETWEEN}{numbers}" if room > 1 else numbers
    return _one_line(Text(line, style="bold"), width=width)


def _clock_text(seconds: float) -> str:
    """`2:41`"""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02}"


def progress_rows(
    progress: Progress, *, width: int, height: int, done_s: Mapping[str, float] | None = None
) -> Group:
    """One row a region, as many as the window has room for: those that failed or are still at work before those done.

    `done_s`: the seconds after which a region was done.
    """
    room = max(1, height - _BESIDE_ROWS - bool(progress.orchestrator))
    names = list(progress.regions)
    shown = names if len(names) <= room else _most_telling(progress.regions, room - 1)
    first = ["orchestrator"] if progress.orchestrator else []
    name_width = max(map(cell_len, (*first, *shown)), default=0)
    count_width = max((len(_count(progress.regions[name], width=width)) for name in shown), default=0)
    name_width = max(1, min(name_width, width - count_width - len(_GAP)))
    rows: list[Text] = []
    if progress.orchestrator:
        rows.append(_orchestrator_row(progress, name_width, count_width, width=width))
    for name in shown:
        region = progress.regions[name]
        took = (done_s or {}).get(name) if region.done and not region.failed else None
        rows.append(_row(name, region, name_width, count_width, width=width, took_s=took))
    if len(shown) < len(names):
        rows.append(_one_line(Text(f"… and {len(names) - len(shown)} more", style="dim"), width=width))
    return Group(*rows)


def _row(
    name: str,
    region: RegionProgress,
    name_width: int,
    count_width: int,
    *,
    width: int,
    took_s: float | None,
) -> Text:
    """`eu-west-1  ━━━━━━──────  2/4  waiting for instances`"""
    style = _style(region)
    parts = [Text(set_cell_size(name, name_width))]
    if width >= _WITH_BAR:
        parts.append(_bar(region.count, style=style))
    parts.append(Text(_count(region, width=width).rjust(count_width)))
    if width >= _NARROW:
        parts.append(Text(_doing(region) + (f", {_clock_text(took_s)}" if took_s is not None else ""), style))
    return _joined(parts, width=width)


def _orchestrator_row(progress: Progress, name_width: int, count_width: int, *, width: int) -> Text:
    style = "green" if progress.orchestrator_ready else "yellow"
    bar = " " * (_BAR + len(_GAP)) if width >= _WITH_BAR else ""
    parts = [Text(set_cell_size("orchestrator", name_width)), Text(f"{bar}{'':{count_width}}")]
    if width >= _NARROW:
        parts.append(Text(progress.orchestrator, style=style))
    return _joined(parts, width=width)


def _bar(count: Count, *, style: str) -> Text:
    """Full only when everything is done. Without anything to do, or before its number is known, there is none."""
    if not count.of:
        return Text(" " * _BAR)
    full = _BAR * count.done // count.of
    return Text.assemble((_FULL * full, style or "yellow"), (_EMPTY * (_BAR - full), "dim"))


def _joined(parts: Sequence[Text], *, width: int) -> Text:
    return _one_line(Text(_GAP).join(parts), width=width)


def _one_line(text: Text, *, width: int) -> Text:
    """A line that is folded would make the frame jump."""
    text.no_wrap = True
    text.overflow = "ellipsis"
    text.truncate(width, overflow="ellipsis")
    return text


def _most_telling(regions: Mapping[str, RegionProgress], room: int) -> list[str]:
    """Chosen by importance, shown in their own order, so that rows move as little as possible."""
    ranked = sorted(regions, key=lambda name: (regions[name].failed is None, regions[name].done))
    chosen = set(ranked[: max(room, 0)])
    return [name for name in regions if name in chosen]


def _count(region: RegionProgress, *, width: int) -> str:
    """`2/4`; with a mark where no words fit."""
    count = f"{region.count.done}/{region.count.of}"
    return f"! {count}" if region.failed and width < _NARROW else count


def _doing(region: RegionProgress) -> str:
    if region.failed:
        return f"failed: {region.failed}"
    return f"{region.status_text} {kind_label(region.kind)}" if region.kind else region.status_text


def _style(region: RegionProgress) -> str:
    """Of the bar and the words."""
    if region.failed:
        return "red"
    return "green" if region.done and not region.missing else ""


def footer(progress: Progress, last: str, *, width: int) -> Text:
    """The newest line, or the effect of Ctrl-C."""
    text = event_text(events.Cancelling()) if progress.cancelling else last
    return _one_line(Text(text or "", style="yellow" if progress.cancelling else "dim"), width=width)


class LiveScreen:
    """The frame on the terminal, from now until `close`, which always gives the terminal back."""

    def __init__(
        self,
        console: Console,
        *,
        regions: tuple[str, ...],
        title: str,
        clock: Time,
        stdin: TextIO | None = None,
    ) -> None:
        """`stdin`: its keys are not echoed into the frame."""
        self._echo = EchoOff(stdin)
        self._echo.start()
        self._frame = ProgressFrame(title, regions, clock)
        self._live = Live(
            self._frame,
            console=console,
            refresh_per_second=REDRAWS_PER_S,
            # The result follows and has the same data permanently.
            transient=True,
            # Foreign output goes through the console; nothing else may write while the frame is shown.
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._cursor = CursorDuringStops(console)
        self._cursor.start()
        self._live.start()

    def emit(self, event: Event) -> None:
        self._frame.apply(event)

    def tick(self) -> None:
        """The frame moves by itself."""

    def close(self) -> None:
        self._live.stop()
        self._cursor.stop()
        self._echo.stop()
