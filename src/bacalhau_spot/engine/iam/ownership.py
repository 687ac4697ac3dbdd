"""The error for resources of others that have the names of the cluster's own."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from bacalhau_spot.cloud.cloud_error import CloudError
from bacalhau_spot.core.error_catalog.classifier import Category, classify
from bacalhau_spot.core.tags import cluster_scope
from bacalhau_spot.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bacalhau_spot.core.model import Naming
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls


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


def check_owner(noun: str, tags: Mapping[str, str], naming: Naming) -> None:
    """Raises UserError for a resource without the cluster's tag. `noun`: with its name."""
    if not cluster_scope(naming).matches(tags):
        raise untagged_resource(noun, key=naming.tag_key, value=naming.tag_value)


async def check_parameter(calls: AwsCalls, naming: Naming, region: str, name: str) -> None:
    """Before it is overwritten. Raises CloudError, Cancelled, and UserError for one without the cluster's tag."""
    tags = await _readable_tags(calls, region, name)
    if tags is not None:
        check_owner(f"the parameter {name} in {region}", tags, naming)


async def _readable_tags(calls: AwsCalls, region: str, name: str) -> Mapping[str, str] | None:
    """Of a parameter. None without the permission: the value and its type must suffice."""
    try:
        return await calls.read(region, partial(calls.cloud.parameter_tags, region, name))
    except CloudError as error:
        if classify(error.code).category is not Category.PERMISSION:
            raise
    return None
