"""A region's network: VPC, gateway, route table, subnets, security group."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from bacalhau_spot.cloud.cloud_error import CloudError
from bacalhau_spot.cloud.ec2_params import specification, tag_filter, tags_of
from bacalhau_spot.core.launch.main_route_table import MainRouteTable
from bacalhau_spot.core.launch.network_egress import EgressRoute, PublicAccess, Subnet
from bacalhau_spot.core.model import ROLE_KEY, Network

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bacalhau_spot.cloud.session import Session

SSH_PORT = 22
_EVERYWHERE = "0.0.0.0/0"
_MAIN = [{"Name": "association.main", "Values": ["true"]}]
Rows = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class DefaultRoute:
    """The target of a route table's default route; `nat_id`: the NAT gateway, if any."""

    way_out: EgressRoute = EgressRoute.NONE
    nat_id: str = ""


class AwsNetworking:
    """`port.Networking` over botocore."""

    _session: Session

    async def network(self, region: str, *, key: str, value: str) -> Network:
        filters = tag_filter(key, value)
        vpcs, subnets, gateways, tables, groups = await asyncio.gather(
            self._session.pages("ec2", region, "describe_vpcs", "Vpcs", Filters=filters),
            self._session.pages("ec2", region, "describe_subnets", "Subnets", Filters=filters),
            self._session.pages(
                "ec2", region, "describe_internet_gateways", "InternetGateways", Filters=filters
            ),
            self._session.pages("ec2", region, "describe_route_tables", "RouteTables", Filters=_MAIN),
            self._session.pages("ec2", region, "describe_security_groups", "SecurityGroups", Filters=filters),
        )
        networks = [
            _network(vpc["VpcId"], subnets, gateways, tables, groups)
            for vpc in vpcs
            if _may_be_used(vpc, self._session.account_id)
        ]
        networks.sort(key=lambda found: (-_completeness(found), found.vpc_id or ""))
        loose = next((row["InternetGatewayId"] for row in gateways if not row.get("Attachments")), None)
        if not networks:
            return Network(gateway_id=loose)
        best = networks[0]
        if best.gateway_id is None and loose is not None:
            # An interrupted create may leave a gateway that is not attached yet.
            return replace(best, gateway_id=loose)
        return best

    async def foreign_group(self, region: str, vpc_id: str, *, key: str, value: str) -> Network:
        groups = await self._session.pages(
            "ec2",
            region,
            "describe_security_groups",
            "SecurityGroups",
            Filters=[*tag_filter(key, value), *_in_vpc(vpc_id)],
        )
        group = next(_of_nodes(groups), None)
        return Network(
            vpc_id=vpc_id,
            group_id=group["GroupId"] if group else None,
            open_cidrs=_open_cidrs(group) if group else frozenset(),
        )

    async def subnets(self, region: str, vpc_id: str) -> tuple[Subnet, ...]:
        # An unknown VPC raises AWS's error.
        await self._session.call("ec2", region, "describe_vpcs", VpcIds=[vpc_id])
        filters = _in_vpc(vpc_id)
        subnets, tables = await asyncio.gather(
            self._session.pages("ec2", region, "describe_subnets", "Subnets", Filters=filters),
            self._session.pages("ec2", region, "describe_route_tables", "RouteTables", Filters=filters),
        )
        routes = _default_routes(tables)
        nats = await self._nat_subnets(region, vpc_id, subnets, routes)
        modes = {row["SubnetId"]: _mode(row) for row in subnets}
        return tuple(
            _subnet(row, route, modes.get(nats.get(route.nat_id, row["SubnetId"])))
            for row in subnets
            for route in (routes.get(row["SubnetId"], routes.get("", DefaultRoute())),)
        )

    async def _nat_subnets(
        self, region: str, vpc_id: str, subnets: Rows, routes: Mapping[str, DefaultRoute]
    ) -> dict[str, str]:
        """The subnet of each NAT gateway, queried only if public access is blocked for some subnet.

        A NAT gateway's traffic crosses the internet gateway from its own subnet (VPC user guide, "VPC BPA basics").
        """
        if all(_mode(row) in {None, PublicAccess.OFF} for row in subnets):
            return {}
        if not any(route.nat_id for route in routes.values()):
            return {}
        rows = await self._session.pages(
            "ec2", region, "describe_nat_gateways", "NatGateways", Filters=_in_vpc(vpc_id)
        )
        return {row["NatGatewayId"]: row["SubnetId"] for row in rows}

    async def public_access(self, region: str) -> PublicAccess:
        reply = await self._session.call("ec2", region, "describe_vpc_block_public_access_options")
        options = reply.get("VpcBlockPublicAccessOptions", {})
        return PublicAccess(options.get("InternetGatewayBlockMode", "off"))

    async def create_vpc(self, region: str, *, cidr: str, tags: Mapping[str, str]) -> str:
        reply = await self._session.call(
            "ec2", region, "create_vpc", CidrBlock=cidr, TagSpecifications=specification("vpc", tags)
        )
        return str(reply["Vpc"]["VpcId"])

    async def create_gateway(self, region: str, *, tags: Mapping[str, str]) -> str:
        reply = await self._session.call(
            "ec2",
            region,
            "create_internet_gateway",
            TagSpecifications=specification("internet-gateway", tags),
        )
        return str(reply["InternetGateway"]["InternetGatewayId"])

    async def attach_gateway(self, region: str, gateway_id: str, *, vpc_id: str) -> None:
        await self._session.call(
            "ec2", region, "attach_internet_gateway", InternetGatewayId=gateway_id, VpcId=vpc_id
        )

    async def main_route_table(self, region: str, vpc_id: str) -> MainRouteTable:
        rows = await self._session.pages(
            "ec2",
            region,
            "describe_route_tables",
            "RouteTables",
            Filters=_in_vpc(vpc_id),
        )
        table = _main_table(vpc_id, rows)
        if table is None:
            raise CloudError(
                "InvalidRouteTableID.NotFound",
                f"the main route table of {vpc_id} is not shown yet",
                operation="DescribeRouteTables",
                region=region,
            )
        return table

    async def create_default_route(self, region: str, table_id: str, *, gateway_id: str) -> None:
        await self._session.call(
            "ec2",
            region,
            "create_route",
            RouteTableId=table_id,
            DestinationCidrBlock=_EVERYWHERE,
            GatewayId=gateway_id,
        )

    async def create_subnet(
        self, region: str, *, vpc_id: str, zone: str, cidr: str, tags: Mapping[str, str]
    ) -> str:
        reply = await self._session.call(
            "ec2",
            region,
            "create_subnet",
            VpcId=vpc_id,
            AvailabilityZone=zone,
            CidrBlock=cidr,
            TagSpecifications=specification("subnet", tags),
        )
        return str(reply["Subnet"]["SubnetId"])

    async def create_group(
        self, region: str, *, vpc_id: str, name: str, description: str, tags: Mapping[str, str]
    ) -> str:
        reply = await self._session.call(
            "ec2",
            region,
            "create_security_group",
            VpcId=vpc_id,
            GroupName=name,
            Description=description,
            TagSpecifications=specification("security-group", tags),
        )
        return str(reply["GroupId"])

    async def allow_tcp(self, region: str, group_id: str, *, rules: Mapping[int, Sequence[str]]) -> None:
        await self._session.call(
            "ec2",
            region,
            "authorize_security_group_ingress",
            GroupId=group_id,
            IpPermissions=[_permission(port, cidrs) for port, cidrs in sorted(rules.items())],
        )


