"""What there is to say about a choice of regions: where fewer were found, where a cheaper one was passed over, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bacalhau_spot.core.placement.region_selection import RegionDecision, RegionReason
from bacalhau_spot.core.problem import regions_by_failure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bacalhau_spot.core.placement.offers import Offers
    from bacalhau_spot.core.problem import ApiFailure


def selection_notes(
    decisions: Sequence[RegionDecision], *, count: int, nodes: int, offers: Offers
) -> tuple[str, ...]:
    """Sentences for the user. `count` regions were wanted, each for `nodes` nodes."""
    return (
        *_fewer_than_asked(decisions, count=count),
        *_rejected(decisions, nodes=nodes),
        *_last_resort(decisions),
        *_missing_data(offers.partial_failures),
        *_refused("not considered:", offers.failed_regions),  # nobody could weigh them
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
    prices = [
        decision.usd_per_hour
        for decision in decisions
        if decision.chosen and decision.usd_per_hour is not None
    ]
    if not prices:
        return ()
    words = [
        f"{decision.region} ({_reason(decision, nodes)})"
        for decision in decisions
        if not decision.chosen
        and decision.usd_per_hour is not None
        and decision.usd_per_hour < max(prices)
        and decision.reason in {RegionReason.NO_QUOTA, RegionReason.LOW_SCORE}
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
    """What was not known when the choice was made; one sentence a refusal, however many regions refused."""
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
