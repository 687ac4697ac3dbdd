"""The findings of `doctor`, for programs, and the number of each status."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, TypedDict

from bacalhau_spot.core.doctor.account_checks import AccountCheck, CheckStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bacalhau_spot.core.doctor.account_checks import Finding


class FindingOutput(TypedDict):
    check: AccountCheck
    status: CheckStatus
    message: str
    hint: str
    """a command or an instruction; empty if the check passed"""
    details: list[str]


class DoctorOutput(TypedDict):
    passed: int
    warnings: int
    failed: int
    findings: list[FindingOutput]


def doctor_data(findings: Sequence[Finding]) -> DoctorOutput:
    counted = Counter(finding.status for finding in findings)
    return {
        "passed": counted[CheckStatus.PASS],
        "warnings": counted[CheckStatus.WARN],
        "failed": counted[CheckStatus.FAIL],
        "findings": [
            {
                "check": finding.check,
                "status": finding.status,
                "message": finding.message,
                "hint": finding.hint,
                "details": list(finding.details),
            }
            for finding in findings
        ],
    }
