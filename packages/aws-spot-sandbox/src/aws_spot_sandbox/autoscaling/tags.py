"""The tags of groups, with their propagation to new instances.

AWS: Auto Scaling user guide, "Tag Auto Scaling groups and instances"; API reference, Tag, CreateOrUpdateTags.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_spot_sandbox.autoscaling import model
from aws_spot_sandbox.autoscaling.described import tag_rows, visible
from aws_spot_sandbox.autoscaling.pages import page
from aws_spot_sandbox.ec2 import filters
from aws_spot_sandbox.http_types import AwsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from aws_spot_sandbox.ec2.region import Answer, Args, Region

TAGS_LIMIT = 50
_KIND = "auto-scaling-group"
_GETTERS: dict[str, filters.Getter[dict[str, Any]]] = {
    "auto-scaling-group": lambda row: row["ResourceId"],
    "key": lambda row: row["Key"],
    "value": lambda row: row["Value"],
    "propagate-at-launch": lambda row: row["PropagateAtLaunch"],
}


def checked(rows: Iterable[Mapping[str, Any]], name: str) -> dict[str, tuple[str, bool]]:
    """The tags of one group. `name`: for tags without a resource id. Raises AwsError."""
    tags: dict[str, tuple[str, bool]] = {}
    for row in rows:
        key = str(row["Key"])
        if row.get("ResourceId", name) != name:
            raise model.invalid(f"The tag '{key}' has the resource id of another group: {row['ResourceId']}")
        if row.get("ResourceType", _KIND) != _KIND:
            raise model.invalid(f"The resource type {row['ResourceType']} is not supported.")
        if key.lower().startswith("aws:"):
            raise model.invalid(f"Tag keys starting with 'aws:' are reserved for internal use: {key}")
        if key in tags:
            raise model.invalid(f"Duplicate keys are not allowed for tags: {key}")
        tags[key] = (str(row.get("Value") or ""), bool(row.get("PropagateAtLaunch")))
    _check_count(tags)
    return tags


def _check_count(tags: Mapping[str, Any]) -> None:
    if len(tags) > TAGS_LIMIT:
        raise AwsError("LimitExceeded", f"An Auto Scaling group can have at most {TAGS_LIMIT} tags.")


def create_or_update(region: Region, args: Args) -> Answer:
    """The instances that exist keep their tags: a tag is added to new instances only."""
    changes: dict[str, dict[str, tuple[str, bool]]] = {}
    for row in args["Tags"]:
        if not row.get("ResourceId") or not row.get("ResourceType"):
            raise model.invalid("Tags must have a resource id and a resource type.")
        name = str(row["ResourceId"])
        _group(region, name)
        known = changes.setdefault(name, {})
        for key, value in checked([row], name).items():
            if key in known:
                raise model.invalid(f"Duplicate keys are not allowed for tags: {key}")
            known[key] = value
    for name, new in changes.items():
        _check_count({**_group(region, name).tags, **new})
    for name, new in changes.items():
        _group(region, name).tags.update(new)
    return {}


def _group(region: Region, name: str) -> model.Group:
    group = model.find(region, name)
    if group.deleting:
        raise AwsError("ResourceInUse", f"The AutoScalingGroup {name} is pending delete.")
    return group


def delete(region: Region, args: Args) -> Answer:
    """A tag with a value is deleted only if the value matches."""
    for row in args["Tags"]:
        group = _group(region, str(row.get("ResourceId")))
        known = group.tags.get(str(row["Key"]))
        if known is not None and row.get("Value") in (None, known[0]):
            del group.tags[str(row["Key"])]
    return {}


def describe(region: Region, args: Args) -> Answer:
    rows = [
        row
        for _, group in sorted(model.of(region).groups.items())
        if visible(region, group, args)
        for row in tag_rows(group)
    ]
    for condition in args.get("Filters") or ():
        if condition.get("Name") not in _GETTERS:
            raise model.invalid(f"Filter '{condition.get('Name')}' is not supported.")
    rows = filters.select(rows, args.get("Filters"), _GETTERS)
    shown, token = page(rows, args)
    return {"Tags": shown, "NextToken": token}
