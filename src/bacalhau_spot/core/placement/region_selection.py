"""Which regions to use when the configuration leaves it open: those where the cluster is already, then the best ranked."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from bacalhau_spot.core.error_catalog.categories import MORE_TYPES
from bacalhau_spot.core.partitions import partition_of
from bacalhau_spot.core.placement.offers import Suitability, ranked, suitability

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from decimal import Decimal

    from bacalhau_spot.core.placement.offers import RegionOffer


class RegionReason(StrEnum):
    """Why a region was chosen, or was not."""

    PRESENT = "present"  # the cluster is there
    CHEAPEST = "cheapest"
    NOT_NEEDED = "left"  # its score is low, and there was no better one left
    MORE_EXPENSIVE = "dearer"
    LOW_SCORE = "low-score"
    NO_QUOTA = "no-room"
    NO_OFFER = "no-offer"


@dataclass(frozen=True, slots=True)
class RegionDecision:
    """What became of one region, and what it was judged by; None: not known, or not asked."""

    region: str
    chosen: bool
    reason: RegionReason
    usd_per_hour: Decimal | None = None
    score: int | None = None
    quota_headroom: int | None = None


_CHOSEN = {Suitability.SUITABLE: RegionReason.CHEAPEST, Suitability.LOW_SCORE: RegionReason.NOT_NEEDED}
_REJECTED = {
    Suitability.SUITABLE: RegionReason.MORE_EXPENSIVE,
    Suitability.LOW_SCORE: RegionReason.LOW_SCORE,
    Suitability.NO_QUOTA: RegionReason.NO_QUOTA,
    Suitability.NO_PRICE: RegionReason.NO_OFFER,
}


def select_regions(
    count: int, *, present: Collection[str], offers: Sequence[RegionOffer], nodes: int
) -> tuple[RegionDecision, ...]:
    """What becomes of every region: `count` are chosen, or fewer where there are not so many, each to take `nodes` nodes.

    Where the cluster has nodes it stays: the choice of a reached state is itself. Where the quota leaves no room for the
    nodes none are sent.
    """
    known = {offer.region: offer for offer in offers}
    kept = sorted(present)[:count]
    decisions = [_choice(known.get(name), name, chosen=True, reason=RegionReason.PRESENT) for name in kept]
    for offer in ranked((offer for offer in offers if offer.region not in kept), nodes=nodes):
        what = suitability(offer, nodes)
        chosen = what in _CHOSEN and sum(decision.chosen for decision in decisions) < count
        reason = _CHOSEN[what] if chosen else _REJECTED[what]
        decisions.append(_choice(offer, offer.region, chosen=chosen, reason=reason))
    return tuple(decisions)


def _choice(offer: RegionOffer | None, region: str, *, chosen: bool, reason: RegionReason) -> RegionDecision:
    if offer is None:
        return RegionDecision(region, chosen, reason)
    return RegionDecision(region, chosen, reason, offer.usd_per_hour, offer.score, offer.quota_headroom)


def selected_names(decisions: Sequence[RegionDecision]) -> tuple[str, ...]:
    """The names of the chosen ones, by name."""
    return tuple(sorted(decision.region for decision in decisions if decision.chosen))


@dataclass(frozen=True, slots=True)
class NoRegion:
    """No region was chosen: why not, and what to do."""

    reason: RegionReason
    message: str
    hint: str


def _console(decisions: Sequence[RegionDecision]) -> str:
    partition = partition_of(decisions[0].region)
    return f"{partition.home}.{partition.console}"


def explain_no_region(decisions: Sequence[RegionDecision]) -> NoRegion | None:
    """None when at least one is chosen."""
    if selected_names(decisions):
        return None
    if any(decision.reason is RegionReason.NO_QUOTA for decision in decisions):
        return NoRegion(
            RegionReason.NO_QUOTA,
            "in no enabled region the account's quota for spot instances leaves room for the nodes",
            "`bacalhau-spot offers --by region` shows how much there is in each: set fewer `nodes`, more regions under "
            f"`regions`, or ask AWS for more at https://{_console(decisions)}/servicequotas/home/services/ec2/quotas",
        )
    return NoRegion(
        RegionReason.NO_OFFER,
        "no enabled region offers the configured instance types",
        f"change `instance_types`: {MORE_TYPES} shows the capacity of each region",
    )
