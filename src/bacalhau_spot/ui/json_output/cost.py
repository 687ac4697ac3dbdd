"""The output of `cost` for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from bacalhau_spot.ui.json_output.values import (
    Amount,
    Count,
    ProblemOutput,
    SignedAmount,
    Time,
    exact,
    fraction,
    hours,
    optional_time,
    problem_data,
    time_text,
)

if TYPE_CHECKING:
    from bacalhau_spot.core.pricing.cost import Charge, CostTotal
    from bacalhau_spot.core.pricing.cost_report import CostReport


class CostSumOutput(TypedDict):
    instances: Count
    """nodes that existed in the period; in `orchestrator`: its instances"""
    running: Count
    """those that run now"""
    hours: Amount
    """their paid hours"""
    instance_usd: Amount
    """US dollars"""
    volume_usd: Amount
    """US dollars"""
    address_usd: Amount
    """US dollars"""
    usd: Amount
    """US dollars, the sum"""
    on_demand_usd: Amount | None
    """US dollars for on-demand instances with the same volumes and addresses; null if unknown"""
    saving: SignedAmount | None
    """the saved fraction of the on-demand price, such as 0.59; null if unknown"""
    current_usd_per_hour: Amount | None
    """US dollars; null if unknown"""
    unpriced_hours: Amount
    """hours without a known spot price; they count as zero"""


class _Region(TypedDict):
    region: str


class _Zone(_Region):
    zone: str


class _Type(TypedDict):
    type: str
    """empty for volumes and addresses that count apart from an instance"""


class RegionCostOutput(_Region, CostSumOutput):
    pass


class ZoneCostOutput(_Zone, CostSumOutput):
    pass


class TypeCostOutput(_Type, CostSumOutput):
    pass


class InstanceCostOutput(TypedDict):
    id: str
    region: str
    zone: str
    type: str
    spot: bool
    orchestrator: bool
    """of the managed orchestrator"""
    started_at: Time
    ended_at: Time | None
    """null while it exists"""
    interrupted: bool
    """EC2 interrupted it"""
    volume_gib: Count
    address: bool
    """it has or had a public address"""
    hours: Amount
    instance_usd: Amount
    """US dollars"""
    volume_usd: Amount
    """US dollars"""
    address_usd: Amount
    """US dollars"""
    usd: Amount
    """US dollars, the sum"""
    on_demand_usd: Amount | None
    """US dollars for the instance alone; null if unknown"""
    current_usd_per_hour: Amount | None
    """US dollars; null if unknown"""
    unpriced_hours: Amount


class VolumeCostOutput(TypedDict):
    id: str
    region: str
    zone: str
    orchestrator: bool
    """of the managed orchestrator"""
    started_at: Time
    volume_gib: Count
    hours: Amount
    usd: Amount
    """US dollars"""
    current_usd_per_hour: Amount | None
    """US dollars; null if unknown"""


class AddressCostOutput(TypedDict):
    id: str
    """the allocation"""
    region: str
    started_at: Time
    """AWS returns no allocation time: that of the orchestrator's first volume"""
    hours: Amount
    usd: Amount
    """US dollars"""
    current_usd_per_hour: Amount | None
    """US dollars"""


class CostOutput(TypedDict):
    """[Cost](cost.md#calculation) describes the calculation. `-o csv` prints one row per instance, volume and address."""

    cluster: str
    since: Time | None
    """null: since the beginning"""
    now: Time
    total: CostSumOutput
    orchestrator: CostSumOutput | None
    """the part of a managed orchestrator in the total; null without one"""
    regions: list[RegionCostOutput]
    zones: list[ZoneCostOutput]
    types: list[TypeCostOutput]
    instances: list[InstanceCostOutput]
    volumes: list[VolumeCostOutput]
    """volumes that are not attached to an instance of the cluster, and all volumes of a managed orchestrator"""
    addresses: list[AddressCostOutput]
    """Elastic IP addresses of a managed orchestrator"""
    unknown_end_ids: list[str]
    """ids of instances without a recorded end; they count until AWS last listed them"""
    assumed_volumes: Count
    """the number of instances that count with volumes of the configured size"""
    log_only: Count
    """the number of instances that only the audit log of this machine contains"""
    regions_scanned: list[str]
    failed_regions: list[ProblemOutput]
    """regions that could not be scanned"""
    unpriced: list[ProblemOutput]
    """prices that could not be read"""


