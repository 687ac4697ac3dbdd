"""The orchestrator's bucket: created with its tags in one call, so a bucket without the cluster's tag is not a part of it.

The settings are written right after the creation. Later only a missing lifecycle configuration is: then a create ended between
the two calls, and there are no rules of the user's that it could replace. New buckets block public access without a call (S3
user guide, "Blocking public access"), so a setting that the user changed stays.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from bacalhau_spot.cloud.cloud_error import CloudError
from bacalhau_spot.core.error_catalog.classifier import Category, classify
from bacalhau_spot.core.kinds import ResourceKind
from bacalhau_spot.core.tags import orchestrator_tags
from bacalhau_spot.engine.aws_calls.creation import create_unless_exists
from bacalhau_spot.engine.iam.ownership import check_owner

if TYPE_CHECKING:
    from bacalhau_spot.core.model import Naming
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls

# An upload of a job's result takes hours at most.
_ABORT_UPLOADS_DAYS: Final = 7


@dataclass(frozen=True, slots=True)
class BucketRequest:
    """The bucket for job results. `account_id`: its owner, which every call names."""

    region: str
    name: str
    account_id: str
    naming: Naming


async def bucket_exists(calls: AwsCalls, request: BucketRequest) -> bool:
    """Raises UserError for a bucket of the account that is not the cluster's, and CloudError for another account's."""
    look = partial(calls.cloud.bucket_tags, request.region, request.name, account_id=request.account_id)
    tags = await calls.read(request.region, look)
    if tags is None:
        return False
    check_owner(f"the bucket {request.name}", tags, request.naming)
    return True


async def check_bucket(calls: AwsCalls, request: BucketRequest) -> None:
    """As `bucket_exists`. A refusal to read the tags is left to the creation, which tells another account's bucket."""
    try:
        await bucket_exists(calls, request)
    except CloudError as error:
        if classify(error.code).category is not Category.PERMISSION:
            raise


async def ensure_bucket(calls: AwsCalls, request: BucketRequest) -> None:
    """Raises CloudError, Cancelled, and UserError as `bucket_exists`."""
    if not await _create(calls, request):
        await bucket_exists(calls, request)
        look = partial(calls.cloud.has_lifecycle, request.region, request.name, account_id=request.account_id)
        if not await calls.read(request.region, look):
            await _abort_uploads(calls, request)
        return
    block = partial(
        calls.cloud.block_public_access, request.region, request.name, account_id=request.account_id
    )
    await calls.write(request.region, block)
    await _abort_uploads(calls, request)


async def _create(calls: AwsCalls, request: BucketRequest) -> bool:
    """Whether this call created it. In us-east-1, S3 accepts the creation of a bucket that the account has already."""
    refused = None
    try:
        if await bucket_exists(calls, request):
            return False
    except CloudError as error:
        if classify(error.code).category is not Category.PERMISSION:
            raise
        refused = error  # for another account's bucket, and without the permission
    create = partial(
        calls.cloud.create_bucket,
        request.region,
        request.name,
        tags=orchestrator_tags(request.naming, request.name),
    )
    created = await create_unless_exists(calls, request.region, ResourceKind.BUCKET, request.name, create)
    if refused is not None:
        raise refused
    return created


async def _abort_uploads(calls: AwsCalls, request: BucketRequest) -> None:
    put = partial(
        calls.cloud.abort_uploads,
        request.region,
        request.name,
        account_id=request.account_id,
        days=_ABORT_UPLOADS_DAYS,
    )
    await calls.write(request.region, put)
