"""The Resource Groups Tagging API: tagged resources of most services, including deleted ones for hours.

AWS: Resource Groups Tagging API reference, GetResources ("tagged or previously tagged"); "Services that support": Auto
Scaling groups, IAM roles and IAM users are not supported.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from moto.backends import get_backend
from moto.core.resource_tagging import iter_taggable_backends

from aws_spot_sandbox.ec2 import paging, tags
from aws_spot_sandbox.http_types import AwsError, Call, Reply
from aws_spot_sandbox.state import ACCOUNT_ID

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from aws_spot_sandbox.ec2.region import Region
    from aws_spot_sandbox.http_types import Handler

TagsByArn = dict[str, dict[str, str]]  # ARN -> tags
_PAGE = 100
# Services of moto whose resource types have another name than the service.
_TYPES = {"catalog": "servicecatalog", "elasticloadbalancing": "elb", "lex": "lexv2"}


def answer(region: Region, call: Call, moto: Handler) -> Reply:
    """GetResources is implemented here; all else is left to moto."""
    if call.action != "GetResources":
        return moto(call)
    request = json.loads(call.body or b"{}")
    rows = [
        {"ResourceARN": arn, "Tags": [{"Key": key, "Value": value} for key, value in shown.items()]}
        for arn, shown in sorted(_everything(region, moto).items())
        if shown and _wanted(shown, request.get("TagFilters") or ())
    ]
    size = int(request.get("ResourcesPerPage") or _PAGE)
    if not 1 <= size <= _PAGE:
        raise AwsError("InvalidParameterException", f"ResourcesPerPage must be between 1 and {_PAGE}")
    start = paging.offset(request.get("PaginationToken"))
    token = paging.token(start + size) if start + size < len(rows) else ""
    body = {"ResourceTagMappingList": rows[start : start + size], "PaginationToken": token}
    return Reply(json.dumps(body).encode(), content_type="application/x-amz-json-1.1")


def _wanted(shown: Mapping[str, str], conditions: Iterable[Mapping[str, Any]]) -> bool:
    """Whether the resource has all keys, each with one of its values if the filter lists any."""
    return all(
        condition["Key"] in shown
        and (not condition.get("Values") or shown[condition["Key"]] in condition["Values"])
        for condition in conditions
    )


def _everything(region: Region, moto: Handler) -> TagsByArn:
    now = {**_of_ec2(region), **_events(region), **_other_services(region, moto)}
    stale_s = region.world.settings.tagging_stale_s
    for arn, shown in region.indexed.items():
        if arn not in now:
            region.vanished.setdefault(arn, (region.now(), shown))
    region.indexed = now
    old = {
        arn: shown
        for arn, (since, shown) in region.vanished.items()
        if arn not in now and region.now() - since < stale_s
    }
    return {**old, **now}


def _of_ec2(region: Region) -> TagsByArn:
    """From the index of DescribeTags; moto's lacks half of the resource types."""
    return {
        f"arn:aws:ec2:{region.name}:{ACCOUNT_ID}:{tags.kind_of(resource_id)}/{resource_id}": dict(shown)
        for resource_id, shown in tags.tags_by_id(region).items()
    }


def _events(region: Region) -> TagsByArn:
    """EventBridge's rules and buses, which moto omits."""
    backend = get_backend("events")[ACCOUNT_ID][region.name]
    buses = backend.event_buses.values()
    arns = [*(bus.arn for bus in buses), *(rule.arn for bus in buses for rule in bus.rules.values())]
    return {
        arn: {row["Key"]: row["Value"] for row in backend.tagger.list_tags_for_resource(arn)["Tags"]}
        for arn in arns
    }


def _bucket_here(region: Region, arn: str) -> bool:
    """A bucket is listed in its own region only; moto lists it in all."""
    buckets = get_backend("s3")[ACCOUNT_ID]["aws"].buckets
    name = arn.rpartition(":")[2]
    return name in buckets and buckets[name].region_name == region.name


def _type(arn: str) -> str:
    """`parameter`, `role` …; a bucket's ARN has its name alone."""
    service, name = arn.split(":")[2], arn.split(":", 5)[5]
    return "bucket" if service == "s3" else name.replace("/", ":").split(":")[0]


def _other_services(region: Region, moto: Handler) -> TagsByArn:
    shown: TagsByArn = {}
    hidden = region.world.settings.hidden_in_tags
    # Without those of EC2, which are in hundreds of moto's pages.
    services = {backend.SERVICE_NAMESPACE for backend in iter_taggable_backends(ACCOUNT_ID, region.name)}
    services |= {_TYPES[service] for service in services if service in _TYPES}
    services -= {"ec2"}
    if not services:
        return shown
    request = {"ResourcesPerPage": _PAGE, "ResourceTypeFilters": sorted(services)}
    token = ""
    while True:
        body = json.dumps({**request, **({"PaginationToken": token} if token else {})})
        reply = json.loads(moto(Call("tagging", region.name, "GetResources", body=body.encode())).body)
        for row in reply["ResourceTagMappingList"]:
            arn = row["ResourceARN"]
            service = arn.split(":")[2]
            if (
                _type(arn) not in hidden
                and service not in {"ec2", "events"}
                and (service != "s3" or _bucket_here(region, arn))
            ):
                # Moto omits an empty value.
                shown[arn] = {tag["Key"]: tag.get("Value", "") for tag in row["Tags"]}
        token = reply.get("PaginationToken") or ""
        if not token:
            return shown
