"""The checkup, for programs: every finding, and how many of each mark."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from bacalhau_spot.core.checkup import Mark

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bacalhau_spot.core.checkup import Finding
    from bacalhau_spot.ui.jsonout.values import Data


def checkup_data(findings: Sequence[Finding]) -> Data:
    counted = Counter(one.mark for one in findings)
    return {
        "passed": counted[Mark.PASS],
        "warnings": counted[Mark.WARN],
        "failed": counted[Mark.FAIL],
        "findings": [
            {
                "check": one.check.value,
                "mark": one.mark.value,
                "what": one.what,
                "fix": one.fix,
                "details": list(one.details),
            }
            for one in findings
        ],
    }
