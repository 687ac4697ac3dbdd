"""Maps an AWS error to its meaning and remedy, by a table.

Rules:
1. `CATALOG` has one row per error code. `FAMILIES` covers codes that share a prefix and a suffix. No code is classified
   anywhere else. If AWS uses one code for several errors, the message selects the text for the user (`by_message`).
2. A row states the cause (`category`), the engine's reaction (`recovery`), and the text for the user (`sentence`, `hint`).
3. If one response contains several errors, the first in the order of `Category` is reported: credentials, permission,
   configuration, quota, price, and last capacity. Capacity is reported only if all errors are capacity errors, because
   quota and capacity have opposite remedies.
4. A code without a row or family is shown as AWS returned it, and is not retried. `Invalid…` without a row is an error of
   this program, since each code that a configuration can cause has a row.
5. `cloud.exception_codes` maps botocore's exceptions to codes of this table.

Sources: EC2 API reference, "Error codes for the Amazon EC2 API"; EC2 user guide, "Troubleshoot instance launch issues"; the
sources named in each module of this package.
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
    """All codes with this prefix and suffix."""

    prefix: str
    suffix: str
    info: ErrorInfo


# Tried in this order, after the rows.
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
    # Codes that a configuration can cause have rows. No user can correct the others.
    CodeFamily("Invalid", "", invalid_requests.OUR_CALL),
)
# Older EC2 responses prefix the code with the side at fault.
_BLAME_ORDER = ("Client.", "Server.")
# JSON services append it to codes that XML services use without: `ExpiredTokenException`, `ExpiredToken`.
_ENDING = "Exception"


def classify(code: str, message: str = "") -> ErrorInfo:
    """The entry for an AWS error code, refined by its message."""
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
    """The code to report out of several, by the order of `Category`; None if there are none.

    AWS adds UnfulfillableCapacity to the other errors of a fleet (karpenter-provider-aws#3051). Next to another code it carries
    no information.
    """
    codes = list(codes)
    telling = [code for code in codes if code != UNFULFILLABLE] or codes
    return min(telling, key=lambda code: (classify(code).category, code), default=None)
