"""`offers`: spot prices and availability across regions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from bacalhau_spot import config as configuration
from bacalhau_spot.cli.runtime.context import CommandContext
from bacalhau_spot.cli.runtime.environment import Runtime
from bacalhau_spot.cli.runtime.offers_write import NO_WRITE, WriteOptions, write_choice
from bacalhau_spot.cli.runtime.result import Result
from bacalhau_spot.cli.runtime.shared_options import (
    AT_LEAST_ONE,
    NO_TABULAR_OPTIONS,
    Regions,
    TabularOptions,
    several,
)
from bacalhau_spot.cli.state.cache import FileCache
from bacalhau_spot.cloud.advisor import interruption_rates
from bacalhau_spot.core.model import Arch, Requirements
from bacalhau_spot.core.placement.offers import sort_pools, sort_regions
from bacalhau_spot.engine.aws_calls import discovery
from bacalhau_spot.engine.placement.offers import OffersQuery, all_offers
from bacalhau_spot.errors import ExitCode, UserError
from bacalhau_spot.ui import csv_output, json_output, views

if TYPE_CHECKING:
    from rich.console import RenderableType

    from bacalhau_spot.core.model import ClusterSpec
    from bacalhau_spot.core.placement.offers import Offers
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls

Sort = Literal["price", "saving", "score", "interruption", "room"]

_SHOWN = 20  # pools; all regions fit


@Parameter(name="*")
@dataclass(frozen=True)
class Filters:
    """Requirements for a node; without any, those of the configuration."""

    vcpus: Annotated[str, Parameter(name="--vcpus", metavar="RANGE")] = ""
    """Virtual CPUs: 2 (exactly), 2.. (at least) or 2..4 (from, to)."""

    memory: Annotated[str, Parameter(name="--memory", metavar="GIB")] = ""
    """Memory in GiB: 4, 4.. or 4..16."""

    arch: Annotated[Arch | None, Parameter(name="--arch", metavar="ARCH")] = None
    """Architecture."""

    gpus: Annotated[str, Parameter(name="--gpus", metavar="RANGE")] = ""
    """GPUs: 1, 1.. or 1..4; 0 for none."""

    family: Annotated[tuple[str, ...], several("--family", metavar="FAMILY")] = ()
    """Instance families such as t3,m6a; m6* matches all families with that prefix."""

    type: Annotated[tuple[str, ...], several("--type", "-t", metavar="TYPE")] = ()
    """Instance types such as t3.medium,c7g.large."""


@Parameter(name="*")
@dataclass(frozen=True)
class TableOptions:
    """The display of the offers."""

    by: Annotated[Literal["pool", "region"], Parameter(name="--by", metavar="WHAT")] = "pool"
    """Group by capacity pool, or by region."""

    sort: Annotated[Sort | None, Parameter(name="--sort", metavar="WHAT")] = None
    """Sort order (default: pools by price; regions by room, score and price together)."""

    top: Annotated[int | None, AT_LEAST_ONE, Parameter(name="--top", metavar="ROWS")] = None
    """Maximum number of rows (default: 20 pools in tables, all in JSON)."""


NO_FILTERS = Filters()
DEFAULT_TABLE = TableOptions()


def offers(
    *,
    region: Regions = (),
    nodes: Annotated[int | None, AT_LEAST_ONE, Parameter(metavar="NODES")] = None,
    filters: Filters = NO_FILTERS,
    table: TableOptions = DEFAULT_TABLE,
    writing: WriteOptions = NO_WRITE,
    backtest: Annotated[str | None, Parameter(metavar="DURATION")] = None,
    common: TabularOptions = NO_TABULAR_OPTIONS,
    runtime: Annotated[Runtime, Parameter(parse=False)],
) -> Result:
    """Compare spot prices and availability across regions, and write a choice into the configuration.

    Covers all enabled regions, for the configuration's instance types or those that the options select: spot price now
    and over a week, on-demand price, interruption rate of last month, placement score (10 is best), and the number of nodes that
    the account's quota allows.

    Parameters
    ----------
    region
        Only these regions, such as us-east-1,eu-west-1.
    nodes
        Number of nodes for one region (default: a region's share in the configuration).
    backtest
        Compute, by AWS's price history of the last 30d, 12h …, the cost of the configuration and of the cheapest other
        regions (`--top`, default 5); at most 90d.
    """
    context = CommandContext("offers", common, runtime)
    spec = context.spec(lenient=True)
    query = _wanted(spec, filters, nodes=nodes)
    if backtest is not None:
        from bacalhau_spot.cli.runtime.offers_backtest import run_backtest  # noqa: PLC0415 - not for other offers

        return run_backtest(
            context,
            spec,
            query,
            span=backtest,
            regions=region,
            top=table.top,
            writing=writing.write,
        )
    with context.runner(spec) as runner:
        found = runner.run_readonly(_gather(context, runner.calls, query, regions=region))
        written = None
        if writing.write:
            count = writing.count or len(region) or _count(spec)
            written = write_choice(
                context, runner, spec, found, writing=writing, count=count, types=filters != NO_FILTERS
            )
    arranged = _arranged(found, sort=table.sort)
    cut = _cut(arranged, regions=table.top, pools=table.top)
    return Result(
        "offers",
        view=_view(arranged, table) if written is None else written.view,
        data=json_output.offers_data(
            cut,
            written=None if written is None else written.data,
        ),
        rows=csv_output.offer_rows(cut, by_region=table.by == "region"),
        exit_code=found.exit_code,
        errors=context.errors_of(found.failed_regions, exit_code=found.exit_code),
        warnings=found.notes,
    )


def _view(arranged: Offers, table: TableOptions) -> RenderableType:
    shown = _cut(arranged, regions=table.top, pools=table.top or _SHOWN)
    by_region = table.by == "region"
    more = len(arranged.regions) - len(shown.regions) if by_region else len(arranged.pools) - len(shown.pools)
    return views.offers_view(shown, by_region=by_region, ranked=table.sort is None, more=more)


async def _gather(
    context: CommandContext, calls: AwsCalls, query: OffersQuery, *, regions: tuple[str, ...]
) -> Offers:
    account = await discovery.load_account(calls)
    return await all_offers(
        calls,
        query,
        regions=discovery.requested_regions(account.regions, regions),
        account=account.identity.account_id,
        cache=FileCache(context.cache_dir, clock=context.runtime.clock),
        rates=partial(interruption_rates, context.connection.advisor_url),
    )


def _wanted(spec: ClusterSpec, filters: Filters, *, nodes: int | None) -> OffersQuery:
    """The query of the options; without any, that of the configuration."""
    number = nodes or max(1, -(-spec.nodes // _count(spec)))
    at = tuple(region.name for region in spec.regions)
    if filters == NO_FILTERS:
        return OffersQuery(spec.instance_types, spec.requirements, nodes=number, described_in=at)
    types = filters.type
    if filters == Filters(type=filters.type):
        return OffersQuery(types, None, nodes=number, described_in=at)
    vcpus_min, vcpus_max = _whole(filters.vcpus, flag="--vcpus")
    memory_min, memory_max = _span(filters.memory, flag="--memory")
    gpus_min, gpus_max = _whole(filters.gpus, flag="--gpus") if filters.gpus else (None, None)
    needs = Requirements(
        vcpus_min=vcpus_min,
        vcpus_max=vcpus_max,
        memory_gib_min=memory_min,
        memory_gib_max=memory_max,
        arch=filters.arch,
        gpus_min=gpus_min,
        gpus_max=gpus_max,
        families=filters.family,
    )
    return OffersQuery(types, needs, nodes=number, described_in=at)


def _count(spec: ClusterSpec) -> int:
    """The number of regions in the configuration."""
    return max(1, spec.auto_regions or len(spec.regions))


def _span(text: str, *, flag: str) -> tuple[Decimal, Decimal | None]:
    try:
        return configuration.bounds(text) if text else (Decimal(0), None)
    except ValueError:
        raise UserError(
            f"{flag}: {text!r} is not a range",
            hint=f"{flag} 2 is exactly two, {flag} 2.. at least two, {flag} 2..4 from two to four",
            exit_code=ExitCode.USAGE,
        ) from None


def _whole(text: str, *, flag: str) -> tuple[int, int | None]:
    low, high = _span(text, flag=flag)
    return int(low), None if high is None else int(high)


def _arranged(found: Offers, *, sort: Sort | None) -> Offers:
    regions = sort_regions(found.regions, sort) if sort else found.regions
    return replace(found, pools=sort_pools(found.pools, sort or "price"), regions=regions)


def _cut(found: Offers, *, regions: int | None, pools: int | None) -> Offers:
    return replace(found, regions=found.regions[:regions], pools=found.pools[:pools])
