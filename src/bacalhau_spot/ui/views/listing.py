"""The list of a cluster's instances."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from rich.console import Group
from rich.text import Text

from bacalhau_spot.ui.views.text import next_commands, table
from bacalhau_spot.ui.words import age, listed, plural

if TYPE_CHECKING:
    from datetime import datetime

    from rich.console import RenderableType

    from bacalhau_spot.core.model import Instance
    from bacalhau_spot.core.receipt import Listing

_NARROW = ("region", "zone", "instance", "type", "state", "age", "address")
_WIDE = (*_NARROW, "private", "lifecycle", "spot request", "image", "subnet")
_NOTHING = "-"


def listing_view(listing: Listing, *, wide: bool, now: datetime) -> Group:
    """A row an instance, the counts, and the regions that could not be looked into."""
    parts: list[RenderableType] = []
    if listing.instances:
        shown = table(*(_WIDE if wide else _NARROW), right=("age",))
        for one in sorted(listing.instances, key=lambda one: (one.region, one.zone, one.id)):
            shown.add_row(*_row(one, wide=wide, now=now))
        parts += [shown, Text(_counts(listing), style="bold")]
    else:
        where = plural(len(listing.looked_into), "region")
        parts.append(Text(f"no instances of {listing.cluster} in {where}"))
        if not listing.unseen:
            parts.extend(next_commands(("bacalhau-spot create",)))
    if listing.unseen:
        regions = listed(sorted(problem.region for problem in listing.unseen))
        parts.append(Text(f"not looked into: {regions}", style="yellow"))
    return Group(*parts)


def _row(one: Instance, *, wide: bool, now: datetime) -> list[str]:
    cells = [
        one.region,
        one.zone.removeprefix(one.region),
        one.id,
        one.type,
        str(one.state),
        age(now - one.launched_at),
        one.public_ip or _NOTHING,
    ]
    if wide:
        more = (one.private_ip, one.lifecycle, one.spot_request_id, one.image_id, one.subnet_id)
        cells += [cell or _NOTHING for cell in more]
    return cells


def _counts(listing: Listing) -> str:
    states = Counter(str(one.state) for one in listing.instances)
    regions = len({one.region for one in listing.instances})
    parts = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
    return f"{plural(len(listing.instances), 'instance')} in {plural(regions, 'region')}: {parts}"
