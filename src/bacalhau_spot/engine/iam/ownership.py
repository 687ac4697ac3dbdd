"""The error for resources of others that have the names of the cluster's own."""

from __future__ import annotations

from bacalhau_spot.errors import UserError


def untagged_resource(noun: str, *, key: str, value: str) -> UserError:
    """A resource without the cluster's tag: a name alone proves nothing. `noun`: with its name."""
    tag = f"{key}={value}"
    return UserError(
        f"{noun} exists and does not have the tag {tag}, so this cluster does not use it",
        hint=f"if it belongs to this cluster, give it the tag {tag}; if nothing uses it, delete it; otherwise set another "
        "`cluster.tag_value`. Then run `bacalhau-spot create` again",
        docs="docs/orchestrator.md",
    )
