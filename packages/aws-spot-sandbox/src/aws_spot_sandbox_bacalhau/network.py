"""Whether a packet from outside reaches a port of an instance: its address and its security groups.

AWS: VPC User Guide, "Security group rules": inbound traffic is denied unless a rule of any group allows it.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aws_spot_sandbox.ec2.machine import Machine
    from aws_spot_sandbox.ec2.region import Region

_EVERY_PROTOCOL = "-1"
# Instances' public addresses start here (ec2/region.py, Addresses); 127.0.x.y is the local machine.
_LOOPBACK, _LOCAL = ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("127.0.0.0/16")


def is_instance_address(host: str) -> bool:
    """Whether only an instance of the sandbox can have the address."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address in _LOOPBACK and address not in _LOCAL


def public_address(machine: Machine) -> str:
    """Of its first interface; empty without one."""
    interface = next(iter(machine.moto.nics.values()), None)
    return str(interface.public_ip or "") if interface is not None else ""


def elastic_address(region: Region, machine: Machine) -> str:
    """The Elastic IP that is associated with the instance; empty without one."""
    interfaces = {id(interface) for interface in machine.moto.nics.values()}
    for address in region.backend.addresses:
        if not address.association_id:
            continue
        if id(address.eni) in interfaces or address.instance is machine.moto:
            return str(address.public_ip)
    return ""


def allows(machine: Machine, port: int, source: str) -> bool:
    """Whether a security group allows TCP from the source address to the port."""
    groups = {group.id: group for interface in machine.moto.nics.values() for group in interface.group_set}
    return any(_matches(rule, port, source) for group in groups.values() for rule in group.ingress_rules)


def _matches(rule: Any, port: int, source: str) -> bool:
    protocol = str(rule.ip_protocol).lower()
    if protocol not in {"tcp", "6", _EVERY_PROTOCOL}:
        return False
    if protocol != _EVERY_PROTOCOL and not int(rule.from_port) <= port <= int(rule.to_port):
        return False
    return _contains(str(rule.ip_range.get("CidrIp") or ""), source)


def _contains(cidr: str, address: str) -> bool:
    try:
        return ipaddress.ip_address(address) in ipaddress.ip_network(cidr, strict=False)
    except ValueError:
        return False
