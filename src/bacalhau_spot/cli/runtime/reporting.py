"""The end of a command: its result or error on the right stream in the requested format, and the exit code."""

from __future__ import annotations

import signal
import traceback
from dataclasses import replace
from typing import TYPE_CHECKING, TextIO

from bacalhau_spot import files
from bacalhau_spot.cli.runtime import aws_profile
from bacalhau_spot.cli.runtime.banner import requested_endpoint
from bacalhau_spot.cli.runtime.redaction import redacted
from bacalhau_spot.core.problem import ApiFailure
from bacalhau_spot.core.sanitize import sanitized
from bacalhau_spot.errors import ExitCode, UserError
from bacalhau_spot.project import REPORT
from bacalhau_spot.ui import json_output, terminal, views
from bacalhau_spot.ui.filtered import filtered

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bacalhau_spot.cli.runtime.environment import Runtime
    from bacalhau_spot.cli.runtime.result import Result
    from bacalhau_spot.ui.csv_output import CsvTable

# CSV and HTML output are for people too: they read the messages on stderr themselves.
_FOR_PEOPLE = ("table", terminal.WIDE, terminal.CSV, terminal.HTML)


def consoles(runtime: Runtime) -> tuple[terminal.Terminal, terminal.Terminal]:
    """Stdout's and stderr's consoles; suggested commands on them repeat this command line's options."""
    return _consoles(runtime, stdout=runtime.stdout)


def _consoles(runtime: Runtime, *, stdout: TextIO) -> tuple[terminal.Terminal, terminal.Terminal]:
    plain, flags = runtime.invocation.common.no_color, runtime.invocation.context_flags
    return (
        terminal.stream_console(
            stdout, environ=runtime.environ, no_color=plain, program=runtime.program, flags=flags
        ),
        terminal.stream_console(
            runtime.stderr, environ=runtime.environ, no_color=plain, program=runtime.program, flags=flags
        ),
    )


def print_result(result: Result, runtime: Runtime) -> int:
    """Print a command's result and return its exit code."""
    result = replace(result, exit_code=_of_signal(result.exit_code, runtime))
    if result.already_printed:
        return int(result.exit_code) if result.subprocess_exit_code is None else result.subprocess_exit_code
    stdout = filtered(runtime.stdout) if result.unredacted else runtime.stdout
    if runtime.invocation.common.output in _FOR_PEOPLE:
        _print_for_people(result, runtime, stdout=stdout)
    else:
        _print_for_programs(result, runtime, stdout=stdout)
    return int(result.exit_code)


def _print_for_people(result: Result, runtime: Runtime, *, stdout: TextIO) -> None:
    output = runtime.invocation.common.output
    out, talk = _consoles(runtime, stdout=stdout)
    columns = runtime.invocation.columns
    if result.rows is not None and (output == terminal.CSV or columns):
        _print_rows(result.rows, columns, stdout=stdout, csv=output == terminal.CSV)
    elif output == terminal.HTML and result.page:
        stdout.write(result.page)
    elif result.view is not None:
        out.print(
            terminal.UnwrappedOutput(result.view) if output == terminal.WIDE else result.view, crop=False
        )
    _print_warnings_and_errors(result, talk, quiet=runtime.invocation.common.quiet)


def _print_warnings_and_errors(result: Result, talk: terminal.Terminal, *, quiet: bool) -> None:
    for warning in () if quiet else result.stderr_warnings:
        talk.print(views.note("warning", warning), crop=False)
    for error in result.errors:
        talk.print(views.error_view(error), crop=False)


def _print_rows(rows: CsvTable, columns: tuple[str, ...], *, stdout: TextIO, csv: bool) -> None:
    from bacalhau_spot.ui import csv_output  # noqa: PLC0415 - few commands have rows

    try:
        table = csv_output.chosen(rows, columns)
    except KeyError as error:  # a column of the command's other table
        raise UserError(
            f"this table has no column {error.args[0]}",
            details=(f"columns: {', '.join(rows.heads)}",),
            exit_code=ExitCode.USAGE,
        ) from None
    stdout.write(csv_output.csv_text(table) if csv else f"{csv_output.aligned_text(table)}\n")


