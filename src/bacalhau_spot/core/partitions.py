"""AWS's partitions: their regions, and the names that differ between them.

Source: botocore's partitions.json; a test compares this table with it. The names of the consoles are in no AWS data:
AWS China user guide and AWS GovCloud (US) user guide, "Signing in"; those of the isolated partitions are not public.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Partition(NamedTuple):
    """`domains`: of its endpoints. `home`: the region of the global services."""

    id: str
    name: str
    home: str
    regions: tuple[str, ...]
    domains: tuple[str, ...]
    console: str = "console.aws.amazon.com"
    ec2_principal: str = "ec2.amazonaws.com"


COMMERCIAL = Partition(
    "aws",
    "AWS",
    "us-east-1",
    (
        *("af-south-1", "ap-east-1", "ap-east-2", "ap-northeast-1", "ap-northeast-2", "ap-northeast-3"),
        *("ap-south-1", "ap-south-2", "ap-southeast-1", "ap-southeast-2", "ap-southeast-3", "ap-southeast-4"),
        *("ap-southeast-5", "ap-southeast-6", "ap-southeast-7", "ca-central-1", "ca-west-1", "eu-central-1"),
        *("eu-central-2", "eu-north-1", "eu-south-1", "eu-south-2", "eu-west-1", "eu-west-2", "eu-west-3"),
        *(
            "il-central-1",
            "me-central-1",
            "me-south-1",
            "me-west-1",
            "mx-central-1",
            "sa-east-1",
            "sa-west-1",
        ),
        *("us-east-1", "us-east-2", "us-west-1", "us-west-2"),
    ),
    ("amazonaws.com", "api.aws"),
)
PARTITIONS = (
    COMMERCIAL,
    Partition(
        "aws-cn",
        "AWS China",
        "cn-northwest-1",
        ("cn-north-1", "cn-northwest-1"),
        ("amazonaws.com.cn", "api.amazonwebservices.com.cn"),
        console="console.amazonaws.cn",
        ec2_principal="ec2.amazonaws.com.cn",
    ),
    Partition(
        "aws-us-gov",
        "AWS GovCloud (US)",
        "us-gov-west-1",
        ("us-gov-east-1", "us-gov-west-1"),
        ("amazonaws.com", "api.aws"),
        console="console.amazonaws-us-gov.com",
    ),
    Partition(
        "aws-eusc",
        "the AWS European Sovereign Cloud",
        "eusc-de-east-1",
        ("eusc-de-east-1",),
        ("amazonaws.eu", "api.amazonwebservices.eu"),
        console="console.amazonaws-eusc.eu",
    ),
    Partition(
        "aws-iso",
        "AWS Top Secret",
        "us-iso-east-1",
        ("us-iso-east-1", "us-iso-west-1"),
        ("c2s.ic.gov", "api.aws.ic.gov"),
    ),
    Partition(
        "aws-iso-b",
        "AWS Secret",
        "us-isob-east-1",
        ("us-isob-east-1", "us-isob-west-1"),
        ("sc2s.sgov.gov", "api.aws.scloud"),
    ),
    Partition(
        "aws-iso-e",
        "AWS ISOE",
        "eu-isoe-west-1",
        ("eu-isoe-west-1",),
        ("cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"),
    ),
    Partition(
        "aws-iso-f",
        "AWS ISOF",
        "us-isof-south-1",
        ("us-isof-east-1", "us-isof-south-1"),
        ("csp.hci.ic.gov", "api.aws.hci.ic.gov"),
    ),
)
_BY_REGION = {region: partition for partition in PARTITIONS for region in partition.regions}
_BY_ID = {partition.id: partition for partition in PARTITIONS}


def partition_of(region: str) -> Partition:
    """Also of a region that is newer than the table, by the beginning of its name. Without any hint: the commercial one."""
    if region in _BY_REGION:
        return _BY_REGION[region]
    return next(
        (partition for partition in PARTITIONS if _prefix(region) in map(_prefix, partition.regions)),
        COMMERCIAL,
    )


def _prefix(region: str) -> str:
    """`cn`, `us-gov`, `us-isob`: the prefix of all region names of a partition; the commercial one has several, such as
    `eu`.
    """
    first, _, rest = region.partition("-")
    second = rest.partition("-")[0]
    return f"{first}-{second}" if second.startswith(("gov", "iso")) else first


def partition_in(arn: str) -> Partition:
    """The partition that an ARN names."""
    return _BY_ID.get(arn.split(":")[1] if arn.count(":") > 1 else "", COMMERCIAL)


def is_known(region: str) -> bool:
    return region in _BY_REGION


def closest_region(name: str, known: Iterable[str]) -> str:
    """The most similar region for an unknown name; empty without one. Swapped letters come before other differences."""
    close = difflib.get_close_matches(name, tuple(known), n=5)
    swapped = [region for region in close if sorted(region) == sorted(name)]
    return next(iter((*swapped, *close)), "")


def in_console(text: str, *, region: str) -> str:
    """`text` with the addresses of the console that the region's partition has."""
    return text.replace(COMMERCIAL.console, partition_of(region).console)


def region_advice(unknown: Sequence[str], disabled: Sequence[str], *, known: Sequence[str]) -> str:
    """The hint for regions that do not exist, and for those that are not enabled in the account. `known`: all regions."""
    advice = []
    foreign = [
        name for name in unknown if is_known(name) and partition_of(name) is not partition_of(known[0])
    ]
    if foreign:
        other = partition_of(foreign[0]).name
        advice.append(
            f"{foreign[0]} is in {other}, which has accounts of its own: use credentials of one with --profile"
        )
    elif unknown:
        close = closest_region(unknown[0], known)
        meant = f"did you mean {close}? " if close else ""
        listing = '`aws ec2 describe-regions --all-regions --query "Regions[].RegionName"` lists all'
        advice.append(f"correct {unknown[0]} ({meant}{listing})")
    if disabled:
        name = disabled[0]
        enable = f"`aws account enable-region --region-name {name}` (AWS takes minutes to hours)"
        advice.append(f"leave {name} out, or enable it with {enable}")
    return "; ".join(advice)
