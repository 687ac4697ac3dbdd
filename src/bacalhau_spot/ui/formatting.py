"""Numbers and names as people read them: one place for each."""

from __future__ import annotations

from datetime import timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING

from bacalhau_spot.core.error_catalog.classifier import CLOSED_ZONE, Category, classify

if TYPE_CHECKING:
    from collections.abc import Sequence

_MINUTE, _HOUR, _DAY = 60, 3600, 86400
# From here on fractions of a cent are noise.
_CENTS_FROM = Decimal(1)
_CENTS_FROM_SUM = Decimal("0.1")
_CENT, _FRACTION = Decimal("0.01"), Decimal("0.0001")

# Kinds whose usual name differs from EC2's, or whose plural is not formed with an s.
_PLURALS = {
    "dhcp-options": "DHCP option sets",
    "elastic-ip": "Elastic IP addresses",
    "policy": "policies",
    "vpc": "VPCs",
}
_SINGULARS = {
    "auto-scaling-group": "Auto Scaling group",
    "dhcp-options": "DHCP option set",
    "elastic-ip": "Elastic IP address",
    "instance-connect-endpoint": "Instance Connect endpoint",
    "natgateway": "NAT gateway",
    "network-acl": "network ACL",
    "spot-fleet-request": "spot fleet",
    "spot-instances-request": "spot request",
    "vpc": "VPC",
    "vpc-endpoint": "VPC endpoint",
    "vpc-flow-log": "flow log",
    "vpc-peering-connection": "peering connection",
}

# A fault in a table's cell, where its sentence has no room.
_FAULTS = {
    Category.CREDENTIALS: "credentials not accepted",
    Category.PERMISSION: "not allowed",
    Category.CONFIG: "wrong configuration",
    Category.QUOTA: "quota used up",
    Category.PRICE: "price above the limit",
    Category.CAPACITY: "no capacity",
    Category.AWS: "trouble at AWS",
    Category.NETWORK: "not reachable",
    Category.THROTTLED: "too many calls",
}


def usd(amount: Decimal) -> str:
    """`$0.0131`, `$1.52`, `$0`: four digits below a dollar, cents above; none of nothing."""
    if not amount:
        return "$0"
    return _usd_at(amount, _CENT if amount >= _CENTS_FROM else _FRACTION)


def usd_sum(amount: Decimal) -> str:
    """`$0.27`: of several things, in cents from ten cents on."""
    return _usd_at(amount, _CENT) if amount >= _CENTS_FROM_SUM else usd(amount)


def usd_range(low: Decimal, high: Decimal) -> str:
    """`$0.0651 to $0.1152`, `$0.94 to $2.11`: with the same decimals, cents unless the lower one would lose its value."""
    step = _CENT if high >= _CENTS_FROM and low >= _CENTS_FROM_SUM else _FRACTION
    texts = [_usd_at(amount, step) for amount in (low, high)] if high else [usd(low), usd(high)]
    return texts[0] if texts[0] == texts[1] else " to ".join(texts)


def _usd_at(amount: Decimal, step: Decimal) -> str:
    return f"${amount.quantize(step, rounding=ROUND_HALF_UP):,}"


def percent(part: Decimal) -> str:
    """`64 %`."""
    return f"{(part * 100).quantize(Decimal(1), rounding=ROUND_HALF_UP)} %"


def age(span: timedelta) -> str:
    """`45 s`, `3 min`, `2 h 5 min`, `4 d 1 h`."""
    seconds = max(0, int(span.total_seconds()))
    if seconds < _MINUTE:
        return f"{seconds} s"
    if seconds < _HOUR:
        return f"{seconds // _MINUTE} min"
    if seconds < _DAY:
        hours, rest = divmod(seconds, _HOUR)
        return f"{hours} h {rest // _MINUTE} min" if rest >= _MINUTE else f"{hours} h"
    days, rest = divmod(seconds, _DAY)
    return f"{days} d {rest // _HOUR} h" if rest >= _HOUR else f"{days} d"


def elapsed_text(seconds: float) -> str:
    """`41 s`, `2 min 41 s`, `1 h 5 min`: of a wait, in which seconds count."""
    whole = int(seconds)
    if whole < _MINUTE or whole >= _HOUR:
        return age(timedelta(seconds=whole))
    minutes, rest = divmod(whole, _MINUTE)
    return f"{minutes} min {rest} s" if rest else f"{minutes} min"


def plural(count: int, noun: str) -> str:
    """`1 instance`, `3 instances`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def kind_label(name: str) -> str:
    """`spot request`: the usual name of a resource kind."""
    return _SINGULARS.get(name, name.replace("-", " "))


def count_of_kind(count: int, name: str) -> str:
    """`1 spot request`, `3 security groups`: a kind of resource, counted."""
    label = kind_label(name)
    return f"{count} {label if count == 1 else _PLURALS.get(name, f'{label}s')}"


def comma_list(names: Sequence[str]) -> str:
    """`a, b and c`."""
    if len(names) < 2:  # noqa: PLR2004 - "and" needs two
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"


def first_few(names: Sequence[str], *, at_most: int = 3) -> str:
    """`a, b, c and 5 more`."""
    if len(names) <= at_most + 1:  # "and 1 more" takes the room of its name
        return ", ".join(names)
    return f"{', '.join(names[:at_most])} and {len(names) - at_most} more"


def error_label(code: str) -> str:
    """An AWS code in two or three words; the code itself where the catalogue has none."""
    if code == CLOSED_ZONE:
        return "no new subnets"
    return _FAULTS.get(classify(code).category, code)


def capitalized(text: str) -> str:
    """With a capital first letter; the rest is unchanged."""
    return text[:1].upper() + text[1:]


# Costs that no estimate contains: AWS bills them by usage.
IN_NO_SUM = (
    "data transfer (out, between regions and between zones), surplus CPU credits (`instance.cpu_credits: unlimited`), "
    "job results in S3, logs, snapshots, taxes, discounts"
)
