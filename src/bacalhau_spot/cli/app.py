"""The command tree. Commands are named, not imported: `--help` must not wait for boto3."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cyclopts import App

from bacalhau_spot import __version__

if TYPE_CHECKING:
    from cyclopts import CycloptsError

_HELP = "Run a Bacalhau compute cluster on AWS spot instances, in many regions, and leave nothing behind."

# name -> where; the order is that of the help page.
COMMANDS = {
    "create": "bacalhau_spot.cli.create:create",
    "list": "bacalhau_spot.cli.list:list_",
    "destroy": "bacalhau_spot.cli.destroy:destroy",
    "nuke": "bacalhau_spot.cli.nuke:nuke",
    "configure": "bacalhau_spot.cli.configure:configure",
}
GROUPS = {
    "config": (
        "Show, upgrade and describe the configuration.",
        {
            "show": "bacalhau_spot.cli.config:show",
            "upgrade": "bacalhau_spot.cli.config:upgrade",
            "schema": "bacalhau_spot.cli.config:schema",
        },
    ),
    "sandbox": (
        "The AWS on this machine: nothing is launched, nothing costs money.",
        {
            "start": "bacalhau_spot.cli.sandbox:start",
            "stop": "bacalhau_spot.cli.sandbox:stop",
            "status": "bacalhau_spot.cli.sandbox:status",
            "set": "bacalhau_spot.cli.sandbox:set_",
            "interrupt": "bacalhau_spot.cli.sandbox:interrupt",
        },
    ),
}
# What a mistyped option is never taken for: each of these agrees to something.
_NEVER_SUGGESTED = ("--yes", "--force", "--allow-removal")


def build() -> App:
    app = App(name="bacalhau-spot", version=__version__, help=_HELP, help_format="plaintext")
    for name, where in COMMANDS.items():
        app.command(where, name=name)
    for name, (text, commands) in GROUPS.items():
        group = App(name=name, help=text)
        for inner, where in commands.items():
            group.command(where, name=inner)
        app.command(group)
    return app


def usage_message(error: CycloptsError) -> str:
    """What is wrong with the command line, in one line, without a suggestion that agrees to something."""
    text = " ".join(str(error).split()).rstrip(".")
    for option in _NEVER_SUGGESTED:
        text = re.sub(rf"\.? Did you mean {option}\b.*", "", text)
    return text[:1].lower() + text[1:]


def nearest_help(argv: list[str]) -> str:
    """The command whose help page fits a command line that could not be understood, with a space behind it, or nothing."""
    if not argv:
        return ""
    if argv[0] in COMMANDS:
        return f"{argv[0]} "
    if argv[0] in GROUPS:
        inner = argv[1] if len(argv) > 1 and argv[1] in GROUPS[argv[0]][1] else ""
        return f"{argv[0]} {inner} " if inner else f"{argv[0]} "
    return ""
