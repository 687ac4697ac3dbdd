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
from bacalhau_spot.cli.runtime import reporting
from bacalhau_spot.cli.runtime.environment import Runtime
from bacalhau_spot.cli.runtime.invocation import Invocation
from bacalhau_spot.cli.runtime.shared_options import CommonOptions
from bacalhau_spot.cloud.port import CloudError
from bacalhau_spot.errors import UserError
from bacalhau_spot.orchestrator.port import OrchestratorError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bacalhau_spot.api.requests import Access, Request, Tell
    from bacalhau_spot.cli.runtime.cancellation import Cancellation
    from bacalhau_spot.cli.runtime.result import Result
    from bacalhau_spot.ui.filtered import FilteredStream

T = TypeVar("T")

_LOGGER = logging.getLogger("bacalhau_spot")
_LOGGER.addHandler(logging.NullHandler())  # otherwise Python prints warnings on stderr


def execute(request: Request[T], tell: Tell, *, run_id: str, cancellation: Cancellation) -> T:
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
        raise error_from_output(envelope["errors"][0], exit_code=known.exit_code) from error
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


def _read(request: Request[T], result: Result, envelope: Mapping[str, Any]) -> T:
    value = request.read(envelope)
    if result.exit_code in request.returned:
        return value
    errors = envelope["errors"]
    error = errors[0] if errors else _without_words(request.name)
    raise error_from_output(error, exit_code=result.exit_code, result=cast("Any", value))


def _without_words(command: str) -> dict[str, Any]:
    """Of a result that explains itself, such as one with missing nodes or remaining resources."""
    return {
        "what": f"{command} is not complete: see the result",
        "why": "",
        "hint": "run it again: it goes on where it ended",
        "docs": "",
        "details": (),
        "code": None,
    }


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
