"""Checks, before anything is created, whether nodes can join from their network."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from bacalhau_spot.cloud.cloud_error import CloudError
from bacalhau_spot.core.error_catalog.classifier import Category, classify
from bacalhau_spot.core.launch.network_egress import (
    NetworkCheck,
    NetworkProblem,
    PublicAccess,
    chosen_subnets,
    given_vpc_problem,
    own_vpc_problem,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bacalhau_spot.core.launch.network_egress import Subnet
    from bacalhau_spot.core.model import ClusterSpec, Market
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls

# AWS's codes for a VPC that the region does not have.
_NO_VPC = frozenset({"InvalidVpcID.NotFound", "InvalidVpcId.Malformed"})


@dataclass(frozen=True, slots=True)
class NetworkFacts:
    """The state of a region's networks. `subnets`: of the user's VPC; None if there is no such VPC. `warning`: a gap."""

    vpc_id: str | None
    account: PublicAccess
    warning: str = ""
    subnets: tuple[Subnet, ...] | None = ()


async def network_facts(
    calls: AwsCalls, spec: ClusterSpec, *, regions: Sequence[str]
) -> dict[str, NetworkFacts]:
    """Of regions with nodes to launch. One call per region, four with `vpc_id`. Raises CloudError."""
    found = await asyncio.gather(*(read_network(calls, region, spec.vpc_of(region)) for region in regions))
    return dict(zip(regions, found, strict=True))


def checked_networks(
    spec: ClusterSpec, networks: Mapping[str, NetworkFacts], markets: Mapping[str, Market]
) -> dict[str, NetworkCheck]:
    """Whether nodes reach the internet, for every region with a market."""
    return {
        region: judge(region, networks[region], public_ip=spec.instance.public_ip, zones=market.zones)
        for region, market in markets.items()
    }


async def check_network(
    calls: AwsCalls, region: str, *, vpc_id: str | None, public_ip: bool, zones: Sequence[str]
) -> NetworkCheck:
    """Whether machines in the VPC, or in one that bacalhau-spot creates, reach the internet, and the suitable subnets."""
    return judge(region, await read_network(calls, region, vpc_id), public_ip=public_ip, zones=zones)


async def read_network(calls: AwsCalls, region: str, vpc_id: str | None) -> NetworkFacts:
    """The facts of one region. Raises CloudError."""
    if vpc_id is None:
        return NetworkFacts(None, *await _public_access(calls, region))
    (account, warning), subnets = await asyncio.gather(
        _public_access(calls, region), _subnets(calls, region, vpc_id)
    )
    return NetworkFacts(vpc_id, account, warning, subnets)


async def _subnets(calls: AwsCalls, region: str, vpc_id: str) -> tuple[Subnet, ...] | None:
    """None if the region has no such VPC."""
    try:
        return await calls.read(region, partial(calls.cloud.subnets, region, vpc_id))
    except CloudError as error:
        if error.code not in _NO_VPC:
            raise
        return None


def judge(region: str, facts: NetworkFacts, *, public_ip: bool, zones: Sequence[str]) -> NetworkCheck:
    """Whether machines in these zones reach the internet, and the suitable subnets."""
    vpc_id, account = facts.vpc_id, facts.account
    if vpc_id is None:
        problem = own_vpc_problem(region, public_ip=public_ip, account=account)
        return NetworkCheck(problem, warning=facts.warning)
    if facts.subnets is None:
        hint = f"`aws ec2 describe-vpcs --region {region}` lists them; correct `vpc_id`, or leave it out to have one created"
        return NetworkCheck(NetworkProblem(f"there is no {vpc_id} in {region}", hint))
    obstacle = given_vpc_problem(
        region, vpc_id, facts.subnets, zones=zones, public_ip=public_ip, account=account
    )
    chosen = chosen_subnets(facts.subnets, public_ip=public_ip, account=account)
    return NetworkCheck(obstacle, chosen, facts.warning)


async def _public_access(calls: AwsCalls, region: str) -> tuple[PublicAccess, str]:
    """A caller without this permission may still launch; the unknown state is a warning."""
    try:
        return await calls.read(region, partial(calls.cloud.public_access, region)), ""
    except CloudError as error:
        if classify(error.code, error.message).category is not Category.PERMISSION:
            raise
        return PublicAccess.OFF, (
            f"{region}: cannot check VPC Block Public Access, which may keep nodes from joining "
            f"({error.operation}: {error.code})"
        )
