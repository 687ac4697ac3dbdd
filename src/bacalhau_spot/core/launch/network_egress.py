"""Whether nodes in a network can reach the orchestrator: subnets with a way out, and what blocks them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class EgressRoute(StrEnum):
    """Where a subnet's default route leads."""

    GATEWAY = "internet gateway"
    NAT = "NAT gateway"
    OTHER = "transit gateway, instance or interface"
    NONE = "nowhere"


class PublicAccess(StrEnum):
    """VPC Block Public Access, in EC2's words."""

    OFF = "off"
    BLOCK_INGRESS = "block-ingress"  # only NAT and egress-only gateways let anything through
    BLOCK_ALL = "block-bidirectional"


@dataclass(frozen=True, slots=True)
class Subnet:
    """A subnet of an existing VPC.

    `public_access`: the setting where its traffic crosses the internet gateway; behind a NAT gateway that of the
    gateway's subnet. None: AWS does not return it, and the account's setting counts.
    """

    id: str
    zone: str
    free_addresses: int
    way_out: EgressRoute
    ipv6_only: bool = False
    public_access: PublicAccess | None = None


@dataclass(frozen=True, slots=True)
class NetworkProblem:
    """Why nodes could not join from a network, and the fix."""

    what: str
    hint: str


@dataclass(frozen=True, slots=True)
class NetworkCheck:
    """Whether nodes could join from the network of a launch. `subnets`: by zone, those of a given VPC with a way out."""

    problem: NetworkProblem | None = None
    subnets: Mapping[str, str] = field(default_factory=dict)
    warning: str = ""


def has_egress(subnet: Subnet, *, public_ip: bool, account: PublicAccess) -> bool:
    """Whether a node in it reaches the internet (or the user's own network)."""
    return _fits(subnet, public_ip=public_ip) and not blocked(subnet.way_out, subnet.public_access or account)


def _fits(subnet: Subnet, *, public_ip: bool) -> bool:
    wanted = {EgressRoute.GATEWAY} if public_ip else {EgressRoute.NAT, EgressRoute.OTHER}
    return not subnet.ipv6_only and subnet.way_out in wanted


def blocked(way_out: EgressRoute, mode: PublicAccess) -> bool:
    """EC2 API reference, VpcBlockPublicAccessOptions: block-ingress admits only NAT traffic to the internet.

    Transit gateways, VPNs and peerings do not cross an internet gateway here (VPC user guide, "VPC BPA basics").
    """
    if mode is PublicAccess.BLOCK_ALL:
        return way_out in {EgressRoute.GATEWAY, EgressRoute.NAT}
    return mode is PublicAccess.BLOCK_INGRESS and way_out is EgressRoute.GATEWAY


def chosen_subnets(
    subnets: Sequence[Subnet], *, public_ip: bool, account: PublicAccess = PublicAccess.OFF
) -> dict[str, str]:
    """One subnet for each zone, as a fleet needs it: the one with a way out and the most free addresses."""
    fitting = [subnet for subnet in subnets if has_egress(subnet, public_ip=public_ip, account=account)]
    return {
        subnet.zone: subnet.id
        for subnet in sorted(fitting, key=lambda subnet: (subnet.free_addresses, subnet.id))
    }


def own_vpc_problem(region: str, *, public_ip: bool, account: PublicAccess) -> NetworkProblem | None:
    """Why nodes could not join from a VPC that bacalhau-spot creates, whose subnets use an internet gateway."""
    if not public_ip:
        return NetworkProblem(
            f"{region}: nodes without a public address cannot join from a VPC that bacalhau-spot creates, which has no NAT",
            "name a VPC of yours with private subnets behind a NAT or transit gateway, "
            f"`regions: {{{region}: {{vpc_id: vpc-…}}}}`, or set `instance.public_ip: true`",
        )
    if not blocked(EgressRoute.GATEWAY, account):
        return None
    return NetworkProblem(
        f"{region}: VPC Block Public Access is {account}: {_CUT_OFF[True]}",
        "take other regions, name a VPC of yours that is excluded from it, "
        f"`regions: {{{region}: {{vpc_id: vpc-…}}}}`, or ask your administrator for another mode; {_who_manages(region)}",
    )


def given_vpc_problem(
    region: str,
    vpc_id: str,
    subnets: Sequence[Subnet],
    *,
    zones: Sequence[str],
    public_ip: bool,
    account: PublicAccess,
) -> NetworkProblem | None:
    """Why nodes could not join from a VPC of the user's; `zones` are those that offer the instance types."""
    look = f"`aws ec2 describe-subnets --region {region} --filters Name=vpc-id,Values={vpc_id}` lists its subnets"
    here = [subnet for subnet in subnets if subnet.zone in zones]
    if not here:
        return NetworkProblem(
            f"{vpc_id} has no subnet in {region} in a zone that offers the instance types ({', '.join(zones)})",
            f"leave `vpc_id` out to have a VPC created, or name another one; {look}",
        )
    if chosen_subnets(here, public_ip=public_ip, account=account):
        return None
    fitting = [subnet for subnet in here if _fits(subnet, public_ip=public_ip)]
    if fitting:
        return _blocked(region, fitting, public_ip=public_ip, account=account)
    wanted, other = ("an internet gateway", "a NAT or transit gateway")
    hint = "leave `vpc_id` out to have a VPC created"
    if not public_ip:
        wanted, other, hint = other, wanted, "or set `instance.public_ip: true`"
    elif chosen_subnets(here, public_ip=False):
        hint = "for private subnets behind a NAT set `instance.public_ip: false`"
    return NetworkProblem(
        f"{vpc_id} in {region} has no subnet whose default route leads to {wanted}: nodes could not join",
        f"add such a route to the subnet's route table or name another VPC; {hint}; {look}",
    )


_CUT_OFF = {
    True: "nodes with a public address could not join, nor be reached by SSH",
    False: "it stops NAT gateways too, so nodes behind one could not join",
}


def _blocked(
    region: str, subnets: Sequence[Subnet], *, public_ip: bool, account: PublicAccess
) -> NetworkProblem:
    mode = subnets[0].public_access or account
    names = ", ".join(sorted(subnet.id for subnet in subnets))
    where = (
        f"of the VPC, or of {names}"
        if public_ip
        else f"of the VPC, or of the NAT gateway's subnet behind {names}"
    )
    return NetworkProblem(
        f"{region}: VPC Block Public Access is {mode}: {_CUT_OFF[public_ip]}",
        f"ask your administrator for an exclusion {where}, or for another mode, or take other regions; {_who_manages(region)}",
    )


def _who_manages(region: str) -> str:
    return f"`aws ec2 describe-vpc-block-public-access-options --region {region}` shows who manages it"
