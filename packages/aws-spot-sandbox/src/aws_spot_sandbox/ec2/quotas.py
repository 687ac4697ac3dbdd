"""AWS's default quotas per region for the resources of a cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_spot_sandbox.http_types import AwsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from aws_spot_sandbox.ec2.region import Args, Check, Region

# name -> (AWS's default, the count in moto's backend, AWS's error code and message)
QUOTAS: dict[str, tuple[int, Callable[[Any], int], str, str]] = {
    "vpcs": (
        5,
        lambda backend: len(backend.vpcs),
        "VpcLimitExceeded",
        "The maximum number of VPCs has been reached.",
    ),
    "internet_gateways": (
        5,
        lambda backend: len(backend.internet_gateways),
        "InternetGatewayLimitExceeded",
        "The maximum number of internet gateways has been reached.",
    ),
    "elastic_ips": (
        5,
        lambda backend: len(backend.addresses),
        "AddressLimitExceeded",
        "The maximum number of addresses has been reached.",
    ),
    "security_groups": (
        2500,
        lambda backend: sum(map(len, backend.groups.values())),
        "SecurityGroupLimitExceeded",
        "The maximum number of security groups for this VPC has been reached.",
    ),
    "launch_templates": (
        5000,
        lambda backend: len(backend.launch_templates),
        "LaunchTemplateLimitExceeded",
        "The maximum number of launch templates has been reached.",
    ),
}
SUBNETS_PER_VPC = 200


def check(region: Region, name: str) -> None:
    default, count, code, message = QUOTAS[name]
    if count(region.backend) >= region.world.settings.quotas.get(name, default):
        raise AwsError(code, message)


def guard(name: str) -> Check:
    return lambda region, _args: check(region, name)


def check_subnets(region: Region, args: Args) -> None:
    """AWS's message, as recorded in boto#1904, terraform#3434, viya4-iac-aws, …. Such a zone is listed as available."""
    zone, closed = args.get("AvailabilityZone"), region.world.settings.zones_without_subnets
    if zone in closed:
        rest = ", ".join(sorted(set(region.zones()) - set(closed)))
        raise AwsError(
            "InvalidParameterValue",
            f"Value ({zone}) for parameter availabilityZone is invalid. Subnets can currently only be created in the "
            f"following availability zones: {rest}.",
        )
    count = sum(subnet.vpc_id == args.get("VpcId") for subnet in region.subnets())
    if count >= region.world.settings.quotas.get("subnets_per_vpc", SUBNETS_PER_VPC):
        raise AwsError("SubnetLimitExceeded", "The maximum number of subnets has been reached.")
