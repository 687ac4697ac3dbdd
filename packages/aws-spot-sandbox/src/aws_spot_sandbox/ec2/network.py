"""Dependencies: moto deletes groups, subnets and interfaces that are in use; AWS returns DependencyViolation."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from aws_spot_sandbox.ec2 import gateways, quotas
from aws_spot_sandbox.http_types import AwsError

if TYPE_CHECKING:
    from aws_spot_sandbox.ec2.region import Args, Region

GROUP_TEXT = re.compile(r"[a-zA-Z0-9 ._\-:/()#,@\[\]+=&;{}!$*]{1,255}")


def _in_use(message: str) -> AwsError:
    return AwsError("DependencyViolation", message)


def check_new_group(region: Region, args: Args) -> None:
    """Group names and descriptions allow few characters: no apostrophe, ASCII only."""
    quotas.check(region, "security_groups")
    for parameter in ("GroupName", "Description"):
        text = str(args.get(parameter) or "")
        if not GROUP_TEXT.fullmatch(text) or (parameter == "GroupName" and text.startswith("sg-")):
            raise AwsError("InvalidParameterValue", f"Value ({text}) for parameter {parameter} is invalid.")


def check_group(region: Region, args: Args) -> None:
    """A group can be deleted if no interface and no rule of another group uses it; a default group never."""
    group = _named_group(region, args)
    if group is None:
        return  # moto returns the error for an unknown group
    if group.name == "default":
        raise AwsError(
            "CannotDelete", f'the specified group: "{group.id}" name: "default" cannot be deleted by a user'
        )
    carried = any(group in eni.group_set for eni in region.backend.enis.values())
    if carried or any(_mentions(other, group.id) for other in region.groups() if other.id != group.id):
        raise _in_use(f"resource {group.id} has a dependent object")


def _named_group(region: Region, args: Args) -> Any:
    for group in region.groups():
        if group.id == args.get("GroupId") or (
            not args.get("GroupId") and group.name == args.get("GroupName")
        ):
            return group
    return None


def _mentions(group: Any, group_id: str) -> bool:
    rules = (*group.ingress_rules, *group.egress_rules)
    return any((rule.source_group or {}).get("GroupId") == group_id for rule in rules)


def check_subnet(region: Region, args: Args) -> None:
    subnet_id = str(args.get("SubnetId"))
    occupied = any(eni.subnet.id == subnet_id for eni in region.backend.enis.values())
    gateways = (gateway for gateway in region.backend.nat_gateways.values() if gateway.state != "deleted")
    if occupied or any(gateway.subnet_id == subnet_id for gateway in gateways):
        raise _in_use(f"The subnet '{subnet_id}' has dependencies and cannot be deleted.")


def forget_subnet(region: Region, args: Args) -> None:
    """Remove a deleted subnet from its route table and ACL. moto does not, and neither could then be deleted."""
    subnet_id = args.get("SubnetId")
    for table in region.backend.route_tables.values():
        associations = {key: target for key, target in table._associations.items() if target != subnet_id}  # noqa: SLF001 - moto has no other way
        table._associations = associations  # noqa: SLF001 - as above
    for acl in region.backend.network_acls.values():
        entries = acl._associations.items()  # noqa: SLF001 - as above
        acl._associations = {key: entry for key, entry in entries if entry.subnet_id != subnet_id}  # noqa: SLF001 - as above
    region.forget_tags(str(subnet_id))


def check_detach_gateway(region: Region, args: Args) -> None:
    vpc_id = args.get("VpcId")
    if any(eni.public_ip and eni.subnet.vpc_id == vpc_id for eni in region.backend.enis.values()):
        raise _in_use(
            f"Network {vpc_id} has some mapped public address(es). Please unmap those public address(es) before "
            "detaching the gateway."
        )


def check_gateway(region: Region, args: Args) -> None:
    gateway_id = str(args.get("InternetGatewayId"))
    gateway = region.backend.internet_gateways.get(gateway_id)
    if gateway is not None and gateway.vpc:
        raise _in_use(f"The internetGateway '{gateway_id}' has dependencies and cannot be deleted.")


def check_route_table(region: Region, args: Args) -> None:
    table = region.backend.route_tables.get(args.get("RouteTableId"))
    if table is not None and table.associations:  # the main table has an association, too
        raise _in_use(f"The routeTable '{table.id}' has dependencies and cannot be deleted.")


def check_vpc(region: Region, args: Args) -> None:
    """The default group, main route table and default ACL are deleted with the VPC; all else must be deleted before."""
    vpc_id = str(args.get("VpcId"))
    backend = region.backend
    if vpc_id not in backend.vpcs:
        raise AwsError("InvalidVpcID.NotFound", f"The vpc ID '{vpc_id}' does not exist")
    in_use = (
        any(subnet.vpc_id == vpc_id for subnet in region.subnets())
        or any(group.vpc_id == vpc_id and group.name != "default" for group in region.groups())
        or any(gateway.vpc and gateway.vpc.id == vpc_id for gateway in backend.internet_gateways.values())
        or any(table.vpc_id == vpc_id and not _is_main(table) for table in backend.route_tables.values())
        or any(eni.subnet.vpc_id == vpc_id for eni in backend.enis.values())
        or any(acl.vpc_id == vpc_id and not _is_default(acl) for acl in backend.network_acls.values())
        or any(gateways.holders_of(region, vpc_id))
    )
    if in_use:
        raise _in_use(f"The vpc '{vpc_id}' has dependencies and cannot be deleted.")
    _strip(region, vpc_id)


def _is_main(table: Any) -> bool:
    return table.main_association_id is not None


def _is_default(acl: Any) -> bool:
    return acl.default in (True, "true")


def _strip(region: Region, vpc_id: str) -> None:
    """Remove leftovers that would make moto refuse to delete the VPC, and the resources deleted with it."""
    backend = region.backend
    options = backend.vpcs[vpc_id].dhcp_options
    if options is not None:  # otherwise moto deletes them with the VPC
        options.vpc = backend.vpcs[vpc_id].dhcp_options = None
    for table in list(backend.route_tables.values()):
        if table.vpc_id == vpc_id:
            table._associations = {}  # noqa: SLF001 - associations of deleted subnets
            region.forget_tags(table.id)
    for acl_id, acl in list(backend.network_acls.items()):
        if acl.vpc_id == vpc_id:
            backend.network_acls.pop(acl_id)
            region.forget_tags(acl_id)
