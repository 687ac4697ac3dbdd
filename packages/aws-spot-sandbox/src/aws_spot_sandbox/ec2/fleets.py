"""EC2 Fleet: one call for many pools, with an error for each pool that could not be used."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aws_spot_sandbox.ec2 import (
    capacity,
    catalog,
    filters,
    launch,
    launch_parameters,
    machine,
    paging,
    prices,
    spot,
    templates,
)
from aws_spot_sandbox.http_types import AwsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from aws_spot_sandbox.ec2.launch_parameters import Launch
    from aws_spot_sandbox.ec2.machine import Machine
    from aws_spot_sandbox.ec2.region import Answer, Args, Region

INSTANT_LIMIT, OTHER_LIMIT, OVERRIDES_LIMIT = 25, 100, 300
# AWS: with more instances "the deletion request might fail" (EC2 API reference, DeleteFleets).
DELETABLE_INSTANCES = 1000
# runs-on#217: AWS stops listing a fleet about two days after the end of the fleet or its last instance.
FORGET_S = 48 * 3600.0
LEAST_PRICE_USD = 0.001
PRIORITIZED = frozenset({"prioritized", "capacityOptimizedPrioritized", "capacity-optimized-prioritized"})
INSTANT_KINDS = frozenset({"fleet", "instance", "volume", "network-interface"})
UNFULFILLABLE = (
    "Unable to fulfill capacity due to your request configuration. Please adjust your request and try again."
)
_NOT_IN_ZONE = (
    "Your requested instance type ({type}) is not supported in your requested Availability Zone ({zone})."
)
# The parameters of an override that change the launched instance; the others affect the choice of the pool.
LAUNCH_KEYS = (
    "InstanceType", "SubnetId", "AvailabilityZone", "ImageId", "BlockDeviceMappings", "KeyName",
    "SecurityGroupIds", "MetadataOptions", "IamInstanceProfile",
)  # fmt: skip


@dataclass
class Pool:
    """An override: its launch parameters, and the instances granted or the error."""

    shown: dict[str, Any]  # LaunchTemplateAndOverrides of the reply
    weight: float
    priority: float
    launch: Launch | None = None
    refusal: AwsError | None = None
    price: float = 0.0
    machines: list[Machine] = field(default_factory=list)


@dataclass
class Fleet:
    """A fleet, with the state that DescribeFleets returns."""

    id: str
    type: str
    created: float
    args: Args
    pools: list[Pool]
    spot: bool
    state: str = "active"

    @property
    def instances(self) -> list[Machine]:
        return [instance for pool in self.pools for instance in pool.machines]


def create_fleet(region: Region, args: Args) -> Answer:
    """Launch from the cheapest pool with capacity on. Each pool that refused adds an error, also if others granted
    instances.

    AWS: osbuild-composer#4507 shows an instance and InsufficientInstanceCapacity in one reply to a capacity of one;
    karpenter-provider-aws#3051 and #5283 show UnfulfillableCapacity alongside the errors of a fleet that got no
    instances.
    """
    kind = args.get("Type") or "maintain"
    _check(args, kind)
    is_spot = _is_spot(args)
    pools = list(_pools(region, args, spot=is_spot))
    fleet = Fleet(region.new_fleet_id(), kind, region.now(), args, pools, is_spot)
    wanted = _capacity(args)
    blank = _blank(region, fleet)
    missing = wanted if blank else _fill(region, fleet, wanted)
    least = _options(args, spot=is_spot).get("MinTargetCapacity")
    if least and wanted - missing < least:
        _withdraw(region, fleet)
    region.fleets[fleet.id] = fleet
    region.set_tags(fleet.id, launch_parameters.tags_by_kind(args.get("TagSpecifications")).get("fleet", {}))
    answer: Answer = {"FleetId": fleet.id}
    if kind == "instant":
        _forget_later(region, fleet)
        answer["Instances"] = _granted(fleet)
        answer["Errors"] = [] if blank else _refused(fleet) + _unfulfillable(fleet)
    return answer


def _blank(region: Region, fleet: Fleet) -> bool:
    """Whether this fleet returns neither instances nor errors: OpenStack's nodepool has a branch for such a reply."""
    settings = region.world.settings
    if fleet.type != "instant" or settings.blank_fleets <= 0:
        return False
    settings.blank_fleets -= 1
    return True


def begin(region: Region, args: Args, *, fleet_id: str) -> Fleet:
    """Create a fleet that maintains its capacity, as a spot fleet does."""
    fleet = Fleet(fleet_id, "maintain", region.now(), args, list(_pools(region, args, spot=True)), spot=True)
    _fill(region, fleet, _capacity(args))
    return fleet


