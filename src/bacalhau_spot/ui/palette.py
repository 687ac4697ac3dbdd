"""The colours of states, with one meaning each, and always next to a word of the same meaning.

| style | meaning |
|---|---|
| green | running, joined, done |
| yellow | on its way, noticed, incomplete |
| red | wrong: needs an action |
| dim | ended, or of less importance |
| cyan | a command to type |

A terminal's own yellow, cyan and faint text are hard to read on a light background. These fixed colours of the 256 have about
the same contrast to black and to white (WCAG 2.2, 1.4.11), which `tests/ui/test_palette.py` checks. A terminal with 16 colours
gets the nearest of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.style import Style
from rich.theme import Theme

if TYPE_CHECKING:
    from collections.abc import Mapping

# Numbers of the 256 colours (ECMA-48 SGR 38;5).
COLOR_NUMBERS: Final[Mapping[str, int]] = {"green": 28, "yellow": 130, "red": 160, "dim": 243, "cyan": 30}

# The words of the views are the names of these styles.
THEME: Final = Theme(
    {
        name: Style(color=f"color({number})", bold=bold or None)
        for word, number in COLOR_NUMBERS.items()
        for name, bold in ((word, False), (f"bold {word}", True))
    }
)
