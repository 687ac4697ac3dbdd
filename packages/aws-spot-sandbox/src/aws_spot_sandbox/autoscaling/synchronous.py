"""LaunchInstances: launches in one zone or subnet, and answers with the instances or with the errors.

AWS: Auto Scaling API reference, LaunchInstances; user guide, "Launch instances synchronously": through CreateFleet, for
groups with a launch template whose instances are all spot or all on-demand; a group of several zones must be told one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_spot_sandbox.autoscaling import activities, model, plan, scaling
from aws_spot_sandbox.ec2 import fleets
from aws_spot_sandbox.http_types import AwsError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aws_spot_sandbox.autoscaling.model import Group
    from aws_spot_sandbox.ec2.fleets import Pool
    from aws_spot_sandbox.ec2.region import Answer, Args, Region

INSTANCES_LIMIT = 100
RETRY = "retry-with-group-configuration"


def launch(region: Region, args: Args) -> Answer:
    """A repeated client token returns the first answer."""
    token, known = str(args["ClientToken"]), model.of(region).launches
    if token in known:
        first, answer = known[token]
        if first != args:
            raise AwsError(
                "IdempotentParameterMismatch",
                "The parameters of this request differ from those of an earlier request with the same client token.",
            )
        return answer
    group = model.find_living(region, args["AutoScalingGroupName"])
    units = int(args["RequestedCapacity"])
    subnet_ids = _where(region, group, args)
    _check_size(group, units)
    answer = _launch(region, group, args, subnet_ids, units)
    known[token] = (args, answer)
    return answer


def _check_size(group: Group, units: int) -> None:
    if "Launch" in group.suspended:
        raise model.invalid(f"The Launch process of AutoScalingGroup {group.name} is suspended.")
    if units > INSTANCES_LIMIT:
        raise model.invalid(f"You can launch up to {INSTANCES_LIMIT} instances in one call.")
    if group.desired + units > group.maximum:
        raise model.invalid(
            f"The requested capacity {units} plus the desired capacity {group.desired} exceeds the max size {group.maximum} "
            f"of AutoScalingGroup {group.name}."
        )


def _where(region: Region, group: Group, args: Args) -> list[str]:
    """The subnets of the call: those of one zone, or one of them. Raises AwsError."""
    by_zone = plan.subnets(region, group.launch_config)
    if args.get("AvailabilityZoneIds"):
        raise model.gap("AvailabilityZoneIds of LaunchInstances")
    zones, subnet_ids = args.get("AvailabilityZones") or (), args.get("SubnetIds") or ()
    if not zones and not subnet_ids and len(by_zone) > 1:
        raise model.invalid(
            "Either AvailabilityZones or SubnetIds must be specified for a group with multiple zones."
        )
    for zone in zones:
        if zone not in by_zone:
            raise model.invalid(f"The availability zone {zone} is not one of AutoScalingGroup {group.name}.")
    allowed = [name for zone, names in by_zone.items() if not zones or zone in zones for name in names]
    for subnet_id in subnet_ids:
        if subnet_id not in allowed:
            raise model.invalid(
                f"The subnet {subnet_id} is not one of AutoScalingGroup {group.name} in these zones."
            )
    return list(subnet_ids) or allowed


def _launch(region: Region, group: Group, args: Args, subnet_ids: list[str], units: int) -> Answer:
    config = group.launch_config
    try:
        spot = plan.is_spot(region, config)
        fleet = fleets.launch_once(
            region, plan.fleet_args(region, group, config, subnet_ids, units), spot=spot
        )
    except AwsError as gone:
        raise model.invalid(gone.message) from gone
    before = group.desired
    members = scaling.join(region, group, fleet)
    launched = sum(member.weight for member in members)
    missing = max(0, units - launched)
    group.desired += launched + (missing if args.get("RetryStrategy") == RETRY else 0)
    cause = (
        f"At {model.moment(region.now())} a user request launched instances synchronously changing the desired capacity from "
        f"{before} to {group.desired}."
    )
    for member in members:
        activities.launched(region, group, member, cause)
    if group.desired > before + launched:
        scaling.scale_later(region, group, cause)
    market = "spot" if spot else "ondemand"
    return {
        "AutoScalingGroupName": group.name,
        "ClientToken": args["ClientToken"],
        "Instances": [_row(region, pool, market, _ids(pool)) for pool in fleet.pools if pool.machines],
        "Errors": [
            _row(
                region,
                pool,
                market,
                {"ErrorCode": pool.refusal.code, "ErrorMessage": pool.refusal.message},
            )
            for pool in fleet.pools
            if pool.refusal is not None and missing
        ],
    }


def _ids(pool: Pool) -> dict[str, Any]:
    return {"InstanceIds": [instance.id for instance in pool.machines]}


def _row(region: Region, pool: Pool, market: str, more: Mapping[str, Any]) -> dict[str, Any]:
    override = pool.shown["Overrides"]
    zones = region.backend.zones.get(region.name, [])
    zone_ids = {zone.name: zone.zone_id for zone in zones}
    return {
        "InstanceType": override.get("InstanceType"),
        "MarketType": market,
        "SubnetId": override.get("SubnetId"),
        "AvailabilityZone": override.get("AvailabilityZone"),
        "AvailabilityZoneId": zone_ids.get(override.get("AvailabilityZone")),
        **more,
    }
