"""`completion`: the completion scripts of shells. `cli/runtime/completer.py` answers their questions."""

from __future__ import annotations

from importlib import resources
from typing import Annotated, Literal

from cyclopts import Parameter

from bacalhau_spot.cli.runtime.environment import Runtime
from bacalhau_spot.cli.runtime.result import Result
from bacalhau_spot.cli.runtime.shared_options import NO_OPTIONS, CommonOptions
from bacalhau_spot.ui import json_output, views

Shell = Literal["bash", "zsh", "fish"]


def completion(
    shell: Annotated[Shell, Parameter(name="SHELL")],
    *,
    common: CommonOptions = NO_OPTIONS,
    runtime: Annotated[Runtime, Parameter(parse=False)],
) -> Result:
    """Print the completion script of bash, zsh or fish.

    It completes commands, options, regions, instance types, keys of the configuration, and the nodes and clusters that the last
    commands on this machine have seen. It never calls AWS. `uv run -s deploy_spot.py` cannot be completed: only an installed
    `bacalhau-spot` can.

    Parameters
    ----------
    shell
        The shell.
    """
    del common, runtime
    script = script_text(shell)
    return Result(
        "completion",
        view=views.raw(script.rstrip("\n")),
        data=json_output.completion_data(shell, script),
        unredacted=True,
    )


def script_text(shell: Shell) -> str:
    """The script, as packaged."""
    return (resources.files("bacalhau_spot") / "cli" / "completions" / f"completion.{shell}").read_text(
        "utf-8"
    )
