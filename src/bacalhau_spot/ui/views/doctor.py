"""`doctor`: a line a finding, what to do below it, and a last line that counts."""

from __future__ import annotations

from collections import Counter
from itertools import groupby
from typing import TYPE_CHECKING

from rich.console import Group

from bacalhau_spot.core.checkup import Check, Finding, Mark
from bacalhau_spot.errors import UserError
from bacalhau_spot.ui.views.text import Said
from bacalhau_spot.ui.words import listed, plural

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from bacalhau_spot.errors import ExitCode

_STYLES = {Mark.PASS: "green", Mark.WARN: "bold yellow", Mark.FAIL: "bold red"}
_WIDE = max(len(check.value) for check in Check)
_BELOW = " " * 6
# What begins so is there to be copied, and is not folded.
_COMMANDS = ("aws ", "bacalhau-spot ", "chmod ", "pip ", "ssh-keygen ")
_DOCS = "docs/doctor.md"


def checkup_view(findings: Sequence[Finding]) -> Group:
    lines: list[RenderableType] = []
    for same in _alike(findings):
        one, names = same[0], [each.check.value for each in same]
        head, which = (
            (names[0], ()) if len(names) == 1 else (plural(len(names), "check"), (", ".join(names),))
        )
        lines.append(
            Said(f"{head.ljust(_WIDE)}  {one.what}", prefix=f"{one.mark}  ", prefix_style=_STYLES[one.mark])
        )
        lines.extend(Said(text, prefix=_BELOW) for text in (*which, *one.details))
        if one.fix:
            command = one.fix.startswith(_COMMANDS)
            lines.append(Said(one.fix, prefix=f"{_BELOW}fix: ", style="cyan", whole=command))
    counted = Counter(one.mark for one in findings)
    lines.append(
        Said(
            f"{counted[Mark.PASS]} passed, {plural(counted[Mark.WARN], 'warning')}, {counted[Mark.FAIL]} failed"
        )
    )
    return Group(*lines)


def _alike(findings: Sequence[Finding]) -> list[list[Finding]]:
    """Neighbours of which the same is said about different checks, together: what was not looked at is one thing to do."""
    return [
        list(same)
        for _, same in groupby(findings, key=lambda one: (one.mark, one.what, one.fix, one.details))
    ]


def checkup_errors(findings: Sequence[Finding], *, exit_code: ExitCode) -> tuple[UserError, ...]:
    """Which failed, for those who see stderr alone; what is the matter with each is said above, once."""
    failed = [one for one in findings if one.mark is Mark.FAIL]
    if not failed:
        return ()
    names = listed(list(dict.fromkeys(one.check.value for one in failed)))
    return (
        UserError(
            f"{len(failed)} of {plural(len(findings), 'check')} failed: {names}",
            hint="mend what failed as the list says, then run `bacalhau-spot doctor` again",
            docs=_DOCS,
            exit_code=exit_code,
        ),
    )
