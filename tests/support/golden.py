"""Golden files: the exact bytes of `-o json`, one file a document, recorded with `--snapshot-update`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode

from bacalhau_spot.errors import ExitCode, UserError
from bacalhau_spot.ui import json_output


class _JsonFile(SingleFileSnapshotExtension):
    _write_mode = WriteMode.TEXT
    file_extension = "json"


class _NdjsonFile(_JsonFile):
    file_extension = "ndjson"


def golden(snapshot: SnapshotAssertion) -> SnapshotAssertion:
    return snapshot.use_extension(_JsonFile)


def golden_lines(snapshot: SnapshotAssertion) -> SnapshotAssertion:
    return snapshot.use_extension(_NdjsonFile)


def output_text(command: str, data: Mapping[str, Any] | None, *errors: UserError) -> str:
    """What `-o json` prints of a command's data."""
    return json_output.envelope_text(
        json_output.envelope(
            command=command, data=data, exit_code=ExitCode.DONE if data else ExitCode.FAILED, errors=errors
        ),
        form="json",
    )


def masked_text(envelope: Mapping[str, Any], **masks: Any) -> str:
    """`envelope` as printed, with other values for the keys of its data that differ from run to run."""
    data = {key: masks.get(key, value) for key, value in envelope["data"].items()}
    endpoint = envelope["endpoint"] and "ENDPOINT"
    return json_output.envelope_text({**envelope, "endpoint": endpoint, "data": data}, form="json")
