"""`sandbox start|stop|status|set|interrupt|rebalance`."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import Parameter

from bacalhau_spot.cli.runtime.environment import Runtime
from bacalhau_spot.cli.runtime.result import Result
from bacalhau_spot.cli.runtime.sandbox_connection import sandbox_process
from bacalhau_spot.cli.runtime.shared_options import NO_OPTIONS, SECONDS, CommonOptions
from bacalhau_spot.errors import ExitCode, UserError
from bacalhau_spot.ui import json_output, views


def start(
    *,
    common: CommonOptions = NO_OPTIONS,
    runtime: Annotated[Runtime, Parameter(parse=False)],
) -> Result:
    """Start the sandbox unless it runs already. Any command with --sandbox does the same."""
    del common
    with sandbox_process() as process:
        endpoint = process.ensure_running(state_dir=runtime.state_dir)
    return Result(
        "sandbox start",
        view=views.sentence_text(
            f"the sandbox runs at {endpoint.url}, as account {endpoint.account_id}",
            after=("bacalhau-spot create --sandbox", "bacalhau-spot sandbox stop"),
        ),
        data=json_output.sandbox_start_data(endpoint.url, endpoint.account_id),
    )


def stop(
    *,
    common: CommonOptions = NO_OPTIONS,
    runtime: Annotated[Runtime, Parameter(parse=False)],
) -> Result:
    """Stop the sandbox and discard its resources."""
    del common
    with sandbox_process() as process:
        stopped = process.stop(state_dir=runtime.state_dir)
    text = "the sandbox has stopped; its resources are discarded" if stopped else "no sandbox was running"
    return Result(
        "sandbox stop", view=views.sentence_text(text), data=json_output.sandbox_stop_data(stopped=stopped)
    )


def sandbox_status(
    *,
    common: CommonOptions = NO_OPTIONS,
    runtime: Annotated[Runtime, Parameter(parse=False)],
) -> Result:
    """Show the sandbox's state, its switches and its resources."""
    del common
    with sandbox_process() as process:
        now = process.status(state_dir=runtime.state_dir)
    if now is None:
        return Result(
            "sandbox status",
            view=views.sentence_text("no sandbox is running", after=("bacalhau-spot sandbox start",)),
            data=json_output.sandbox_status_data(None),
        )
    return Result("sandbox status", view=views.tree_view(now), data=json_output.sandbox_status_data(now))


def set_(
    *settings: str,
    common: CommonOptions = NO_OPTIONS,
    runtime: Annotated[Runtime, Parameter(parse=False)],
) -> Result:
    """Change the sandbox's switches: name=value, the value as JSON.

    For instance `latency_s=0.08` or `'capacity={"us-east-1": 0}'`.

    Parameters
    ----------
    settings
        name=value; `bacalhau-spot explain sandbox` lists them.
    """
    del common
    if not settings:
        raise UserError(
            "nothing to set",
            hint="for example `bacalhau-spot sandbox set pending_s=5`",
            exit_code=ExitCode.USAGE,
        )
    with sandbox_process() as process:
        after = process.change(settings, state_dir=runtime.state_dir)
    return Result("sandbox set", view=views.tree_view(after), data=after)


def interrupt(
    instance: str,
    *,
    notice_s: Annotated[float, Parameter(name="--notice-s", metavar="SECONDS"), SECONDS] = 120.0,
    reason: Annotated[Literal["capacity", "price"], Parameter(metavar="REASON")] = "capacity",
    common: CommonOptions = NO_OPTIONS,
    runtime: Annotated[Runtime, Parameter(parse=False)],
) -> Result:
    """Interrupt a spot instance as AWS does: a notice, then the shutdown.

    Parameters
    ----------
    instance
        The instance's id.
    notice_s
        Seconds between the notice and the termination; AWS gives 120.
    reason
        AWS's reason: it needs the capacity, or the spot price exceeds the maximum price.
    """
    del common
    with sandbox_process() as process:
        region = process.interrupt(instance, notice_s=notice_s, state_dir=runtime.state_dir, reason=reason)
    return Result(
        "sandbox interrupt",
        view=views.sentence_text(f"{instance} in {region} will be interrupted in {notice_s:g} s"),
        data=json_output.sandbox_interrupt_data(instance, region=region, notice_s=notice_s, reason=reason),
    )


def rebalance(
    instance: str,
    *,
    common: CommonOptions = NO_OPTIONS,
    runtime: Annotated[Runtime, Parameter(parse=False)],
) -> Result:
    """Recommend to replace a spot instance, as AWS does when it may be interrupted soon.

    Parameters
    ----------
    instance
        The instance's id.
    """
    del common
    with sandbox_process() as process:
        region = process.recommend_rebalance(instance, state_dir=runtime.state_dir)
    return Result(
        "sandbox rebalance",
        view=views.sentence_text(f"{instance} in {region} has a rebalance recommendation"),
        data=json_output.sandbox_rebalance_data(instance, region=region),
    )
