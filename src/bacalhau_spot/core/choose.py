"""Which regions to use when the configuration leaves it open: those where the cluster is already, then the best ranked."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from bacalhau_spot.core.offers import Standing, ranked, standing
from bacalhau_spot.core.partitions import partition_of
from bacalhau_spot.core.verdicts.kinds import MORE_TYPES

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from decimal import Decimal

    from bacalhau_spot.core.offers import RegionOffer


class Reason(StrEnum):
    """Why a region was chosen, or was not."""

    PRESENT = "present"  # the cluster is there
    CHEAPEST = "cheapest"
    LEFT = "left"  # its score is low, and there was no better one left
    DEARER = "dearer"
    LOW_SCORE = "low-score"
    NO_ROOM = "no-room"
    NO_OFFER = "no-offer"


@dataclass(frozen=True, slots=True)
class Choice:
    """What became of one region, and what it was judged by; None: not known, or not asked."""

    region: str
    chosen: bool
    reason: Reason
    usd_per_hour: Decimal | None = None
    score: int | None = None
    room: int | None = None


_CHOSEN = {Standing.FIT: Reason.CHEAPEST, Standing.LOW_SCORE: Reason.LEFT}
_PASSED = {
    Standing.FIT: Reason.DEARER,
    Standing.LOW_SCORE: Reason.LOW_SCORE,
    Standing.NO_ROOM: Reason.NO_ROOM,
    Standing.NO_PRICE: Reason.NO_OFFER,
}


def choose(
    count: int, *, present: Collection[str], offers: Sequence[RegionOffer], nodes: int
) -> tuple[Choice, ...]:
    """What becomes of every region: `count` are chosen, or fewer where there are not so many, each to take `nodes` nodes.

    Where the cluster has nodes it stays: the choice of a reached state is itself. Where the quota leaves no room for the
    nodes none are sent.
    """
    known = {one.region: one for one in offers}
    kept = sorted(present)[:count]
    choices = [_choice(known.get(name), name, chosen=True, reason=Reason.PRESENT) for name in kept]
    for one in ranked((one for one in offers if one.region not in kept), nodes=nodes):
        what = standing(one, nodes)
        chosen = what in _CHOSEN and sum(choice.chosen for choice in choices) < count
        reason = _CHOSEN[what] if chosen else _PASSED[what]
        choices.append(_choice(one, one.region, chosen=chosen, reason=reason))
    return tuple(choices)


def _choice(offer: RegionOffer | None, region: str, *, chosen: bool, reason: Reason) -> Choice:
    if offer is None:
        return Choice(region, chosen, reason)
    return Choice(region, chosen, reason, offer.usd_per_hour, offer.score, offer.room)


def chosen_names(choices: Sequence[Choice]) -> tuple[str, ...]:
    """The names of the chosen ones, by name."""
    return tuple(sorted(choice.region for choice in choices if choice.chosen))


@dataclass(frozen=True, slots=True)
class Nowhere:
    """No region was chosen: why not, and what to do."""

    reason: Reason
    what: str
    hint: str


def _console(choices: Sequence[Choice]) -> str:
    partition = partition_of(choices[0].region)
    return f"{partition.home}.{partition.console}"


def nowhere(choices: Sequence[Choice]) -> Nowhere | None:
    """None when at least one is chosen."""
    if chosen_names(choices):
        return None
    if any(choice.reason is Reason.NO_ROOM for choice in choices):
        return Nowhere(
            Reason.NO_ROOM,
            "in no enabled region the account's quota for spot instances leaves room for the nodes",
            "`bacalhau-spot offers --by region` shows how much there is in each: set fewer `nodes`, more regions under "
            f"`regions`, or ask AWS for more at https://{_console(choices)}/servicequotas/home/services/ec2/quotas",
        )
    return Nowhere(
        Reason.NO_OFFER,
        "no enabled region offers the configured instance types",
        f"change `instance_types`: {MORE_TYPES} shows what can be had where",
    )
