"""Takes the pictures of the documentation: the program's own screens, as it shows them in a sandbox.

`uv run python docs/pictures.py` writes docs/pictures/*.svg. Each has the colours of a light and of a dark terminal, and shows
those of its reader's colour scheme. Ids differ from sandbox to sandbox: a picture has stand-ins.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import tempfile
import termios
from html import escape
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pyte
from rich.color import Color
from rich.console import Console
from rich.style import Style
from rich.terminal_theme import TerminalTheme
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

FOLDER = Path(__file__).resolve().parent / "pictures"
WIDTH, HEIGHT = 100, 60
# The pictures in the order of their commands, and what a reader who does not see them gets.
PICTURES = {
    "plan": "create --dry-run --sandbox",
    "create": "create --sandbox --yes",
    "status": "status --sandbox",
    "offers": "offers --sandbox --by region",
    "cost": "cost --sandbox",
    "destroy": "destroy --sandbox --yes",
}
# The sandbox's own times.
_FAST = ("boot_s=1", "pending_s=0.2", "terminate_s=0.2", "latency_s=0", "checks_s=0", "job_s=0.5")
_INSTANCE = re.compile(r"i-[0-9a-f]{17}")
_CHARACTER = 12.2, 24.4  # width and height of a character in rich's SVG
_MARGIN, _TITLE = 16, 40
# Background, text, and ANSI's eight colours twice: normal and bright.
_LIGHT = (
    "ffffff 24292f 24292f cf222e 116329 7d4e00 0969da 8250df 1b7c83 6e7781 "
    "57606a a40e26 1a7f37 633c01 218bff a475f9 3192aa 8c959f"
)
_DARK = (
    "0d1117 e6edf3 484f58 ff7b72 3fb950 d29922 58a6ff bc8cff 39c5cf b1bac4 "
    "6e7681 ffa198 56d364 e3b341 79c0ff d2a8ff 56d4dd f0f6fc"
)
# pyte's names of ANSI's colours, in ANSI's order.
_COLOURS = ("black", "red", "green", "brown", "blue", "magenta", "cyan", "white")
_PARTS = "{styles}\0{backgrounds}\0{matrix}\0{lines}"
_SVG = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" aria-label="{title}">
<title>{title}</title>
<style>
.screen {{ font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size: 20px; }}
.frame {{ fill: {light}; stroke: #8c959f; }}
.title {{ fill: #6e7781; font-family: sans-serif; font-size: 16px; }}
{light_styles}
@media (prefers-color-scheme: dark) {{
.frame {{ fill: {dark}; }}
.title {{ fill: #9198a1; }}
{dark_styles}
}}
</style>
<rect class="frame" x="0.5" y="0.5" width="{inner_width}" height="{inner_height}" rx="8"/>
<text class="title" x="{margin}" y="26">$ {title}</text>
<g class="screen" transform="translate({margin}, {title_height})">
{matrix}
</g>
</svg>
"""


def theme(colours: str) -> TerminalTheme:
    background, text, *others = (tuple(bytes.fromhex(colour)) for colour in colours.split())
    return TerminalTheme(background, text, others[:8], others[8:])


class Cell(NamedTuple):
    """A character on the screen, and its style."""

    text: str
    style: Style


Line = tuple[Cell, ...]


def screen_of(argv: Iterable[str], *, environ: Mapping[str, str], folder: Path) -> tuple[Line, ...]:
    """All lines that a command leaves on a terminal. Raises RuntimeError if it fails."""
    terminal, child = pty.openpty()
    fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", HEIGHT, WIDTH, 0, 0))
    process = subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-m", "bacalhau_spot", *argv],
        stdin=child,
        stdout=child,
        stderr=child,
        env=dict(environ),
        cwd=folder,
        start_new_session=True,
    )
    os.close(child)
    screen = pyte.HistoryScreen(WIDTH, HEIGHT, history=1000)
    stream = pyte.ByteStream(screen)
    while written := _read(terminal):
        stream.feed(written)
    os.close(terminal)
    lines = tuple(_line(row) for row in (*screen.history.top, *map(screen.buffer.__getitem__, range(HEIGHT))))
    if process.wait() != 0:
        raise RuntimeError(f"{' '.join(argv)} failed:\n{plain(lines)}")
    return lines


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # the program has ended
        return b""


