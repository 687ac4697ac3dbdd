"""Status checks, which an instance passes some time after it becomes running.

AWS: EC2 API Reference, DescribeInstanceStatus; EC2 User Guide, "Status checks for your instances".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_spot_sandbox.ec2 import filters, instances, machine, paging, selectors
from aws_spot_sandbox.ec2.machine import STATES, Machine
from aws_spot_sandbox.http_types import AwsError

if TYPE_CHECKING:
    from aws_spot_sandbox.ec2.region import Answer, Args, Region

_REACHABLE = {"ok": "passed", "impaired": "failed", "initializing": "initializing"}


def describe_status(region: Region, args: Args) -> Answer:
    """Only running instances, unless the call sets IncludeAllInstances."""
    if args.get("InstanceIds") and args.get("MaxResults"):
        raise AwsError(
            "InvalidParameterCombination",
            "The parameter instancesSet cannot be used with the parameter maxResults",
        )
    machines = instances.selected(region, {**args, "Filters": None}, {})
    if not args.get("IncludeAllInstances"):
        machines = [instance for instance in machines if instance.state == machine.RUNNING]
    rows = [_row(region, instance) for instance in sorted(machines, key=lambda instance: instance.order)]
    rows = filters.select(rows, args.get("Filters"), FILTERS)
    largest = max(1000, len(rows)) if args.get("InstanceIds") else 1000
    shown, token = paging.page(rows, args, largest=largest, smallest=5)
    return {"InstanceStatuses": shown, "NextToken": token}


def _row(region: Region, instance: Machine) -> dict[str, Any]:
    system_status, instance_status = _checks(region, instance)
    return {
        "InstanceId": instance.id,
        "AvailabilityZone": instance.zone,
        "InstanceState": {"Code": instance.state, "Name": STATES[instance.state]},
        "InstanceStatus": _summary(instance, instance_status),
        "SystemStatus": _summary(instance, system_status),
        "AttachedEbsStatus": _summary(instance, system_status),
        "Events": [],
        "OutpostArn": None,
    }


def _checks(region: Region, instance: Machine) -> tuple[str, str]:
    """The system check and the instance check. The switch `impaired` affects only the latter."""
    if instance.state != machine.RUNNING or instance.started_at is None:
        return "not-applicable", "not-applicable"
    settings = region.world.settings
    if region.now() < instance.started_at + settings.checks_s:
        return "initializing", "initializing"
    return "ok", "impaired" if selectors.selects(
        settings.impaired, selectors.names(region, instance)
    ) else "ok"


def _summary(instance: Machine, status: str) -> dict[str, Any]:
    if status not in _REACHABLE:
        return {"Status": status, "Details": None}
    detail: dict[str, Any] = {"Name": "reachability", "Status": _REACHABLE[status]}
    if status == "impaired":
        detail["ImpairedSince"] = instance.started_at
    return {"Status": status, "Details": [detail]}


def _status(kind: str) -> filters.Getter[dict[str, Any]]:
    return lambda row: row[kind]["Status"]


def _reachability(kind: str) -> filters.Getter[dict[str, Any]]:
    return lambda row: [detail["Status"] for detail in row[kind]["Details"] or ()]


FILTERS: dict[str, filters.Getter[dict[str, Any]]] = {
    "availability-zone": lambda row: row["AvailabilityZone"],
    "event.code": lambda _: None,  # the sandbox schedules no events
    "instance-state-code": lambda row: str(row["InstanceState"]["Code"]),
    "instance-state-name": lambda row: row["InstanceState"]["Name"],
    "instance-status.reachability": _reachability("InstanceStatus"),
    "instance-status.status": _status("InstanceStatus"),
    "system-status.reachability": _reachability("SystemStatus"),
    "system-status.status": _status("SystemStatus"),
}
