"""The checkup, for programs: every finding, and how many of each mark."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from bacalhau_spot.core.doctor.account_checks import CheckStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bacalhau_spot.core.doctor.account_checks import Finding
    from bacalhau_spot.ui.json_output.values import Data


def checkup_data(findings: Sequence[Finding]) -> Data:
    counted = Counter(finding.status for finding in findings)
    return {
        "passed": counted[CheckStatus.PASS],
        "warnings": counted[CheckStatus.WARN],
        "failed": counted[CheckStatus.FAIL],
        "findings": [
            {
                "check": finding.check.value,
                "status": finding.status.value,
                "message": finding.message,
                "hint": finding.hint,
                "details": list(finding.details),
            }
            for finding in findings
        ],
    }
