"""The calls that delete in one region: in batches, and one resource at a time after a batch is refused."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from bacalhau_spot.cloud.cloud_error import CloudError
from bacalhau_spot.core.cleanup.deletion_order import SPEC_BY_KIND
from bacalhau_spot.core.error_catalog.classifier import Category, classify
from bacalhau_spot.core.kinds import ResourceKind
from bacalhau_spot.core.launch import events
from bacalhau_spot.engine.aws_calls.caller import gather_all
from bacalhau_spot.engine.cleanup.deletion_failures import PROTECTED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bacalhau_spot.cloud.port import Deletion
    from bacalhau_spot.core.model import Resource
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls
    from bacalhau_spot.engine.cleanup.deletion_failures import DeletionFailures
    from bacalhau_spot.engine.cleanup.deletion_report import DeletionReport
    from bacalhau_spot.engine.cleanup.region_inventory import RegionInventory

Batch = tuple[ResourceKind, "Sequence[Resource]"]


class RegionDeleter:
    """Calls AWS, and records its answers in `failures` and `report`."""

    def __init__(
        self,
        calls: AwsCalls,
        region: str,
        *,
        failures: DeletionFailures,
        report: DeletionReport,
        disable_protection: bool,
    ) -> None:
        self._calls = calls
        self._region = region
        self._failures = failures
        self._report = report
        self._disables_protection = disable_protection

    async def delete(self, resources: Sequence[Resource]) -> bool:
        """Whether AWS accepted any deletion. Raises Cancelled, and CloudError when the credentials are no longer valid."""
        return any(
            await gather_all(*(self._delete_batch(kind, batch) for kind, batch in _batches(resources)))
        )

    async def _delete_batch(self, kind: ResourceKind, batch: Sequence[Resource]) -> bool:
        self._report.request(batch)
        try:
            answer = await self._calls.write(
                self._region,
                partial(self._calls.cloud.delete, self._region, kind, batch),
                retry_dependencies=False,
            )
        except CloudError as error:
            if classify(error.code).category is Category.CREDENTIALS:
                raise
            if len(batch) > 1:
                return any(await gather_all(*(self._delete_batch(kind, [resource]) for resource in batch)))
            self._failures.by_aws(batch[0], error)
            return False
        return self._note_answer(batch, answer)

    def _note_answer(self, batch: Sequence[Resource], answer: Deletion) -> bool:
        """Whether AWS accepted a deletion for the first time."""
        refused = {failure.id: failure for failure in answer.failed}
        progress = False
        for resource in batch:
            if resource.id in refused:
                self._failures.in_batch(resource, refused[resource.id].code, refused[resource.id].message)
                continue
            self._failures.clear(resource)
            progress = self._report.accept(resource, answer.request_ids) or progress
            self._calls.emit(
                events.Deleting(
                    region=self._region,
                    kind=resource.kind,
                    id=resource.id,
                    request_ids=answer.request_ids,
                )
            )
        return progress

    async def lift_protection(self, resource: Resource) -> bool:
        """Whether its protection is off, now or already before."""
        if not resource.protection:
            return True
        if not self._disables_protection:
            self._failures.by_us(resource, PROTECTED, f"{resource.protection} is on")
            return False
        try:
            await self._calls.write(
                self._region, partial(self._calls.cloud.unprotect, self._region, resource)
            )
        except CloudError as error:
            self._failures.by_aws(resource, error)
            return False
        return True

    async def revoke_group_rules(self, inventory: RegionInventory) -> None:
        """Revoke the rules that block deletion: between managed groups, or with the default group of their VPC."""
        refused = [
            key
            for key in self._failures.with_code(ResourceKind.GROUP, "DependencyViolation")
            if key in inventory.remaining
        ]
        if not refused:
            return
        try:
            await self._calls.write(
                self._region,
                partial(
                    self._calls.cloud.revoke_mutual_rules,
                    self._region,
                    groups=inventory.remaining_ids(ResourceKind.GROUP),
                    vpcs=inventory.remaining_ids(ResourceKind.VPC),
                ),
                retry_dependencies=False,
            )
        except CloudError as error:
            if classify(error.code).category is Category.CREDENTIALS:
                raise
            for key in refused:
                self._failures.replace_by(key, error)


def _batches(resources: Sequence[Resource]) -> list[Batch]:
    """Of one kind each, within the limit of one call of that kind."""
    by_kind: dict[ResourceKind, list[Resource]] = {}
    for resource in resources:
        by_kind.setdefault(ResourceKind(resource.kind), []).append(resource)
    return [
        (kind, of_kind[start : start + SPEC_BY_KIND[kind].batch])
        for kind, of_kind in by_kind.items()
        for start in range(0, len(of_kind), SPEC_BY_KIND[kind].batch)
    ]
