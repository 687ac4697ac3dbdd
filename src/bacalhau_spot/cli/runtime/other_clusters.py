"""Warnings about other clusters, if a command finds no resources of its own: the cluster may have been renamed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bacalhau_spot.engine.aws_calls import discovery
from bacalhau_spot.ui import views

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bacalhau_spot.cli.runtime.runner import Runner
    from bacalhau_spot.core.model import Naming


def warnings(runner: Runner, naming: Naming, *, regions: Sequence[str], command: str) -> tuple[str, ...]:
    """One for each other cluster with the tag key, with the command that selects it. One call per region."""
    clusters = runner.run_readonly(discovery.count_other_clusters(runner.calls, naming, regions=regions))
    return views.other_cluster_warnings(clusters, tag_key=naming.tag_key, command=command)
