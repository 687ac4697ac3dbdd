"""The first line of a slow command: its name, the endpoint that it uses, and the configuration file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from bacalhau_spot.cli.runtime.endpoint import SANDBOX, endpoint_override_label
from bacalhau_spot.config.find import find_config
from bacalhau_spot.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bacalhau_spot.cli.runtime.invocation import Invocation

# Commands that call AWS, and therefore take noticeable time.
_SLOW = (
    *("create", "list", "status", "ssh", "console", "logs", "destroy", "nuke", "prune"),
    *("cost", "prices", "offers", "doctor", "report", "clusters", "history", "reconcile", "smoke-test"),
    *("extend", "remove", "replace", "scale", "image"),
)
# Of the commands, those whose name has two words.
_GROUPS = ("image",)
_DOT = " \N{MIDDLE DOT} "


# Parsed by hand only here: the line appears before the CLI library is imported.
_VALUED = {
    "-c": "config",
    "--config": "config",
    "--profile": "profile",
    "-o": "output",
    "--output": "output",
    "--format": "output",
}
_PAGES = ("--help", "-h", "--version", "-V")
_QUIET = ("--quiet", "-q")


def print_banner(argv: Sequence[str], stderr: TextIO) -> None:
    """Print the line before any slow import."""
    words = argv[: argv.index("--")] if "--" in argv else argv
    values, rest = _glance(words)
    names = [word for word in rest if not word.startswith("-")]
    command = names[0] if names else ""
    if (
        command not in _SLOW
        or values.get("output", "table") not in {"table", "wide"}
        or {*_PAGES, *_QUIET} & {*rest}
    ):
        return
    name = " ".join(names[:2]) if command in _GROUPS else command
    where = _endpoint(values.get("profile"), sandbox=_sandbox(rest))
    parts = (f"bacalhau-spot {name}", where, _config_file(values.get("config"), environ=os.environ))
    stderr.write(f"{_DOT.join(filter(None, parts))}\n")
    stderr.flush()


def _endpoint(profile: str | None, *, sandbox: bool) -> str:
    endpoint = endpoint_override_label(profile, sandbox=sandbox, environ=os.environ)
    if endpoint == SANDBOX:
        return "sandbox: not AWS"
    return f"not AWS: {endpoint} (endpoint_url or AWS_ENDPOINT_URL)" if endpoint else "AWS"


def _config_file(given: str | None, *, environ: Mapping[str, str]) -> str:
    """The file in use, as seen from this folder; empty without one. A file that cannot be read is reported later."""
    try:
        cwd = Path.cwd()
        found = find_config(Path(given) if given else None, environ=environ, cwd=cwd)
    except (OSError, UserError):
        return ""
    if found is None:
        return ""
    relative = os.path.relpath(found.path, cwd)
    return min(relative, str(found.path), key=len)


def _sandbox(words: Sequence[str]) -> bool:
    """Of `--sandbox`, `--sandbox=true` and `--sandbox=false`, the last one counts."""
    given = [word.partition("=")[2].lower() for word in words if word.partition("=")[0] == "--sandbox"]
    return bool(given) and given[-1] in {"", "true", "t", "yes", "y", "1"}


def _glance(words: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """The last value of each option that the line needs, and the other words."""
    values: dict[str, str] = {}
    rest: list[str] = []
    option = ""
    for word in words:
        name, sign, value = word.partition("=")
        if option and not word.startswith("-"):
            values[option], option = word, ""
            continue
        if word.startswith("-o") and len(word) > len("-o"):  # -ojson
            values["output"] = word.removeprefix("-o").removeprefix("=")
            continue
        option = "" if sign else _VALUED.get(name, "")
        if name in _VALUED and sign:
            values[_VALUED[name]] = value
        elif not option:
            rest.append(word)
    return values, rest


def requested_endpoint(invocation: Invocation) -> str:
    """`endpoint.asked_instead` for this command line."""
    common = invocation.common
    return endpoint_override_label(common.profile, sandbox=common.sandbox, environ=os.environ)
