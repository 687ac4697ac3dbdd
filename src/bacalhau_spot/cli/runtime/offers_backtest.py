"""`offers --backtest`: the cost of the configuration, and of the best alternatives, by AWS's price history."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from bacalhau_spot.cli.runtime.parsers import duration
from bacalhau_spot.cli.runtime.result import Result
from bacalhau_spot.core.pricing.backtest import Period
from bacalhau_spot.engine.aws_calls import discovery
from bacalhau_spot.engine.pricing.backtest import backtest
from bacalhau_spot.engine.pricing.prices import HISTORY_DAYS
from bacalhau_spot.errors import ExitCode, UserError
from bacalhau_spot.ui import json_output, views

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bacalhau_spot.cli.runtime.context import CommandContext
    from bacalhau_spot.core.model import ClusterSpec
    from bacalhau_spot.core.pricing.backtest import Backtest
    from bacalhau_spot.core.problem import ApiFailure
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls
    from bacalhau_spot.engine.placement.offers import OffersQuery

_ALTERNATIVES = 5
_MOST_ALTERNATIVES = 40  # each is several calls
_HISTORY = "DescribeSpotPriceHistory"


def run_backtest(
    context: CommandContext,
    spec: ClusterSpec,
    query: OffersQuery,
    *,
    span: str,
    regions: Sequence[str],
    top: int | None,
    writing: bool,
) -> Result:
    """`top`: the number of alternatives. Raises UserError for a wrong period, and with `writing`."""
    length = duration(
        span,
        flag="--backtest",
        shortest=timedelta(hours=1),
        longest=timedelta(days=HISTORY_DAYS),
        why=f"AWS keeps {HISTORY_DAYS} days of spot prices",
    )
    if writing:
        raise UserError(
            "--backtest and --write exclude each other",
            hint="`bacalhau-spot offers --write` chooses by current prices, quotas and placement scores",
            exit_code=ExitCode.USAGE,
        )
    calls = _CallCounter()
    context.call_listener = calls.count
    now = context.runtime.clock.now().replace(microsecond=0)
    period = Period(now - length, now, spec.max_price_usd_per_hour)
    alternatives = min(_ALTERNATIVES if top is None else top, _MOST_ALTERNATIVES)
    with context.runner(spec) as runner:
        part = _gather(runner.calls, spec, query, regions=regions, period=period, alternatives=alternatives)
        found, failures = runner.run_readonly(part)
    code = context.incomplete(failures)
    return Result(
        "offers",
        view=views.backtest_view(found, calls=calls.total, failures=failures),
        data=json_output.backtest_data(found, calls=calls.total, failures=failures),
        exit_code=code,
        errors=context.errors_of(failures, exit_code=code),
        warnings=found.notes,
    )


class _CallCounter:
    """Counts the calls for prices, further pages and repetitions included."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def count(self, line: str) -> None:
        """Called from several threads: a list's `append` is atomic."""
        self.lines.append(line)

    @property
    def total(self) -> int:
        return sum(_HISTORY in line.partition(" ")[0] for line in self.lines)


async def _gather(
    calls: AwsCalls,
    spec: ClusterSpec,
    query: OffersQuery,
    *,
    regions: Sequence[str],
    period: Period,
    alternatives: int,
) -> tuple[Backtest, tuple[ApiFailure, ...]]:
    account = await discovery.load_account(calls)
    return await backtest(
        calls,
        spec,
        query,
        regions=discovery.requested_regions(account.regions, regions),
        period=period,
        alternatives=alternatives,
    )
