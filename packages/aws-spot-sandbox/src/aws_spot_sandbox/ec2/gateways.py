"""NAT gateways, VPC endpoints, Elastic IPs, peering: they block the deletion of a network until they are deleted."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from aws_spot_sandbox.ec2 import interfaces
from aws_spot_sandbox.http_types import AwsError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aws_spot_sandbox.ec2.region import Answer, Args, Region


def settle_new(region: Region, args: Args) -> None:
    """Interfaces that moto created for a gateway or an endpoint are managed by that service."""
    del args
    for nat in region.backend.nat_gateways.values():
        if not nat._eni.requester_managed:  # noqa: SLF001 - moto exposes it nowhere else
            interfaces.own(
                nat._eni,  # noqa: SLF001 - as above
                kind="nat_gateway",
                requester="amazon-ec2",
                description=f"Interface for NAT Gateway {nat.id}",
            )
            nat.state = "pending"
            region.later(region.world.settings.pending_s, partial(_available, nat))
    for endpoint in region.backend.vpc_end_points.values():
        for interface_id in endpoint.network_interface_ids or ():
            eni = region.backend.enis.get(interface_id)
            if eni is not None and not eni.requester_managed:
                eni._group_set = [  # noqa: SLF001 - moto has no other way
                    region.group(group_id) for group_id in endpoint.security_group_ids or ()
                ]
                interfaces.own(
                    eni,
                    kind="vpc_endpoint",
                    requester="amazon-vpce",
                    description=f"VPC Endpoint Interface {endpoint.id}",
                )


def _available(nat: Any) -> None:
    if nat.state == "pending":
        nat.state = "available"


def delete_nat(region: Region, args: Args) -> Answer:
    """AWS: EC2 API Reference, DeleteNatGateway: takes minutes. It disassociates the Elastic IP without releasing it."""
    nat = region.backend.nat_gateways.get(args.get("NatGatewayId"))
    if nat is None:
        raise AwsError("NatGatewayNotFound", f"NatGateway {args.get('NatGatewayId')} was not found")
    if nat.state in {"pending", "available", "failed"}:
        nat.state = "deleting"
        region.later(region.world.settings.terminate_s, lambda: _end_nat(region, nat))
    return {"NatGatewayId": nat.id}


def _end_nat(region: Region, nat: Any) -> None:
    """Deleted gateways are listed for about an hour (VPC user guide, "Work with NAT gateways")."""
    nat.state = "deleted"
    interfaces.remove(region, nat._eni.id)  # noqa: SLF001 - moto exposes it nowhere else
    region.later(region.world.settings.forget_s, lambda: _forget_nat(region, nat))


def _forget_nat(region: Region, nat: Any) -> None:
    region.backend.nat_gateways.pop(nat.id, None)
    region.forget_tags(nat.id)


def delete_endpoints(region: Region, args: Args) -> Answer:
    """AWS: EC2 API Reference, DeleteVpcEndpoints: succeeds even if deletions fail. `deleting` ones use their subnet."""
    refused = []
    for endpoint_id in args.get("VpcEndpointIds") or ():
        endpoint = region.backend.vpc_end_points.get(endpoint_id)
        if endpoint is None or endpoint.state == "deleted":
            refused.append(
                {
                    "ResourceId": endpoint_id,
                    "Error": {
                        "Code": "InvalidVpcEndpointId.NotFound",
                        "Message": f"The Vpc Endpoint Id '{endpoint_id}' does not exist",
                    },
                }
            )
        elif endpoint.state != "deleting":
            endpoint.state = "deleting"
            region.later(region.world.settings.terminate_s, partial(_end_endpoint, region, endpoint))
    return {"Unsuccessful": refused}


def _end_endpoint(region: Region, endpoint: Any) -> None:
    for interface_id in endpoint.network_interface_ids or ():
        interfaces.remove(region, interface_id)
    region.backend.vpc_end_points.pop(endpoint.id, None)
    region.forget_tags(endpoint.id)


def holders_of(region: Region, vpc_id: str) -> Iterator[str]:
    """Ids of resources that block the VPC's deletion, besides its subnets, groups, tables and interfaces."""
    backend = region.backend
    for nat in backend.nat_gateways.values():
        if nat.vpc_id == vpc_id and nat.state != "deleted":
            yield nat.id
    for endpoint in backend.vpc_end_points.values():
        if endpoint.vpc_id == vpc_id and endpoint.state != "deleted":
            yield endpoint.id
    for egress in backend.egress_only_internet_gateways.values():
        if egress.vpc_id == vpc_id:
            yield egress.id
    for peering in backend.vpc_pcxs.values():
        if vpc_id in {peering.vpc.id, peering.peer_vpc.id} and peering._status.code in {  # noqa: SLF001 - as moto does
            "active",
            "pending-acceptance",
        }:
            yield peering.id
