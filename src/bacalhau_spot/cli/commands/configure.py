"""`configure`: creates a commented configuration, and asks for the five names and tags of all resources."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from bacalhau_spot import config as configuration
from bacalhau_spot import files
from bacalhau_spot.cli.runtime.context import CommandContext
from bacalhau_spot.cli.runtime.environment import Runtime
from bacalhau_spot.cli.runtime.result import Result
from bacalhau_spot.cli.runtime.shared_options import NO_OPTIONS, CommonOptions
from bacalhau_spot.cli.state.archive_checksums import with_archive_sums
from bacalhau_spot.core.model import Naming
from bacalhau_spot.core.tags import tag_problems
from bacalhau_spot.errors import ExitCode, UserError
from bacalhau_spot.ui import json_output, prompts, views

# The five questions: configuration key, prompt, default.
_DEFAULTS = Naming()
QUESTIONS = (
    ("cluster.tag_key", "Filter tag's key", _DEFAULTS.tag_key),
    ("cluster.tag_value", "Cluster tag value, which names the cluster", _DEFAULTS.tag_value),
    ("cluster.creator", "Creator (tag CreatedBy)", _DEFAULTS.creator),
    ("cluster.resource_prefix", "Prefix of all names", _DEFAULTS.resource_prefix),
    ("cluster.vpc_name", "Name of the VPCs", _DEFAULTS.vpc_name),
)


def configure(
    *,
    defaults: Annotated[bool, Parameter(name="--defaults", negative="")] = False,
    set_: Annotated[list[str] | None, Parameter(name="--set", negative="")] = None,
    overwrite: Annotated[bool, Parameter(name="--overwrite", negative="")] = False,
    common: CommonOptions = NO_OPTIONS,
    runtime: Annotated[Runtime, Parameter(parse=False)],
) -> Result:
    """Create a commented config.yaml, or change keys of an existing one.

    Asks for the names and tags of all resources. Later commands find the cluster by them.

    Parameters
    ----------
    defaults
        Use the defaults, without questions.
    set_
        key=value, e.g. nodes=6 or cluster.tag_value=blue; may be repeated. Changes an existing file without questions.
    overwrite
        Replace an existing file.
    """
    context = CommandContext("configure", common, runtime)
    values = _pairs(set_ or [])
    path = context.config_path_or_default()
    exists = files.path_exists(path)
    changing = exists and not overwrite
    if changing:
        if not values:
            raise UserError(
                f"{path} exists",
                hint="change keys of it with `bacalhau-spot configure --set key=value`, or write a new one with --overwrite",
                exit_code=ExitCode.USAGE,
            )
        text = configuration.read_config_text(path)
    else:
        text = configuration.template({} if defaults or values else _answers(context, path))
    text = configuration.set_values(text, values, file=path.name) if values else text
    archive = with_archive_sums(context, text, path=path, changed=values if changing else None)
    configuration.write_config(path, archive.text, overwrite=exists)
    return Result(
        "configure",
        view=views.configured(path, changed=changing, archives=archive.sums),
        data=json_output.configure_data(path, values, archive.sums),
        warnings=archive.warnings,
        stderr_warnings=archive.warnings,
    )


def _answers(context: CommandContext, path: Path) -> dict[str, str]:
    if context.runtime.interactive:
        context.print_status(views.sentence_text(f"answers are saved in {path}; press Enter for the default"))
    return configure_tags_and_names(context)


def configure_tags_and_names(context: CommandContext) -> dict[str, str]:
    """Ask the five questions on the terminal. Raises UserError (exit code 3) without a terminal."""
    if not context.runtime.interactive:
        raise UserError(
            "configure needs a terminal to ask questions",
            hint="add --defaults, or --set key=value for each of "
            + ", ".join(key for key, _, _ in QUESTIONS),
            exit_code=ExitCode.DECLINED,
        )
    answers: dict[str, str] = {}
    for key, question, default in QUESTIONS:
        answer = prompts.ask_text(
            question,
            default=default,
            console=context.err,
            stdin=context.runtime.stdin,
            check=partial(_problem, key),
        )
        if answer != default:
            answers[key] = answer
    return answers


def write_first(context: CommandContext) -> None:
    """The first create on a terminal: ask, and save the answers, so that later commands find the resources."""
    path = context.config_path_or_default()
    context.print_status(
        f"No configuration exists yet. Answers are saved in {path}; press Enter for the default."
    )
    archive = with_archive_sums(context, configuration.template(configure_tags_and_names(context)), path=path)
    configuration.write_config(path, archive.text)
    for warning in archive.warnings:
        context.print_status(views.note("warning", warning))
    context.print_status(f"wrote {path}; set regions, instance types and the orchestrator there")


def _problem(key: str, answer: str) -> str | None:
    """Why AWS would refuse this answer."""
    field = key.removeprefix("cluster.")
    return next(
        (
            tag_problem.message
            for tag_problem in tag_problems(_naming(field, answer))
            if tag_problem.field == field
        ),
        None,
    )


def _naming(field: str, answer: str) -> Naming:
    given = {field: answer}
    return Naming(
        tag_key=given.get("tag_key", _DEFAULTS.tag_key),
        tag_value=given.get("tag_value", _DEFAULTS.tag_value),
        creator=given.get("creator", _DEFAULTS.creator),
        resource_prefix=given.get("resource_prefix", _DEFAULTS.resource_prefix),
        vpc_name=given.get("vpc_name", _DEFAULTS.vpc_name),
    )


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
