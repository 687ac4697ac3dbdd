"""The columns of tables for spreadsheets and scripts. Their names and order are stable: new ones come last."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_METRICS = (
    *("usd_per_hour", "week_low_usd_per_hour", "week_high_usd_per_hour", "on_demand_usd_per_hour", "saving"),
    *("interruption", "score", "quota_headroom"),
)
_GPU = ("gpu_name", "gpu_memory_mib")
OFFERED_REGIONS: Final = "offers --by region"

COLUMNS: Final[dict[str, tuple[str, ...]]] = {
    "list": (
        *("cluster", "id", "role", "region", "zone", "type", "state", "phase", "lifecycle", "launched_at"),
        *("expires_at", "drain_until", "public_ip", "private_ip", "image_id", "vpc_id", "subnet_id"),
        *("spot_request_id", "termination_reason"),
    ),
    "status": (
        *("cluster", "node", "region", "zone", "type", "state", "launched_at", "public_ip", "private_ip"),
        *("severity", "verdict", "text", "hint", "cpu_used", "cpu_total", "memory_used_bytes"),
        *("memory_total_bytes", "gpus_used", "gpus_total", "termination_reason", "terminated_by"),
    ),
    "clusters": (
        *("cluster", "managed", "created_by", "owner", "nodes", "running", "orchestrator", "regions"),
        *("usd_per_hour", "created_at", "expires_at", "other_resources"),
    ),
    "offers": ("region", "zone", "type", "arch", "vcpus", "memory_mib", "gpus", *_METRICS, *_GPU),
    OFFERED_REGIONS: ("region", "zones", "pools", "types", "suitability", *_METRICS),
    "cost": (
        *("cluster", "region", "zone", "type", "id", "spot", "started_at", "ended_at", "interrupted"),
        *("item", "hours", "usd", "on_demand_usd"),
    ),
    "history": (
        *("cluster", "at", "event", "region", "zone", "type", "id", "age_seconds", "usd_per_hour", "reason"),
        *("terminated_by", "replaces", "replacement", "launched_after_seconds", "joined_after_seconds"),
    ),
}


def column_problem(command: str, names: Iterable[str]) -> tuple[str, tuple[str, ...]] | None:
    """The first name that is not a column of the command's tables, and the names that are."""
    tables = [columns for table, columns in COLUMNS.items() if table.partition(" --")[0] == command]
    known = tuple(dict.fromkeys(name for columns in tables for name in columns))
    return next(((name, known) for name in names if name not in known), None)
