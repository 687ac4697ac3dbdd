"""Job results in a managed orchestrator's bucket: counted before a deletion, and deleted only if the user allows it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from bacalhau_spot.cloud.cloud_error import CloudError
from bacalhau_spot.core.cleanup.orchestrator_loss import (
    NO_LOSS,
    BucketContents,
    OrchestratorLoss,
    ResultsBucket,
    is_of_orchestrator,
    is_results_bucket,
    orchestrator_instances,
)
from bacalhau_spot.core.error_catalog.classifier import Category, classify
from bacalhau_spot.core.kinds import ResourceKind
from bacalhau_spot.core.model import OrchestratorMode, TaggedId
from bacalhau_spot.core.orchestrator.orchestrator_nodes import CLUSTER_LABEL
from bacalhau_spot.core.tags import bucket_arn, cluster_scope, results_bucket
from bacalhau_spot.engine.aws_calls import discovery
from bacalhau_spot.engine.aws_calls.caller import api_failure, gather_all
from bacalhau_spot.orchestrator.port import OrchestratorError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bacalhau_spot.core.clusters.listing import Listing
    from bacalhau_spot.core.model import ClusterSpec, Naming, Resource
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls
    from bacalhau_spot.engine.cleanup.deletion_failures import DeletionFailures
    from bacalhau_spot.engine.cleanup.region_inventory import RegionInventory
    from bacalhau_spot.orchestrator.port import Orchestrator

# S3's code for a bucket that was deleted in the meantime.
_NO_BUCKET = "NoSuchBucket"


def configured_home(spec: ClusterSpec) -> str | None:
    """The region in which `create` puts a managed orchestrator of this configuration; None without one."""
    return spec.planned_home if spec.orchestrator.mode is OrchestratorMode.MANAGED else None


def results_candidates(
    naming: Naming, home: str | None, *, account_id: str
) -> tuple[tuple[str, TaggedId], ...]:
    """The cluster's bucket in its home region, for a scan: it may exist although the tag index omits it."""
    if home is None:
        return ()
    arn = bucket_arn(results_bucket(naming, account_id=account_id, region=home), region=home)
    return ((home, TaggedId(kind=ResourceKind.BUCKET.value, id=arn)),)


async def with_results_bucket(calls: AwsCalls, naming: Naming, found: Listing, *, account_id: str) -> Listing:
    """With the bucket of a managed orchestrator, which EC2's tag index omits. A refusal is a failure of its region."""
    if found.orchestrator is None:
        return found
    home = found.orchestrator.region
    ((_, bucket),) = results_candidates(naming, home, account_id=account_id)
    scope = cluster_scope(naming)
    try:
        buckets = await calls.read(
            home, partial(calls.cloud.find, home, ResourceKind.BUCKET, scope, ids=[bucket.id])
        )
    except CloudError as error:
        return replace(found, failed_regions=(*found.failed_regions, api_failure(error)))
    return replace(found, others=(*found.others, *buckets))


async def results_buckets(
    calls: AwsCalls, resources: Iterable[Resource], *, delete_results: bool
) -> tuple[ResultsBucket, ...]:
    """The buckets with job results among `resources`, and whether a deletion includes them.

    A bucket that AWS refuses to list is omitted: its deletion fails for the same reason, and reports it. Raises CloudError
    when the credentials are no longer valid.
    """

    async def inspect(resource: Resource) -> ResultsBucket | None:
        try:
            contents = await _contents(calls, resource)
        except CloudError as error:
            if classify(error.code).category is Category.CREDENTIALS:
                raise
            return None
        return ResultsBucket(resource, contents, deleted=delete_results or contents.empty)

    buckets = await gather_all(*(inspect(bucket) for bucket in resources if is_results_bucket(bucket)))
    return tuple(bucket for bucket in buckets if bucket is not None)


async def _contents(calls: AwsCalls, bucket: Resource) -> BucketContents:
    try:
        return await calls.read(bucket.region, partial(calls.cloud.bucket_contents, bucket.region, bucket.id))
    except CloudError as error:
        if error.code == _NO_BUCKET:
            return BucketContents()
        raise


async def orchestrator_loss(
    calls: AwsCalls,
    resources: Iterable[Resource],
    orchestrator: Orchestrator | None,
    *,
    naming: Naming,
    label: str,
    regions: Sequence[str],
) -> OrchestratorLoss:
    """The orchestrators among `resources`, and the nodes of other clusters that may use them. `label`: of our nodes.

    `orchestrator`: the API, if its credentials could be read. If it does not answer, AWS lists the other clusters;
    those with an orchestrator of their own are left out.
    """
    instances = orchestrator_instances(resources)
    if not instances:
        return NO_LOSS
    users = await _listed_users(orchestrator, label=label) if orchestrator is not None else None
    if users is not None:
        return OrchestratorLoss(instances, users, certain=True)
    return OrchestratorLoss(instances, await _possible_users(calls, naming, regions=regions), certain=False)


async def _listed_users(orchestrator: Orchestrator, *, label: str) -> dict[str, int] | None:
    """The connected nodes of other clusters, by cluster; None if the orchestrator does not answer."""
    try:
        nodes = await orchestrator.nodes()
    except OrchestratorError:
        return None
    names = Counter(node.labels.get(CLUSTER_LABEL, "") for node in nodes if node.connected)
    return {name: count for name, count in sorted(names.items()) if name not in {"", label}}


async def _possible_users(calls: AwsCalls, naming: Naming, *, regions: Sequence[str]) -> dict[str, int]:
    others = await discovery.other_cluster_instances(calls, naming, regions=regions)
    own = {instance.tags.get(naming.tag_key) for instance in others if is_of_orchestrator(instance)}
    counts = discovery.count_by_cluster(others, naming)
    return {name: count for name, count in counts.items() if name not in own}


class JobResultsGuard:
    """Retains a bucket with results, unless `delete`: then its objects are deleted before it."""

    def __init__(
        self, calls: AwsCalls, inventory: RegionInventory, failures: DeletionFailures, *, delete: bool
    ) -> None:
        self._calls = calls
        self._inventory = inventory
        self._failures = failures
        self._delete = delete

    async def may_delete(self, resource: Resource) -> bool:
        """Whether the bucket is empty now. Results that arrived after the preview count. Raises CloudError, Cancelled."""
        if not is_results_bucket(resource):
            return True
        try:
            contents = await _contents(self._calls, resource)
            if not contents.empty and self._delete:
                await self._calls.write(
                    resource.region,
                    partial(self._calls.cloud.empty_bucket, resource.region, resource.id),
                )
        except CloudError as error:
            if classify(error.code).category is Category.CREDENTIALS:
                raise
            self._failures.by_aws(resource, error)
            return False
        if contents.empty or self._delete:
            return True
        self._inventory.keep_results(resource, contents)
        return False
