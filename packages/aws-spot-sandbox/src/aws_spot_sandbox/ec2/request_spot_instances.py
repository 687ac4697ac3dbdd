"""RequestSpotInstances, which AWS no longer recommends. The comparison with older deployment tools needs it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_spot_sandbox.ec2 import capacity, launch, launch_parameters, prices, spot
from aws_spot_sandbox.http_types import AwsError

if TYPE_CHECKING:
    from aws_spot_sandbox.ec2.machine import Machine
    from aws_spot_sandbox.ec2.region import Answer, Args, Region

# Errors of the newer calls that leave this call's request open, with the status of the request.
WAITING = {"InsufficientInstanceCapacity": "capacity-not-available", "SpotMaxPriceTooLow": "price-too-low"}


def request_spot_instances(region: Region, args: Args) -> Answer:
    """One request per instance. Only the requests are tagged, not their instances."""
    launch.check_kinds(args.get("TagSpecifications"), frozenset({"spot-instances-request"}))
    kind = str(args.get("Type") or "one-time")
    wanted = launch_parameters.resolve(
        region,
        {**(args.get("LaunchSpecification") or {}), "TagSpecifications": args.get("TagSpecifications")},
        spot=True,
        template=None,
        max_price=args.get("SpotPrice"),
    )
    count = int(args.get("InstanceCount") or 1)
    room = capacity.room(region, wanted)
    if room.count < count and room.refusal.code not in WAITING:
        raise room.refusal
    machines = launch.create(region, wanted, min(count, room.count))
    requests = [region.spot_requests[machine.spot_request_id] for machine in machines]
    for request in requests:
        request.type = kind
    for _ in range(count - len(machines)):
        waiting = spot.SpotRequest(
            id=launch.new_request_id(region),
            instance_id="",
            created=region.now(),
            price=prices.spelled(wanted.max_price or prices.on_demand(region.name, wanted.type)),
            launch=wanted,
            state="open",
            status=WAITING[room.refusal.code],
            updated=region.now(),
            type=kind,
        )
        requests.append(spot.keep(region, waiting))
    return {"SpotInstanceRequests": [spot.described(region, request) for request in requests]}


def relaunch_later(region: Region, ended: Machine) -> None:
    """A persistent request that is not cancelled relaunches (EC2 user guide, "Spot Instance request types")."""
    request = region.spot_requests.get(ended.spot_request_id)
    if request is not None and request.persistent:
        region.later(region.world.settings.refill_s, lambda: _relaunch(region, request))


def _relaunch(region: Region, request: spot.SpotRequest) -> None:
    if request.state != "open" or capacity.room(region, request.launch).count < 1:
        return
    try:
        (machine,) = launch.create(region, request.launch, 1)
    except AwsError:
        return
    del region.spot_requests[machine.spot_request_id]
    region.forget_tags(machine.spot_request_id)
    machine.spot_request_id, request.instance_id = request.id, machine.id
    request.move(state="active", status="fulfilled", now=region.now())
