"""The plan of a new configuration, without a launch, for the end of `configure`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bacalhau_spot.cli.runtime.fact_sources import fact_sources
from bacalhau_spot.cli.runtime.reporting import unexpected
from bacalhau_spot.cloud.cloud_error import CloudError
from bacalhau_spot.core.launch import planner
from bacalhau_spot.core.launch.refusals import Refusal
from bacalhau_spot.engine.launch.facts_gathering import gather_facts, refusal_error
from bacalhau_spot.errors import UserError
from bacalhau_spot.ui import views

if TYPE_CHECKING:
    from bacalhau_spot.cli.runtime.context import CommandContext
    from bacalhau_spot.core.launch.plan import Plan


def plan_preview(context: CommandContext) -> Plan | UserError:
    """The plan that `create --dry-run` shows; or the reason for which there is none, which is no failure: the file exists."""
    context.print_status(views.sentence_text("asking AWS for the price of this plan; Ctrl-C skips it"))
    try:
        spec = context.spec()
        with context.runner() as runner:
            facts = runner.run_readonly(gather_facts(runner.calls, spec, fact_sources(context)))
            planned = planner.plan(facts)
        if isinstance(planned, Refusal):
            raise refusal_error(planned)
    except KeyboardInterrupt:
        return UserError("skipped")
    except CloudError as error:
        return unexpected(error, context.runtime)
    except UserError as error:
        return error
    return planned
