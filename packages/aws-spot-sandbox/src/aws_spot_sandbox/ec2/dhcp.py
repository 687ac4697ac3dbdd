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
    row = {
        str(configuration["Key"]).replace("-", "_"): configuration["Values"]
        for configuration in args.get("DhcpConfigurations") or ()
    }
    options = region.backend.create_dhcp_options(**row)
    region.set_tags(options.id, tags)
    return {"DhcpOptions": _described(region, options)}


def _described(region: Region, options: Any) -> dict[str, Any]:
    return {
        "DhcpOptionsId": options.id,
        "OwnerId": ACCOUNT_ID,
        "DhcpConfigurations": [
            {"Key": key, "Values": [{"Value": value} for value in values]}
            for key, values in options._options.items()  # noqa: SLF001 - moto exposes it nowhere else
            if values
        ],
        "Tags": region.tag_set(options.id),
    }


def describe_options(region: Region, args: Args) -> Answer:
    """AWS: EC2 API Reference, DescribeDhcpOptions."""
    known = region.backend.dhcp_options_sets
    wanted = args.get("DhcpOptionsIds")
    for options_id in wanted or ():
        if options_id not in known:
            raise AwsError("InvalidDhcpOptionID.NotFound", f"DhcpOptionID {options_id} does not exist.")
    rows = [known[options_id] for options_id in wanted] if wanted else list(known.values())
    getters: dict[str, filters.Getter[Any]] = {"dhcp-options-id": lambda options: options.id}
    rows = filters.select(rows, args.get("Filters"), getters, lambda options: region.tags(options.id))
    page, token = paging.page(rows, args, smallest=5)
    return {"DhcpOptions": [_described(region, options) for options in page], "NextToken": token}


def check_delete(region: Region, args: Args) -> None:
    """Clear moto's reference to a VPC that was deleted or uses other options by now."""
    for options in region.backend.dhcp_options_sets.values():
        if options.id == args.get("DhcpOptionsId") and options.vpc is not None:
            vpc = region.backend.vpcs.get(options.vpc.id)
            if vpc is None or vpc.dhcp_options is not options:
                options.vpc = None
