"""Finding and deleting: a handler for each resource type, in the file of its family."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bacalhau_spot.cloud.cleanup import tag_index
from bacalhau_spot.cloud.cleanup.handler import DENIED, FindRequest, is_gone_error, plain_error
from bacalhau_spot.cloud.cloud_error import CloudError
from bacalhau_spot.cloud.ec2_params import tag_list
from bacalhau_spot.cloud.port import Deletion
from bacalhau_spot.core.kinds import GLOBAL, ResourceKind
from bacalhau_spot.core.model import TaggingApiIndex

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from bacalhau_spot.cloud.cleanup.handler import Handler
    from bacalhau_spot.cloud.session import Session
    from bacalhau_spot.core.cleanup.deletion_result import Dependency
    from bacalhau_spot.core.cleanup.orchestrator_loss import BucketContents
    from bacalhau_spot.core.model import Resource, TaggedId
    from bacalhau_spot.core.tags import Scope


def _handler(kind: ResourceKind) -> Handler:
    # Most commands delete nothing: they do not wait for the import of all handlers.
    from bacalhau_spot.cloud.cleanup.handlers import HANDLERS  # noqa: PLC0415

    return HANDLERS[kind]


class AwsCleanup:
    """`port.Cleanup` over botocore."""

    _session: Session

    async def tagged(self, region: str, scope: Scope) -> tuple[TaggedId, ...]:
        return () if region == GLOBAL else await tag_index.tagged_in_ec2(self._session, region, scope)

    async def tagging_api(self, region: str, scope: Scope) -> TaggingApiIndex:
        if region == GLOBAL:
            return TaggingApiIndex()
        return await tag_index.tagging_api(self._session, region, scope)

    async def find(
        self, region: str, kind: ResourceKind, scope: Scope, *, ids: Sequence[str] = ()
    ) -> tuple[Resource, ...]:
        return tuple(await _handler(kind).find(FindRequest(self._session, region, scope, tuple(ids))))

    async def delete(self, region: str, kind: ResourceKind, resources: Sequence[Resource]) -> Deletion:
        try:
            return await _handler(kind).delete(self._session, region, resources)
        except CloudError as error:
            # In a batch, one deleted resource fails all others: the caller retries them individually.
            if not is_gone_error(error) or len(resources) > 1:
                raise plain_error(error) from error
            return Deletion((error.request_id,) if error.request_id else ())

    async def bucket_contents(self, region: str, name: str) -> BucketContents:
        from bacalhau_spot.cloud.cleanup import services  # noqa: PLC0415 - as for the handlers

        return await services.bucket_contents(self._session, region, name)

    async def empty_bucket(self, region: str, name: str) -> None:
        from bacalhau_spot.cloud.cleanup import services  # noqa: PLC0415 - as for the handlers

        await services.delete_versions(self._session, region, name)

    async def unprotect(self, region: str, resource: Resource) -> None:
        lift = _handler(ResourceKind(resource.kind)).unprotect
        if lift is not None:
            await lift(self._session, region, resource)

    async def dry_run_delete(self, region: str, resource: Resource) -> CloudError | None:
        probe = _handler(ResourceKind(resource.kind)).dry_run
        if probe is None:
            return None
        try:
            await probe(self._session, region, resource)
        except CloudError as error:
            # Any other answer means that the deletion is permitted: DryRunOperation, or a dependency.
            if error.code in DENIED:
                return error
        return None

    async def revoke_mutual_rules(
        self, region: str, *, groups: Collection[str], vpcs: Collection[str]
    ) -> Deletion:
        from bacalhau_spot.cloud.cleanup import security_group_rules  # noqa: PLC0415 - as for the handlers

        return await security_group_rules.revoke_mutual_rules(self._session, region, groups=groups, vpcs=vpcs)

    async def dependencies(
        self, region: str, resource: Resource
    ) -> tuple[tuple[Dependency, ...], tuple[CloudError, ...]]:
        from bacalhau_spot.cloud.cleanup.dependencies import find_dependencies  # noqa: PLC0415 - as for the handlers

        return await find_dependencies(self._session, region, resource)

    async def exists(self, region: str, resource_id: str) -> bool:
        from bacalhau_spot.cloud.cleanup import existence  # noqa: PLC0415 - as for the handlers

        return await existence.exists(self._session, region, resource_id)

    async def adopt(self, region: str, resource_id: str, *, tags: Mapping[str, str]) -> None:
        await self._session.call("ec2", region, "create_tags", Resources=[resource_id], Tags=tag_list(tags))
