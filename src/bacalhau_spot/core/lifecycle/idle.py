"""Since when a cluster has had no job.

The orchestrator's jobs count, whatever cluster's nodes run them: with a shared orchestrator, the jobs of another cluster keep
this one, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from bacalhau_spot.core.model import Instance
    from bacalhau_spot.core.orchestrator.jobs import Job


def idle_since(jobs: Iterable[Job], instances: Iterable[Instance]) -> datetime | None:
    """The end of the last job, or the first launch among the living nodes if that is later; None while a job is not final.

    None without living nodes, too. A job without a time of its change counts as not final: nothing ends by mistake.
    """
    moments = [instance.launched_at for instance in instances if instance.alive and instance.is_node]
    if not moments:
        return None
    ended = [min(moments)]
    for job in jobs:
        if not job.state.final or job.changed_at is None:
            return None
        ended.append(job.changed_at)
    return max(ended)
