"""Renderables as text: a console of fixed width, without colour."""

from __future__ import annotations

from io import StringIO

from rich.console import RenderableType

from bacalhau_spot.ui.terminal import Terminal


def rendered(
    shown: RenderableType, *, width: int = 100, program: str = "bacalhau-spot", flags: tuple[str, ...] = ()
) -> str:
    """What `shown` looks like, blanks at line ends included: whoever reads a pipe sees them."""
    stream = StringIO()
    console = Terminal(file=stream, width=width, no_color=True, markup=False, emoji=False, highlight=False)
    console.program, console.flags = program, flags
    console.print(shown, crop=False)
    return "\n".join(stream.getvalue().splitlines())
