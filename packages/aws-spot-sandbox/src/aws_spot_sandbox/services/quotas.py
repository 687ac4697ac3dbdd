"""Service Quotas: the account's quotas of EC2 and VPC per region, from the switches, else AWS's defaults.

AWS: Service Quotas API Reference; the codes are those of the Service Quotas console. Limits that the sandbox does not
enforce are listed with AWS's default. A quota of vCPUs without a switch is UNLIMITED, because the sandbox does not enforce
one then.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aws_spot_sandbox.ec2 import paging
from aws_spot_sandbox.ec2.quotas import QUOTAS, SUBNETS_PER_VPC
from aws_spot_sandbox.ec2.spot_quotas import FAMILIES, ON_DEMAND_FAMILIES, allowed
from aws_spot_sandbox.http_types import AwsError, Call, Reply
from aws_spot_sandbox.state import ACCOUNT_ID

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aws_spot_sandbox.state import Settings, World

UNLIMITED = 100_000
JSON_TYPE = "application/x-amz-json-1.1"
_NAMES = {
    "ec2": "Amazon Elastic Compute Cloud (Amazon EC2)",
    "vpc": "Amazon Virtual Private Cloud (Amazon VPC)",
}
_PAGE = 100


@dataclass(frozen=True)
class Quota:
    service: str
    code: str
    name: str
    default: int
    switch: str = ""  # its key in the switch `quotas`
    family: str = ""  # of instances, spot or on-demand
    spot: bool = True
    adjustable: bool = True


def _table() -> tuple[Quota, ...]:
    spot = [
        Quota("ec2", family.code, family.name, family.default, family=word)
        for word, family in FAMILIES.items()
    ]
    on_demand = [
        Quota("ec2", family.code, family.name, family.default, family=word, spot=False)
        for word, family in ON_DEMAND_FAMILIES.items()
    ]
    return (
        *spot,
        *on_demand,
        Quota("ec2", "L-0263D0A3", "EC2-VPC Elastic IPs", QUOTAS["elastic_ips"][0], "elastic_ips"),
        Quota("vpc", "L-F678F1CE", "VPCs per Region", QUOTAS["vpcs"][0], "vpcs"),
        Quota(
            "vpc",
            "L-A4707A72",
            "Internet gateways per Region",
            QUOTAS["internet_gateways"][0],
            "internet_gateways",
        ),
        Quota("vpc", "L-407747CB", "Subnets per VPC", SUBNETS_PER_VPC, "subnets_per_vpc"),
        Quota(
            "vpc",
            "L-E79EC296",
            "VPC security groups per Region",
            QUOTAS["security_groups"][0],
            "security_groups",
        ),
        Quota("vpc", "L-0EA8095F", "Inbound or outbound rules per security group", 60),
        Quota("vpc", "L-2AFB9258", "Security groups per network interface", 5),
        Quota("vpc", "L-DF5E4CA3", "Network interfaces per Region", 5000),
    )


TABLE = _table()


def answer(world: World, call: Call) -> Reply:
    request = json.loads(call.body or b"{}")
    actions: Mapping[str, Callable[[Settings, str, Mapping[str, Any]], dict[str, Any]]] = {
        "GetServiceQuota": _applied_one,
        "GetAWSDefaultServiceQuota": _default_one,
        "ListServiceQuotas": _applied_all,
        "ListAWSDefaultServiceQuotas": _default_all,
    }
    if call.action not in actions:
        raise AwsError("NotImplemented", f"the sandbox does not implement {call.name}", status=501)
    body = actions[call.action](world.settings, call.region, request)
    return Reply(json.dumps(body).encode(), content_type=JSON_TYPE)


def _applied_one(settings: Settings, region: str, request: Mapping[str, Any]) -> dict[str, Any]:
    quota = _requested_quota(request)
    return {"Quota": _row(quota, region, _applied(quota, settings, region))}


def _default_one(_settings: Settings, region: str, request: Mapping[str, Any]) -> dict[str, Any]:
    quota = _requested_quota(request)
    return {"Quota": _row(quota, region, quota.default)}


def _applied_all(settings: Settings, region: str, request: Mapping[str, Any]) -> dict[str, Any]:
    return _page(request, [_row(quota, region, _applied(quota, settings, region)) for quota in _all(request)])


def _default_all(_settings: Settings, region: str, request: Mapping[str, Any]) -> dict[str, Any]:
    return _page(request, [_row(quota, region, quota.default) for quota in _all(request)])


def _all(request: Mapping[str, Any]) -> list[Quota]:
    quotas = [quota for quota in TABLE if quota.service == request.get("ServiceCode")]
    if not quotas:
        raise _nothing("service")
    code = request.get("QuotaCode")
    return [quota for quota in quotas if code in (None, quota.code)]


def _requested_quota(request: Mapping[str, Any]) -> Quota:
    quotas = [quota for quota in _all(request) if quota.code == request.get("QuotaCode")]
    if not quotas:
        raise _nothing("quota")
    return quotas[0]


def _nothing(what: str) -> AwsError:
    return AwsError(
        "NoSuchResourceException", f"The request failed because the specified {what} does not exist."
    )


def _applied(quota: Quota, settings: Settings, region: str) -> int:
    if quota.family:
        limit = allowed(settings, region, quota.family, spot=quota.spot)
        return UNLIMITED if limit is None else limit
    return settings.quotas.get(quota.switch, quota.default)


def _page(request: Mapping[str, Any], rows: list[dict[str, Any]]) -> dict[str, Any]:
    size = int(request.get("MaxResults") or _PAGE)
    if not 1 <= size <= _PAGE:
        raise AwsError("IllegalArgumentException", f"MaxResults must be between 1 and {_PAGE}.")
    try:
        start = paging.offset(request.get("NextToken"))
    except AwsError as wrong:
        raise AwsError("InvalidPaginationTokenException", wrong.message) from wrong
    more = {"NextToken": paging.token(start + size)} if start + size < len(rows) else {}
    return {"Quotas": rows[start : start + size], **more}


def _row(quota: Quota, region: str, value: float) -> dict[str, Any]:
    return {
        "ServiceCode": quota.service,
        "ServiceName": _NAMES[quota.service],
        "QuotaArn": f"arn:aws:servicequotas:{region}:{ACCOUNT_ID}:{quota.service}/{quota.code}",
        "QuotaCode": quota.code,
        "QuotaName": quota.name,
        "Value": float(value),
        "Unit": "None",
        "Adjustable": quota.adjustable,
        "GlobalQuota": False,
        "QuotaAppliedAtLevel": "ACCOUNT",
    }
