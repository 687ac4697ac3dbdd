"""Positions in a file, and problems with a position."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from bacalhau_spot.errors import ExitCode, UserError
from bacalhau_spot.text_marks import shortened

KeyPath: TypeAlias = tuple[str | int, ...]

DOCS = "docs/configuration.md"
_LONGEST_KEY = 200
# A reader stops at about this number; the rest is counted.
MOST_SHOWN = 50


class Location(NamedTuple):
    """Line and column, both from 1, as editors count."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class MigrationNote:
    """A note on a valid configuration. `where` is `file:line`, or empty."""

    text: str
    where: str = ""


@dataclass(frozen=True, slots=True)
class ConfigProblem:
    """One problem. `key` is empty when it concerns the whole file."""

    message: str
    key: str = ""
    location: Location | None = None

    def line(self, file: str) -> str:
        """`config.yaml:5:22  regions.us-east-1.nodes: found -1; must be …`"""
        where = f"{file}:{self.location.line}:{self.location.column}" if self.location else file
        key = shortened(self.key, _LONGEST_KEY)
        return f"{where}  {key}: {self.message}" if key else f"{where}  {self.message}"


def dotted(path: KeyPath) -> str:
    """A key path as the user writes it: `bacalhau.orchestrators[0]`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text


_CORRECT = (
    "correct the lines named above; `bacalhau-spot config show` checks the file without changing anything"
)


def raise_problems(
    file: str, problems: list[ConfigProblem], *, where: str = "", hint: str = _CORRECT
) -> UserError:
    """All problems as one error, in the file's order. `where` is the file's whole path, when `file` is only its name."""
    ordered = sorted(problems, key=lambda problem: (problem.location or Location(0, 0), problem.key))
    lines = tuple(dict.fromkeys(problem.line(file) for problem in ordered))
    count = "a problem" if len(lines) == 1 else f"{len(lines)} problems"
    if len(lines) > MOST_SHOWN:
        lines = (*lines[:MOST_SHOWN], f"{file}  {len(lines) - MOST_SHOWN} more problems are not shown")
    return UserError(
        f"the configuration {where or file} has {count}",
        hint=hint,
        docs=DOCS,
        details=lines,
        exit_code=ExitCode.USAGE,
    )


def lookup(data: object, path: KeyPath) -> object:
    """The value at a path of plain data; None without one."""
    for part in path:
        if not isinstance(data, dict) or part not in data:
            return None
        data = data[part]
    return data
