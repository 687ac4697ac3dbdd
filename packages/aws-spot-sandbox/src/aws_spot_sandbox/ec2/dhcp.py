"""DHCP options: moto drops the tags of the create call, and remembers a VPC that uses other options by now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_spot_sandbox.ec2 import filters, paging
from aws_spot_sandbox.ec2.tags import tags_of
from aws_spot_sandbox.http_types import AwsError
from aws_spot_sandbox.state import ACCOUNT_ID

if TYPE_CHECKING:
    from aws_spot_sandbox.ec2.region import Answer, Args, Region


def create_options(region: Region, args: Args) -> Answer:
    """AWS: EC2 API Reference, CreateDhcpOptions."""
    tags = tags_of(args, "dhcp-options")
    row = {str(one["Key"]).replace("-", "_"): one["Values"] for one in args.get("DhcpConfigurations") or ()}
    made = region.backend.create_dhcp_options(**row)
    region.set_tags(made.id, tags)
    return {"DhcpOptions": _described(region, made)}


def _described(region: Region, one: Any) -> dict[str, Any]:
    return {
        "DhcpOptionsId": one.id,
        "OwnerId": ACCOUNT_ID,
        "DhcpConfigurations": [
            {"Key": key, "Values": [{"Value": value} for value in values]}
            for key, values in one._options.items()  # noqa: SLF001 - moto exposes it nowhere else
            if values
        ],
        "Tags": region.tag_set(one.id),
    }


def describe_options(region: Region, args: Args) -> Answer:
    """AWS: EC2 API Reference, DescribeDhcpOptions."""
    known = region.backend.dhcp_options_sets
    wanted = args.get("DhcpOptionsIds")
    for one in wanted or ():
        if one not in known:
            raise AwsError("InvalidDhcpOptionID.NotFound", f"DhcpOptionID {one} does not exist.")
    found = [known[one] for one in wanted] if wanted else list(known.values())
    getters: dict[str, filters.Getter[Any]] = {"dhcp-options-id": lambda one: one.id}
    found = filters.select(found, args.get("Filters"), getters, lambda one: region.tags(one.id))
    page, token = paging.page(found, args, smallest=5)
    return {"DhcpOptions": [_described(region, one) for one in page], "NextToken": token}


def check_delete(region: Region, args: Args) -> None:
    """Clear moto's reference to a VPC that was deleted or uses other options by now."""
    for options in region.backend.dhcp_options_sets.values():
        if options.id == args.get("DhcpOptionsId") and options.vpc is not None:
            vpc = region.backend.vpcs.get(options.vpc.id)
            if vpc is None or vpc.dhcp_options is not options:
                options.vpc = None
