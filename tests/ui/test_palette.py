"""The colours are legible on light and dark, and each has a word of the same meaning beside it."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.color import Color
from rich.style import Style

from bacalhau_spot.core.model import State
from bacalhau_spot.ui.palette import COLOR_NUMBERS, THEME
from bacalhau_spot.ui.state_styles import SEVERITY_STYLES, state_style
from bacalhau_spot.ui.terminal import stream_console
from bacalhau_spot.ui.views.blocks import Cell, TextTable

# Backgrounds of terminals: black and white, then the dark and light ones of xterm's successors.
BACKGROUNDS = {
    "white": (255, 255, 255),
    "solarized light": (253, 246, 227),
    "grey": (238, 238, 238),
    "black": (0, 0, 0),
    "dark grey": (30, 30, 30),
}


def luminance(rgb: tuple[int, int, int]) -> float:
    """WCAG 2.2, "relative luminance"."""
    parts = [value / 255 for value in rgb]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: tuple[int, int, int], other: tuple[int, int, int]) -> float:
    """WCAG 2.2, "contrast ratio"."""
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("word", COLOR_NUMBERS)
@pytest.mark.parametrize("background", BACKGROUNDS)
def test_each_colour_is_legible_on_light_and_dark(word: str, background: str) -> None:
    """At least 3:1, WCAG's limit for the parts of an interface; a terminal's own yellow on white has 1.1."""
    color = Color.parse(f"color({COLOR_NUMBERS[word]})").get_truecolor()
    assert contrast((color.red, color.green, color.blue), BACKGROUNDS[background]) >= 3


def test_each_word_of_a_view_has_its_colour_on_a_terminal() -> None:
    """Also in bold, and with the number that the palette names."""
    for word, number in COLOR_NUMBERS.items():
        for name in (word, f"bold {word}"):
            color = THEME.styles[name].color
            assert color is not None
            assert color.number == number


@pytest.fixture(autouse=True)
def unused_styles() -> None:
    """Rich keeps a style's codes from its first use: a process has one terminal, and the other tests have others."""
    Style._add.cache_clear()
    for style in THEME.styles.values():
        style._ansi = None


@pytest.mark.parametrize(("term", "code"), [("xterm", "32"), ("xterm-256color", "38;5;28")])
def test_a_terminal_gets_the_colours_that_it_has(
    monkeypatch: pytest.MonkeyPatch, term: str, code: str
) -> None:
    for name in ("NO_COLOR", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", term)
    assert f"\x1b[{code}mrunning\x1b[0m" in shown({"TERM": term})


class Tty(StringIO):
    def isatty(self) -> bool:
        return True


def shown(environ: dict[str, str]) -> str:
    stream = Tty()
    table = TextTable(("node", "state"), [("i-1", Cell("running", state_style(State.RUNNING)))])
    stream_console(stream, environ=environ).print(table)
    return stream.getvalue()


def test_without_colour_the_words_remain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    text = shown({"TERM": "xterm-256color", "NO_COLOR": "1"})
    assert "38;5" not in text
    assert "running" in text


def test_every_state_and_severity_has_a_colour_of_the_palette() -> None:
    styles = {*map(state_style, (*State, "draining")), *SEVERITY_STYLES.values()}
    assert styles == {"green", "yellow", "red", "dim"}
