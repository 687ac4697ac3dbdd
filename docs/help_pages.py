"""The help pages as data: the CLI library's own pages, taken before they are laid out, for `cli/runtime/help_page.py`.

A text is a list of paragraphs, in which backquotes mark code, as in the docstrings. The escape sequences of the styles are
rich's own.
"""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

from cyclopts.help import InlineText
from cyclopts.help.specs import (
    DEFAULT_STYLES,
    CommandNameRenderer,
    DescriptionRenderer,
    NameRenderer,
    default_styles_theme,
)
from rich.cells import cell_len
from rich.color import ColorSystem
from rich.console import Console

from bacalhau_spot.cli.app import COMMANDS, GROUPS, build_app
from bacalhau_spot.cli.help_texts import DOCUMENTATION, EXAMPLES
from bacalhau_spot.cli.runtime.shared_options import FORMER_REGIONS

if TYPE_CHECKING:
    from cyclopts.help import HelpPanel
    from rich.console import ConsoleOptions, RenderableType
    from rich.style import Style

FILE = "src/bacalhau_spot/cli/help_pages.json"
_SYSTEMS = {
    "16": ColorSystem.STANDARD,
    "256": ColorSystem.EIGHT_BIT,
    "truecolor": ColorSystem.TRUECOLOR,
    "none": None,
}
# No paragraph is longer.
_WIDE = 5000

_CODE = "bold cyan on black"  # rich's `markdown.code`

# Spellings that are accepted, and not to be learnt.
_FORMER = (FORMER_REGIONS,)

Piece = tuple[str, str]


class _Recorder:
    """A formatter of help pages that keeps what it is asked to show."""

    def __init__(self) -> None:
        self.usage = ""
        self.text: list[str] = []
        self.panels: list[dict[str, Any]] = []

    def render_usage(self, console: Console, options: ConsoleOptions, usage: Any) -> None:
        del console, options
        self.usage = str(usage).strip()

    def render_description(self, console: Console, options: ConsoleOptions, description: Any) -> None:
        del options
        self.text = _paragraphs(console, description)

    def __call__(self, console: Console, options: ConsoleOptions, panel: HelpPanel) -> None:
        del options
        if not panel.entries:
            return
        rows = [_row(console, panel, entry) for entry in panel.entries]
        self.panels.append(
            {
                "title": panel.title,
                "commands": panel.format == "command",
                "required": any(entry.required for entry in panel.entries),
                "rows": rows,
            }
        )


def text() -> str:
    """The content of FILE: every page by its command, and the styles' escape sequences by the terminal's colours."""
    found = {"": _page(())}
    found |= {name: _page((name,)) for name in (*COMMANDS, *GROUPS)}
    for group, (_, commands) in GROUPS.items():
        found |= {f"{group} {name}": _page((group, name)) for name in commands}
    epilogue = _paragraphs(_console(), InlineText.from_format(build_app(()).help_epilogue, format="markdown"))
    content = {"styles": _styles(), "epilogue": epilogue, "pages": found}
    return json.dumps(content, ensure_ascii=False, indent=1) + "\n"


def _page(chain: tuple[str, ...]) -> dict[str, Any]:
    recorder = _Recorder()
    app = build_app(chain, console=_console())
    app.help_formatter = recorder
    app.help_print(chain)
    if not chain:  # `--help` and `--version` come after the groups of commands
        first, *others = recorder.panels
        recorder.panels = [*others, {**first, "title": "Options"}]
    name = " ".join(chain)
    about = DOCUMENTATION.get(name)
    return {
        "usage": recorder.usage,
        "text": recorder.text,
        "examples": EXAMPLES[name],
        "documentation": f"More: `bacalhau-spot explain {about}`" if about else "",
        "panels": recorder.panels,
    }


def _console() -> Console:
    return Console(
        file=io.StringIO(), force_terminal=True, color_system="truecolor", width=_WIDE, highlight=False
    )


def _row(console: Console, panel: HelpPanel, entry: Any) -> dict[str, Any]:
    """A command or an option: its names, and its text with the choices and the default behind it."""
    name = (CommandNameRenderer if panel.format == "command" else NameRenderer)()(entry)
    name = " ".join(word for word in str(name).split(" ") if word not in _FORMER)
    described = DescriptionRenderer()(entry)
    more, described.texts = described.texts, []
    return {
        "name": name,
        "required": bool(entry.required),
        "text": _paragraphs(console, described),
        "more": [(item.plain, str(item.style).removeprefix("cyclopts.")) for item in more],
    }


def _paragraphs(console: Console, shown: RenderableType) -> list[str]:
    """Each paragraph on one line. Raises ValueError for anything but text and code."""
    lines: list[list[Piece]] = [[]]
    for segment in console.render(shown):
        style = str(segment.style or "none")
        first, *others = segment.text.split("\n")
        lines[-1].append((first, style))
        lines.extend([(part, style)] for part in others)
    kept = ("".join(map(_marked, line)).rstrip() for line in lines)
    return [line for line in kept if line]


def _marked(piece: Piece) -> str:
    text, style = piece
    if "`" in text or style not in {"none", _CODE} or not text.isprintable() or cell_len(text) != len(text):
        raise ValueError(f"a help page cannot have {text!r} in the style {style!r}")
    return f"`{text}`" if style == _CODE else text


def _styles() -> dict[str, dict[str, str]]:
    """The parameters of SGR (ECMA-48) for each style, by the terminal's colours; `none`: with --no-color."""
    console = _console()
    with console.use_theme(default_styles_theme(console)):
        styles = {
            name.removeprefix("cyclopts."): console.get_style(name)
            for name in (*DEFAULT_STYLES, "markdown.code")
        }
    return {
        system: {key: _codes(style, colors) for key, style in styles.items()}
        for system, colors in _SYSTEMS.items()
    }


def _codes(style: Style, system: ColorSystem | None) -> str:
    """Such as `1;36`."""
    attributes = style.without_color.render("x", color_system=ColorSystem.STANDARD)
    codes = [attributes.removeprefix("\x1b[").partition("m")[0]] if attributes != "x" else []
    for color, foreground in ((style.color, True), (style.bgcolor, False)):
        if color is not None and system is not None:
            codes.extend(color.downgrade(system).get_ansi_codes(foreground=foreground))
    return ";".join(codes)
