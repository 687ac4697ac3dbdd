"""Elastic IPs. Their addresses are loopback addresses on which programs of this machine can listen.

AWS: EC2 API Reference, AllocateAddress, AssociateAddress, DisassociateAddress, ReleaseAddress, DescribeAddresses, "Error
codes"; EC2 User Guide, "Elastic IP addresses".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_spot_sandbox.ec2 import filters, interfaces, quotas
from aws_spot_sandbox.ec2.machine import RUNNING, STATES, STOPPED
from aws_spot_sandbox.ec2.tags import tags_of
from aws_spot_sandbox.http_types import AwsError
from aws_spot_sandbox.state import ACCOUNT_ID

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aws_spot_sandbox.ec2.region import Answer, Args, Region


def allocate(region: Region, args: Args) -> Answer:
    quotas.check(region, "elastic_ips")
    tags = tags_of(args, "elastic-ip")
    wanted = args.get("Address")
    if wanted:
        # Only a released address that nobody else has can be recovered; the sandbox keeps none.
        raise AwsError("InvalidAddress.NotFound", f"Address '{wanted}' not found.")
    public_ip = region.addresses.next_elastic()
    if public_ip is None:
        raise AwsError(
            "InsufficientAddressCapacity", "Not enough available addresses to satisfy your minimum request."
        )
    address = region.backend.allocate_address("vpc", address=public_ip, tags=tags)
    return {
        "PublicIp": address.public_ip,
        "AllocationId": address.allocation_id,
        "Domain": "vpc",
        "PublicIpv4Pool": "amazon",
        "NetworkBorderGroup": region.name,
    }


def associate(region: Region, args: Args) -> Answer:
    """The instance's automatically assigned address is lost. Another Elastic IP of the interface stays allocated."""
    address = _named(region, args, unknown_ip=_no_address)
    eni = _target(region, args)
    if address.eni is eni and address.association_id:
        return {"AssociationId": address.association_id}
    if address.association_id and (args.get("AllowReassociation") is False or _of_service(address)):
        raise AwsError(
            "Resource.AlreadyAssociated",
            f"resource {address.allocation_id} is already associated with associate-id {address.association_id}",
        )
    _check_gateway(region, eni)
    for other in region.backend.addresses:
        if other is address or other.eni is eni:
            _detach(region, other)
    address.eni, address.instance = eni, eni.instance
    address.association_id = region.new_id("eipassoc")
    eni.public_ip = address.public_ip
    return {"AssociationId": address.association_id}


def disassociate(region: Region, args: Args) -> Answer:
    """The instance gets a new automatic address, if it was launched with one."""
    association_id = args.get("AssociationId")
    if not association_id and not args.get("PublicIp"):
        raise AwsError("MissingParameter", "Either public IP or association id must be specified")
    if association_id:
        found = [one for one in region.backend.addresses if one.association_id == association_id]
        if not found:
            raise AwsError(
                "InvalidAssociationID.NotFound", f"The association ID '{association_id}' does not exist"
            )
        address = found[0]
    else:
        address = _by_ip(region, str(args["PublicIp"]), unknown_ip=_not_yours)
    if _of_service(address):
        raise AwsError("OperationNotPermitted", interfaces.NOT_YOURS)
    eni = address.eni
    _detach(region, address)
    if eni is not None and eni.instance is not None and getattr(eni, "auto_assigned", False):
        eni.public_ip = region.addresses.next()
    return {}


def release(region: Region, args: Args) -> Answer:
    """In a VPC the address must be disassociated first."""
    if not args.get("AllocationId") and not args.get("PublicIp"):
        raise AwsError("MissingParameter", "Either public IP or allocation id must be specified")
    address = _named(region, args, unknown_ip=_not_yours)
    if address.association_id:
        raise AwsError(
            "InvalidIPAddress.InUse", f"The address '{address.public_ip}' is in use and cannot be released."
        )
    region.backend.addresses.remove(address)
    region.addresses.give_back(address.public_ip)
    region.forget_tags(address.allocation_id)
    return {}


def describe(region: Region, args: Args) -> Answer:
    """Not paginated."""
    addresses = list(region.backend.addresses)
    for allocation_id in args.get("AllocationIds") or ():
        _by_id(region, allocation_id)
    for public_ip in args.get("PublicIps") or ():
        _by_ip(region, public_ip, unknown_ip=_no_address)
    ids, ips = args.get("AllocationIds") or (), args.get("PublicIps") or ()
    named = [
        address
        for address in addresses
        if not (ids or ips) or address.allocation_id in ids or address.public_ip in ips
    ]
    getters: dict[str, filters.Getter[Any]] = {
        "allocation-id": lambda address: address.allocation_id,
        "association-id": lambda address: address.association_id,
        "domain": lambda address: address.domain,
        "instance-id": lambda address: address.instance.id if address.instance else None,
        "network-border-group": lambda _: region.name,
        "network-interface-id": lambda address: address.eni.id if address.eni else None,
        "network-interface-owner-id": lambda address: ACCOUNT_ID if address.eni else None,
        "private-ip-address": lambda address: address.eni.private_ip_address if address.eni else None,
        "public-ip": lambda address: address.public_ip,
    }
    selected = filters.select(
        named, args.get("Filters"), getters, lambda address: region.tags(address.allocation_id)
    )
    return {"Addresses": [_described(region, address) for address in selected]}


