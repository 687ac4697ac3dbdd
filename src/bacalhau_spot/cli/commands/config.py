"""`config show|upgrade|schema`: effective values and their sources, conversion of older files, the schema for editors."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from bacalhau_spot import config as configuration
from bacalhau_spot.cli.runtime.context import CommandContext
from bacalhau_spot.cli.runtime.environment import Runtime
from bacalhau_spot.cli.runtime.result import Result
from bacalhau_spot.cli.runtime.shared_options import NO_OPTIONS, CommonOptions
from bacalhau_spot.ui import json_output, views


def show(
    *,
    sources: Annotated[bool, Parameter(name="--sources", negative="")] = False,
    common: CommonOptions = NO_OPTIONS,
    runtime: Annotated[Runtime, Parameter(parse=False)],
) -> Result:
    """Check the configuration and show the effective values.

    Parameters
    ----------
    sources
        Also show the source of each value: file and line, variable, or default.
    """
    context = CommandContext("config show", common, runtime)
    loaded = context.loaded()
    rows = [
        (shown_value.key, shown_value.value, shown_value.source)
        for shown_value in configuration.shown_values(loaded)
    ]
    data = json_output.config_show_data(loaded.path, rows)
    return Result("config show", view=views.config_view(rows, sources=sources), data=data)


def upgrade(
    *,
    write: Annotated[bool, Parameter(name="--write", negative="")] = False,
    common: CommonOptions = NO_OPTIONS,
    runtime: Annotated[Runtime, Parameter(parse=False)],
) -> Result:
    """Convert a configuration from an earlier format to the current one, and keep its comments.

    Parameters
    ----------
    write
        Change the file instead of printing the result. Saves the previous file as FILE.old.
    """
    context = CommandContext("config upgrade", common, runtime)
    path = context.config_path()
    old = configuration.read_config_text(path)
    new = configuration.upgrade_text(old, file=path.name)
    context.notes(configuration.upgrade_notes(old, file=path.name))
    if not write or new == old:
        data = json_output.config_upgrade_data(path, new)
        return Result("config upgrade", view=views.raw(new), data=data, unredacted=True)
    backup = path.with_name(f"{path.name}.old")
    configuration.write_config(backup, old)
    configuration.write_config(path, new, overwrite=True)
    return Result(
        "config upgrade",
        view=views.sentence_text(f"{path} has been converted; the previous file is {backup}"),
        data=json_output.config_upgrade_data(path, new, backup=backup),
        unredacted=True,
    )


def schema(
    *,
    common: CommonOptions = NO_OPTIONS,
    runtime: Annotated[Runtime, Parameter(parse=False)],
) -> Result:
    """Print the configuration's JSON Schema."""
    del common, runtime
    published = configuration.config_schema()
    return Result("config schema", view=views.json_text(published), data=published)
