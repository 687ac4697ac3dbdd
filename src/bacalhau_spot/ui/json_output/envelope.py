"""The envelope: one form with a version around every command's data, on failure too; as JSON or YAML."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal, TextIO, TypedDict

from bacalhau_spot.core.sanitize import escaped
from bacalhau_spot.errors import ExitCode
from bacalhau_spot.ui.error_messages import ApiRefusalError
from bacalhau_spot.ui.filtered import FilteredStream
from bacalhau_spot.ui.json_output.values import Data

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bacalhau_spot.errors import UserError

Status = Literal["ok", "partial", "error", "declined", "interrupted"]
VERSION: Literal[1] = 1

_STATUS: dict[ExitCode, Status] = {
    ExitCode.DONE: "ok",
    ExitCode.DECLINED: "declined",
    ExitCode.INTERRUPTED: "interrupted",
    ExitCode.TERMINATED: "interrupted",
    ExitCode.INCOMPLETE: "partial",
}


class ErrorOutput(TypedDict):
    """With the texts of the terminal output."""

    what: str
    """what happened, in one sentence"""
    why: str
    """AWS's message with its code"""
    code: str | None
    """AWS's error code; null for other errors"""
    hint: str
    """what to do"""
    docs: str
    """the name of a page; `bacalhau-spot explain` prints it"""
    regions: list[str]
    """the regions in which AWS refused"""
    details: list[str]
    """one problem each"""


class EnvelopeOutput(TypedDict):
    version: Literal[1]
    """of this format; it changes when a key is removed or changes its meaning"""
    command: str
    endpoint: str | None
    """the endpoint used instead of AWS: `sandbox`, or the addresses from `AWS_ENDPOINT_URL` and similar settings; null for AWS"""
    status: Status
    """`partial`: partly completed, see `data`; `error`: nothing completed; `declined`: not confirmed"""
    exit_code: ExitCode
    data: Data | None
    """the result of the command, see below; null without a result"""
    errors: list[ErrorOutput]
    warnings: list[str]
    """sentences"""


def envelope(
    *,
    command: str,
    data: Data | None,
    exit_code: ExitCode,
    errors: Sequence[UserError] = (),
    warnings: Sequence[str] = (),
    endpoint: str = "",
) -> EnvelopeOutput:
    """The document of `-o json`. A failure with data has done part of the work.

    `endpoint`: the endpoint in place of AWS; empty for AWS itself.
    """
    return {
        "version": VERSION,
        "command": command,
        "endpoint": endpoint or None,
        "status": _STATUS.get(exit_code, "error" if data is None else "partial"),
        "exit_code": exit_code,
        "data": data,
        "errors": [error_data(error) for error in errors],
        "warnings": list(warnings),
    }


# Where sentences stand that name commands.
_WORDS = frozenset({"errors", "warnings", "hint", "fix"})


def with_commands(value: Any, spoken: Callable[[str], str], *, words: bool = False) -> Any:
    """`value` with the commands in its sentences changed by `spoken`; data is unchanged."""
    if isinstance(value, dict):
        return {
            key: with_commands(inner, spoken, words=words or key in _WORDS) for key, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return [with_commands(inner, spoken, words=words) for inner in value]
    return spoken(value) if words and isinstance(value, str) else value


def error_data(error: UserError) -> ErrorOutput:
    code, regions = (error.code, error.regions) if isinstance(error, ApiRefusalError) else (None, ())
    return {
        "what": error.what,
        "why": error.why,
        "code": code,
        "hint": error.hint,
        "docs": error.docs,
        "regions": list(regions),
        "details": list(error.details),
    }


def write_envelope(stream: TextIO, result: Data, *, form: str) -> None:
    """The envelope on `stream`. Secrets are taken out of its values: in JSON's text they may be spelt otherwise."""
    if isinstance(stream, FilteredStream):
        result, stream = stream.redacted(result), stream.raw
    stream.write(envelope_text(result, form=form))


def envelope_text(result: Data, *, form: str) -> str:
    """The envelope as `json`, `yaml` or the last line of `ndjson`; `line`: any other object on a line."""
    if form == "yaml":
        from bacalhau_spot.ui.json_output.yaml_text import yaml_text  # noqa: PLC0415 - see there

        return yaml_text(result)
    if form == "ndjson":
        result = {"event": "result", **result}
    indent = 2 if form == "json" else None
    return escaped(json.dumps(result, indent=indent, ensure_ascii=False)) + "\n"
