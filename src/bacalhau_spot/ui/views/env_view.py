"""The use of Bacalhau's client, for a reader of `env`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group

from bacalhau_spot.core.orchestrator.client_environment import FIND_HERE, USE
from bacalhau_spot.ui.views.blocks import Paragraph, next_commands

if TYPE_CHECKING:
    from bacalhau_spot.core.orchestrator.client_environment import Shell


def env_help_view(shell: Shell, *, version: str | None, download: str | None) -> Group:
    """How to set the variables, and how to install the client of the orchestrator's version."""
    return Group(
        Paragraph("The lines below contain a secret. This command sets the variables in your shell:"),
        *next_commands((USE[shell],), label="  "),
        Paragraph(
            f"Bacalhau's client, of the orchestrator's version {version}, is the program `bacalhau` in:"
        ),
        *next_commands((f"curl -fsSL {download} | tar -xz", FIND_HERE[shell]), label="  "),
        *next_commands(("bacalhau node list", "bacalhau-spot explain first-job")),
    )