def launch_once(region: Region, args: Args, *, spot: bool) -> Fleet:
    """An instant fleet of another service, which DescribeFleets does not return: its pools have instances or errors."""
    region.world.unseen_by_fleets.pop(region.name, None)  # of an earlier CreateFleet
    fleet = Fleet("", "instant", region.now(), args, list(_pools(region, args, spot=spot)), spot=spot)
    _fill(region, fleet, _capacity(args))
    return fleet


def refill_later(region: Region, ended: Machine) -> None:
    """An active fleet of type `maintain` replaces terminated instances (EC2 user guide, "EC2 Fleet request types")."""
    fleet = region.fleets.get(ended.fleet_id) or region.spot_fleets.get(ended.fleet_id)
    if fleet is not None and fleet.type == "maintain" and fleet.state == "active":
        region.later(region.world.settings.refill_s, lambda: _refill(region, fleet))


def forget_later(region: Region, ended: Machine) -> None:
    """The record of an instant fleet is deleted two days after its last instance began to shut down."""
    fleet = region.fleets.get(ended.fleet_id)
    if fleet is not None and fleet.type == "instant":
        _forget_later(region, fleet)


def _forget_later(region: Region, fleet: Fleet) -> None:
    region.later(FORGET_S, lambda: _forget(region, fleet))


def _forget(region: Region, fleet: Fleet) -> None:
    if not any(instance.alive for instance in fleet.instances):
        region.fleets.pop(fleet.id, None)
        region.forget_tags(fleet.id)


def _refill(region: Region, fleet: Fleet) -> None:
    if fleet.state != "active":
        return
    capacity = sum(
        pool.weight * sum(instance.state in (machine.PENDING, machine.RUNNING) for instance in pool.machines)
        for pool in fleet.pools
    )
    missing = _capacity(fleet.args) - capacity
    if missing > 0:
        _fill(region, fleet, missing)


def _check(args: Args, kind: str) -> None:
    if kind not in ("instant", "request", "maintain"):
        raise AwsError("InvalidParameterValue", f"Value ({kind}) for parameter Type is invalid.")
    configs = args.get("LaunchTemplateConfigs") or ()
    if not configs:
        raise AwsError("MissingParameter", "The request must contain the parameter LaunchTemplateConfigs")
    if _capacity(args) < 0 or "TotalTargetCapacity" not in (args.get("TargetCapacitySpecification") or {}):
        raise AwsError("InvalidFleetConfig", "The TotalTargetCapacity must be zero or a positive number.")
    overrides = sum(len(config.get("Overrides") or ()) for config in configs)
    if kind != "instant" and overrides > OVERRIDES_LIMIT:
        raise AwsError("InvalidFleetConfig", f"The fleet may have at most {OVERRIDES_LIMIT} overrides.")
    for config in configs:
        _check_prices(config.get("Overrides") or ())
    launch.check_kinds(
        args.get("TagSpecifications"), INSTANT_KINDS if kind == "instant" else frozenset({"fleet"})
    )


def _check_prices(overrides: Iterable[Mapping[str, Any]]) -> None:
    """MaxPrice must exceed $0.001 (EC2 API reference, FleetLaunchTemplateOverridesRequest, MaxPrice)."""
    for override in overrides:
        price = override.get("MaxPrice")
        if price is not None and not float(price) > LEAST_PRICE_USD:
            raise AwsError("InvalidParameterValue", f"Value ({price}) for parameter MaxPrice is invalid.")


def _capacity(args: Args) -> float:
    return float((args.get("TargetCapacitySpecification") or {}).get("TotalTargetCapacity") or 0)


def _is_spot(args: Args) -> bool:
    target = args.get("TargetCapacitySpecification") or {}
    if target.get("DefaultTargetCapacityType"):
        return bool(target["DefaultTargetCapacityType"] == "spot")
    return not target.get("OnDemandTargetCapacity") and bool(target.get("SpotTargetCapacity"))


def _options(args: Args, *, spot: bool) -> Mapping[str, Any]:
    options: Mapping[str, Any] = args.get("SpotOptions" if spot else "OnDemandOptions") or {}
    return options


