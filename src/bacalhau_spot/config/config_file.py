"""Reads config.yaml. The YAML library and pydantic are imported when there is a text to check."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bacalhau_spot import files
from bacalhau_spot.config.file_bytes import read_bytes
from bacalhau_spot.config.locations import ConfigProblem, raise_problems
from bacalhau_spot.errors import ExitCode, UserError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bacalhau_spot.config.load import Loaded

# Fifty times the commented template's size.
MAX_BYTES: Final = 1 << 18


def load(path: Path, *, environ: Mapping[str, str], home: Path, lenient: bool = False) -> Loaded:
    """Reads the configuration and every file and variable that it refers to.

    Raises one UserError (exit code 2) with every problem, one line each, in `details`. With `lenient`, an unreadable
    file or variable is a note and counts as missing: for commands that only read or delete.
    """
    raw, failure = read_bytes(path, max_bytes=MAX_BYTES)
    if failure:
        hint = "name another file with --config; `bacalhau-spot configure` writes a new one"
        raise raise_problems(path.name, [ConfigProblem(failure)], where=str(path), hint=hint)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].decode("utf-8", errors="replace").count("\n") + 1
        problem = ConfigProblem(f"line {line} is not UTF-8 text")
        raise raise_problems(path.name, [problem], where=str(path)) from None
    # A file that cannot be read needs neither library.
    from bacalhau_spot.config.load import load_text  # noqa: PLC0415

    return load_text(text, path=path, environ=environ, home=home, lenient=lenient)


def read_config_text(path: Path) -> str:
    """A configuration's text, to be changed. Raises UserError (exit code 2)."""
    try:
        return files.read_text(path, max_bytes=MAX_BYTES, keep_bom=True)
    except OSError as error:
        raise UserError(
            f"{path} cannot be read",
            why=error.strerror or str(error),
            hint="name a readable file with --config",
            exit_code=ExitCode.USAGE,
        ) from error
