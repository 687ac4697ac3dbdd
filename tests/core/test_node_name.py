"""The Name tag of nodes: a console that lists all of an account's instances shows the cluster and the region."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bacalhau_spot.core.model import Naming
from bacalhau_spot.core.tags import NAME_KEY, node_name, node_tags


@pytest.mark.parametrize(
    ("cluster", "prefix", "name"),
    [
        ("blue", "bacalhau-", "bacalhau-blue-us-east-1"),
        ("bacalhau-aws-spot", "bacalhau-", "bacalhau-aws-spot-us-east-1"),  # the prefix once
        ("Team A: blue", "bacalhau-", "bacalhau-team-a-blue-us-east-1"),
        ("\u7a7a", "bacalhau-", "bacalhau-node-us-east-1"),
    ],
)
def test_a_node_is_named_after_its_cluster_and_region(cluster: str, prefix: str, name: str) -> None:
    naming = replace(Naming(), tag_value=cluster, resource_prefix=prefix)
    assert node_name(naming, "us-east-1") == name
    assert node_tags(naming, region="us-east-1", node_spec="x")[NAME_KEY] == name
