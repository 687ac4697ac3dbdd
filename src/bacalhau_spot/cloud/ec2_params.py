"""The shapes that EC2 wants tags and filters in, and in which it answers prices."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bacalhau_spot.core.tags import Scope


# Under which of the two an account's prices stand depends on its age (karpenter-provider-aws#2568).
_NO_PRICE = 1_000_000  # the dearest type costs some hundreds an hour
_LONGEST_PRICE = 40  # the Price List writes ten decimals

VPC_LINUX = "Linux/UNIX (Amazon VPC)"
LINUX = ["Linux/UNIX", VPC_LINUX]


def linux_prices(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of each pool the prices under one description: the VPC one where AWS answers with both."""
    vpc = {_pool(row) for row in rows if row.get("ProductDescription") == VPC_LINUX}
    return [row for row in rows if row.get("ProductDescription") == VPC_LINUX or _pool(row) not in vpc]


def _pool(row: dict[str, Any]) -> tuple[str, str]:
    return row["InstanceType"], row["AvailabilityZone"]


def parse_usd(text: str) -> Decimal:
    """A price as AWS writes it. Raises ValueError for what can be none: no number, negative, not finite, without measure."""
    price = Decimal(text) if len(text) <= _LONGEST_PRICE else Decimal("NaN")
    if not price.is_finite() or not 0 <= price < _NO_PRICE:
        raise ValueError(f"not a price in USD: {text[:_LONGEST_PRICE]}")
    return price


def tag_filter(key: str, value: str) -> list[dict[str, Any]]:
    """Matches resources whose tag has exactly this value. EC2's filters know wildcards, so they are escaped."""
    return [{"Name": f"tag:{key}", "Values": [escape(value)]}]


def scope_filter(scope: Scope) -> list[dict[str, Any]]:
    """Matches what a teardown takes, and with a creator also what only shows the key: it is looked at closely later."""
    if scope.creator is None:
        return tag_filter(scope.key, scope.value)
    return [{"Name": "tag-key", "Values": [escape(scope.key)]}]


def escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace("*", "\\*").replace("?", "\\?")


def tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]


def specification(kind: str, tags: Mapping[str, str]) -> list[dict[str, Any]]:
    """Tags for one create call, from birth."""
    return [{"ResourceType": kind, "Tags": tag_list(tags)}]


def tags_of(row: dict[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in row.get("Tags", ())}
