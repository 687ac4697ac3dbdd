"""What an AWS error means and what to do about it: a table.

Rules:
1. One row per error code (`TABLE`), or per beginning or ending where AWS makes families of codes (`FAMILIES`). No row is
   decided anywhere else. Where AWS has one code for several things, its words decide what the user reads (`nuances`).
2. A verdict says whose fault it is (`fault`), what the engine does (`action`), and what the user reads (`sentence`, `hint`).
3. When one answer holds several errors, the first in the order of `Fault` wins: credentials and permission before
   configuration, configuration before quota, quota before price, and only then capacity. So it is a capacity problem only
   if all of them are; quota and capacity have opposite remedies and are never confused.
4. A code without a row is AWS's own word, shown as it is, and not retried.

Sources: EC2 API reference, "Error codes for the Amazon EC2 API"; EC2 user guide, "Troubleshoot instance launch issues"; each
file in `verdicts` has its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bacalhau_spot.core.verdicts import identity, limits, orchestrator, ours, passing, requests
from bacalhau_spot.core.verdicts.kinds import Action, Fault, Verdict
from bacalhau_spot.core.verdicts.limits import CLOSED_ZONE
from bacalhau_spot.core.verdicts.nuances import NUANCES, denied_action, nuance
from bacalhau_spot.core.verdicts.ours import MISTAKE, POOL_SHARE

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "CLOSED_ZONE",
    "FAMILIES",
    "MISTAKE",
    "NUANCES",
    "POOL_SHARE",
    "TABLE",
    "UNFULFILLABLE",
    "Action",
    "Family",
    "Fault",
    "Verdict",
    "denied_action",
    "judge",
    "worst",
]

TABLE: dict[str, Verdict] = {
    **ours.ROWS,
    **identity.ROWS,
    **requests.ROWS,
    **limits.ROWS,
    **passing.ROWS,
    **orchestrator.ROWS,
}


UNFULFILLABLE = "UnfulfillableCapacity"


class Family(NamedTuple):
    """Codes with a beginning and an ending."""

    begins: str
    ends: str
    verdict: Verdict


# The first that fits, after the rows.
FAMILIES = (
    Family("", "NotFound", passing.ANY_LAG),
    Family("", "NotFoundException", passing.ANY_LAG),
    Family("", "LimitExceeded", limits.ANY_QUOTA),
    Family("", "LimitExceededException", limits.ANY_QUOTA),
    Family("Insufficient", "Capacity", limits.CAPACITY),
    Family("", ".Duplicate", passing.ANY_EXISTS),
    Family("", "AlreadyExists", passing.ANY_EXISTS),
    Family("", "AlreadyExistsException", passing.ANY_EXISTS),
    Family("", ".InUse", passing.ANY_BUSY),
    Family("Invalid", "", requests.ANY_VALUE),
    Family("", ".Malformed", requests.ANY_VALUE),
    Family("Unsupported", "", requests.ANY_UNSUPPORTED),
)
# Older answers of EC2 say on which side the error is before they say which one.
_SIDES = ("Client.", "Server.")


def judge(code: str, message: str = "") -> Verdict:
    """The verdict on one error code of AWS; with its message, in the words that fit best."""
    for side in _SIDES:
        code = code.removeprefix(side)
    return nuance(code, message) or TABLE.get(code) or _by_family(code)


def _by_family(code: str) -> Verdict:
    for family in FAMILIES:
        if code.startswith(family.begins) and code.endswith(family.ends):
            return family.verdict
    return ours.UNKNOWN


def worst(codes: Iterable[str]) -> str | None:
    """The code of several that the user is told, by the order of `Fault`; None when there is none.

    AWS adds UnfulfillableCapacity to whatever else a fleet refuses (karpenter-provider-aws#3051): beside another code it says
    nothing of its own.
    """
    codes = list(codes)
    telling = [code for code in codes if code != UNFULFILLABLE] or codes
    return min(telling, key=lambda code: (judge(code).fault, code), default=None)
