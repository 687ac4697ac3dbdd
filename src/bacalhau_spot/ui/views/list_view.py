"""The list of a cluster's instances."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from rich.console import Group

from bacalhau_spot.core.lifecycle.drain_result import is_draining
from bacalhau_spot.ui.formatting import age, count_of_kind, plural
from bacalhau_spot.ui.state_styles import state_style
from bacalhau_spot.ui.views.blocks import Cell, Paragraph, TextTable, failed_regions_text, next_commands
from bacalhau_spot.ui.views.cost_line import cost_line
from bacalhau_spot.ui.views.drift_view import drift_lines
from bacalhau_spot.ui.views.expiry_view import expiry_line
from bacalhau_spot.ui.views.groups_view import groups_lines

if TYPE_CHECKING:
    from datetime import datetime

    from rich.console import RenderableType

    from bacalhau_spot.core.clusters.listing import Listing
    from bacalhau_spot.core.model import Instance

_NARROW = ("region", "zone", "instance", "type", "state", "age", "address")
_WIDE = (*_NARROW, "private", "lifecycle", "spot request", "image", "subnet")
# Columns to drop in a narrow window, in this order.
_SPARE = (
    "subnet",
    "image",
    "lifecycle",
    "spot request",
    "private",
    "age",
    "type",
    "state",
    "zone",
    "address",
)
_NOTHING = "-"


def listing_view(listing: Listing, *, wide: bool, now: datetime, configured: bool = True) -> Group:
    """A row an instance, the counts, and the regions that could not be scanned.

    `configured`: it is the configuration's cluster, which is the only one that `create` makes.
    """
    parts: list[RenderableType] = []
    if listing.instances:
        ordered = sorted(
            listing.instances, key=lambda instance: (instance.region, instance.zone, instance.id)
        )
        shown = TextTable(
            _columns(wide=wide),
            [_row(instance, wide=wide, now=now) for instance in ordered],
            right=("age",),
            spare=_SPARE,
        )
        alive = sum(instance.alive for instance in listing.instances)
        parts += [
            shown,
            Paragraph(_counts(listing), style="bold"),
            *drift_lines(listing.drifted, nodes=alive),
        ]
    elif listing.orchestrator is None:
        parts.append(Paragraph(f"no instances of {listing.cluster} in {_where(listing)}"))
    else:
        parts.append(Paragraph(f"no nodes of {listing.cluster}"))
    parts.extend(_orchestrator(listing, wide=wide, now=now))
    parts.extend(cost_line(listing.cost))
    parts.extend(expiry_line(listing.expiry, now=now))
    parts.extend(groups_lines(listing.groups))
    parts.extend(_others(listing, configured=configured))
    parts.extend(failed_regions_text(listing.failed_regions))
    return Group(*parts)


def _orchestrator(listing: Listing, *, wide: bool, now: datetime) -> list[RenderableType]:
    """Its own table below that of the nodes, which do not include it."""
    if listing.orchestrator is None:
        return []
    shown = TextTable(
        tuple("orchestrator" if head == "instance" else head for head in _columns(wide=wide)),
        [_row(listing.orchestrator, wide=wide, now=now)],
        right=("age",),
        spare=_SPARE,
    )
    return [Paragraph(""), shown]


def _others(listing: Listing, *, configured: bool) -> list[RenderableType]:
    """The resources besides instances. Without instances they are leftovers of an interrupted create, so the next
    command is shown.
    """
    if not listing.others:
        empty = configured and not _has_instances(listing) and not listing.failed_regions
        return [*next_commands(("bacalhau-spot create",))] if empty else []
    counts = Counter(resource.kind for resource in listing.others)
    kinds = ", ".join(count_of_kind(count, name) for name, count in sorted(counts.items()))
    regions = plural(len({resource.region for resource in listing.others}), "region")
    where = "other resources" if _has_instances(listing) else "resources"
    parts: list[RenderableType] = [Paragraph(f"{where} in {regions}: {kinds}", style="dim")]
    if not _has_instances(listing):
        parts.extend(next_commands(("bacalhau-spot destroy",), label="to remove everything: "))
    return parts


def _where(listing: Listing) -> str:
    """`17 regions`, or `13 of 17 regions; 4 were not scanned`: the sentence alone must not read as an empty cluster."""
    missing = len(listing.failed_regions)
    scanned = len(listing.regions_scanned)
    if not missing:
        return plural(scanned, "region")
    was = "was" if missing == 1 else "were"
    return f"{scanned} of {plural(scanned + missing, 'region')}; {missing} {was} not scanned"


def _has_instances(listing: Listing) -> bool:
    return bool(listing.instances) or listing.orchestrator is not None


def _columns(*, wide: bool) -> tuple[str, ...]:
    return _WIDE if wide else _NARROW


def _row(instance: Instance, *, wide: bool, now: datetime) -> list[str]:
    cells = [
        instance.region,
        instance.zone.removeprefix(instance.region),
        instance.id,
        instance.type,
        Cell(_state(instance), state_style(_state(instance))),
        age(now - instance.launched_at),
        instance.public_ip or _NOTHING,
    ]
    if wide:
        more = (
            instance.private_ip,
            instance.lifecycle,
            instance.spot_request_id,
            instance.image_id,
            instance.subnet_id,
        )
        cells += [cell or _NOTHING for cell in more]
    return cells


def _state(instance: Instance) -> str:
    """EC2's state, or that the node drains."""
    return "draining" if is_draining(instance) else str(instance.state)


def _counts(listing: Listing) -> str:
    states = Counter(_state(instance) for instance in listing.instances)
    regions = len({instance.region for instance in listing.instances})
    parts = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
    return f"{plural(len(listing.instances), 'instance')} in {plural(regions, 'region')}: {parts}"
