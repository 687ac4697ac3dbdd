"""The result of `configure`: the file, and the price of its plan."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group, RenderableType

from bacalhau_spot.errors import UserError
from bacalhau_spot.ui.views.blocks import Paragraph, next_commands
from bacalhau_spot.ui.views.plan_view import over_budget, plan_view

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from bacalhau_spot.core.launch.plan import Plan
    from bacalhau_spot.core.model import Arch

_CHECK = "check it with `bacalhau-spot config show`, then `bacalhau-spot create --dry-run`"
_PLANNED = "`bacalhau-spot create` launches this plan; `bacalhau-spot doctor` checks all prerequisites"
_NO_PLAN = "`bacalhau-spot doctor` checks all prerequisites; `bacalhau-spot create --dry-run` shows the plan and its price"


def configured(
    path: Path,
    *,
    changed: bool,
    archives: Iterable[tuple[Arch, str]],
    preview: Plan | UserError | None = None,
    schema: Path | None = None,
) -> Group:
    """The result of `configure`. `preview`: the plan of the new configuration, or why there is none.

    `schema`: the schema for editors, which a new configuration comes with.
    """
    wrote = f"wrote {path}" if schema is None else f"wrote {path} and, for editors, {schema.name}"
    return Group(
        Paragraph(f"changed {path}" if changed else wrote),
        *(
            Paragraph(f"nodes accept only this SHA-256 sum of Bacalhau's archive for {arch}: {digest}")
            for arch, digest in archives
        ),
        *_preview(preview),
    )


def _preview(preview: Plan | UserError | None) -> list[RenderableType]:
    if preview is None:
        return [*next_commands((_CHECK,))]
    if isinstance(preview, UserError):
        return [Paragraph(f"no plan yet: {preview.what}"), *next_commands((_NO_PLAN,))]
    if preview.over_budget:
        return [plan_view(preview), Paragraph(over_budget(preview).what), *next_commands((_NO_PLAN,))]
    return [plan_view(preview), *next_commands((_PLANNED,))]
