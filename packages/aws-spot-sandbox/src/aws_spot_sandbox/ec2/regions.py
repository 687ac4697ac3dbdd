"""Regions and zones, and those enabled for this account."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_spot_sandbox.ec2 import filters
from aws_spot_sandbox.http_types import AwsError
from aws_spot_sandbox.regions import ENABLED_BY_DEFAULT, OPT_IN

if TYPE_CHECKING:
    from aws_spot_sandbox.ec2.region import Answer, Args, Region

FILTERS: dict[str, filters.Getter[dict[str, Any]]] = {
    "endpoint": lambda row: row["Endpoint"],
    "opt-in-status": lambda row: row["OptInStatus"],
    "region-name": lambda row: row["RegionName"],
}


def describe_regions(region: Region, args: Args) -> Answer:
    """The enabled regions; all with AllRegions. A region that is not enabled can still be requested by name."""
    opted_in = region.world.settings.opted_in
    status = dict.fromkeys(ENABLED_BY_DEFAULT, "opt-in-not-required")
    status |= {name: "opted-in" if name in opted_in else "not-opted-in" for name in OPT_IN}
    rows = [
        {"RegionName": name, "OptInStatus": word, "Endpoint": f"ec2.{name}.amazonaws.com"}
        for name, word in sorted(status.items())
    ]
    names = args.get("RegionNames")
    for name in names or ():
        if name not in status:
            raise AwsError("InvalidParameterValue", f"Invalid region name {name}")
    if names:
        rows = [row for row in rows if row["RegionName"] in names]
    elif not args.get("AllRegions"):
        rows = [row for row in rows if row["OptInStatus"] != "not-opted-in"]
    return {"Regions": filters.select(rows, args.get("Filters"), FILTERS)}