def _described(region: Region, address: Any) -> dict[str, Any]:
    eni = address.eni
    return {
        "PublicIp": address.public_ip,
        "AllocationId": address.allocation_id,
        "AssociationId": address.association_id,
        "Domain": "vpc",
        "InstanceId": address.instance.id if address.instance else None,
        "NetworkInterfaceId": eni.id if eni else None,
        "NetworkInterfaceOwnerId": ACCOUNT_ID if eni else None,
        "PrivateIpAddress": eni.private_ip_address if eni else None,
        "PublicIpv4Pool": "amazon",
        "NetworkBorderGroup": region.name,
        "Tags": region.tag_set(address.allocation_id) or None,
    }


def _no_address(public_ip: str) -> AwsError:
    return AwsError("InvalidAddress.NotFound", f"Address '{public_ip}' not found.")


def _not_yours(public_ip: str) -> AwsError:
    return AwsError("AuthFailure", f"The address '{public_ip}' does not belong to you.", status=401)


def _named(region: Region, args: Args, *, unknown_ip: Any) -> Any:
    allocation_id, public_ip = args.get("AllocationId"), args.get("PublicIp")
    if allocation_id and public_ip:
        raise AwsError(
            "InvalidParameterCombination",
            "You may specify public IP or allocation id, but not both in the same call",
        )
    if allocation_id:
        return _by_id(region, allocation_id)
    if not public_ip:
        raise AwsError("MissingParameter", "Either public IP or allocation id must be specified")
    return _by_ip(region, public_ip, unknown_ip=unknown_ip)


def _by_id(region: Region, allocation_id: str) -> Any:
    for address in region.backend.addresses:
        if address.allocation_id == allocation_id:
            return address
    raise AwsError("InvalidAllocationID.NotFound", f"The allocation ID '{allocation_id}' does not exist")


def _by_ip(region: Region, public_ip: str, *, unknown_ip: Any) -> Any:
    for address in region.backend.addresses:
        if address.public_ip == public_ip:
            return address
    raise unknown_ip(public_ip)


def _target(region: Region, args: Args) -> Any:
    """The interface to associate, named itself or as the only one of an instance."""
    instance_id, interface_id = args.get("InstanceId"), args.get("NetworkInterfaceId")
    if instance_id and interface_id:
        raise AwsError(
            "InvalidParameterCombination",
            "You may specify instance id or network interface id, but not both in the same call",
        )
    if interface_id:
        eni = interfaces.find(region, interface_id)
        machine = region.machines.get(eni.instance.id) if eni.instance is not None else None
        if machine is not None and machine.state not in (RUNNING, STOPPED):
            raise AwsError(
                "IncorrectInstanceState",
                f"The {STATES[machine.state]} instance to which '{eni.id}' is attached is not in a valid state for "
                "this operation",
            )
        return eni
    if not instance_id:
        raise AwsError("MissingParameter", "Either instance id or network interface id must be specified")
    machine = region.machines.get(instance_id)
    if machine is None:
        raise AwsError("InvalidInstanceID.NotFound", f"The instance ID '{instance_id}' does not exist")
    if machine.state not in (RUNNING, STOPPED):
        raise AwsError(
            "InvalidInstanceID",
            f"The {STATES[machine.state]} instance '{instance_id}' is not in a valid state for this operation.",
        )
    attached = list(machine.moto.nics.values())
    if len(attached) > 1:
        raise AwsError(
            "InvalidInstanceID",
            f"There are multiple interfaces attached to instance '{instance_id}'. Please specify an interface ID for "
            "the operation instead.",
        )
    return attached[0]


def _check_gateway(region: Region, eni: Any) -> None:
    vpc_id = eni.subnet.vpc_id
    gateways: Iterator[Any] = iter(region.backend.internet_gateways.values())
    if not any(gateway.vpc and gateway.vpc.id == vpc_id for gateway in gateways):
        raise AwsError("Gateway.NotAttached", f"Network {vpc_id} is not attached to any internet gateway")


def _of_service(address: Any) -> bool:
    """The address of a NAT gateway belongs to it while the gateway exists."""
    return address.eni is not None and bool(address.eni.requester_managed)


def _detach(region: Region, address: Any) -> None:
    del region
    if address.eni is not None:
        address.eni.public_ip = None
    address.eni = address.instance = address.association_id = None