def _permission(port: int, cidrs: Sequence[str]) -> dict[str, Any]:
    v4 = [{"CidrIp": cidr} for cidr in cidrs if ":" not in cidr]
    v6 = [{"CidrIpv6": cidr} for cidr in cidrs if ":" in cidr]
    return {
        "IpProtocol": "tcp",
        "FromPort": port,
        "ToPort": port,
        **({"IpRanges": v4} if v4 else {}),
        **({"Ipv6Ranges": v6} if v6 else {}),
    }


def _of_nodes(groups: Rows) -> Iterator[dict[str, Any]]:
    """The nodes' groups: the group of a managed orchestrator has the cluster's tag, too."""
    return (row for row in groups if ROLE_KEY not in tags_of(row))


def _may_be_used(vpc: dict[str, Any], account_id: str) -> bool:
    """Not the account's default VPC, and not one that another account shares, although both can have the cluster's tag.

    `destroy` retains both, and only their owner can change the second one.
    """
    shared = account_id and vpc.get("OwnerId", account_id) != account_id
    return not vpc.get("IsDefault") and not shared


def _network(vpc_id: str, subnets: Rows, gateways: Rows, tables: Rows, groups: Rows) -> Network:
    """The resources of one VPC, from the lists of tagged resources."""
    gateway = next((row for row in gateways if _is_attached(row, vpc_id)), None)
    table = _first_of(vpc_id, tables)
    group = _first_of(vpc_id, list(_of_nodes(groups)))
    return Network(
        vpc_id=vpc_id,
        gateway_id=gateway["InternetGatewayId"] if gateway else None,
        gateway_attached=gateway is not None,
        has_default_route=_has_default_route(table),
        subnets=_subnet_by_zone(vpc_id, subnets),
        group_id=group["GroupId"] if group else None,
        open_cidrs=_open_cidrs(group) if group else frozenset(),
    )


