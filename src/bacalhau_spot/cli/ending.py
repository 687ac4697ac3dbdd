"""How a command ends: its result or its error on the right stream in the asked form, and the exit code."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, TextIO

from bacalhau_spot import files
from bacalhau_spot.cli import account
from bacalhau_spot.cli.options import asked_endpoint, chosen_output, kept_flags, wants
from bacalhau_spot.cli.redaction import redacted
from bacalhau_spot.core.receipt import Problem
from bacalhau_spot.core.sanitize import sanitized
from bacalhau_spot.errors import ExitCode, UserError
from bacalhau_spot.project import REPORT
from bacalhau_spot.ui import console, csvout, jsonout, views
from bacalhau_spot.ui.filtered import with_secrets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bacalhau_spot.cli.result import Result
    from bacalhau_spot.cli.runtime import Runtime

# Whoever asks for rows reads what is said beside them himself.
_FOR_PEOPLE = ("table", console.WIDE, csvout.FORM)


def consoles(argv: list[str], world: Runtime) -> tuple[console.Terminal, console.Terminal]:
    """Stdout's and stderr's, which know how this program was called."""
    return _consoles(argv, world, stdout=world.stdout)


def help_console(argv: list[str], world: Runtime) -> console.Terminal:
    """Where help pages go."""
    return console.pages(world.stdout, environ=world.environ, no_color=wants(argv, "--no-color"))


def _consoles(
    argv: list[str], world: Runtime, *, stdout: TextIO
) -> tuple[console.Terminal, console.Terminal]:
    plain, flags = wants(argv, "--no-color"), kept_flags(argv)
    return (
        console.data(stdout, environ=world.environ, no_color=plain, program=world.program, flags=flags),
        console.talk(world.stderr, environ=world.environ, no_color=plain, program=world.program, flags=flags),
    )


def show(result: Result, argv: list[str], world: Runtime) -> int:
    """Print a command's result; its exit code."""
    output = chosen_output(argv)
    stdout = with_secrets(world.stdout) if result.unredacted else world.stdout
    if result.told:
        return int(result.exit_code) if result.foreign_code is None else result.foreign_code
    if output in _FOR_PEOPLE:
        out, talk = _consoles(argv, world, stdout=stdout)
        if output == csvout.FORM and result.rows is not None:
            stdout.write(csvout.text(result.rows))
        elif result.view is not None:
            view = console.Unfolded(result.view) if output == console.WIDE else result.view
            out.print(view, crop=False)
        for warning in result.late_warnings:
            talk.print(views.note("warning", warning), crop=False)
        for error in result.errors:
            talk.print(views.error_view(error), crop=False)
    else:
        envelope = jsonout.envelope(
            command=result.command,
            data=result.data,
            exit_code=result.exit_code,
            errors=result.errors,
            warnings=result.warnings,
            endpoint=asked_endpoint(argv),
        )
        jsonout.write(stdout, _as_typed_here(envelope, argv, world), form=output)
    return int(result.exit_code)


def fail(error: UserError, argv: list[str], world: Runtime) -> int:
    """Tell an error that ended the command; its exit code."""
    output = chosen_output(argv)
    if output in _FOR_PEOPLE:
        _, talk = consoles(argv, world)
        talk.print(views.error_view(error), crop=False)
    else:
        command = argv[0] if argv and not argv[0].startswith("-") else ""
        envelope = jsonout.envelope(
            command=command,
            data=None,
            exit_code=error.exit_code,
            errors=(error,),
            endpoint=asked_endpoint(argv),
        )
        jsonout.write(world.stdout, _as_typed_here(envelope, argv, world), form=output)
    return int(error.exit_code)


def _as_typed_here(envelope: jsonout.Data, argv: list[str], world: Runtime) -> jsonout.Data:
    """Commands in errors, warnings and hints take the options of this command line, as they do on a terminal."""
    _, talk = consoles(argv, world)
    return dict(jsonout.with_commands(envelope, talk.spoken))


def interrupted() -> UserError:
    return UserError("interrupted; nothing was changed", exit_code=ExitCode.INTERRUPTED)


def unexpected(error: Exception, argv: list[str], world: Runtime) -> UserError:
    """AWS's refusals have a verdict; everything else is a mistake of ours, and its traceback goes into a file."""
    from bacalhau_spot.cloud.port import CloudError  # noqa: PLC0415 - most runs end well and need none of this
    from bacalhau_spot.engine.members import problem_of  # noqa: PLC0415 - likewise
    from bacalhau_spot.orchestrator.port import OrchestratorError  # noqa: PLC0415 - likewise

    if isinstance(error, OrchestratorError):
        return views.from_problems([problem_of(error)])
    if isinstance(error, CloudError):
        problem = Problem(
            code=error.code, message=error.message, operation=error.operation, region=error.region
        )
        profile = account.profile(account.profile_option(argv), environ=world.environ)
        return views.from_problems([problem], profile="" if wants(argv, "--sandbox") else profile)
    return UserError(
        "sorry, that is a mistake in this program",
        why=f"{type(error).__name__}: {error}",
        hint=f"{record((error,), argv, world)}; `bacalhau-spot list` shows what exists",
    )


def record(errors: Sequence[Exception], argv: Sequence[str], world: Runtime) -> str:
    """Write the tracebacks into a file, and on stderr with --debug; what the user can do with that, as half a sentence."""
    text = redacted("\n".join("".join(traceback.format_exception(error)) for error in errors), world)
    if wants(list(argv), "--debug"):
        world.stderr.write(text)
    log = world.state_dir / f"error-{world.run_id[:8]}.log"
    try:
        files.private_folder(log.parent)
        files.write(log, sanitized(text))
    except OSError:
        return f"run the command again with --debug; {REPORT} with what it prints"
    return f"{REPORT} with the file {log}"