def _pools(region: Region, args: Args, *, spot: bool) -> Iterator[Pool]:
    extra = {
        "TagSpecifications": [
            specification
            for specification in args.get("TagSpecifications") or ()
            if specification.get("ResourceType") != "fleet"
        ]
    }
    for config in args["LaunchTemplateConfigs"]:
        specification = config.get("LaunchTemplateSpecification") or {}
        version = templates.version(region, specification)
        data = launch_parameters.merged(version.data, extra)
        if specification.get("UserData"):
            data["UserData"] = specification["UserData"]
        named = {"LaunchTemplateId": version.template.id, "Version": str(version.number)}
        for override in _expanded(region, config.get("Overrides") or [{}]):
            pool = Pool(
                shown={"LaunchTemplateSpecification": named, "Overrides": override},
                weight=float(override.get("WeightedCapacity") or 1),
                priority=float(override.get("Priority") or 0),
            )
            _resolve(region, pool, data, (version.template.id, version.number), spot=spot)
            yield pool


def _expanded(region: Region, overrides: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Replace an override by attributes with one override per matching type."""
    for override in overrides:
        wanted = override.get("InstanceRequirements")
        if not wanted:
            yield override
            continue
        plain = {key: value for key, value in override.items() if key != "InstanceRequirements"}
        zone = region.subnet(plain["SubnetId"]).availability_zone if plain.get("SubnetId") else None
        offered = catalog.pools(region).get(zone or str(plain.get("AvailabilityZone")))
        for name in catalog.matching(region, wanted, {}):
            if offered is None or name in offered:
                yield {**plain, "InstanceType": name}


def _resolve(
    region: Region, pool: Pool, data: Mapping[str, Any], template: tuple[str, int], *, spot: bool
) -> None:
    override = pool.shown["Overrides"]
    changes = {key: override[key] for key in LAUNCH_KEYS if override.get(key)}
    try:
        _check_seen(region, data, override)
        pool.launch = launch_parameters.resolve(
            region,
            launch_parameters.merged(data, changes),
            spot=spot,
            template=template,
            max_price=override.get("MaxPrice"),
        )
        if spot:
            _check_sold(region, pool.launch)
    except AwsError as refusal:
        pool.launch, pool.refusal = None, _as_a_pools(refusal)
        pool.shown["Overrides"] = {**override, "AvailabilityZone": _zone(region, override)}
        return
    pool.shown["Overrides"] = {
        **override, "InstanceType": pool.launch.type, "SubnetId": pool.launch.subnet.id,
        "AvailabilityZone": pool.launch.zone,
    }  # fmt: skip
    if spot:
        pool.price = prices.current(region, pool.launch.zone, pool.launch.type)
    else:
        pool.price = prices.on_demand(region.name, pool.launch.type)


def _check_seen(region: Region, data: Mapping[str, Any], override: Mapping[str, Any]) -> None:
    """New resources are refused per pool, like all errors of RunInstances (EC2 user guide, "EC2 Fleet")."""
    unseen = region.world.unseen_by_fleets.get(region.name, frozenset())
    groups = [group for card in data.get("NetworkInterfaces") or () for group in card.get("Groups") or ()]
    if override.get("SubnetId") in unseen:
        subnet_id = override["SubnetId"]
        raise AwsError("InvalidSubnetID.NotFound", f"The subnet ID '{subnet_id}' does not exist")
    for group in groups:
        if group in unseen:
            raise AwsError("InvalidGroup.NotFound", f"The security group '{group}' does not exist")


def _check_sold(region: Region, wanted: Launch) -> None:
    if prices.sold_as_spot(region, wanted.zone, wanted.type):
        return
    raise AwsError("Unsupported", _NOT_IN_ZONE.format(type=wanted.type, zone=wanted.zone))


def _as_a_pools(refusal: AwsError) -> AwsError:
    """A fleet's errors and RunInstances have different codes for "not sold here" (karpenter-provider-aws#2243, #6483)."""
    if refusal.code == "Unsupported" and "Availability Zone" in refusal.message:
        return AwsError(
            "InvalidFleetConfiguration", refusal.message.partition(". Please retry")[0].rstrip(".") + "."
        )
    return refusal


def _zone(region: Region, override: Mapping[str, Any]) -> str | None:
    """Errors, too, name the zone if the subnet determines it."""
    known = [subnet for subnet in region.subnets() if subnet.id == override.get("SubnetId")]
    return str(known[0].availability_zone) if known else override.get("AvailabilityZone")


def _fill(region: Region, fleet: Fleet, wanted: float) -> float:
    """Launch, and return the capacity that was not granted. Each pool that granted less records an error."""
    missing = wanted
    for pool in sorted(_usable(fleet), key=_order(fleet)):
        if missing <= 0:
            break
        assert pool.launch is not None  # noqa: S101 - _usable excludes the others
        requested = -int(-missing // pool.weight)  # rounded up: AWS exceeds the target rather than miss it
        room = capacity.room(region, pool.launch)
        count = min(requested, room.count)
        if count > 0:
            pool.machines = [*pool.machines, *launch.create(region, pool.launch, count, fleet_id=fleet.id)]
        missing -= count * pool.weight
        if count < requested:
            pool.refusal = room.refusal
    return missing


def _usable(fleet: Fleet) -> list[Pool]:
    return [pool for pool in fleet.pools if pool.launch is not None]


def _order(fleet: Fleet) -> Any:
    strategy = _options(fleet.args, spot=fleet.spot).get("AllocationStrategy") or "lowestPrice"
    if strategy in PRIORITIZED:
        return lambda pool: (pool.priority, pool.price / pool.weight)
    return lambda pool: pool.price / pool.weight


def _withdraw(region: Region, fleet: Fleet) -> None:
    """MinTargetCapacity could not be met: undo all launches."""
    for pool in fleet.pools:
        for instance in pool.machines:
            machine.discard(region, instance)
        pool.machines = []
        pool.refusal = pool.refusal or AwsError("UnfulfillableCapacity", UNFULFILLABLE)


def _granted(fleet: Fleet) -> list[dict[str, Any]]:
    return [
        {
            "LaunchTemplateAndOverrides": pool.shown,
            "Lifecycle": _lifecycle(fleet),
            "InstanceIds": [instance.id for instance in pool.machines],
            "InstanceType": pool.machines[0].type,
        }
        for pool in fleet.pools
        if pool.machines
    ]


def _refused(fleet: Fleet) -> list[dict[str, Any]]:
    return [
        {
            "LaunchTemplateAndOverrides": pool.shown,
            "Lifecycle": _lifecycle(fleet),
            "ErrorCode": pool.refusal.code,
            "ErrorMessage": pool.refusal.message,
        }
        for pool in fleet.pools
        if pool.refusal is not None
    ]


def _unfulfillable(fleet: Fleet) -> list[dict[str, Any]]:
    """The error that AWS adds to those of the pools if nothing was launched."""
    if fleet.instances or not _refused(fleet) or _capacity(fleet.args) <= 0:
        return []
    row = {"LaunchTemplateAndOverrides": fleet.pools[0].shown, "Lifecycle": _lifecycle(fleet)}
    return [{**row, "ErrorCode": "UnfulfillableCapacity", "ErrorMessage": UNFULFILLABLE}]


def _lifecycle(fleet: Fleet) -> str:
    return "spot" if fleet.spot else "on-demand"


def _fulfilled(fleet: Fleet) -> float:
    return sum(pool.weight * sum(instance.alive for instance in pool.machines) for pool in fleet.pools)


def _activity(fleet: Fleet) -> str:
    return "fulfilled" if _fulfilled(fleet) >= _capacity(fleet.args) else "pending_fulfillment"


FILTERS: dict[str, filters.Getter[Fleet]] = {
    "fleet-state": lambda fleet: fleet.state,
    "type": lambda fleet: fleet.type,
    "activity-status": _activity,
    "excess-capacity-termination-policy": lambda _: "termination",
    "replace-unhealthy-instances": lambda _: False,
}


def find(region: Region, fleet_id: str) -> Fleet:
    fleet = region.fleets.get(fleet_id)
    if fleet is None:
        raise AwsError("InvalidFleetId.NotFound", f"The fleet ID '{fleet_id}' does not exist")
    return fleet


def describe_fleets(region: Region, args: Args) -> Answer:
    """Instant fleets are returned only if the call names them."""
    if args.get("FleetIds"):
        fleets = [find(region, fleet_id) for fleet_id in args["FleetIds"]]
    else:
        fleets = [fleet for fleet in region.fleets.values() if fleet.type != "instant"]
    fleets = filters.select(fleets, args.get("Filters"), FILTERS, lambda fleet: region.tags(fleet.id))
    shown, token = paging.page(fleets, args)
    return {"Fleets": [_described(region, fleet) for fleet in shown], "NextToken": token}


def _described(region: Region, fleet: Fleet) -> dict[str, Any]:
    target = dict(fleet.args.get("TargetCapacitySpecification") or {})
    target["DefaultTargetCapacityType"] = _lifecycle(fleet)
    fulfilled = _fulfilled(fleet)
    answer = {
        "FleetId": fleet.id,
        "FleetState": fleet.state,
        "ActivityStatus": _activity(fleet),
        "CreateTime": fleet.created,
        "Type": fleet.type,
        "TargetCapacitySpecification": target,
        "FulfilledCapacity": fulfilled,
        "FulfilledOnDemandCapacity": 0.0 if fleet.spot else fulfilled,
        "LaunchTemplateConfigs": fleet.args.get("LaunchTemplateConfigs"),
        "SpotOptions": fleet.args.get("SpotOptions"),
        "OnDemandOptions": fleet.args.get("OnDemandOptions"),
        "ClientToken": fleet.args.get("ClientToken"),
        "ReplaceUnhealthyInstances": False,
        "TerminateInstancesWithExpiration": False,
        "ExcessCapacityTerminationPolicy": "termination",
        "Tags": region.tag_set(fleet.id) or None,
    }
    if fleet.type == "instant":
        answer |= {"Instances": _granted(fleet), "Errors": _refused(fleet) + _unfulfillable(fleet)}
    return answer


def describe_fleet_instances(region: Region, args: Args) -> Answer:
    fleet = find(region, str(args.get("FleetId")))
    if fleet.type == "instant":
        raise AwsError(
            "Unsupported",
            f"Fleet {fleet.id} is instant fleet. Describe fleet instances is not supported by this type of fleet",
        )
    rows = [
        {
            "InstanceId": instance.id,
            "InstanceType": instance.type,
            "SpotInstanceRequestId": instance.spot_request_id or None,
            "InstanceHealth": "healthy",
        }
        for instance in fleet.instances
        if instance.state in (machine.PENDING, machine.RUNNING)
    ]
    shown, token = paging.page(rows, args)
    return {"ActiveInstances": shown, "FleetId": fleet.id, "NextToken": token}


def delete_fleets(region: Region, args: Args) -> Answer:
    """Each fleet is handled separately: the call succeeds even if no fleet was deleted."""
    ids, ends = args.get("FleetIds") or [], bool(args.get("TerminateInstances"))
    instant = sum(region.fleets[fleet_id].type == "instant" for fleet_id in ids if fleet_id in region.fleets)
    if instant > INSTANT_LIMIT or len(ids) > OTHER_LIMIT:
        raise AwsError(
            "InvalidParameterValue",
            f"You can delete up to {INSTANT_LIMIT} fleets of type instant, or {OTHER_LIMIT} others, in one request.",
        )
    successes, failed = [], []
    for fleet_id in ids:
        refusal = _why_not(region, fleet_id, ends=ends)
        if refusal is None:
            successes.append(end(region, region.fleets[fleet_id], ends=ends))
        else:
            failed.append({"FleetId": fleet_id, "Error": {"Code": refusal[0], "Message": refusal[1]}})
    return {"SuccessfulFleetDeletions": successes, "UnsuccessfulFleetDeletions": failed}


def _why_not(region: Region, fleet_id: str, *, ends: bool) -> tuple[str, str] | None:
    fleet = region.fleets.get(fleet_id)
    if not fleet_id.startswith("fleet-"):
        return "fleetIdMalformed", f"The fleet ID '{fleet_id}' is malformed"
    if fleet is None:
        return "fleetIdDoesNotExist", f"The fleet ID '{fleet_id}' does not exist"
    if fleet.type == "instant" and not ends:
        return "unexpectedError", "A fleet of type instant can only be deleted together with its instances."
    running = sum(instance.state in (machine.PENDING, machine.RUNNING) for instance in fleet.instances)
    if fleet.type == "instant" and running > DELETABLE_INSTANCES:
        return "unexpectedError", "The fleet has too many instances to be deleted with them."
    return None


def end(region: Region, fleet: Fleet, *, ends: bool) -> dict[str, str]:
    """Stop launching. With `ends`, also terminate the instances."""
    before = fleet.state
    alive = [instance for instance in fleet.instances if instance.alive]
    fleet.state = "deleted_terminating" if ends else "deleted_running"
    if ends:
        for instance in alive:
            machine.shut_down(region, instance, code=machine.USER_SHUTDOWN, by_user=True)
            spot.close(region, instance, status="instance-terminated-by-user")
    settings = region.world.settings
    region.later(
        settings.terminate_s + settings.fleet_deletion_s if ends else 0, lambda: _settle(region, fleet)
    )
    if settings.fleet_deletion_s:
        region.later(settings.fleet_deletion_s, lambda: region.forget_tags(fleet.id))
    else:
        region.forget_tags(fleet.id)
    return {"FleetId": fleet.id, "PreviousFleetState": before, "CurrentFleetState": fleet.state}


def _settle(region: Region, fleet: Fleet) -> None:
    if not any(instance.alive for instance in fleet.instances):
        fleet.state = "deleted"
        _forget_later(region, fleet)
