"""What `cost` prints for programs."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, overload

from bacalhau_spot.ui.json_output.values import Data, problem_data, time_text

if TYPE_CHECKING:
    from bacalhau_spot.core.pricing.cost import Charge, CostTotal
    from bacalhau_spot.core.pricing.cost_report import CostReport

# Rounding happens here, at the very end: to a millionth of a dollar, a second of an hour.
_MICRO = Decimal("0.000001")
_HOUR_S = Decimal(3600)


def cost_data(report: CostReport) -> Data:
    instances = [charge for charge in report.charges if charge.usage.type]
    return {
        "cluster": report.cluster,
        "since": None if report.window.since is None else time_text(report.window.since),
        "now": time_text(report.window.now),
        "total": sum_data(report.total),
        "regions": [{"region": name[0], **sum_data(each)} for name, each in report.by("region").items()],
        "zones": [
            {"region": name[0], "zone": name[1], **sum_data(each)} for name, each in report.by("zone").items()
        ],
        "types": [{"type": name[0], **sum_data(each)} for name, each in report.by("type").items()],
        "instances": [_instance(charge) for charge in instances],
        "volumes": [_volume(charge) for charge in report.charges if not charge.usage.type],
        "unknown_end_ids": list(report.usages.unknown_end_ids),
        "assumed_volumes": report.usages.assumed_volumes,
        "log_only": report.usages.log_only,
        "regions_scanned": list(report.regions_scanned),
        "failed_regions": [problem_data(failure) for failure in report.failed_regions],
        "unpriced": [problem_data(failure) for failure in (*report.unpriced, *report.unlisted_prices)],
    }


def sum_data(total: CostTotal) -> Data:
    return {
        "instances": total.instances,
        "running": total.running,
        "hours": hours(total.seconds),
        "instance_usd": exact(total.instance_usd),
        "volume_usd": exact(total.volume_usd),
        "address_usd": exact(total.address_usd),
        "usd": exact(total.usd),
        "on_demand_usd": exact(total.on_demand_usd),
        "saving": None if total.saving is None else str(total.saving.quantize(Decimal("0.0001"))),
        "current_usd_per_hour": exact(total.current_usd_per_hour),
        "unpriced_hours": hours(total.unpriced_s),
    }


def _instance(charge: Charge) -> Data:
    usage = charge.usage
    return {
        "id": usage.id,
        "region": usage.region,
        "zone": usage.zone,
        "type": usage.type,
        "spot": usage.spot,
        "started_at": time_text(usage.started_at),
        "ended_at": None if usage.ended_at is None else time_text(usage.ended_at),
        "interrupted": usage.interrupted,
        "volume_gib": usage.volume_gib,
        "address": usage.address,
        "hours": hours(charge.seconds),
        "instance_usd": exact(charge.instance_usd),
        "volume_usd": exact(charge.volume_usd),
        "address_usd": exact(charge.address_usd),
        "usd": exact(charge.usd),
        "on_demand_usd": exact(charge.on_demand_usd),
        "current_usd_per_hour": exact(charge.current_usd_per_hour),
        "unpriced_hours": hours(charge.unpriced_s),
    }


def _volume(charge: Charge) -> Data:
    return {
        "id": charge.usage.id,
        "region": charge.usage.region,
        "zone": charge.usage.zone,
        "started_at": time_text(charge.usage.started_at),
        "volume_gib": charge.usage.volume_gib,
        "hours": hours(charge.seconds),
        "usd": exact(charge.usd),
        "current_usd_per_hour": exact(charge.current_usd_per_hour),
    }


@overload
def exact(usd: Decimal) -> str: ...
@overload
def exact(usd: Decimal | None) -> str | None: ...
def exact(usd: Decimal | None) -> str | None:
    """To a millionth of a dollar."""
    return None if usd is None else str(usd.quantize(_MICRO))


def hours(seconds: Decimal) -> str:
    return str((seconds / _HOUR_S).quantize(Decimal("0.0001")))
