"""The error for resources of others that have the names of the cluster's own."""

from __future__ import annotations

from bacalhau_spot.errors import UserError


class UntaggedResourceError(UserError):
    """A resource has the name of one of the cluster's, and not its tag."""


def untagged_resource(noun: str, *, key: str, value: str) -> UntaggedResourceError:
    """A resource without the cluster's tag: a name alone proves nothing. `noun`: with its name."""
    tag = f"{key}={value}"
    return UntaggedResourceError(
        f"{noun} exists and does not have the tag {tag}, so this cluster does not use it",
        hint=f"if it belongs to this cluster, give it the tag {tag}; if nothing uses it, delete it; otherwise set another "
        "`cluster.tag_value`. Then run the command again",
        docs="docs/orchestrator.md",
    )
