"""Finding and deleting: one row for each kind of resource, in the file of its family."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bacalhau_spot.cloud.cleaning import by_id, iam, index, launchers, network, services, storage
from bacalhau_spot.cloud.cleaning import groups as groups_
from bacalhau_spot.cloud.cleaning.blockers import find_blockers
from bacalhau_spot.cloud.cleaning.handler import DENIED, Handler, Look, gone_already, plain
from bacalhau_spot.cloud.port import CloudError, Deletion
from bacalhau_spot.cloud.shapes import tag_list
from bacalhau_spot.core.teardown import GLOBAL, Kind

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from bacalhau_spot.cloud.port import TaggedId
    from bacalhau_spot.cloud.session import Session
    from bacalhau_spot.core.model import Resource
    from bacalhau_spot.core.receipt import Blocker
    from bacalhau_spot.core.tags import Scope

HANDLERS: dict[Kind, Handler] = {
    **launchers.HANDLERS,
    **storage.HANDLERS,
    **network.HANDLERS,
    **services.HANDLERS,
    **iam.HANDLERS,
}


class AwsCleaning:
    """`port.Cleaning` over boto3."""

    _session: Session

    async def tagged(self, region: str, scope: Scope) -> tuple[TaggedId, ...]:
        return () if region == GLOBAL else await index.in_ec2(self._session, region, scope)

    async def tagged_beside_ec2(self, region: str, scope: Scope) -> tuple[TaggedId, ...]:
        return () if region == GLOBAL else await index.beside_ec2(self._session, region, scope)

    async def find(
        self, region: str, kind: Kind, scope: Scope, *, ids: Sequence[str] = ()
    ) -> tuple[Resource, ...]:
        return tuple(await HANDLERS[kind].find(Look(self._session, region, scope, tuple(ids))))

    async def delete(self, region: str, kind: Kind, resources: Sequence[Resource]) -> Deletion:
        try:
            return await HANDLERS[kind].delete(self._session, region, resources)
        except CloudError as error:
            # In a batch one that has gone fails all the others: the caller asks again for each alone.
            if not gone_already(error) or len(resources) > 1:
                raise plain(error) from error
            return Deletion((error.request_id,) if error.request_id else ())

    async def unprotect(self, region: str, resource: Resource) -> None:
        lift = HANDLERS[Kind(resource.kind)].lift
        if lift is not None:
            await lift(self._session, region, resource)

    async def denied(self, region: str, resource: Resource) -> CloudError | None:
        probe = HANDLERS[Kind(resource.kind)].probe
        if probe is None:
            return None
        try:
            await probe(self._session, region, resource)
        except CloudError as error:
            # Any other answer, that it would be allowed (DryRunOperation) as well as that something depends on it, means that
            # we may.
            if error.code in DENIED:
                return error
        return None

    async def revoke_between(
        self, region: str, *, groups: Collection[str], vpcs: Collection[str]
    ) -> Deletion:
        return await groups_.revoke_between(self._session, region, groups=groups, vpcs=vpcs)

    async def blockers(
        self, region: str, resource: Resource
    ) -> tuple[tuple[Blocker, ...], tuple[CloudError, ...]]:
        return await find_blockers(self._session, region, resource)

    async def exists(self, region: str, resource_id: str) -> bool:
        return await by_id.exists(self._session, region, resource_id)

    async def adopt(self, region: str, resource_id: str, *, tags: Mapping[str, str]) -> None:
        await self._session.call("ec2", region, "create_tags", Resources=[resource_id], Tags=tag_list(tags))
