"""The command tree. Commands are named, not imported: `--help` must not wait for boto3."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cyclopts import App, Group, Parameter

from bacalhau_spot import __version__
from bacalhau_spot.cli.help_texts import HELP_GROUPS

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from rich.console import Console

_HELP = (
    "Run a Bacalhau compute cluster on AWS spot instances in many regions, and delete it without leftovers."
)
_EPILOGUE = "The options of every command stand before its name or after it. The last value counts."

Commands = dict[str, tuple[str, str]]  # name -> (import path, one-line help), in the order of the help page
COMMANDS: Commands = {
    "create": (
        "bacalhau_spot.cli.commands.create:create",
        "Launch the nodes that the configuration asks for and that do not exist yet.",
    ),
    "list": (
        "bacalhau_spot.cli.commands.list:list_",
        "List the cluster's instances in all regions, as AWS reports them now.",
    ),
    "status": (
        "bacalhau_spot.cli.commands.status:status",
        "Show the cluster's health from EC2, the orchestrator and the nodes, with a remedy for each problem.",
    ),
    "clusters": (
        "bacalhau_spot.cli.commands.clusters:clusters",
        "List every cluster in the account with its nodes, regions, cost per hour, owner and expiry.",
    ),
    "reconcile": (
        "bacalhau_spot.cli.commands.reconcile:reconcile",
        "Make the cluster as configured, once or again and again, without questions.",
    ),
    "extend": (
        "bacalhau_spot.cli.commands.extend:extend",
        "Move the end of the cluster's lifetime: `extend 4h` ends it four hours from now.",
    ),
    "ssh": (
        "bacalhau_spot.cli.commands.ssh:ssh",
        "Open a shell on a node, or run a command on one node or all: `ssh [NODE] [-- COMMAND]`.",
    ),
    "logs": (
        "bacalhau_spot.cli.commands.logs:logs",
        "Print the logs of one node or all, merged by time: their journals through SSH, or EC2's console output.",
    ),
    "console": (
        "bacalhau_spot.cli.commands.console:console",
        "Print a node's console output, without SSH: how its first boot went, and why it failed.",
    ),
    "env": (
        "bacalhau_spot.cli.commands.env:env",
        "Print the environment variables of Bacalhau's client for this cluster's orchestrator.",
    ),
    "smoke-test": (
        "bacalhau_spot.cli.commands.smoke_test:smoke_test",
        "Run one tiny job on every joined node of the cluster, and report for each node whether it ran and how long it took.",
    ),
    "scale": (
        "bacalhau_spot.cli.commands.scale:scale",
        "Launch or remove nodes until the cluster, or one region, has this number.",
    ),
    "replace": (
        "bacalhau_spot.cli.commands.replace:replace",
        "Replace nodes by new ones, a few at a time.",
    ),
    "remove": (
        "bacalhau_spot.cli.commands.remove:remove",
        "Drain nodes and terminate their instances.",
    ),
    "destroy": (
        "bacalhau_spot.cli.commands.destroy:destroy",
        "Delete all resources of this cluster in every region, and verify the deletion.",
    ),
    "nuke": (
        "bacalhau_spot.cli.commands.nuke:nuke",
        "Delete all resources that carry the cluster tag, in every region of the account, and verify the deletion.",
    ),
    "prices": (
        "bacalhau_spot.cli.commands.prices:prices",
        "Show the spot price history of the cluster's pools, or of the pools that the configuration allows.",
    ),
    "prune": (
        "bacalhau_spot.cli.commands.prune:prune",
        "Remove this cluster's terminated nodes from the orchestrator.",
    ),
    "cost": (
        "bacalhau_spot.cli.commands.cost:cost",
        "Show the cluster's cost so far and its current cost per hour.",
    ),
    "history": (
        "bacalhau_spot.cli.commands.history:history",
        "Show the launches, joins, interruptions and replacements of the cluster's nodes, the newest last.",
    ),
    "report": (
        "bacalhau_spot.cli.commands.report:report",
        "Write a page about the cluster: regions, nodes and costs over time, interruptions, pools, drift.",
    ),
    "offers": (
        "bacalhau_spot.cli.commands.offers:offers",
        "Compare spot prices and availability across regions, and write a choice into the configuration.",
    ),
    "configure": (
        "bacalhau_spot.cli.commands.configure:configure",
        "Create a commented config.yaml, or change keys of an existing one.",
    ),
    "doctor": (
        "bacalhau_spot.cli.commands.doctor:doctor",
        "Check all prerequisites of a cluster, with a fix for each failure. Changes nothing.",
    ),
    "notify-test": (
        "bacalhau_spot.cli.commands.notify_test:notify_test",
        "Send a test notice to every receiver under `notify` in the configuration.",
    ),
    "iam-policy": (
        "bacalhau_spot.cli.commands.iam_policy:iam_policy",
        "Print the least-privilege IAM policy for this configuration.",
    ),
    "explain": (
        "bacalhau_spot.cli.commands.explain:explain",
        "Print a page of the documentation, or the meaning and remedy of an error. Makes no network calls.",
    ),
    "completion": (
        "bacalhau_spot.cli.commands.completion:completion",
        "Print the completion script of bash, zsh or fish.",
    ),
    "help": (
        "bacalhau_spot.cli.commands.help:help_",
        "Print the help of a command, or a page of the documentation.",
    ),
    "version": ("bacalhau_spot.cli.commands.version:version", "Print the version of this program."),
}
GROUPS: dict[str, tuple[str, Commands]] = {
    "config": (
        "Show, upgrade and describe the configuration.",
        {
            "show": (
                "bacalhau_spot.cli.commands.config:show",
                "Check the configuration and show the effective values.",
            ),
            "upgrade": (
                "bacalhau_spot.cli.commands.config:upgrade",
                "Convert a configuration from an earlier format to the current one, and keep its comments.",
            ),
            "schema": ("bacalhau_spot.cli.commands.config:schema", "Print the configuration's JSON Schema."),
        },
    ),
    "image": (
        "Images with Docker and Bacalhau on them, for nodes that join sooner.",
        {
            "bake": (
                "bacalhau_spot.cli.commands.image_bake:image_bake",
                "Make an image with Docker and Bacalhau in every configured region, for `image: baked`.",
            ),
            "list": (
                "bacalhau_spot.cli.commands.image_list:image_list",
                "List the images that `image bake` has made, in all regions.",
            ),
            "delete": (
                "bacalhau_spot.cli.commands.image_delete:image_delete",
                "Delete images that `image bake` has made, with their snapshots. Running nodes keep working.",
            ),
        },
    ),
    "sandbox": (
        "A local AWS: no machine is launched, nothing costs money.",
        {
            "start": (
                "bacalhau_spot.cli.commands.sandbox:start",
                "Start the sandbox unless it runs already. Any command with --sandbox does the same.",
            ),
            "stop": (
                "bacalhau_spot.cli.commands.sandbox:stop",
                "Stop the sandbox and discard its resources.",
            ),
            "status": (
                "bacalhau_spot.cli.commands.sandbox:sandbox_status",
                "Show the sandbox's state, its switches and its resources.",
            ),
            "set": (
                "bacalhau_spot.cli.commands.sandbox:set_",
                "Change the sandbox's switches: name=value, the value as JSON.",
            ),
            "interrupt": (
                "bacalhau_spot.cli.commands.sandbox:interrupt",
                "Interrupt a spot instance as AWS does: a notice, then the shutdown.",
            ),
            "rebalance": (
                "bacalhau_spot.cli.commands.sandbox:rebalance",
                "Recommend to replace a spot instance, as AWS does when it may be interrupted soon.",
            ),
        },
    ),
}


def command_names(chain: Sequence[str]) -> Collection[str]:
    """The commands that may follow those of `chain`."""
    if not chain:
        return {**COMMANDS, **GROUPS}
    return GROUPS[chain[0]][1] if chain[0] in GROUPS and len(chain) == 1 else ()


def build_app(chosen: Sequence[str] | None = None, *, console: Console | None = None) -> App:
    """The command tree, with help pages printed to `console`.

    `chosen`: the words of the command line; the commands among them (None: all) use their own full help text.
    """
    shown = Parameter(show_default=_default)
    app = App(
        name="bacalhau-spot",
        version=__version__,
        version_flags=("--version", "-V"),
        group_parameters=_OPTIONS,
        help=_HELP,
        help_epilogue=_EPILOGUE,
        help_format="markdown",
        default_parameter=shown,
        console=console,
    )
    _add(app, COMMANDS, chosen)
    for name, (text, commands) in GROUPS.items():
        group = App(name=name, help=text, group=_group(name), sort_key=_place(name))
        _add(group, commands, chosen)
        app.command(group)
    return app


def _add(app: App, commands: Commands, chosen: Sequence[str] | None) -> None:
    """A command's module is imported only if the command is chosen; otherwise its help is the text given here."""
    for number, (name, (where, text)) in enumerate(commands.items()):
        first = commands is COMMANDS
        app.command(
            where,
            name=name,
            group=_group(name) if first else None,
            sort_key=_place(name) if first else number,
            help=None if chosen is None or name in chosen else text,
        )


_OPTIONS = Group("Options", sort_key=0)
_PANELS = {title: Group(title, sort_key=number) for number, title in enumerate(HELP_GROUPS)}
_PLACES = {name: place for names in HELP_GROUPS.values() for place, name in enumerate(names)}
_TITLES = {name: title for title, names in HELP_GROUPS.items() for name in names}


def _group(name: str) -> Group:
    """The group of a command on the first page."""
    return _PANELS[_TITLES[name]]


def _place(name: str) -> int:
    return _PLACES[name]


def _default(value: object) -> object:
    """A default worth showing: not False, and not empty."""
    return None if value in (False, "", ()) else value
