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
    counted = Counter(one.status for one in findings)
    return {
        "passed": counted[CheckStatus.PASS],
        "warnings": counted[CheckStatus.WARN],
        "failed": counted[CheckStatus.FAIL],
        "findings": [
            {
                "check": one.check.value,
                "status": one.status.value,
                "message": one.message,
                "hint": one.hint,
                "details": list(one.details),
            }
            for one in findings
        ],
    }
