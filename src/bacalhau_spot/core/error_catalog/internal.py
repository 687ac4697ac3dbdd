"""Codes of this program: its own refusals and its internal errors. AWS returns none of them."""

from __future__ import annotations

from bacalhau_spot.core.error_catalog.categories import MORE_TYPES, Category, ErrorInfo, Recovery
from bacalhau_spot.project import REPORT

# The code of an internal error of this program.
INTERNAL_ERROR = "InternalMistake"
# The limit `max_share_per_pool`.
POOL_SHARE = "PoolShareReached"

# An image that AWS does not complete.
IMAGE_NOT_AVAILABLE = "ImageNotAvailable"
# The main route table of the cluster's VPC is that of others.
FOREIGN_ROUTE_TABLE = "ForeignRouteTable"
# Resources that a deletion has not reached within its time, or that AWS has not ended.
TIME_OVER = "DeletionTimeOver"
# An Auto Scaling group that somebody has deleted during a command.
GROUP_GONE = "GroupDeleted"

ROWS = {
    INTERNAL_ERROR: ErrorInfo(
        "mistake",
        Category.UNKNOWN,
        Recovery.STOP_REGION,
        "internal error of bacalhau-spot in {region}",
        f"run the same command again; if it happens again, {REPORT} with the output of --debug",
    ),
    "Configuration": ErrorInfo(  # what a region shows does not go with what the configuration says
        "configuration",
        Category.CONFIG,
        Recovery.STOP_REGION,
        "the configuration does not fit the existing resources in {region}",
        "correct the value named above in the configuration, then run the same command again",
    ),
    POOL_SHARE: ErrorInfo(
        "pool-share",
        Category.CAPACITY,
        Recovery.OTHER_REGION,
        "every capacity pool in {region} holds as many nodes as `max_share_per_pool` allows, or has no capacity",
        f"a pool is an instance type in a zone: add instance types or regions to the configuration ({MORE_TYPES} shows what "
        "can be had where), or raise `max_share_per_pool`",
    ),
    IMAGE_NOT_AVAILABLE: ErrorInfo(
        "image-not-available",
        Category.AWS,
        Recovery.STOP_REGION,
        "AWS did not complete an image in {region}",
        "`bacalhau-spot image list` shows its state; delete it with `bacalhau-spot image delete`, then run `bacalhau-spot "
        "image bake` again",
    ),
    FOREIGN_ROUTE_TABLE: ErrorInfo(
        "foreign-route-table",
        Category.BUSY,
        Recovery.STOP_REGION,
        "the main route table of the cluster's VPC in {region} has no default route, and is not managed by bacalhau-spot",
        "add a default route to the table, or make the VPC's former table the main one again, with a command of the message; "
        "then run the same command again",
    ),
    GROUP_GONE: ErrorInfo(
        "group-gone",
        Category.BUSY,
        Recovery.STOP_REGION,
        "the cluster's Auto Scaling group in {region} was deleted meanwhile",
        "run `bacalhau-spot create`, which creates the group again, and then the same command",
    ),
    # During cleanup
    "Protected": ErrorInfo(
        "protected",
        Category.CONFIG,
        Recovery.DONE,
        "a resource is protected against deletion",
        "check the resources in the report; the same command with `--disable-protection` deletes them, too",
    ),
    TIME_OVER: ErrorInfo(
        "time-over",
        Category.AWS,
        Recovery.DONE,
        "the time for the deletion has passed, and resources remain in {region}",
        "run the same command again, which goes on where this one ended; `--timeout` gives it more time",
    ),
    "HeldByAnother": ErrorInfo(
        "held",
        Category.BUSY,
        Recovery.DONE,
        "a managed resource is in use by a resource that is retained",
        (
            "the report names the resource that uses it and the command that deletes that one: ask its owner first, "
            "then run the same command again"
        ),
    ),
    "LauncherLives": ErrorInfo(
        "launcher",
        Category.CONFIG,
        Recovery.DONE,
        "the launcher of an instance (a maintain fleet, a persistent spot request or an Auto Scaling group) remains, and would "
        "start a new one",
        "first remove the resource that blocks the launcher, which the report names; then run the same command again",
    ),
}

UNKNOWN = ErrorInfo(
    "unknown",
    Category.UNKNOWN,
    Recovery.STOP_REGION,
    "AWS refused a call in {region}",
    "AWS's own words are above; https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html explains the codes; "
    f"if neither helps, {REPORT} with the output of --debug",
)
