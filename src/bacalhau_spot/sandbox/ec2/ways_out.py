"""Whether an instance reaches the internet: its route table, its address, and what the account blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bacalhau_spot.sandbox.ec2.machine import Machine
    from bacalhau_spot.sandbox.ec2.region import Answer, Args, Region

EVERYWHERE = "0.0.0.0/0"


def describe_options(region: Region, args: Args) -> Answer:
    """EC2 API reference, DescribeVpcBlockPublicAccessOptions."""
    del args
    mode = block_mode(region)
    options = {
        "AwsRegion": region.name,
        "State": "default-state" if mode == "off" else "update-complete",
        "InternetGatewayBlockMode": mode,
        "ManagedBy": "account",
        "ExclusionsAllowed": "allowed",
    }
    return {"VpcBlockPublicAccessOptions": options}


def block_mode(region: Region) -> str:
    modes = region.world.settings.block_public_access
    return modes.get(region.name, modes.get("*", "off"))


def reaches_internet(region: Region, machine: Machine) -> bool:
    """VPC user guide, "Enable internet access" and "Block public access to VPCs and subnets".

    Through an internet gateway with a public address; through a NAT gateway with or without. block-ingress lets NAT through.
    """
    eni = next(iter(machine.moto.nics.values()), None)
    if eni is None:
        return True
    route = _default_route(region, eni.subnet)
    mode = block_mode(region)
    if route is None or mode == "block-bidirectional":
        return False
    if route.gateway:
        return bool(eni.public_ip) and mode == "off"
    return True


def _default_route(region: Region, subnet: Any) -> Any:
    """Of the subnet's own table, or of its VPC's main one."""
    tables = [one for one in region.backend.route_tables.values() if one.vpc_id == subnet.vpc_id]
    # by association; moto shows them nowhere else
    own = next((one for one in tables if subnet.id in one._associations.values()), None)  # noqa: SLF001 - as said
    table = own or next((one for one in tables if one.main_association_id), None)
    routes = table.routes if table else ()
    return next((one for one in routes if one.destination_cidr_block == EVERYWHERE), None)
