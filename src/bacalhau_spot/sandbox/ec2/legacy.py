"""RequestSpotInstances: what AWS no longer recommends and older tools still call. Needed to compare with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bacalhau_spot.sandbox.ec2 import capacity, launch, prices, request, spot

if TYPE_CHECKING:
    from bacalhau_spot.sandbox.ec2.region import Answer, Args, Region

# Where the newer calls answer with an error, this one leaves the request open and says why in its status.
WAITING = {"InsufficientInstanceCapacity": "capacity-not-available", "SpotMaxPriceTooLow": "price-too-low"}


def request_spot_instances(region: Region, args: Args) -> Answer:
    """One request for each instance. Only the requests are tagged: their instances are born bare."""
    launch.check_kinds(args.get("TagSpecifications"), frozenset({"spot-instances-request"}))
    wanted = request.resolve(
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
    made = launch.create(region, wanted, min(count, room.count))
    found = [region.spot_requests[one.spot_request_id] for one in made]
    for _ in range(count - len(made)):
        waiting = spot.SpotRequest(
            id=launch.new_request_id(region),
            instance_id="",
            created=region.now(),
            price=prices.spelled(wanted.max_price or prices.on_demand(region.name, wanted.type)),
            launch=wanted,
            state="open",
            status=WAITING[room.refusal.code],
            updated=region.now(),
        )
        found.append(spot.keep(region, waiting))
    return {"SpotInstanceRequests": [spot.described(region, one) for one in found]}
