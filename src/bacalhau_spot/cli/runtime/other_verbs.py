"""The verbs of other tools, and the commands of this one that do the same; and the nearest word to a misspelt one."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

# By the command that does it. A verb may stand for several: the first is the likeliest.
_VERBS: Final = {
    "create": "up apply launch start run deploy provision add new ensure spawn",
    "create --dry-run": "plan preview diff what-if estimate",
    "destroy": "down delete del rm terminate stop teardown tear-down kill shutdown undeploy clean cleanup",
    "nuke": "purge wipe clean cleanup gc",
    "list": "ls ps nodes instances get show",
    "status": "show describe info health top watch state inspect",
    "configure": "init setup wizard new set",
    "config show": "validate lint settings get-config",
    "doctor": "check verify preflight diagnose login auth whoami",
    "scale": "resize grow shrink autoscale",
    "replace": "restart recreate refresh roll rotate update upgrade reboot",
    "config upgrade": "migrate convert",
    "remove": "drain evict detach cordon",
    "ssh": "shell connect exec attach sh",
    "logs": "log journal tail",
    "console": "output",
    "history": "events interruptions activity audit",
    "cost": "costs bill billing spend spending usage",
    "prices": "price pricing",
    "offers": "offer gpus types regions zones show-gpus catalog search market",
    "smoke-test": "test ping smoketest",
    "extend": "ttl autostop keep renew lease",
    "reconcile": "heal sync repair loop",
    "iam-policy": "iam policy permissions",
    "explain": "docs doc man manual topic error",
    "completion": "completions autocomplete",
    "image bake": "bake build packer ami",
    "notify-test": "notify",
}
line_effects: Final = {"create --dry-run": "show the plan and its price, and change nothing"}
_NEAR: Final = 0.7


def commands_for(verb: str) -> tuple[str, ...]:
    """The command lines that do what `verb` does elsewhere; empty for an unknown one."""
    word = verb.lower()
    return tuple(line for line, verbs in _VERBS.items() if word in verbs.split())


def closest_word(word: str, known: Iterable[str]) -> str:
    """The nearest one; empty without one. Swapped letters come before other differences."""
    close = difflib.get_close_matches(word, tuple(known), n=5, cutoff=_NEAR)
    swapped = [one for one in close if sorted(one) == sorted(word)]
    return next(iter((*swapped, *close)), "")
