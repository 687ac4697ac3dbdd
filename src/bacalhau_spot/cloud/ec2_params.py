"""EC2's formats for tags, filters and prices."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bacalhau_spot.core.tags import Scope


_NO_PRICE = 1_000_000  # the most expensive type costs some hundreds per hour
_LONGEST_PRICE = 40  # the Price List has ten decimals

VPC_LINUX = "Linux/UNIX (Amazon VPC)"
LINUX = ["Linux/UNIX", VPC_LINUX]


def linux_prices(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each pool's prices under one description: the VPC one if AWS returns both (karpenter-provider-aws#2568: the
    account's age determines which it has).
    """
    vpc = {_pool(row) for row in rows if row.get("ProductDescription") == VPC_LINUX}
    return [row for row in rows if row.get("ProductDescription") == VPC_LINUX or _pool(row) not in vpc]


def _pool(row: dict[str, Any]) -> tuple[str, str]:
    return row["InstanceType"], row["AvailabilityZone"]


def parse_usd(text: str) -> Decimal:
    """A price in AWS's format. Raises ValueError for a text that is not a number, negative, infinite or out of range."""
    price = Decimal(text) if len(text) <= _LONGEST_PRICE else Decimal("NaN")
    if not price.is_finite() or not 0 <= price < _NO_PRICE:
        raise ValueError(f"not a price in USD: {text[:_LONGEST_PRICE]}")
    return price


def tag_filter(key: str, value: str) -> list[dict[str, Any]]:
    """Matches resources whose tag has exactly this value. EC2's filters have wildcards, which are escaped."""
    return [{"Name": f"tag:{key}", "Values": [escape(value)]}]


def scope_filter(scope: Scope) -> list[dict[str, Any]]:
    """Matches the resources of one cluster; otherwise all that have the key, which are checked again later."""
    if scope.one_cluster:
        return tag_filter(scope.key, scope.value)
    return [{"Name": "tag-key", "Values": [escape(scope.key)]}]


def escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace("*", "\\*").replace("?", "\\?")


def tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]


def specification(kind: str, tags: Mapping[str, str]) -> list[dict[str, Any]]:
    """Tags for a create call."""
    return [{"ResourceType": kind, "Tags": tag_list(tags)}]


def tags_of(row: dict[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in row.get("Tags", ())}
