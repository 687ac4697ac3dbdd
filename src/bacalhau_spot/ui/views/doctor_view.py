"""`doctor`: a line for each finding, its fix below it, and a summary."""

from __future__ import annotations

from collections import Counter
from itertools import groupby
from typing import TYPE_CHECKING

from rich.console import Group

from bacalhau_spot.core.doctor.account_checks import AccountCheck, CheckStatus, Finding
from bacalhau_spot.errors import UserError
from bacalhau_spot.ui.formatting import comma_list, plural
from bacalhau_spot.ui.views.blocks import Paragraph

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from bacalhau_spot.errors import ExitCode

_STYLES = {CheckStatus.PASS: "green", CheckStatus.WARN: "bold yellow", CheckStatus.FAIL: "bold red"}
_WIDE = max(len(check.value) for check in AccountCheck)
_BELOW = " " * 6
# Text with these beginnings is copied, and is not folded.
_COMMANDS = ("aws ", "bacalhau-spot ", "chmod ", "pip ", "ssh-keygen ")
_DOCS = "docs/doctor.md"


def findings_view(findings: Sequence[Finding]) -> Group:
    lines: list[RenderableType] = []
    for same in _alike(findings):
        finding, names = same[0], [each.check.value for each in same]
        head, which = (
            (names[0], ()) if len(names) == 1 else (plural(len(names), "check"), (", ".join(names),))
        )
        lines.append(
            Paragraph(
                f"{head.ljust(_WIDE)}  {finding.message}",
                prefix=f"{finding.status}  ",
                prefix_style=_STYLES[finding.status],
            )
        )
        lines.extend(Paragraph(text, prefix=_BELOW) for text in (*which, *finding.details))
        if finding.hint:
            command = finding.hint.startswith(_COMMANDS)
            lines.append(Paragraph(finding.hint, prefix=f"{_BELOW}fix: ", style="cyan", whole=command))
    counted = Counter(finding.status for finding in findings)
    lines.append(
        Paragraph(
            f"{counted[CheckStatus.PASS]} passed, {plural(counted[CheckStatus.WARN], 'warning')}, "
            f"{counted[CheckStatus.FAIL]} failed"
        )
    )
    return Group(*lines)


def _alike(findings: Sequence[Finding]) -> list[list[Finding]]:
    """Consecutive findings with the same text for different checks, together."""
    return [
        list(same)
        for _, same in groupby(
            findings, key=lambda finding: (finding.status, finding.message, finding.hint, finding.details)
        )
    ]


def doctor_errors(findings: Sequence[Finding], *, exit_code: ExitCode) -> tuple[UserError, ...]:
    """The failed checks, for readers of stderr; the details are in the list above."""
    failed = [finding for finding in findings if finding.status is CheckStatus.FAIL]
    if not failed:
        return ()
    names = comma_list(list(dict.fromkeys(finding.check.value for finding in failed)))
    return (
        UserError(
            f"{len(failed)} of {plural(len(findings), 'check')} failed: {names}",
            hint="apply the fixes in the list, then run `bacalhau-spot doctor` again",
            docs=_DOCS,
            exit_code=exit_code,
        ),
    )
