"""What a command returns. It never decides how that is shown."""

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
    """`view` is for people and goes to stdout, `data` is the same for programs; `errors` are told on stderr, or in the JSON."""

    command: str
    view: RenderableType | None = None
    data: Data | None = None
    exit_code: ExitCode = ExitCode.DONE
    errors: tuple[UserError, ...] = ()
    warnings: tuple[str, ...] = ()  # all of them, for programs
    already_printed: bool = False  # it has all been shown while it went on; only the exit code is left
    subprocess_exit_code: int | None = None  # of a program that ran in our place
    stderr_warnings: tuple[str, ...] = ()  # those that the view does not show, for people
    unredacted: bool = False  # printed as it is: the user's own file, secrets and all, or a page of ours
    rows: CsvTable | None = None  # the same for spreadsheets, of the commands that offer it
