"""The live frame: the only owner of the terminal. One row a region, constant height, four redraws a second at most."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.live import Live
from rich.table import Table
from rich.text import Text

from bacalhau_spot.core.launch import events
from bacalhau_spot.core.launch.progress import Progress, RegionProgress, apply_event
from bacalhau_spot.ui.progress.progress_log import event_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console, ConsoleOptions, RenderResult

    from bacalhau_spot.core.launch.events import Event
    from bacalhau_spot.ui.progress.progress_log import Time

REDRAWS_PER_S = 4
# Heading, column heads, footer, and the prompt's line below.
_BESIDE_ROWS = 5
# In a narrower window only the region and the count fit, and a mark shows a failure.
_NARROW = 36
_BETWEEN = " · "


class ProgressFrame:
    """The content of the live frame. Rich requests it at every redraw, so that the time advances between events."""

    def __init__(self, title: str, regions: tuple[str, ...], clock: Time) -> None:
        self.title = title
        self.clock = clock
        self.started_s = clock.monotonic_s()
        self.progress = Progress(regions={region: RegionProgress() for region in regions})
        self.last = ""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        elapsed_s = self.clock.monotonic_s() - self.started_s
        yield heading(self.title, self.progress, elapsed_s=elapsed_s, width=options.max_width)
        yield progress_rows(self.progress, width=options.max_width, height=console.height)
        yield footer(self.progress, self.last, width=options.max_width)


def heading(title: str, progress: Progress, *, elapsed_s: float, width: int) -> Text:
    """Title, totals and elapsed time, on one line however narrow; the title gives way first."""
    if progress.to_test:
        total = f"{progress.tested} of {progress.to_test} tested"
    elif progress.found:
        total = f"{progress.deleted} of {progress.found} deleted"
    elif progress.joined is not None:
        total = f"{progress.joined} of {progress.running} joined"
    else:
        total = f"{progress.running} of {progress.requested} running"
    minutes, seconds = divmod(int(elapsed_s), 60)
    numbers = f"{total} · {minutes}:{seconds:02}"
    room = width - len(numbers) - len(_BETWEEN)
    name = Text(title)
    name.truncate(max(room, 1), overflow="ellipsis")
    line = f"{name.plain}{_BETWEEN}{numbers}" if room > 1 else numbers
    text = Text(line, style="bold", no_wrap=True, overflow="ellipsis")
    text.truncate(width, overflow="ellipsis")
    return text


def progress_rows(progress: Progress, *, width: int, height: int) -> Table:
    """One row a region, as many as the window has room for: those that failed or are still at work before those done."""
    room = max(1, height - _BESIDE_ROWS - bool(progress.orchestrator))
    names = list(progress.regions)
    shown = names if len(names) <= room else _most_telling(progress.regions, room - 1)
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    wide = width >= _NARROW
    if wide:
        table.add_column(no_wrap=True, overflow="ellipsis")
    if progress.orchestrator:
        style = "green" if progress.orchestrator_ready else ""
        table.add_row("orchestrator", "", *([Text(progress.orchestrator, style=style)] if wide else []))
    for name in shown:
        table.add_row(*_cells(name, progress.regions[name], wide=wide))
    if len(shown) < len(names):
        table.add_row(Text(f"… and {len(names) - len(shown)} more", style="dim"))
    return table


def _cells(name: str, region: RegionProgress, *, wide: bool) -> list[Text]:
    if wide:
        return [Text(name), Text(_count(region)), Text(_doing(region), style=_style(region))]
    return [Text(name), Text(f"! {_count(region)}" if region.failed else _count(region))]


def _most_telling(regions: Mapping[str, RegionProgress], room: int) -> list[str]:
    """Chosen by importance, shown in their own order, so that rows move as little as possible."""
    ranked = sorted(regions, key=lambda name: (regions[name].failed is None, regions[name].done))
    chosen = set(ranked[: max(room, 0)])
    return [name for name in regions if name in chosen]


def _count(region: RegionProgress) -> str:
    if region.to_test:
        return f"{region.tested}/{region.to_test}"
    if region.found:
        return f"{region.deleted}/{region.found}"
    return f"{region.running}/{region.requested}"


def _doing(region: RegionProgress) -> str:
    return f"failed: {region.failed}" if region.failed else region.status_text


def _style(region: RegionProgress) -> str:
    if region.failed:
        return "red"
    return "green" if region.done else ""


def footer(progress: Progress, last: str, *, width: int) -> Text:
    """The newest line, or the effect of Ctrl-C."""
    text = event_text(events.Cancelling()) if progress.cancelling else last
    line = Text(
        text or "", style="yellow" if progress.cancelling else "dim", no_wrap=True, overflow="ellipsis"
    )
    line.truncate(width, overflow="ellipsis")
    return line


class LiveScreen:
    """The frame on the terminal, from now until `close`, which always gives the terminal back."""

    def __init__(self, console: Console, *, regions: tuple[str, ...], title: str, clock: Time) -> None:
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
        self._live.start()

    def emit(self, event: Event) -> None:
        self._frame.progress = apply_event(self._frame.progress, event)
        self._frame.last = event_text(event) or self._frame.last

    def tick(self) -> None:
        """The frame moves by itself."""

    def close(self) -> None:
        self._live.stop()
