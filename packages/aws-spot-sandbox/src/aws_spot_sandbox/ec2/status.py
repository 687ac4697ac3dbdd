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
        machines = [one for one in machines if one.state == machine.RUNNING]
    rows = [_row(region, one) for one in sorted(machines, key=lambda one: one.order)]
    rows = filters.select(rows, args.get("Filters"), FILTERS)
    largest = max(1000, len(rows)) if args.get("InstanceIds") else 1000
    shown, token = paging.page(rows, args, largest=largest, smallest=5)
    return {"InstanceStatuses": shown, "NextToken": token}


def _row(region: Region, one: Machine) -> dict[str, Any]:
    system, instance = _checks(region, one)
    return {
        "InstanceId": one.id,
        "AvailabilityZone": one.zone,
        "InstanceState": {"Code": one.state, "Name": STATES[one.state]},
        "InstanceStatus": _summary(one, instance),
        "SystemStatus": _summary(one, system),
        "AttachedEbsStatus": _summary(one, system),
        "Events": [],
        "OutpostArn": None,
    }


def _checks(region: Region, one: Machine) -> tuple[str, str]:
    """The system check and the instance check. The switch `impaired` affects only the latter."""
    if one.state != machine.RUNNING or one.started_at is None:
        return "not-applicable", "not-applicable"
    settings = region.world.settings
    if region.now() < one.started_at + settings.checks_s:
        return "initializing", "initializing"
    return "ok", "impaired" if selectors.meant(settings.impaired, selectors.names(region, one)) else "ok"


def _summary(one: Machine, status: str) -> dict[str, Any]:
    if status not in _REACHABLE:
        return {"Status": status, "Details": None}
    detail: dict[str, Any] = {"Name": "reachability", "Status": _REACHABLE[status]}
    if status == "impaired":
        detail["ImpairedSince"] = one.started_at
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
