"""`list` shows the bucket of a managed orchestrator, which EC2's tag index does not have."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any, cast

from bacalhau_spot.cloud.cloud_error import CloudError
from bacalhau_spot.core.clusters.listing import Listing
from bacalhau_spot.core.model import Instance, Naming, Resource, State
from bacalhau_spot.engine.aws_calls.caller import AwsCalls
from bacalhau_spot.engine.cleanup.job_results import with_results_bucket

HOST = Instance(
    id="i-0",
    region="eu-west-1",
    zone="eu-west-1a",
    type="t3.small",
    state=State.RUNNING,
    launched_at=datetime(2026, 11, 23, tzinfo=UTC),
)
FOUND = Listing("c", orchestrator=HOST)


class Calls:
    """The part of AwsCalls that is used. `answer`: the buckets that exist, or AWS's refusal."""

    def __init__(self, answer: Sequence[Resource] | CloudError) -> None:
        self.answer = answer
        self.asked: list[tuple[str, str, Sequence[str]]] = []
        self.cloud = self

    async def read(self, region: str, call: Callable[[], Awaitable[Any]]) -> Any:
        del region
        return await call()

    async def find(self, region: str, kind: str, scope: object, *, ids: Sequence[str]) -> Any:
        del scope
        self.asked.append((region, kind, ids))
        if isinstance(self.answer, CloudError):
            raise self.answer
        return tuple(self.answer)


def listed(calls: Calls, found: Listing) -> Listing:
    return asyncio.run(
        with_results_bucket(cast("AwsCalls", calls), Naming(), found, account_id="123456789012")
    )


def test_the_bucket_is_among_the_other_resources() -> None:
    bucket = Resource("bucket", "bacalhau-results-x", "eu-west-1")
    calls = Calls([bucket])
    assert listed(calls, FOUND).others == (bucket,)
    ((region, kind, (arn,)),) = calls.asked
    assert (region, kind) == ("eu-west-1", "bucket")
    assert "-123456789012-eu-west-1" in arn


def test_without_an_orchestrator_nothing_is_asked() -> None:
    calls = Calls([])
    assert listed(calls, Listing("c")) == Listing("c")
    assert calls.asked == []


def test_a_refusal_is_not_an_empty_list() -> None:
    refusal = CloudError("AccessDenied", "no", operation="GetBucketTagging", region="eu-west-1")
    (failure,) = listed(Calls(refusal), FOUND).failed_regions
    assert (failure.operation, failure.code) == ("GetBucketTagging", "AccessDenied")
