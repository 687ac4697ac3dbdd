"""Reads the orchestrator's jobs for `idle_ttl`. Jobs that cannot be read end nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from bacalhau_spot.cli.runtime.context import no_api
from bacalhau_spot.cloud.cloud_error import CloudError
from bacalhau_spot.core.lifecycle.idle import idle_since
from bacalhau_spot.errors import UserError
from bacalhau_spot.orchestrator.port import OrchestratorError

if TYPE_CHECKING:
    from datetime import datetime

    from bacalhau_spot.cli.runtime.context import CommandContext
    from bacalhau_spot.cli.runtime.runner import Runner
    from bacalhau_spot.core.health.cluster_status import ClusterStatus
    from bacalhau_spot.core.model import ClusterSpec
    from bacalhau_spot.core.orchestrator.jobs import Job


@dataclass(frozen=True, slots=True)
class IdleCheck:
    """`since`: of core.lifecycle.idle; None: busy, or unknown. `trouble`: a warning if the jobs could not be read."""

    since: datetime | None = None
    trouble: str = ""


def check_idle(
    context: CommandContext, runner: Runner, spec: ClusterSpec, status: ClusterStatus
) -> IdleCheck:
    """Makes no request without `idle_ttl`, and while no node is old enough for it. Raises KeyboardInterrupt."""
    instances, now = status.snapshot.instances, status.snapshot.taken_at
    oldest = idle_since((), instances)
    if spec.idle_ttl_s is None or oldest is None or now - oldest < timedelta(seconds=spec.idle_ttl_s):
        return IdleCheck()
    try:
        jobs = _jobs(context, runner)
    except UserError as error:
        reason = error.what
    except CloudError as error:
        reason = f"{error.operation}: {error.code}"
    except OrchestratorError as error:
        reason = f"{error.code}: {error.message}"
    else:
        return IdleCheck(idle_since(jobs, instances))
    return IdleCheck(
        trouble=f"the jobs cannot be read, so the cluster does not count as idle for `idle_ttl`: {reason}"
    )


def _jobs(context: CommandContext, runner: Runner) -> tuple[Job, ...]:
    """With the operator's key: the other one may not read jobs. Raises UserError, CloudError, OrchestratorError."""
    client = context.api_client(context.operator_api())
    if client is None:
        raise no_api("reconcile")
    return runner.run_readonly(client.all_jobs(), other="the orchestrator")
