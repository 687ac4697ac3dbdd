"""Checks, before anything is created, whether nodes can join from their network."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from bacalhau_spot.cloud.port import CloudError
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

    from bacalhau_spot.core.model import ClusterSpec, Market
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls

# AWS's codes for a VPC that the region does not have.
_NO_VPC = frozenset({"InvalidVpcID.NotFound", "InvalidVpcId.Malformed"})


async def check_networks(
    calls: AwsCalls, spec: ClusterSpec, markets: Mapping[str, Market]
) -> dict[str, NetworkCheck]:
    """Of every region with nodes to launch. One call per region, four with `vpc_id`. Raises CloudError."""
    looks = await asyncio.gather(*(_check_network(calls, spec, market) for market in markets.values()))
    return dict(zip(markets, looks, strict=True))


async def _check_network(calls: AwsCalls, spec: ClusterSpec, market: Market) -> NetworkCheck:
    return await check_network(
        calls,
        market.region,
        vpc_id=spec.vpc_of(market.region),
        public_ip=spec.instance.public_ip,
        zones=market.zones,
    )


async def check_network(
    calls: AwsCalls, region: str, *, vpc_id: str | None, public_ip: bool, zones: Sequence[str]
) -> NetworkCheck:
    """Whether machines in the VPC, or in one that bacalhau-spot creates, reach the internet, and the suitable subnets."""
    account, warning = await _public_access(calls, region)
    if vpc_id is None:
        return NetworkCheck(own_vpc_problem(region, public_ip=public_ip, account=account), warning=warning)
    try:
        subnets = await calls.read(region, partial(calls.cloud.subnets, region, vpc_id))
    except CloudError as error:
        if error.code not in _NO_VPC:
            raise
        hint = f"`aws ec2 describe-vpcs --region {region}` lists them; correct `vpc_id`, or leave it out to have one created"
        return NetworkCheck(NetworkProblem(f"there is no {vpc_id} in {region}", hint))
    obstacle = given_vpc_problem(region, vpc_id, subnets, zones=zones, public_ip=public_ip, account=account)
    return NetworkCheck(obstacle, chosen_subnets(subnets, public_ip=public_ip, account=account), warning)


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
