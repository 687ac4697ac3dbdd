"""Runs a command of the command line in this process, without a terminal: its output document, or its error."""

from __future__ import annotations

import io
import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from bacalhau_spot.api import parsing
from bacalhau_spot.api.errors import error_from_output
from bacalhau_spot.api.models import CleanupReport, LaunchReceipt
from bacalhau_spot.cli.runtime import reporting
from bacalhau_spot.cli.runtime.environment import Runtime
from bacalhau_spot.cli.runtime.invocation import Invocation
from bacalhau_spot.cli.runtime.shared_options import CommonOptions
from bacalhau_spot.cloud.cloud_error import CloudError
from bacalhau_spot.errors import UserError
from bacalhau_spot.orchestrator.port import OrchestratorError
from bacalhau_spot.ui.formatting import plural

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bacalhau_spot.api.requests import Access, CommandRequest, Tell
    from bacalhau_spot.cli.runtime.cancellation import Cancellation
    from bacalhau_spot.cli.runtime.result import Result
    from bacalhau_spot.ui.filtered import FilteredStream

T = TypeVar("T")

_LOGGER = logging.getLogger("bacalhau_spot")
_LOGGER.addHandler(logging.NullHandler())  # otherwise Python prints warnings on stderr


def execute(request: CommandRequest[T], tell: Tell, *, run_id: str, cancellation: Cancellation) -> T:
    """Raises ApiError. Other exceptions are internal errors, and stay what they are."""
    talk = io.StringIO()
    common = _options(request.access)
    runtime = Runtime.embedded(
        stdout=cast("Any", _EventLines(tell)), stderr=talk, cancellation=cancellation, run_id=run_id
    )
    words = () if request.access.cluster is None else ("--cluster", request.access.cluster)
    invocation = Invocation(
        argv=(request.name, *words), command=request.name, common=common, cluster=request.access.cluster
    )
    runtime = replace(runtime, invocation=invocation)
    try:
        result = request.load()(**request.options, common=common, runtime=runtime)
    except (UserError, CloudError, OrchestratorError) as error:
        known = error if isinstance(error, UserError) else reporting.unexpected(error, runtime)
        envelope = _redacted(reporting.error_envelope(known, runtime), runtime)
        # Not `from error`: a traceback would show AWS's message with the secrets that it may quote.
        raise error_from_output(envelope["errors"][0], exit_code=known.exit_code) from None
    finally:
        for line in filter(None, map(str.strip, talk.getvalue().splitlines())):
            _LOGGER.warning("%s", line)
    return _read(request, result, _redacted(reporting.result_envelope(result, runtime), runtime))


def _options(access: Access) -> CommonOptions:
    return CommonOptions(
        config=None if access.config is None else Path(access.config),
        profile=access.profile,
        sandbox=access.sandbox,
        output="ndjson",  # with the events of changes
    )


def _read(request: CommandRequest[T], result: Result, envelope: Mapping[str, Any]) -> T:
    value = request.read(envelope)
    if result.exit_code in request.returned:
        return value
    errors = envelope["errors"]
    error = errors[0] if errors else _explained(value)
    raise error_from_output(error, exit_code=result.exit_code, result=cast("Any", value))


def _explained(value: object) -> dict[str, Any]:
    """The error of a result whose view explains it on a terminal."""
    what, code, details = "the command is not complete", None, []
    if isinstance(value, LaunchReceipt):
        what = f"{value.missing} of {plural(value.wanted, 'node')} are missing"
        short = [region for region in value.data.get("regions", ()) if region["failed"]]
        details = [
            f"{region['region']}: {region['failed']} missing, {region['code'] or 'no reason from AWS'}"
            for region in short
        ]
        code = next((region["code"] for region in short), None)
    if isinstance(value, CleanupReport):
        what = f"{plural(len(value.remaining), 'resource')} remain"
        details = [f"{item.region}: {item.kind} {item.id}" for item in value.remaining]
    hint = "run it again: it continues where it ended; `result` of this error has the details"
    return {"what": what, "why": "", "hint": hint, "docs": "", "details": details, "code": code}


def _redacted(envelope: Mapping[str, Any], runtime: Runtime) -> dict[str, Any]:
    stream = cast("FilteredStream", runtime.stdout)
    return cast("dict[str, Any]", stream.redacted(dict(envelope)))


class _EventLines:
    """Stdout of the command: one event a line."""

    encoding = "utf-8"

    def __init__(self, tell: Tell) -> None:
        self._tell = tell

    def write(self, text: str) -> int:
        for line in filter(None, text.splitlines()):
            self._tell(parsing.event_from_output(json.loads(line)))
        return len(text)

    def flush(self) -> None:
        """Each line is passed on at once."""

    def isatty(self) -> bool:
        return False
