"""What the user is told when something goes wrong, and with which exit code the program then ends.

Nothing else in the program defines exit codes.
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """How the program ends. The documentation's table is generated from here."""

    DONE = 0  # also when there was nothing to do
    FAILED = 1  # failed, partial, or something remains
    USAGE = 2  # the command line or the configuration is wrong
    DECLINED = 3  # the user said no, or nobody was there to say yes
    DENIED = 4  # credentials or permission
    INCOMPLETE = 5  # could not look everywhere
    INTERRUPTED = 130  # Ctrl-C


class UserError(Exception):
    """Something that the user can act on: what happened, why, what to do next.

    `what` is one sentence without a full stop; `why` carries AWS's code, once; `hint` is a command or an instruction
    that can be followed as it stands; `docs` the path of a page of ours; `details` further lines, one problem each.
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
