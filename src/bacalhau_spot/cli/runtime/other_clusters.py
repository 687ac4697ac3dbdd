"""Warnings about other clusters, if a command finds no resources of its own: the cluster may have been renamed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bacalhau_spot.cloud.cloud_error import CloudError
from bacalhau_spot.engine.aws_calls import discovery
from bacalhau_spot.ui import views

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bacalhau_spot.cli.runtime.runner import Runner
    from bacalhau_spot.core.model import Naming
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls


def warnings(runner: Runner, naming: Naming, *, regions: Sequence[str], command: str) -> tuple[str, ...]:
    """One for each other cluster with the tag key, with the command that selects it. One call per region."""
    clusters = runner.run_readonly(discovery.count_other_clusters(runner.calls, naming, regions=regions))
    return views.other_cluster_warnings(clusters, tag_key=naming.tag_key, command=command)


def error_details(runner: Runner, naming: Naming, *, command: str) -> tuple[str, ...]:
    """The same for an error, in all enabled regions; empty if AWS refuses, because the error itself is more important."""
    try:
        clusters = runner.run_readonly(_everywhere(runner.calls, naming))
    except CloudError:
        return ()
    return views.other_cluster_warnings(clusters, tag_key=naming.tag_key, command=command)


async def _everywhere(calls: AwsCalls, naming: Naming) -> dict[str, int]:
    regions = discovery.enabled_names(await calls.read("", calls.cloud.regions))
    return await discovery.count_other_clusters(calls, naming, regions=regions)
