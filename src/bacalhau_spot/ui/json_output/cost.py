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
    instances = [one for one in report.charges if one.usage.type]
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
        "instances": [_instance(one) for one in instances],
        "volumes": [_volume(one) for one in report.charges if not one.usage.type],
        "unknown_end_ids": list(report.usages.unknown_end_ids),
        "assumed_volumes": report.usages.assumed_volumes,
        "log_only": report.usages.log_only,
        "regions_scanned": list(report.regions_scanned),
        "failed_regions": [problem_data(problem) for problem in report.failed_regions],
        "unpriced": [problem_data(problem) for problem in (*report.unpriced, *report.unlisted_prices)],
    }


def sum_data(one: CostTotal) -> Data:
    return {
        "instances": one.instances,
        "running": one.running,
        "hours": hours(one.seconds),
        "instance_usd": exact(one.instance_usd),
        "volume_usd": exact(one.volume_usd),
        "address_usd": exact(one.address_usd),
        "usd": exact(one.usd),
        "on_demand_usd": exact(one.on_demand_usd),
        "saving": None if one.saving is None else str(one.saving.quantize(Decimal("0.0001"))),
        "current_usd_per_hour": exact(one.current_usd_per_hour),
        "unpriced_hours": hours(one.unpriced_s),
    }


def _instance(one: Charge) -> Data:
    life = one.usage
    return {
        "id": life.id,
        "region": life.region,
        "zone": life.zone,
        "type": life.type,
        "spot": life.spot,
        "started_at": time_text(life.started_at),
        "ended_at": None if life.ended_at is None else time_text(life.ended_at),
        "interrupted": life.interrupted,
        "volume_gib": life.volume_gib,
        "address": life.address,
        "hours": hours(one.seconds),
        "instance_usd": exact(one.instance_usd),
        "volume_usd": exact(one.volume_usd),
        "address_usd": exact(one.address_usd),
        "usd": exact(one.usd),
        "on_demand_usd": exact(one.on_demand_usd),
        "current_usd_per_hour": exact(one.current_usd_per_hour),
        "unpriced_hours": hours(one.unpriced_s),
    }


def _volume(one: Charge) -> Data:
    return {
        "id": one.usage.id,
        "region": one.usage.region,
        "zone": one.usage.zone,
        "started_at": time_text(one.usage.started_at),
        "volume_gib": one.usage.volume_gib,
        "hours": hours(one.seconds),
        "usd": exact(one.usd),
        "current_usd_per_hour": exact(one.current_usd_per_hour),
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
