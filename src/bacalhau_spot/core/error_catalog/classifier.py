"""What an AWS error means and what to do about it: a table.

Rules:
1. One row per error code (`TABLE`), or per beginning or ending where AWS makes families of codes (`FAMILIES`). No row is
   decided anywhere else. Where AWS has one code for several things, its words decide what the user reads (`nuances`).
2. A verdict says whose fault it is (`fault`), what the engine does (`action`), and what the user reads (`sentence`, `hint`).
3. When one answer holds several errors, the first in the order of `Category` wins: credentials and permission before
   configuration, configuration before quota, quota before price, and only then capacity. So it is a capacity problem only
   if all of them are; quota and capacity have opposite remedies and are never confused.
4. A code without a row is AWS's own word, shown as it is, and not retried.

Sources: EC2 API reference, "Error codes for the Amazon EC2 API"; EC2 user guide, "Troubleshoot instance launch issues"; each
file in `verdicts` has its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bacalhau_spot.core.error_catalog import (
    credentials_and_permissions,
    internal,
    invalid_requests,
    orchestrator_errors,
    quotas_and_capacity,
    transient,
)
from bacalhau_spot.core.error_catalog.by_message import MESSAGE_RULES, by_message, denied_action
from bacalhau_spot.core.error_catalog.categories import Category, ErrorInfo, Recovery
from bacalhau_spot.core.error_catalog.internal import INTERNAL_ERROR, POOL_SHARE
from bacalhau_spot.core.error_catalog.quotas_and_capacity import CLOSED_ZONE

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "CATALOG",
    "CLOSED_ZONE",
    "FAMILIES",
    "INTERNAL_ERROR",
    "MESSAGE_RULES",
    "POOL_SHARE",
    "UNFULFILLABLE",
    "Category",
    "CodeFamily",
    "ErrorInfo",
    "Recovery",
    "classify",
    "denied_action",
    "most_severe",
]

CATALOG: dict[str, ErrorInfo] = {
    **internal.ROWS,
    **credentials_and_permissions.ROWS,
    **invalid_requests.ROWS,
    **quotas_and_capacity.ROWS,
    **transient.ROWS,
    **orchestrator_errors.ROWS,
}


UNFULFILLABLE = "UnfulfillableCapacity"


class CodeFamily(NamedTuple):
    """Codes with a beginning and an ending."""

    prefix: str
    suffix: str
    info: ErrorInfo


# The first that fits, after the rows.
FAMILIES = (
    CodeFamily("", "NotFound", transient.ANY_LAG),
    CodeFamily("", "NotFoundException", transient.ANY_LAG),
    CodeFamily("", "LimitExceeded", quotas_and_capacity.ANY_QUOTA),
    CodeFamily("", "LimitExceededException", quotas_and_capacity.ANY_QUOTA),
    CodeFamily("Insufficient", "Capacity", quotas_and_capacity.CAPACITY),
    CodeFamily("", ".Duplicate", transient.ANY_EXISTS),
    CodeFamily("", "AlreadyExists", transient.ANY_EXISTS),
    CodeFamily("", "AlreadyExistsException", transient.ANY_EXISTS),
    CodeFamily("", ".InUse", transient.ANY_BUSY),
    CodeFamily("Invalid", "", invalid_requests.ANY_VALUE),
    CodeFamily("", ".Malformed", invalid_requests.ANY_VALUE),
    CodeFamily("Unsupported", "", invalid_requests.ANY_UNSUPPORTED),
)
# Older answers of EC2 say on which side the error is before they say which one.
_BLAME_ORDER = ("Client.", "Server.")


def classify(code: str, message: str = "") -> ErrorInfo:
    """The verdict on one error code of AWS; with its message, in the words that fit best."""
    for side in _BLAME_ORDER:
        code = code.removeprefix(side)
    return by_message(code, message) or CATALOG.get(code) or _by_family(code)


def _by_family(code: str) -> ErrorInfo:
    for family in FAMILIES:
        if code.startswith(family.prefix) and code.endswith(family.suffix):
            return family.info
    return internal.UNKNOWN


def most_severe(codes: Iterable[str]) -> str | None:
    """The code of several that the user is told, by the order of `Category`; None when there is none.

    AWS adds UnfulfillableCapacity to whatever else a fleet refuses (karpenter-provider-aws#3051): beside another code it says
    nothing of its own.
    """
    codes = list(codes)
    telling = [code for code in codes if code != UNFULFILLABLE] or codes
    return min(telling, key=lambda code: (classify(code).category, code), default=None)
