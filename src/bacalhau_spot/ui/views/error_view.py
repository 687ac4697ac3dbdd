"""Errors: what happened, why (AWS's code once), what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.text import Text

from bacalhau_spot.ui.pages import topic_of
from bacalhau_spot.ui.views.blocks import Paragraph

if TYPE_CHECKING:
    from rich.console import RenderableType

    from bacalhau_spot.errors import UserError


def error_view(error: UserError) -> Group:
    """`error: …`, why, details, a blank line, `hint: …`, `docs: …`. Readable without colour; nothing is folded badly."""
    parts: list[RenderableType] = [Paragraph(error.what, prefix="error: ", prefix_style="bold red")]
    parts.extend(Paragraph(line, prefix="  ") for line in (error.why, *error.details) if line)
    if error.hint or error.docs:
        parts.append(Text(""))
    if error.hint:
        parts.append(Paragraph(error.hint, prefix="hint: "))
    if error.docs:
        parts.append(Paragraph(f"bacalhau-spot explain {topic_of(error.docs)}", prefix="docs: ", whole=True))
    return Group(*parts)
