"""The Price List service: on-demand prices of instances, volumes and public addresses, with AWS's format and the
sandbox's prices.

AWS: Price List Service API Reference, GetProducts; Billing User Guide, "Using the AWS Price List Query API": three
regions have an endpoint; a page has at most 100 products, each a JSON document in a string. The list includes products
that a query must exclude, with similar names and other prices: other systems, tenancies, or capacity statuses; older
volume types; idle addresses.
"""

from __future__ import annotations

import hashlib
import json
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any

from botocore.loaders import Loader
from moto.ec2.models.instance_types import INSTANCE_TYPE_OFFERINGS, INSTANCE_TYPES

from aws_spot_sandbox.ec2 import catalog, paging, prices
from aws_spot_sandbox.http_types import AwsError, Call, ConnectionLost, Reply
from aws_spot_sandbox.regions import ENABLED_BY_DEFAULT, OPT_IN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from aws_spot_sandbox.state import World

ENDPOINTS = ("us-east-1", "eu-central-1", "ap-south-1")
JSON_TYPE = "application/x-amz-json-1.1"
_PAGE = 100
_TERM, _RATE = "JRTCKXETXF", "6YS6EN2CT7"  # on demand, per hour or month: the same in every product of AWS
_NAMES = {"AmazonEC2": "Amazon Elastic Compute Cloud", "AmazonVPC": "Amazon Virtual Private Cloud"}
# operatingSystem -> its name in spot prices, operation, licenseModel
_SYSTEMS = {
    "Linux": ("Linux/UNIX", "RunInstances", "No License required"),
    "RHEL": ("Red Hat Enterprise Linux", "RunInstances:0010", "No License required"),
    "SUSE": ("SUSE Linux", "RunInstances:000g", "No License required"),
    "Windows": ("Windows", "RunInstances:0002", "No License required"),
}
# tenancy -> price factor
_TENANCIES = {"Shared": 1.0, "Dedicated": 1.1}
# capacitystatus -> usage by tenancy, whether it has a price
_STATUSES = {
    "Used": ({"Shared": "BoxUsage", "Dedicated": "DedicatedUsage"}, True),
    "AllocatedCapacityReservation": ({"Shared": "Reservation", "Dedicated": "DedicatedRes"}, False),
    "UnusedCapacityReservation": ({"Shared": "UnusedBox", "Dedicated": "UnusedDed"}, True),
}
# volumeApiName -> volumeType, USD per GiB and month in the cheapest regions
_VOLUMES = {
    "gp3": ("General Purpose", "0.08"),
    "gp2": ("General Purpose", "0.10"),
    "io2": ("Provisioned IOPS", "0.125"),
    "st1": ("Throughput Optimized HDD", "0.045"),
}
_ADDRESSES = {
    "InUseAddress": ("Hourly charge for In-use Public IPv4 Addresses", "0.005"),
    "IdleAddress": ("Hourly charge for Idle Public IPv4 Addresses", "0.005"),
    "ContiguousBlock": (
        "Hourly charge for Amazon-provided contiguous Public IPv4 address in an IPAM Pool",
        "0.008",
    ),
}
# The region prefixes of usage types; AWS's names are older than its regions' codes
_PREFIXES = {
    "us-east-1": "USE1", "us-east-2": "USE2", "us-west-1": "USW1", "us-west-2": "USW2", "ca-central-1": "CAN1",
    "eu-west-1": "EU", "eu-west-2": "EUW2", "eu-west-3": "EUW3", "eu-central-1": "EUC1", "eu-north-1": "EUN1",
    "ap-northeast-1": "APN1", "ap-northeast-2": "APN2", "ap-northeast-3": "APN3", "ap-southeast-1": "APS1",
    "ap-southeast-2": "APS2", "ap-south-1": "APS3", "ap-east-1": "APE1", "sa-east-1": "SAE1", "me-south-1": "MES1",
    "af-south-1": "AFS1", "eu-south-1": "EUS1", "ca-west-1": "CAN2",
}  # fmt: skip
Attributes = dict[str, str]
Product = tuple[str, Attributes, Decimal, str]  # family, attributes, USD, unit


