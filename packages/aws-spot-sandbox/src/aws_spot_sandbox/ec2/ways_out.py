"""Whether an instance reaches the internet: its route table, its address, and VPC Block Public Access.

Sources: VPC user guide, "Block public access to VPCs and subnets" and "VPC BPA basics"; EC2 API reference,
VpcBlockPublicAccessOptions, VpcBlockPublicAccessExclusion, BlockPublicAccessStates.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from aws_spot_sandbox.ec2 import simple_resources
from aws_spot_sandbox.http_types import AwsError
from aws_spot_sandbox.state import ACCOUNT_ID

if TYPE_CHECKING:
    from aws_spot_sandbox.ec2.machine import Machine
    from aws_spot_sandbox.ec2.region import Answer, Args, Region
    from aws_spot_sandbox.http_types import Reply

EVERYWHERE = "0.0.0.0/0"
OFF, BLOCK_INGRESS, BLOCK_ALL = "off", "block-ingress", "block-bidirectional"
_EXCLUSION = "vpc-block-public-access-exclusion"
_ALLOW_EGRESS = "allow-egress"
_EFFECTIVE = frozenset({"create-complete", "update-complete"})
# The tag of moto's reply after which the state is inserted
_SHOWN_BEHIND = {"DescribeSubnets": "subnetId", "DescribeVpcs": "vpcId"}


def describe_options(region: Region, args: Args) -> Answer:
    """EC2 API reference, DescribeVpcBlockPublicAccessOptions."""
    del args
    mode = block_mode(region)
    options = {
        "AwsRegion": region.name,
        "State": "default-state" if mode == OFF else "update-complete",
        "InternetGatewayBlockMode": mode,
        "ManagedBy": "account",
        "ExclusionsAllowed": "allowed",
    }
    return {"VpcBlockPublicAccessOptions": options}


def block_mode(region: Region) -> str:
    modes = region.world.settings.block_public_access
    return modes.get(region.name, modes.get("*", OFF))


# --- Exclusions


def create_exclusion(region: Region, args: Args) -> Answer:
    """EC2 API reference, CreateVpcBlockPublicAccessExclusion: for "a single VPC or subnet", even while BPA is off."""
    vpc_id, subnet_id = str(args.get("VpcId") or ""), str(args.get("SubnetId") or "")
    if bool(vpc_id) == bool(subnet_id):
        raise AwsError("InvalidParameterCombination", "Specify either a VPC ID or a subnet ID, and not both.")
    target = region.subnet(subnet_id).id if subnet_id else _vpc(region, vpc_id).id
    kind = "subnet" if subnet_id else "vpc"
    item_id = region.new_id("vpcbpa-exclude")
    row = {
        "ExclusionId": item_id,
        "InternetGatewayExclusionMode": args["InternetGatewayExclusionMode"],
        "ResourceArn": f"arn:aws:ec2:{region.name}:{ACCOUNT_ID}:{kind}/{target}",
        "State": "create-in-progress",
        "CreationTimestamp": region.now(),
    }
    item = simple_resources.put(region, _EXCLUSION, item_id, row, args)
    region.later(region.world.settings.pending_s, lambda: row.update(State="create-complete"))
    return {"VpcBlockPublicAccessExclusion": simple_resources.shown(region, item)}


def describe_exclusions(region: Region, args: Args) -> Answer:
    wanted = args.get("ExclusionIds")
    items = (
        [_exclusion(region, exclusion_id) for exclusion_id in wanted]
        if wanted
        else simple_resources.of(region, _EXCLUSION)
    )
    return simple_resources.listed(
        region,
        items,
        args,
        key="VpcBlockPublicAccessExclusions",
        getters={
            "resource-arn": lambda item: item.row["ResourceArn"],
            "internet-gateway-exclusion-mode": lambda item: item.row["InternetGatewayExclusionMode"],
            "state": lambda item: item.row["State"],
        },
    )


def delete_exclusion(region: Region, args: Args) -> Answer:
    item = _exclusion(region, str(args.get("ExclusionId")))
    item.row["State"] = "delete-in-progress"
    region.later(region.world.settings.pending_s, lambda: simple_resources.drop(region, item))
    return {"VpcBlockPublicAccessExclusion": simple_resources.shown(region, item)}


def _exclusion(region: Region, item_id: str) -> simple_resources.Item:
    item = region.shelf.get(item_id)
    if item is None or item.kind != _EXCLUSION:
        raise AwsError(
            "InvalidVpcBlockPublicAccessExclusionId.NotFound", f"The exclusion '{item_id}' does not exist."
        )
    return item


def _vpc(region: Region, vpc_id: str) -> Any:
    vpc = region.backend.vpcs.get(vpc_id)
    if vpc is None:
        raise AwsError("InvalidVpcID.NotFound", f"The vpc ID '{vpc_id}' does not exist")
    return vpc


# --- The block mode per resource


def mode_of(region: Region, *ids: str) -> str:
    """The mode of a subnet and its VPC, or of a VPC.

    An exclusion "exempts it from the account's BPA mode"; allow-egress leaves the inbound side blocked, and "only
    applies when VPC Block Public Access is set to Bidirectional".
    """
    mode = block_mode(region)
    modes = {
        item.row["InternetGatewayExclusionMode"]
        for item in simple_resources.of(region, _EXCLUSION)
        if item.row["State"] in _EFFECTIVE and item.row["ResourceArn"].rpartition("/")[2] in ids
    }
    if mode == OFF or not modes:
        return mode
    return BLOCK_INGRESS if modes == {_ALLOW_EGRESS} else OFF


def with_states(region: Region, action: str, reply: Reply) -> Reply:
    """EC2 API reference, Subnet and Vpc, BlockPublicAccessStates: the effective mode of each, including exclusions."""
    tag = _SHOWN_BEHIND[action]

    def shown(match: re.Match[str]) -> str:
        mode = mode_of(region, match[1], _vpc_of(region, match[1]))
        states = f"<internetGatewayBlockMode>{mode}</internetGatewayBlockMode>"
        return f"{match[0]}<blockPublicAccessStates>{states}</blockPublicAccessStates>"

    body = re.sub(rf"<{tag}>([^<]*)</{tag}>", shown, reply.body.decode())
    return replace(reply, body=body.encode())


def _vpc_of(region: Region, resource_id: str) -> str:
    return next((str(subnet.vpc_id) for subnet in region.subnets() if subnet.id == resource_id), resource_id)


def reaches_internet(region: Region, machine: Machine) -> bool:
    """VPC user guide, "Enable internet access": through an internet gateway with a public address, or a NAT gateway.

    BPA blocks traffic through an internet gateway. A NAT gateway needs one ("VPC BPA basics"), so the mode of its
    subnet applies. Transit gateways, peering and VPNs are not on that page's list: their traffic is not blocked.
    """
    eni = next(iter(machine.moto.nics.values()), None)
    if eni is None:
        return True
    route = _default_route(region, eni.subnet)
    if route is None:
        return False
    if route.gateway:
        return bool(eni.public_ip) and mode_of(region, eni.subnet.id, eni.subnet.vpc_id) == OFF
    if route.nat_gateway:
        nat = region.backend.nat_gateways.get(route.nat_gateway.id)
        return nat is not None and mode_of(region, nat.subnet_id, eni.subnet.vpc_id) != BLOCK_ALL
    return True


def _default_route(region: Region, subnet: Any) -> Any:
    """The default route of the subnet's own table, or of its VPC's main table."""
    tables = [
        route_table
        for route_table in region.backend.route_tables.values()
        if route_table.vpc_id == subnet.vpc_id
    ]
    # by association, which moto exposes nowhere else
    own = next((table for table in tables if subnet.id in table._associations.values()), None)  # noqa: SLF001 - as above
    table = own or next((table for table in tables if table.main_association_id), None)
    routes = table.routes if table else ()
    return next((route for route in routes if route.destination_cidr_block == EVERYWHERE), None)