def _print_for_programs(result: Result, runtime: Runtime, *, stdout: TextIO) -> None:
    form = runtime.invocation.common.output
    json_output.write_envelope(stdout, result_envelope(result, runtime), form=form)


def result_envelope(result: Result, runtime: Runtime) -> json_output.Data:
    """The document of `-o json`, before secrets are taken out of it."""
    envelope = json_output.envelope(
        command=result.command,
        data=result.data,
        exit_code=result.exit_code,
        errors=result.errors,
        warnings=result.warnings,
        endpoint=requested_endpoint(runtime.invocation),
    )
    return _as_typed_here(envelope, runtime)


def print_error(error: UserError, runtime: Runtime) -> int:
    """Print the error that ended the command and return its exit code."""
    error.exit_code = _of_signal(error.exit_code, runtime)
    output = runtime.invocation.common.output
    if output in _FOR_PEOPLE:
        _, talk = consoles(runtime)
        talk.print(views.error_view(error), crop=False)
    else:
        json_output.write_envelope(runtime.stdout, error_envelope(error, runtime), form=output)
    return int(error.exit_code)


def error_envelope(error: UserError, runtime: Runtime) -> json_output.Data:
    """The document of `-o json` for a command without a result, before secrets are taken out of it."""
    envelope = json_output.envelope(
        command=runtime.invocation.command,
        data=None,
        exit_code=error.exit_code,
        errors=(error,),
        endpoint=requested_endpoint(runtime.invocation),
    )
    return _as_typed_here(envelope, runtime)


def _of_signal(code: ExitCode, runtime: Runtime) -> ExitCode:
    """By the signal: Ctrl-C and SIGTERM end a command in the same way. At a question both are a no."""
    ended = code in {ExitCode.INTERRUPTED, ExitCode.DECLINED}
    return ExitCode.TERMINATED if ended and signal.SIGTERM in runtime.signals else code


def _as_typed_here(envelope: json_output.Data, runtime: Runtime) -> json_output.Data:
    """Commands in errors, warnings and hints get the options of this command line, as on a terminal."""
    _, talk = consoles(runtime)
    return dict(json_output.with_commands(envelope, talk.with_invocation_flags))


def interrupted() -> UserError:
    return UserError("interrupted; nothing was changed", exit_code=ExitCode.INTERRUPTED)


def unexpected(error: Exception, runtime: Runtime) -> UserError:
    """Errors of AWS and the orchestrator are cataloged; any other is internal, and its traceback is saved."""
    from bacalhau_spot.cloud.cloud_error import CloudError  # noqa: PLC0415 - not needed for successful runs
    from bacalhau_spot.engine.orchestrator.orchestrator_sync import orchestrator_failure  # noqa: PLC0415 - likewise
    from bacalhau_spot.orchestrator.port import OrchestratorError  # noqa: PLC0415 - likewise

    if isinstance(error, OrchestratorError):
        return views.error_from_failures([orchestrator_failure(error)])
    if isinstance(error, CloudError):
        failure = ApiFailure(
            code=error.code, message=error.message, operation=error.operation, region=error.region
        )
        common = runtime.invocation.common
        profile = aws_profile.selected_profile(common.profile, environ=runtime.environ)
        return views.error_from_failures([failure], profile="" if common.sandbox else profile)
    return UserError(
        "internal error",
        why=f"{type(error).__name__}: {error}",
        hint=f"{record((error,), runtime)}; `bacalhau-spot list` shows the existing resources",
    )


def record(errors: Sequence[Exception], runtime: Runtime) -> str:
    """Save the tracebacks in a file, and print them with --debug; returns advice for the user, as a phrase."""
    text = redacted("\n".join("".join(traceback.format_exception(error)) for error in errors), runtime)
    if runtime.invocation.common.debug:
        runtime.stderr.write(text)
    log = runtime.state_dir / f"error-{runtime.run_id[:8]}.log"
    try:
        files.private_folder(log.parent)
        files.write(log, sanitized(text))
    except OSError:
        return f"run the command again with --debug; {REPORT} with what it prints"
    return f"{REPORT} with the file {log}"
