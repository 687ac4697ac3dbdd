"""Which regions to use when the configuration leaves it open: those where the cluster is already, then the best ranked."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING

from bacalhau_spot.core.error_catalog.categories import MORE_TYPES
from bacalhau_spot.core.partitions import partition_of
from bacalhau_spot.core.placement.offers import Suitability, ranked, suitability
from bacalhau_spot.core.problem import regions_by_failure

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from bacalhau_spot.core.placement.offers import Offers, RegionOffer
    from bacalhau_spot.core.problem import ApiFailure


class RegionReason(StrEnum):
    """Why a region was chosen, or was not."""

    PRESENT = "present"  # it has nodes of the cluster
    CHEAPEST = "cheapest"
    NOT_NEEDED = "left"  # its score is low, and there was no better one left
    MORE_EXPENSIVE = "dearer"
    LOW_SCORE = "low-score"
    NO_QUOTA = "no-room"
    NO_OFFER = "no-offer"


@dataclass(frozen=True, slots=True)
class RegionDecision:
    """The decision on one region and its metrics; None: unknown or not requested."""

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
    """The decision on every region: `count` are chosen, or fewer if there are not enough, each for `nodes` nodes.

    Regions that have nodes are kept: the choice of a complete cluster does not change. Regions whose quota has no room
    are not chosen.
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
    """No region was chosen: the reason and the fix."""

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


# --- What a user is told about the choice


def selection_notes(
    decisions: Sequence[RegionDecision], *, count: int, nodes: int, offers: Offers
) -> tuple[str, ...]:
    """Sentences for the user. `count` regions were wanted, each for `nodes` nodes."""
    return (
        *_fewer_than_asked(decisions, count=count),
        *_rejected(decisions, nodes=nodes),
        *_last_resort(decisions),
        *_missing_data(offers.partial_failures),
        *_refused("not considered:", offers.failed_regions),  # without metrics
    )


def _fewer_than_asked(decisions: Sequence[RegionDecision], *, count: int) -> tuple[str, ...]:
    chosen = sum(decision.chosen for decision in decisions)
    if not 0 < chosen < count:
        return ()
    return (
        f"only {chosen} of {count} regions could be chosen: the others have no quota, or none of the types",
    )


def _rejected(decisions: Sequence[RegionDecision], *, nodes: int) -> tuple[str, ...]:
    """Regions that are cheaper than the dearest chosen one."""
    priced = [
        (decision.usd_per_hour, decision) for decision in decisions if decision.usd_per_hour is not None
    ]
    dearest = max((usd for usd, decision in priced if decision.chosen), default=Decimal(0))
    words = [
        f"{decision.region} ({_reason(decision, nodes)})"
        for usd, decision in priced
        if usd < dearest and decision.reason in {RegionReason.NO_QUOTA, RegionReason.LOW_SCORE}
    ]
    return (f"cheaper, but not chosen: {', '.join(words)}",) if words else ()


def _reason(decision: RegionDecision, nodes: int) -> str:
    if decision.reason is RegionReason.NO_QUOTA:
        return f"its spot quota leaves room for {decision.quota_headroom} of {nodes} nodes"
    return f"placement score {decision.score} of 10"


def _last_resort(decisions: Sequence[RegionDecision]) -> tuple[str, ...]:
    words = [
        f"{decision.region} ({_reason(decision, 0)})"
        for decision in decisions
        if decision.reason is RegionReason.NOT_NEEDED
    ]
    return (f"chosen because no better region is available: {', '.join(words)}",) if words else ()


def _missing_data(silent: Sequence[ApiFailure]) -> tuple[str, ...]:
    """The data that the choice did without; one sentence for each error, whatever the number of regions."""
    return tuple(
        f"chosen without {_UNKNOWN.get(operation, operation)}"
        f"{_region_list(regions)}: AWS refused {operation} ({code})"
        for (operation, code), regions in regions_by_failure(silent, _refusal).items()
    )


def data_gaps(failures: Sequence[ApiFailure]) -> tuple[str, ...]:
    """Regions in which the cluster may have something all the same; one sentence a refusal."""
    return _refused("could not scan", failures)


def _refused(what: str, failures: Sequence[ApiFailure]) -> tuple[str, ...]:
    return tuple(
        f"{what} {', '.join(regions)}: AWS refused {operation} ({code})"
        for (operation, code), regions in regions_by_failure(failures, _refusal).items()
    )


def _refusal(failure: ApiFailure) -> tuple[str, str]:
    return failure.operation, failure.code


_UNKNOWN = {
    "GetSpotPlacementScores": "the placement scores",
    "GetServiceQuota": "the spot quotas",
    "DescribeInstances": "how much of the spot quotas is in use",
}


def _region_list(regions: Sequence[str]) -> str:
    named = [region for region in regions if region]
    if not named:
        return ""
    return f" of {named[0]}" if len(named) == 1 else f" of {len(named)} regions"