def answer(_world: World, call: Call) -> Reply:
    """GetProducts. A region without an endpoint does not answer."""
    if call.region not in ENDPOINTS:
        raise ConnectionLost
    if call.action != "GetProducts":
        raise AwsError("NotImplemented", f"the sandbox does not implement {call.name}", status=501)
    request = json.loads(call.body or b"{}")
    service = request.get("ServiceCode", "")
    if service not in _NAMES:
        raise AwsError("InvalidParameterException", f"Invalid service code: {service}")
    size = int(request.get("MaxResults") or _PAGE)
    if not 1 <= size <= _PAGE:
        raise AwsError("InvalidParameterException", f"MaxResults must be between 1 and {_PAGE}")
    filters = [(str(condition["Field"]), _test(condition)) for condition in request.get("Filters") or ()]
    start = _offset(request.get("NextToken"))
    rows: list[str] = []
    matching = _matching(service, filters)
    for index, product in enumerate(matching):
        if index >= start + size:
            token = paging.token(start + size)
            return _json({"FormatVersion": "aws_v1", "PriceList": rows, "NextToken": token})
        if index >= start:
            rows.append(_written(service, product))
    return _json({"FormatVersion": "aws_v1", "PriceList": rows})


def _json(body: Mapping[str, Any]) -> Reply:
    return Reply(json.dumps(body).encode(), content_type=JSON_TYPE)


def _offset(token: str | None) -> int:
    try:
        return paging.offset(token)
    except AwsError as wrong:
        raise AwsError("InvalidNextTokenException", wrong.message) from wrong


def _test(condition: Mapping[str, Any]) -> Callable[[str], bool]:
    kind, value = str(condition.get("Type")), str(condition.get("Value", ""))
    several = {part.strip() for part in value.split(",")}
    tests: dict[str, Callable[[str], bool]] = {
        "TERM_MATCH": lambda attribute: attribute == value,
        "EQUALS": lambda attribute: attribute == value,
        "CONTAINS": lambda attribute: value in attribute,
        "ANY_OF": lambda attribute: attribute in several,
        "NONE_OF": lambda attribute: attribute not in several,
    }
    if kind not in tests:
        raise AwsError("InvalidParameterException", f"Unknown filter type: {kind}")
    return tests[kind]


def _matching(service: str, filters: list[tuple[str, Callable[[str], bool]]]) -> Iterator[Product]:
    def passes(name: str, value: str) -> bool:
        return all(test(value) for field, test in filters if field == name)

    for region in sorted((*ENABLED_BY_DEFAULT, *OPT_IN)):
        if not passes("regionCode", region) or not passes("location", location(region)):
            continue
        for product in _products(service, region, passes):
            family, attributes, _, _ = product
            shown = {"productFamily": family, "serviceCode": service, **attributes}
            # a product without the field does not match
            if all(field in shown and test(shown[field]) for field, test in filters):
                yield product


def _products(service: str, region: str, passes: Callable[[str, str], bool]) -> Iterator[Product]:
    place = {
        "servicecode": service,
        "servicename": _NAMES[service],
        "location": location(region),
        "locationType": "AWS Region",
        "regionCode": region,
    }
    if service == "AmazonVPC":
        yield from _addresses(region, place)
        return
    if passes("productFamily", "Storage"):
        yield from _volumes(region, place)
    if passes("productFamily", "Compute Instance"):
        for name in _offered(region):
            if passes("instanceType", name):
                yield from _instances(region, name, place)


def _offered(region: str) -> Iterable[str]:
    rows = INSTANCE_TYPE_OFFERINGS["region"].get(region)
    if rows:
        return sorted(row["InstanceType"] for row in rows)
    return sorted(name for name in INSTANCE_TYPES if name.partition(".")[0] in catalog.FAMILIES_EVERYWHERE)


