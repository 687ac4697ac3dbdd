"""What an AWS error means and what to do about it: a table.

Rules:
1. One row per error code (`CATALOG`), or per beginning or ending where AWS makes families of codes (`FAMILIES`). No row is
   decided anywhere else. Where AWS has one code for several things, its words decide what the user reads (`by_message`).
2. A row says whose fault it is (`category`), what the engine does (`recovery`), and what the user reads (`sentence`, `hint`).
3. When one answer holds several errors, the first in the order of `Category` wins: credentials and permission before
   configuration, configuration before quota, quota before price, and only then capacity. So it is a capacity problem only
   if all of them are; quota and capacity have opposite remedies and are never confused.
4. A code without a row or family is AWS's own word, shown as it is, and not retried. `Invalid…` without a row is an error of
   this program: what a configuration can cause has a row.
5. Exceptions of botocore are classified by class in `cloud.exception_codes`, which gives each a code of this table.

Sources: EC2 API reference, "Error codes for the Amazon EC2 API"; EC2 user guide, "Troubleshoot instance launch issues"; each
module of this package has its own.
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
    CodeFamily("InvalidAMIID", "", invalid_requests.IMAGE),
    CodeFamily("InvalidInstanceType", "", invalid_requests.TYPE),
    CodeFamily("InvalidTag", "", invalid_requests.TAGS),
    CodeFamily("InvalidParameter", "", invalid_requests.BAD_VALUE),
    CodeFamily("InvalidFleetConfig", "", invalid_requests.BAD_VALUE),
    CodeFamily("", "NotFound", transient.LAG),
    CodeFamily("", "LimitExceeded", quotas_and_capacity.ANY_QUOTA),
    CodeFamily("Insufficient", "Capacity", quotas_and_capacity.CAPACITY),
    CodeFamily("", ".Duplicate", transient.EXISTS),
    CodeFamily("", "AlreadyExists", transient.EXISTS),
    CodeFamily("", ".InUse", transient.BUSY),
    CodeFamily("", "Throttled", transient.THROTTLED),
    CodeFamily("Internal", "", transient.AWS),
    CodeFamily("", ".Malformed", invalid_requests.BAD_VALUE),  # an id that the user named
    CodeFamily("Unsupported", "", invalid_requests.UNSUPPORTED),
    CodeFamily("Malformed", "", invalid_requests.OUR_CALL),
    # What a configuration can cause has a row; no user can correct the rest.
    CodeFamily("Invalid", "", invalid_requests.OUR_CALL),
)
# Older answers of EC2 say on which side the error is before they say which one.
_BLAME_ORDER = ("Client.", "Server.")
# JSON services end each code with it, and XML services the same codes without: `ExpiredTokenException`, `ExpiredToken`.
_ENDING = "Exception"


def classify(code: str, message: str = "") -> ErrorInfo:
    """The verdict on one error code of AWS; with its message, in the words that fit best."""
    for side in _BLAME_ORDER:
        code = code.removeprefix(side)
    bare = code.removesuffix(_ENDING)
    return by_message(code, message) or CATALOG.get(code) or CATALOG.get(bare) or _by_family(bare)


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
