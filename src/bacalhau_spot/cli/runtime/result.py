"""The return value of a command. It is independent of the output format."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bacalhau_spot.errors import ExitCode

if TYPE_CHECKING:
    from rich.console import RenderableType

    from bacalhau_spot.errors import UserError
    from bacalhau_spot.ui.csv_output import CsvTable
    from bacalhau_spot.ui.json_output import Data


@dataclass(frozen=True)
class Result:
    """`view` is for people, on stdout; `data` is the same for programs. `errors` are on stderr, or in the JSON."""

    command: str
    view: RenderableType | None = None
    data: Data | None = None
    exit_code: ExitCode = ExitCode.DONE
    errors: tuple[UserError, ...] = ()
    warnings: tuple[str, ...] = ()  # all of them, for programs
    already_printed: bool = False  # the output was printed during the run; only the exit code is left
    subprocess_exit_code: int | None = None  # of a program that ran instead, such as ssh
    stderr_warnings: tuple[str, ...] = ()  # those that the view does not show, for people
    unredacted: bool = False  # printed unchanged, with secrets: the user's file, a documentation page, or the variables of `env`
    rows: CsvTable | None = None  # the same for spreadsheets, if the command offers it
    page: str | None = None  # the same for browsers, if the command offers it and it goes to stdout