def cost_data(report: CostReport) -> CostOutput:
    return {
        "cluster": report.cluster,
        "since": optional_time(report.window.since),
        "now": time_text(report.window.now),
        "total": sum_data(report.total),
        "orchestrator": None if report.orchestrator is None else sum_data(report.orchestrator),
        "regions": _regions(report),
        "zones": _zones(report),
        "types": _types(report),
        "instances": [_instance(charge) for charge in report.charges if charge.usage.type],
        "volumes": [_volume(charge) for charge in _apart(report) if charge.usage.volume_gib],
        "addresses": [_address(charge) for charge in _apart(report) if charge.usage.address],
        "unknown_end_ids": list(report.usages.unknown_end_ids),
        "assumed_volumes": report.usages.assumed_volumes,
        "log_only": report.usages.log_only,
        "regions_scanned": list(report.regions_scanned),
        "failed_regions": [*map(problem_data, report.failed_regions)],
        "unpriced": [*map(problem_data, report.unpriced), *map(problem_data, report.unlisted_prices)],
    }


def _apart(report: CostReport) -> list[Charge]:
    """The volumes and addresses that count apart from an instance."""
    return [charge for charge in report.charges if not charge.usage.type]


def _regions(report: CostReport) -> list[RegionCostOutput]:
    return [{"region": name[0], **sum_data(total)} for name, total in report.by("region").items()]


def _zones(report: CostReport) -> list[ZoneCostOutput]:
    return [
        {"region": name[0], "zone": name[1], **sum_data(total)} for name, total in report.by("zone").items()
    ]


def _types(report: CostReport) -> list[TypeCostOutput]:
    return [{"type": name[0], **sum_data(total)} for name, total in report.by("type").items()]


def sum_data(total: CostTotal) -> CostSumOutput:
    return {
        "instances": total.instances,
        "running": total.running,
        "hours": hours(total.seconds),
        "instance_usd": exact(total.instance_usd),
        "volume_usd": exact(total.volume_usd),
        "address_usd": exact(total.address_usd),
        "usd": exact(total.usd),
        "on_demand_usd": exact(total.on_demand_usd),
        "saving": fraction(total.saving),
        "current_usd_per_hour": exact(total.current_usd_per_hour),
        "unpriced_hours": hours(total.unpriced_s),
    }


def _instance(charge: Charge) -> InstanceCostOutput:
    usage = charge.usage
    return {
        "id": usage.id,
        "region": usage.region,
        "zone": usage.zone,
        "type": usage.type,
        "spot": usage.spot,
        "orchestrator": usage.orchestrator,
        "started_at": time_text(usage.started_at),
        "ended_at": optional_time(usage.ended_at),
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


def _volume(charge: Charge) -> VolumeCostOutput:
    return {
        "id": charge.usage.id,
        "region": charge.usage.region,
        "zone": charge.usage.zone,
        "orchestrator": charge.usage.orchestrator,
        "started_at": time_text(charge.usage.started_at),
        "volume_gib": charge.usage.volume_gib,
        "hours": hours(charge.seconds),
        "usd": exact(charge.usd),
        "current_usd_per_hour": exact(charge.current_usd_per_hour),
    }


def _address(charge: Charge) -> AddressCostOutput:
    return {
        "id": charge.usage.id,
        "region": charge.usage.region,
        "started_at": time_text(charge.usage.started_at),
        "hours": hours(charge.seconds),
        "usd": exact(charge.usd),
        "current_usd_per_hour": exact(charge.current_usd_per_hour),
    }
