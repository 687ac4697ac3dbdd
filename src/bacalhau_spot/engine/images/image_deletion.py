"""Deletes images of the account, with their snapshots. A snapshot that has no tag of images itself belongs to others."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from bacalhau_spot.cloud.cloud_error import CloudError
from bacalhau_spot.core.kinds import ResourceKind
from bacalhau_spot.core.launch import events
from bacalhau_spot.core.model import Resource
from bacalhau_spot.core.problem import ApiFailure
from bacalhau_spot.engine.aws_calls.caller import Cancelled, api_failure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bacalhau_spot.core.images.account_image import AccountImage
    from bacalhau_spot.core.images.image_deletion import ImageDeletion
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls


async def delete_images(calls: AwsCalls, deletion: ImageDeletion) -> ImageDeletion:
    """One after the other: an image first, because AWS refuses to delete its snapshots before. Never raises for a refusal.

    Snapshots whose image is gone, after an interrupted deletion, are found again by their tag.
    """
    deleted: list[str] = []
    failures: list[ApiFailure] = []
    snapshots = [(one.region, ResourceKind.SNAPSHOT, one.id) for one in deletion.orphans]
    images = [(image.region, ResourceKind.IMAGE, image.id) for image in deletion.chosen]
    for region, kind, resource_id in (*snapshots, *images):
        calls.emit(events.ResourceFound(region=region, kind=kind, id=resource_id))
    work = [
        *(partial(_delete_orphan, calls, one) for one in deletion.orphans),
        *(partial(_delete_image, calls, image, deletion.snapshots) for image in deletion.chosen),
    ]
    for (region, kind, resource_id), delete in zip((*snapshots, *images), work, strict=True):
        try:
            refused = await delete()
        except Cancelled:
            return replace(deletion, deleted=tuple(deleted), failures=tuple(failures), interrupted=True)
        except CloudError as error:
            refused = [api_failure(error)]
        failures += refused
        if not refused:
            deleted.append(resource_id)
            calls.emit(events.Deleted(region=region, kind=kind, id=resource_id))
    return replace(deletion, deleted=tuple(deleted), failures=tuple(failures))


async def _delete_orphan(calls: AwsCalls, snapshot: Resource) -> list[ApiFailure]:
    return await _delete(calls, snapshot.region, ResourceKind.SNAPSHOT, [snapshot.id], snapshot.tags)


async def _delete_image(calls: AwsCalls, image: AccountImage, snapshots: frozenset[str]) -> list[ApiFailure]:
    """`snapshots`: those that may be deleted."""
    refused = await _delete(calls, image.region, ResourceKind.IMAGE, [image.id], image.tags)
    own = [one for one in image.snapshot_ids if one in snapshots]
    if refused or not own:
        return refused
    return await _delete(calls, image.region, ResourceKind.SNAPSHOT, own, image.tags)


async def _delete(
    calls: AwsCalls, region: str, kind: ResourceKind, ids: Sequence[str], tags: Mapping[str, str]
) -> list[ApiFailure]:
    resources = [Resource(kind=kind, id=one, region=region, tags=tags) for one in ids]
    reply = await calls.write(region, partial(calls.cloud.delete, region, kind, resources))
    refused = {failure.id: failure for failure in reply.failed}
    for one in ids:
        if one not in refused:
            calls.emit(events.Deleting(region=region, kind=kind, id=one, request_ids=reply.request_ids))
    return [
        ApiFailure(code=failure.code, message=failure.message, operation="", region=region)
        for failure in refused.values()
    ]
