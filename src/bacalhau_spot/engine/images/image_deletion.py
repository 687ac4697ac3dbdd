"""Deletes images of the account, with their snapshots."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from bacalhau_spot.cloud.port import CloudError
from bacalhau_spot.core.images.image_deletion import ImageDeletion
from bacalhau_spot.core.kinds import ResourceKind
from bacalhau_spot.core.launch import events
from bacalhau_spot.core.model import Resource
from bacalhau_spot.core.problem import ApiFailure
from bacalhau_spot.engine.aws_calls.caller import Cancelled, api_failure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bacalhau_spot.core.images.account_image import AccountImage
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls


async def delete_images(calls: AwsCalls, images: Sequence[AccountImage]) -> ImageDeletion:
    """One after the other: an image first, because AWS refuses to delete its snapshots before. Never raises for a refusal."""
    deleted: list[str] = []
    failures: list[ApiFailure] = []
    for image in images:
        snapshots = image.snapshot_ids
        try:
            refused = [
                *await _delete(calls, image, ResourceKind.IMAGE, [image.id]),
                *(await _delete(calls, image, ResourceKind.SNAPSHOT, snapshots) if snapshots else ()),
            ]
        except Cancelled:
            return ImageDeletion(tuple(images), tuple(deleted), tuple(failures), interrupted=True)
        except CloudError as error:
            refused = [api_failure(error)]
        failures += refused
        if not refused:
            deleted.append(image.id)
    return ImageDeletion(tuple(images), tuple(deleted), tuple(failures))


async def _delete(
    calls: AwsCalls, image: AccountImage, kind: ResourceKind, ids: Sequence[str]
) -> list[ApiFailure]:
    resources = [Resource(kind=kind, id=one, region=image.region, tags=image.tags) for one in ids]
    reply = await calls.write(
        image.region, partial(calls.cloud.delete, image.region, kind, resources), non_idempotent=False
    )
    refused = {failure.id: failure for failure in reply.failed}
    for one in ids:
        if one not in refused:
            calls.emit(events.Deleting(region=image.region, kind=kind, id=one, request_ids=reply.request_ids))
    return [
        ApiFailure(code=failure.code, message=failure.message, operation="", region=image.region)
        for failure in refused.values()
    ]
