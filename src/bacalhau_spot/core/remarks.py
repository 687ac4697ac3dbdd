"""What there is to say about a choice of regions: where fewer were found, where a cheaper one was passed over, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bacalhau_spot.core.choose import Choice, Reason
from bacalhau_spot.core.receipt import regions_by

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bacalhau_spot.core.offers import Offers
    from bacalhau_spot.core.receipt import Problem


def remarks_on(choices: Sequence[Choice], *, count: int, nodes: int, offers: Offers) -> tuple[str, ...]:
    """Sentences for the user. `count` regions were wanted, each for `nodes` nodes."""
    return (
        *_fewer(choices, count=count),
        *_passed_over(choices, nodes=nodes),
        *_last_resort(choices),
        *_not_told(offers.silent),
        *_refused("not considered:", offers.unseen),  # nobody could weigh them
    )


def _fewer(choices: Sequence[Choice], *, count: int) -> tuple[str, ...]:
    chosen = sum(choice.chosen for choice in choices)
    if not 0 < chosen < count:
        return ()
    return (
        f"only {chosen} of {count} regions could be chosen: the others have no quota, or none of the types",
    )


def _passed_over(choices: Sequence[Choice], *, nodes: int) -> tuple[str, ...]:
    """Regions that are cheaper than the dearest chosen one."""
    prices = [one.usd_per_hour for one in choices if one.chosen and one.usd_per_hour is not None]
    if not prices:
        return ()
    words = [
        f"{one.region} ({_why(one, nodes)})"
        for one in choices
        if not one.chosen
        and one.usd_per_hour is not None
        and one.usd_per_hour < max(prices)
        and one.reason in {Reason.NO_ROOM, Reason.LOW_SCORE}
    ]
    return (f"cheaper, but not chosen: {', '.join(words)}",) if words else ()


def _why(one: Choice, nodes: int) -> str:
    if one.reason is Reason.NO_ROOM:
        return f"its spot quota leaves room for {one.room} of {nodes} nodes"
    return f"placement score {one.score} of 10"


def _last_resort(choices: Sequence[Choice]) -> tuple[str, ...]:
    words = [f"{one.region} ({_why(one, 0)})" for one in choices if one.reason is Reason.LEFT]
    return (f"chosen for want of better ones: {', '.join(words)}",) if words else ()


def _not_told(silent: Sequence[Problem]) -> tuple[str, ...]:
    """What was not known when the choice was made; one sentence a refusal, however many regions refused."""
    return tuple(
        f"chosen without knowing {_UNKNOWN.get(operation, operation)}"
        f"{_places(regions)}: AWS refused {operation} ({code})"
        for (operation, code), regions in regions_by(silent, _refusal).items()
    )


def blind_spots(problems: Sequence[Problem]) -> tuple[str, ...]:
    """Regions in which the cluster may have something all the same; one sentence a refusal."""
    return _refused("could not look into", problems)


def _refused(what: str, problems: Sequence[Problem]) -> tuple[str, ...]:
    return tuple(
        f"{what} {', '.join(regions)}: AWS refused {operation} ({code})"
        for (operation, code), regions in regions_by(problems, _refusal).items()
    )


def _refusal(problem: Problem) -> tuple[str, str]:
    return problem.operation, problem.code


_UNKNOWN = {
    "GetSpotPlacementScores": "the placement scores",
    "GetServiceQuota": "the spot quotas",
    "DescribeInstances": "how much of the spot quotas is in use",
}


def _places(regions: Sequence[str]) -> str:
    named = [region for region in regions if region]
    if not named:
        return ""
    return f" of {named[0]}" if len(named) == 1 else f" of {len(named)} regions"
