"""Free capacity: how many more instances the pool, its zone, its region and the account's quota allow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aws_spot_sandbox.ec2 import catalog, prices, spot_quotas
from aws_spot_sandbox.ec2.machine import STOPPED
from aws_spot_sandbox.http_types import AwsError

if TYPE_CHECKING:
    from aws_spot_sandbox.ec2.launch_parameters import Launch
    from aws_spot_sandbox.ec2.region import Region

NO_LIMIT = 1_000_000
NO_SPOT = "There is no Spot capacity available that matches your request."
NO_ON_DEMAND = (
    "We currently do not have sufficient {type} capacity in the Availability Zone you requested ({zone}). Our system will "
    "be working on provisioning additional capacity. You can currently get {type} capacity by not specifying an "
    "Availability Zone in your request."
)
# Recorded in scrapoxy#202, firesim#410
OVER_ON_DEMAND_QUOTA = (
    "You have requested more vCPU capacity than your current vCPU limit of {} allows for the instance bucket that the "
    "specified instance type belongs to. Please visit http://aws.amazon.com/contact-us/ec2-request to request an "
    "adjustment to this limit."
)
NO_ADDRESSES = (
    "There are not enough free addresses in subnet '{}' to satisfy the requested number of instances."
)
RESERVED_ADDRESSES = 5  # AWS reserves the first four addresses of a subnet and the last


@dataclass(frozen=True)
class Room:
    """The number of instances that fit, and the error for the rest."""

    count: int
    refusal: AwsError


def room(region: Region, launch: Launch) -> Room:
    """The smallest of price, quota, capacity and free addresses for this launch at this moment."""
    price = _price_refusal(region, launch)
    if price is not None:
        return Room(0, price)
    quota = _quota_room(region, launch)
    places = _capacity_room(region, launch)
    addresses = _address_room(region, launch)
    if addresses < min(quota, places):
        return Room(
            addresses, AwsError("InsufficientFreeAddressesInSubnet", NO_ADDRESSES.format(launch.subnet.id))
        )
    if quota < places:
        return Room(quota, _over_quota(region, launch))
    text = NO_SPOT if launch.spot else NO_ON_DEMAND.format(type=launch.type, zone=launch.zone)
    # AWS returns this error with status 500, so that clients retry.
    return Room(places, AwsError("InsufficientInstanceCapacity", text, status=500))


def _price_refusal(region: Region, launch: Launch) -> AwsError | None:
    if not launch.spot or launch.max_price is None:
        return None
    price = prices.current(region, launch.zone, launch.type)
    if launch.max_price >= price:
        return None
    return AwsError(
        "SpotMaxPriceTooLow",
        f"Your Spot request price of {launch.max_price:g} is lower than the minimum required Spot request fulfillment "
        f"price of {prices.spelled(price)}.",
    )


def _over_quota(region: Region, launch: Launch) -> AwsError:
    if launch.spot:
        return AwsError("MaxSpotInstanceCountExceeded", "Max spot instance count exceeded")
    return AwsError("VcpuLimitExceeded", OVER_ON_DEMAND_QUOTA.format(_quota(region, launch)))


def _quota(region: Region, launch: Launch) -> int | None:
    word = spot_quotas.family(launch.type, spot=launch.spot)
    return spot_quotas.allowed(region.world.settings, region.name, word, spot=launch.spot)


def _quota_room(region: Region, launch: Launch) -> int:
    limit = _quota(region, launch)
    if limit is None:
        return NO_LIMIT
    word = spot_quotas.family(launch.type, spot=launch.spot)
    used = sum(
        catalog.vcpus(machine.type)
        for machine in region.machines.values()
        if machine.spot == launch.spot
        and machine.alive
        and machine.state != STOPPED
        and spot_quotas.family(machine.type, spot=launch.spot) == word
    )
    return max(0, limit - used) // catalog.vcpus(launch.type)


def _capacity_room(region: Region, launch: Launch) -> int:
    """Only the narrowest limit of the `capacity` switch applies: the pool's, else its zone's, else its region's.

    During an outage (switch `outages`) there is none.
    """
    if is_out(region, launch.zone, launch.type):
        return 0
    limits = region.world.settings.capacity
    pool = f"{launch.zone}/{launch.type}"
    alive = [machine for machine in region.machines.values() if machine.alive] if limits else []
    if pool in limits:
        used = sum(machine.zone == launch.zone and machine.type == launch.type for machine in alive)
        return max(0, limits[pool] - used)
    if launch.zone in limits:
        return max(0, limits[launch.zone] - sum(machine.zone == launch.zone for machine in alive))
    if region.name in limits:
        return max(0, limits[region.name] - len(alive))
    return NO_LIMIT


def is_out(region: Region, zone: str, type_name: str) -> bool:
    """Whether an entry of the switch `outages` applies to the pool at this moment."""
    names = {f"{zone}/{type_name}", zone, type_name, region.name, "*"}
    return any(
        outage["pool"] in names and outage["from"] <= region.now() < outage["until"]
        for outage in region.world.settings.outages
    )


def _address_room(region: Region, launch: Launch) -> int:
    subnet_id = launch.subnet.id
    used = sum(
        len(eni.private_ip_addresses) for eni in region.backend.enis.values() if eni.subnet.id == subnet_id
    )
    return max(0, int(launch.subnet.cidr.num_addresses) - RESERVED_ADDRESSES - used)
