"""`doctor`: a line a finding, what to do below it, and a last line that counts."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
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
    for names, one in _grouped(findings):
        name = listed(names).ljust(_WIDE)
        lines.append(Said(f"{name}  {one.what}", prefix=f"{one.mark}  ", prefix_style=_STYLES[one.mark]))
        lines.extend(Said(text, prefix=_BELOW) for text in one.details)
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


def _grouped(findings: Sequence[Finding]) -> list[tuple[list[str], Finding]]:
    """What is to be said of several checks, one after the other, in the same words is said once."""
    groups: list[tuple[list[str], Finding]] = []
    for one in findings:
        if groups and one == replace(groups[-1][1], check=one.check):
            groups[-1][0].append(one.check.value)
        else:
            groups.append(([one.check.value], one))
    return groups


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