def _line(row: Mapping[int, pyte.screens.Char]) -> Line:
    return tuple(Cell(row[column].data, _style(row[column])) for column in range(WIDTH))


def _style(char: pyte.screens.Char) -> Style:
    name = char.fg.removeprefix("bright")
    number = _COLOURS.index(name) + 8 * (name != char.fg) if name in _COLOURS else None
    return Style(
        color=None if number is None else Color.from_ansi(number),
        bold=char.bold,
        italic=char.italics,
        underline=char.underscore,
        reverse=char.reverse,
    )


def plain(lines: Iterable[Line]) -> str:
    return "\n".join("".join(cell.text for cell in line).rstrip() for line in lines).strip()


def picture(lines: Iterable[Line], *, title: str) -> str:
    """The SVG of a screen, without its last empty lines. Raises ValueError for styles that the two schemes do not share."""
    text = Text("\n").join(_text(line) for line in lines)
    text.rstrip()
    rows = text.plain.count("\n") + 1
    console = Console(record=True, width=WIDTH, file=Path(os.devnull).open("w"), highlight=False)  # noqa: SIM115
    console.print(text)
    light, dark = (
        console.export_svg(theme=theme(colours), code_format=_PARTS, unique_id="t", clear=False).split("\0")
        for colours in (_LIGHT, _DARK)
    )
    if light[1] != dark[1] or light[2] != dark[2]:
        raise ValueError(f"{title}: two styles have the same colours in one of the schemes, or a background")
    width, height = WIDTH * _CHARACTER[0] + 2 * _MARGIN, rows * _CHARACTER[1] + _TITLE + _MARGIN
    clips = re.compile(r' clip-path="[^"]*"')
    return _SVG.format(
        width=round(width),
        height=round(height),
        inner_width=round(width) - 1,
        inner_height=round(height) - 1,
        margin=_MARGIN,
        title_height=_TITLE,
        title=escape(title),
        light=f"#{_LIGHT[:6]}",
        dark=f"#{_DARK[:6]}",
        light_styles=light[0],
        dark_styles=dark[0],
        matrix=clips.sub("", light[2]).replace("\n\n", "\n"),
    )


def _text(line: Line) -> Text:
    text = Text()
    for style, cells in groupby(line, key=lambda cell: cell.style):
        text.append("".join(cell.text for cell in cells), style)
    text.rstrip()
    return text


class _StandIns(dict[str, str]):
    """An id of the sandbox and the id in the pictures, of the same length."""

    def __missing__(self, instance: str) -> str:
        self[instance] = f"i-0{len(self) + 1:016x}"
        return self[instance]


def with_stand_ins(line: Line, known: _StandIns) -> Line:
    cells = list(line)
    for match in _INSTANCE.finditer("".join(cell.text for cell in line)):
        for place, character in enumerate(known[match.group()], start=match.start()):
            cells[place] = cells[place]._replace(text=character)
    return tuple(cells)


def take() -> dict[str, tuple[Line, ...]]:
    """The screens of all commands, one after the other in one sandbox."""
    known = _StandIns()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environ = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join(sys.path),
            "HOME": name,
            "XDG_STATE_HOME": name,
            "TERM": "xterm",
            "LANG": "C.UTF-8",
            "BACALHAU_SPOT_ADVISOR_URL": "",
        }
        screen_of(("sandbox", "start"), environ=environ, folder=folder)
        try:
            screen_of(("sandbox", "set", *_FAST), environ=environ, folder=folder)
            return {
                picture_name: tuple(
                    with_stand_ins(line, known)
                    for line in screen_of(command.split(), environ=environ, folder=folder)
                )
                for picture_name, command in PICTURES.items()
            }
        finally:
            screen_of(("sandbox", "stop"), environ=environ, folder=folder)


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name, lines in take().items():
        svg = picture(lines, title=f"bacalhau-spot {PICTURES[name]}")
        (FOLDER / f"{name}.svg").write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    main()
