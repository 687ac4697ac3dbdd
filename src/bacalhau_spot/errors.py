"""Errors for the user, and the exit codes.

No other module defines exit codes.
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """The exit codes of the program. The table in the documentation is generated from here."""

    DONE = 0  # also when there was nothing to do
    FAILED = 1  # failed, partial, or something remains
    USAGE = 2  # the command line or the configuration is wrong
    DECLINED = 3  # not confirmed, or no terminal for the prompt
    DENIED = 4  # credentials or permission
    INCOMPLETE = 5  # a region or service could not be scanned
    INTERRUPTED = 130  # Ctrl-C
    TERMINATED = 143  # SIGTERM


class UserError(Exception):
    """An error that the user can act on: what happened, why, what to do next.

    `what`: one sentence without a full stop; `why`: AWS's code, once; `hint`: a command or an instruction, ready to
    follow; `docs`: the path of a documentation page; `details`: further lines, one problem each.
    """

    def __init__(
        self,
        what: str,
        *,
        why: str = "",
        hint: str = "",
        docs: str = "",
        details: tuple[str, ...] = (),
        exit_code: ExitCode = ExitCode.FAILED,
    ) -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.hint = hint
        self.docs = docs
        self.details = details
        self.exit_code = exit_code