def _instances(region: str, name: str, place: Attributes) -> Iterator[Product]:
    linux = prices.on_demand(region, name)
    about = _about(name)
    for system, (spot_name, operation, licence) in _SYSTEMS.items():
        usd = linux + prices.LICENCES[spot_name] * catalog.vcpus(name)
        for tenancy, factor in _TENANCIES.items():
            for status, (usages, costs) in _STATUSES.items():
                attributes = {
                    **place,
                    **about,
                    "operatingSystem": system,
                    "tenancy": tenancy,
                    "capacitystatus": status,
                    "preInstalledSw": "NA",
                    "licenseModel": licence,
                    "operation": operation,
                    "marketoption": "OnDemand",
                    "usagetype": f"{_prefix(region)}{usages[tenancy]}:{name}",
                }
                price = Decimal(usd * factor if costs else 0).quantize(Decimal("0.0001"))
                yield "Compute Instance", attributes, price, "Hrs"


def _about(name: str) -> Attributes:
    info = catalog.type_info(name) or {}
    disks = info.get("InstanceStorageInfo", {}).get("TotalSizeInGB", 0)
    gib = Decimal(catalog.memory_mib(name)) / 1024
    return {
        "instanceType": name,
        "vcpu": str(catalog.vcpus(name)),
        "memory": f"{gib.normalize():f} GiB",
        "storage": f"{disks} GB" if disks else "EBS only",
        "currentGeneration": "Yes" if info.get("CurrentGeneration") else "No",
        "processorArchitecture": "64-bit",
        "networkPerformance": str(info.get("NetworkInfo", {}).get("NetworkPerformance", "")),
        "availabilityzone": "NA",
        "vpcnetworkingsupport": "true",
        "classicnetworkingsupport": "false",
    }


def _volumes(region: str, place: Attributes) -> Iterator[Product]:
    for api_name, (kind, usd) in _VOLUMES.items():
        attributes = {
            **place,
            "storageMedia": "HDD-backed" if api_name == "st1" else "SSD-backed",
            "volumeType": kind,
            "volumeApiName": api_name,
            "operation": "",
            "usagetype": f"{_prefix(region)}EBS:VolumeUsage.{api_name}",
        }
        price = (Decimal(usd) * Decimal(prices.place(region))).quantize(Decimal("0.0001"))
        yield "Storage", attributes, price, "GB-Mo"


def _addresses(region: str, place: Attributes) -> Iterator[Product]:
    """Public addresses have no product family, one price worldwide, and in us-east-1 a prefix that instances lack."""
    for kind, (description, usd) in _ADDRESSES.items():
        attributes = {
            **place,
            "group": "VPCPublicIPv4Address",
            "groupDescription": description,
            "operation": "",
            "usagetype": f"{_short(region)}-PublicIPv4:{kind}",
        }
        yield "", attributes, Decimal(usd), "Hrs"


def _short(region: str) -> str:
    continent, direction, number = region.split("-")
    return _PREFIXES.get(region) or f"{continent}{direction[0]}{number}".upper()


def _prefix(region: str) -> str:
    return "" if region == "us-east-1" else f"{_short(region)}-"


@cache
def location(region: str) -> str:
    """The region's name in the price list: Europe (Ireland) is EU (Ireland) there."""
    partition = Loader().load_data("endpoints")["partitions"][0]
    name = str(partition["regions"].get(region, {}).get("description", region))
    return name.replace("Europe (", "EU (")


def _written(service: str, product: Product) -> str:
    family, attributes, usd, unit = product
    digest = hashlib.sha256(json.dumps([service, attributes], sort_keys=True).encode()).hexdigest()
    sku = digest[:16].upper()
    offer, rate = f"{sku}.{_TERM}", f"{sku}.{_TERM}.{_RATE}"
    dimension = {
        "unit": unit,
        "endRange": "Inf",
        "description": f"${usd} per {attributes['usagetype']}",
        "appliesTo": [],
        "rateCode": rate,
        "beginRange": "0",
        "pricePerUnit": {"USD": f"{usd:.10f}"},
    }
    term = {
        "priceDimensions": {rate: dimension},
        "sku": sku,
        "effectiveDate": "2026-11-01T00:00:00Z",
        "offerTermCode": _TERM,
        "termAttributes": {},
    }
    return json.dumps(
        {
            "product": {
                **({"productFamily": family} if family else {}),
                "attributes": attributes,
                "sku": sku,
            },
            "serviceCode": service,
            "terms": {"OnDemand": {offer: term}},
            "version": "20261118005701",
            "publicationDate": "2026-11-18T00:57:01Z",
        }
    )
