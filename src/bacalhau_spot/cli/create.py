"""`create`: spot nodes in every configured region."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from bacalhau_spot.cli import noting
from bacalhau_spot.cli.audit import Audit
from bacalhau_spot.cli.common import NOTHING_SAID, Common, Yes
from bacalhau_spot.cli.configure import write_first
from bacalhau_spot.cli.invocation import Invocation
from bacalhau_spot.cli.memory import Files
from bacalhau_spot.cli.options import amount
from bacalhau_spot.cli.result import Result
from bacalhau_spot.cli.runtime import Runtime
from bacalhau_spot.cloud import archive
from bacalhau_spot.cloud.address import caller_address
from bacalhau_spot.core.model import MIN_PRICE_USD
from bacalhau_spot.engine import create as engine
from bacalhau_spot.engine.archive import ArchiveSource
from bacalhau_spot.engine.prepare import prepare
from bacalhau_spot.engine.quota_now import QuotaNow, quotas_now
from bacalhau_spot.ui import jsonout, views
from bacalhau_spot.ui.prompts import Danger
from bacalhau_spot.ui.words import plural, sentence

if TYPE_CHECKING:
    from bacalhau_spot.core.model import ClusterSpec
    from bacalhau_spot.core.plan import Plan


def create(
    *,
    yes: Yes = False,
    dry_run: Annotated[bool, Parameter(name=["--dry-run", "-n"], negative="")] = False,
    allow_removal: Annotated[bool, Parameter(negative="")] = False,
    max_price: str | None = None,
    budget: str | None = None,
    wait: Literal["running", "none"] = "running",
    common: Common = NOTHING_SAID,
    runtime: Annotated[Runtime, Parameter(parse=False)],
) -> Result:
    """Launch what the configuration asks for and is not there yet.

    Shows the plan with its price and asks. Running it again adds only what is missing.

    Parameters
    ----------
    yes
        Do not ask before launching.
    dry_run
        Show the plan and stop; nothing is changed.
    allow_removal
        Also terminate the nodes that are more than the configuration asks for.
    max_price
        The most to pay for one instance, in US dollars an hour, instead of the configuration's `max_price_usd_per_hour`;
        `none` for no limit.
    budget
        The most that the cluster may cost, in US dollars an hour, instead of the configuration's `budget_usd_per_hour`: a plan
        that may come to more is refused. `none` for no limit.
    wait
        `running`: until every instance runs. `none`: until AWS has granted or refused each.
    """
    call = Invocation("create", common, runtime)
    if call.first_time and runtime.interactive and not yes and call.for_people:
        write_first(call)
    spec = _limited(call.spec(), max_price=max_price, budget=budget)
    with call.engine(spec) as running:
        address = partial(caller_address, call.access.checkip_url)
        prepared = running.look(
            prepare(
                running.calls,
                spec,
                caller_address=address,
                archive=ArchiveSource(archive.digest, call.access.archive_url),
                allow_removal=allow_removal,
                memory=Files(call.memory_dir, clock=runtime.clock),
                launched_in=partial(noting.launched_in, call),
            )
        )
        plan = prepared.plan
        shown = views.plan_view(plan, identity=prepared.standing.identity)
        if plan.over_budget:
            call.talk(shown)
            raise views.over_budget(plan)
        if dry_run or plan.empty:
            return Result(
                "create", view=shown, data={"plan": jsonout.plan_data(plan)}, warnings=plan.warnings
            )
        call.talk(shown)
        where = f"of {spec.naming.tag_value} in account {prepared.standing.identity.account_id}"
        call.confirm(_question(plan, where=where), danger=_danger(plan), agreed=yes)
        audit = Audit(call, identity=prepared.standing.identity, cluster=spec.naming.tag_value)
        running.listen(audit.emit)
        regions = [region.region for region in plan.regions]
        receipt = running.work(
            engine.apply(running.calls, prepared, wait=wait == "running"),
            screen=partial(call.screen, regions, title=f"creating {spec.name}"),
        )
        quotas: tuple[QuotaNow, ...] = ()
        with suppress(KeyboardInterrupt):  # much has been changed by now, and the receipt is to be told
            quotas = running.look(quotas_now(running.calls, prepared, receipt))
    audit.created(receipt)
    late = (
        *views.quota_lines(quotas),
        *call.record(running.calls.mistakes),
        *filter(None, (audit.trouble,)),
    )
    return Result(
        "create",
        view=views.create_receipt_view(receipt),
        data={"plan": jsonout.plan_data(plan), "receipt": jsonout.create_data(receipt)},
        exit_code=receipt.exit_code,
        errors=call.errors_of(receipt.unsolved, exit_code=receipt.exit_code),
        warnings=(*plan.warnings, *late),
        late_warnings=late,
    )


def _limited(spec: ClusterSpec, *, max_price: str | None, budget: str | None) -> ClusterSpec:
    """With what the command line says instead. Raises UserError."""
    if max_price is not None:
        spec = replace(
            spec, max_price_usd_per_hour=amount(max_price, flag="--max-price", above=MIN_PRICE_USD)
        )
    if budget is not None:
        spec = replace(spec, budget_usd_per_hour=amount(budget, flag="--budget"))
    return spec


def _danger(plan: Plan) -> Danger:
    return Danger.REMOVES if plan.remove else Danger.ADDS


def _question(plan: Plan, *, where: str) -> str:
    parts = []
    if plan.launch:
        parts.append(f"launch {plural(plan.launch, 'instance')}")
    if plan.remove:
        parts.append(f"terminate {plural(len(plan.remove), 'running instance')}")
    return f"{sentence(' and '.join(parts))} {where}?"