def _has_default_route(table: dict[str, Any] | None) -> bool:
    return any(route.get("DestinationCidrBlock") == _EVERYWHERE for route in _of(table, "Routes"))


def _main_table(vpc_id: str, tables: Rows) -> MainRouteTable | None:
    """None if AWS does not list it yet."""
    for table in tables:
        for association in _of(table, "Associations"):
            if association.get("Main"):
                return MainRouteTable(
                    table["RouteTableId"],
                    vpc_id,
                    association_id=association.get("RouteTableAssociationId", ""),
                    tags=tags_of(table),
                    others={
                        row["RouteTableId"]: _has_default_route(row) for row in tables if row is not table
                    },
                )
    return None


def _is_attached(gateway: dict[str, Any], vpc_id: str) -> bool:
    return any(attachment.get("VpcId") == vpc_id for attachment in gateway.get("Attachments", ()))


def _first_of(vpc_id: str, rows: Rows) -> dict[str, Any] | None:
    return next((row for row in rows if row["VpcId"] == vpc_id), None)


def _subnet_by_zone(vpc_id: str, subnets: Rows) -> dict[str, str]:
    """The subnet's id; of several in a zone always the same one."""
    return {
        row["AvailabilityZone"]: row["SubnetId"]
        for row in sorted(subnets, key=lambda row: str(row["SubnetId"]))
        if row["VpcId"] == vpc_id
    }


def _in_vpc(vpc_id: str) -> list[dict[str, Any]]:
    return [{"Name": "vpc-id", "Values": [vpc_id]}]


def _default_routes(tables: Rows) -> dict[str, DefaultRoute]:
    """By subnet; under the empty name the main table's, for subnets without an association."""
    return {
        "" if association.get("Main") else association.get("SubnetId", "none"): _default_route(table)
        for table in tables
        for association in table.get("Associations", ())
    }


def _default_route(table: dict[str, Any]) -> DefaultRoute:
    """The active default route. A route without an existing target is a blackhole."""
    for route in table.get("Routes", ()):
        if route.get("DestinationCidrBlock") == _EVERYWHERE and route.get("State", "active") == "active":
            if route.get("NatGatewayId"):
                return DefaultRoute(EgressRoute.NAT, route["NatGatewayId"])
            gateway = str(route.get("GatewayId", "")).startswith("igw-")
            return DefaultRoute(EgressRoute.GATEWAY if gateway else EgressRoute.OTHER)
    return DefaultRoute()


def _mode(row: dict[str, Any]) -> PublicAccess | None:
    mode = row.get("BlockPublicAccessStates", {}).get("InternetGatewayBlockMode")
    return PublicAccess(mode) if mode else None


def _subnet(row: dict[str, Any], route: DefaultRoute, mode: PublicAccess | None) -> Subnet:
    return Subnet(
        id=row["SubnetId"],
        zone=row["AvailabilityZone"],
        free_addresses=row.get("AvailableIpAddressCount", 0),
        way_out=route.way_out,
        ipv6_only=bool(row.get("Ipv6Native")),
        public_access=mode,
    )


def _of(row: dict[str, Any] | None, key: str) -> Rows:
    return list(row.get(key, ())) if row else []


def _completeness(network: Network) -> int:
    parts = (network.gateway_id, network.group_id)
    return sum(part is not None for part in parts) + len(network.subnets)


def _open_cidrs(group: dict[str, Any]) -> frozenset[str]:
    return admitted_ranges(group).get(SSH_PORT, frozenset())


def admitted_ranges(group: dict[str, Any]) -> dict[int, frozenset[str]]:
    """The address ranges that a security group admits to each single port, and to the first of a range of ports."""
    admitted: dict[int, frozenset[str]] = {}
    for permission in group.get("IpPermissions", ()):
        ranges = frozenset(
            str(cidr)
            for cidr in (
                *(row["CidrIp"] for row in permission.get("IpRanges", ())),
                *(row["CidrIpv6"] for row in permission.get("Ipv6Ranges", ())),
            )
        )
        port = permission.get("FromPort")
        if port is not None:
            admitted[port] = admitted.get(port, frozenset()) | ranges
    return admitted
