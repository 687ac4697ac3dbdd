"""`offers --write`: writes the best regions, and the selected types, into the configuration."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from bacalhau_spot import config as configuration
from bacalhau_spot import files
from bacalhau_spot.cli.runtime.shared_options import AT_LEAST_ONE, Yes
from bacalhau_spot.core.launch.refusals import unsuitable_markets
from bacalhau_spot.core.model import RegionSpec
from bacalhau_spot.core.placement.offers import Suitability, sort_pools, suitability
from bacalhau_spot.engine.launch.facts_gathering import refusal_error
from bacalhau_spot.engine.placement.market import markets
from bacalhau_spot.errors import ExitCode, UserError
from bacalhau_spot.ui import views
from bacalhau_spot.ui.formatting import plural
from bacalhau_spot.ui.prompts import Impact

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rich.console import RenderableType

    from bacalhau_spot.cli.runtime.context import CommandContext
    from bacalhau_spot.cli.runtime.runner import Runner
    from bacalhau_spot.core.model import ClusterSpec
    from bacalhau_spot.core.placement.offers import Offers
    from bacalhau_spot.ui.json_output.offers import WrittenOfferOutput

# EC2 user guide, "Best practices for Amazon EC2 Spot": be flexible across at least ten instance types.
_MOST_TYPES = 10


@Parameter(name="*")
@dataclass(frozen=True)
class WriteOptions:
    """Options for writing the choice into the configuration."""

    write: Annotated[bool, Parameter(name="--write", negative="")] = False
    """Write the best regions and the selected types into the configuration. Shows the change and asks."""

    count: Annotated[int | None, AT_LEAST_ONE, Parameter(name="--count", metavar="REGIONS")] = None
    """With --write: number of regions (default: as many as in the configuration, or in --region)."""

    dry_run: Annotated[bool, Parameter(name=["--dry-run", "-n"], negative="")] = False
    """With --write: show the change and stop."""

    yes: Yes = False
    """With --write: do not ask."""


NO_WRITE = WriteOptions()


@dataclass(frozen=True)
class WriteResult:
    """The change of the configuration, as a view and as data."""

    view: RenderableType
    data: WrittenOfferOutput


def write_choice(
    context: CommandContext,
    runner: Runner,
    spec: ClusterSpec,
    offers: Offers,
    *,
    writing: WriteOptions,
    count: int,
    types: bool,
) -> WriteResult:
    """Raises UserError if no regions can be chosen, if types and images do not match, or if the user declines.

    `types`: instance types were selected on the command line, so they are part of the choice.
    """
    if offers.failed_regions and not offers.regions:
        raise context.errors_of(offers.failed_regions, exit_code=offers.exit_code)[0]
    regions = _best(offers, count=count, now=[region.name for region in spec.regions])
    names = _cheapest_types(offers, regions) if types else ()
    _check(runner, spec, regions, names)
    context.print_status(views.offers_view(replace(offers, pools=()), by_region=True, ranked=True, more=0))
    edit = _edit(context, regions, names)
    data: WrittenOfferOutput = {
        "path": str(edit.path),
        "regions": list(regions),
        "instance_types": list(names) if types else None,
        "changed": edit.changes and not writing.dry_run,
        "diff": edit.diff,
    }
    return WriteResult(_write(context, edit, regions, writing=writing), data)


@dataclass(frozen=True, slots=True)
class _Edit:
    """The file before and after. `new`: it does not exist yet."""

    path: Path
    text: str
    diff: str
    new: bool

    @property
    def changes(self) -> bool:
        return self.new or bool(self.diff)


def _edit(context: CommandContext, regions: Sequence[str], names: Sequence[str]) -> _Edit:
    path = context.config_path_or_default()
    new = not files.path_exists(path)
    before = configuration.template() if new else configuration.read_config_text(path)
    after = _text(before, regions, names, file=path.name)
    return _Edit(path, after, _change(before, after, path), new)


def _write(
    context: CommandContext, edit: _Edit, regions: Sequence[str], *, writing: WriteOptions
) -> RenderableType:
    """Shows the change, asks, and writes it. Raises UserError if the user declines."""
    if not edit.changes:
        return views.sentence_text(f"{edit.path} has these values already")
    context.print_status(views.raw(edit.diff))
    if writing.dry_run:
        return views.sentence_text(f"{edit.path} was not changed")
    context.confirm(
        f"Write {plural(len(regions), 'region')} for {context.naming().tag_value} to {edit.path}?",
        impact=Impact.ADDS,
        confirmed=writing.yes,
    )
    configuration.write_config(edit.path, edit.text, overwrite=not edit.new)
    return views.sentence_text(
        f"{'wrote' if edit.new else 'changed'} {edit.path}: {', '.join(regions)}",
        after=("bacalhau-spot create --dry-run",),
    )


def _best(offers: Offers, *, count: int, now: Sequence[str]) -> tuple[str, ...]:
    """The first of the ranked regions with room for the nodes; in the configured order if the set is unchanged."""
    able = [
        region.region
        for region in offers.regions
        if suitability(region, offers.nodes) in {Suitability.SUITABLE, Suitability.LOW_SCORE}
    ]
    if len(able) < count:
        raise UserError(
            f"{len(able)} of the {count} regions that were asked for can take {offers.nodes} nodes each",
            details=tuple(
                f"not known: {failure.region}: {failure.operation}: {failure.code}"
                for failure in offers.failed_regions
            ),
            hint="`bacalhau-spot offers --by region` shows why; ask for fewer with --count, or for less of each with --nodes",
            exit_code=ExitCode.INCOMPLETE if offers.failed_regions else ExitCode.FAILED,
        )
    best = able[:count]
    return tuple(now) if sorted(best) == sorted(now) else tuple(best)


def _cheapest_types(offers: Offers, regions: Sequence[str]) -> tuple[str, ...]:
    here = [pool for pool in offers.pools if pool.region in regions]
    return tuple(dict.fromkeys(sort_pool.pool.type for sort_pool in sort_pools(here, "price")))[:_MOST_TYPES]


def _check(runner: Runner, spec: ClusterSpec, regions: Sequence[str], names: Sequence[str]) -> None:
    """Raises UserError unless every region has an image for the types that it offers."""
    known = {region.name: region for region in spec.regions}
    wanted = replace(
        spec,
        regions=tuple(known.get(name, RegionSpec(name)) for name in regions),
        instance_types=tuple(names) or spec.instance_types,
        requirements=None if names else spec.requirements,
    )
    found = runner.run_readonly(markets(runner.calls, wanted, regions=regions))
    refused = unsuitable_markets(wanted, found.values())
    if refused is not None:
        raise refusal_error(refused)


def _text(before: str, regions: Sequence[str], names: Sequence[str], *, file: str) -> str:
    values: dict[str, object] = {"regions": configuration.regions_like(before, list(regions), file=file)}
    if names:
        values |= {"instance_types": list(names), "requirements": None}
    return configuration.set_block(before, values, file=file)


def _change(before: str, after: str, path: Path) -> str:
    lines = difflib.unified_diff(
        before.splitlines(), after.splitlines(), f"{path.name} (now)", f"{path.name} (then)", lineterm="", n=1
    )
    return "\n".join(lines)
