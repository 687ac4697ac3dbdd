"""`configure`: creates a commented configuration, from answers to questions or from the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from bacalhau_spot import config as configuration
from bacalhau_spot import files
from bacalhau_spot.cli.runtime.configuration_questions import ask_configuration
from bacalhau_spot.cli.runtime.context import CommandContext
from bacalhau_spot.cli.runtime.environment import Runtime
from bacalhau_spot.cli.runtime.plan_preview import plan_preview
from bacalhau_spot.cli.runtime.result import Result
from bacalhau_spot.cli.runtime.shared_options import NO_OPTIONS, CommonOptions
from bacalhau_spot.cli.state.archive_checksums import with_archive_sums
from bacalhau_spot.errors import ExitCode, UserError
from bacalhau_spot.ui import json_output, views

if TYPE_CHECKING:
    from pathlib import Path


def configure(
    *,
    defaults: Annotated[bool, Parameter(name="--defaults", negative="")] = False,
    set_: Annotated[list[str] | None, Parameter(name="--set", negative="", metavar="KEY=VALUE...")] = None,
    overwrite: Annotated[bool, Parameter(name="--overwrite", negative="")] = False,
    common: CommonOptions = NO_OPTIONS,
    runtime: Annotated[Runtime, Parameter(parse=False)],
) -> Result:
    """Create a commented config.yaml, or change keys of an existing one.

    Asks for the orchestrator, the number of nodes, regions, instance types, the SSH key, a budget, and names and tags. Then
    shows the plan with its price, if AWS credentials exist. `--set` sets the same keys without questions.

    Parameters
    ----------
    defaults
        Use the defaults, without questions.
    set_
        key=value, e.g. nodes=6 or orchestrator=managed; may be repeated. Creates a file or changes one, without questions.
    overwrite
        Replace an existing file.
    """
    context = CommandContext("configure", common, runtime)
    values = _pairs(set_ or [])
    path = context.config_path_or_default()
    exists = files.path_exists(path)
    changing = exists and not overwrite
    asking = not (changing or defaults or values)
    if changing:
        text = _changed(path, values)
    else:
        answers = _answers(context, path) if asking else configuration.default_orchestrator(values)
        values = {**answers, **values}
        text = configuration.template(values)
    archive = with_archive_sums(context, text, path=path, changed=values if changing else None)
    configuration.write_config(path, archive.text, overwrite=exists)
    preview = plan_preview(context) if asking and context.for_people else None
    return Result(
        "configure",
        view=views.configured(
            path,
            changed=changing,
            archives=archive.sums,
            preview=preview,
            schema=configuration.schema_file(path),
        ),
        data=json_output.configure_data(path, values, archive.sums),
        warnings=archive.warnings,
        stderr_warnings=archive.warnings,
    )


def _changed(path: Path, values: dict[str, object]) -> str:
    if not values:
        raise UserError(
            f"{path} exists",
            hint="change keys of it with `bacalhau-spot configure --set key=value`, or write a new one with --overwrite",
            exit_code=ExitCode.USAGE,
        )
    return configuration.set_values(configuration.read_config_text(path), values, file=path.name)


def _answers(context: CommandContext, path: Path) -> dict[str, object]:
    if context.runtime.interactive:
        context.print_status(
            views.sentence_text(f"the answers will be saved in {path}; press Enter for the default")
        )
    return ask_configuration(context, path)


def write_first(context: CommandContext) -> None:
    """The first create on a terminal: ask, and save the answers, so that later commands find the resources."""
    path = context.config_path_or_default()
    context.print_status(
        views.sentence_text(
            f"No configuration exists yet. The answers will be saved in {path}; press Enter for the default."
        )
    )
    text = configuration.template(ask_configuration(context, path))
    archive = with_archive_sums(context, text, path=path)
    configuration.write_config(path, archive.text)
    for warning in archive.warnings:
        context.print_status(views.note("warning", warning))
    context.print_status(views.sentence_text(f"wrote {path}"))


def _pairs(texts: list[str]) -> dict[str, object]:
    pairs: dict[str, object] = {}
    for text in texts:
        key, sign, value = text.partition("=")
        if not sign or not key:
            raise UserError(
                f"--set {text}: not in the form key=value",
                hint="for example --set nodes=6",
                exit_code=ExitCode.USAGE,
            )
        pairs[key.strip()] = value
    return pairs
