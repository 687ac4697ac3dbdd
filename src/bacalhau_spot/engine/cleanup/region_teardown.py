"""One region going away, or what is the same in all of them: what has been seen, what is left, what AWS refused."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from bacalhau_spot.cloud.port import CloudError, Deletion
from bacalhau_spot.core.cleanup.deletion_order import (
    SPEC_BY_KIND,
    deletable,
    is_deleting,
    is_deleting_or_detaching,
    is_known_kind,
    prerequisites,
    unblocked_kinds,
)
from bacalhau_spot.core.cleanup.deletion_result import DeletionOutcome, DeletionStatus
from bacalhau_spot.core.error_catalog.classifier import Category, classify
from bacalhau_spot.core.kinds import ResourceKind
from bacalhau_spot.core.launch import events
from bacalhau_spot.core.model import TaggedId
from bacalhau_spot.engine.aws_calls.caller import api_failure, gather_all
from bacalhau_spot.engine.cleanup.deletion_failures import (
    PROTECTED,
    RELAUNCHED,
    DeletionFailures,
    Key,
    failure_key,
)
from bacalhau_spot.engine.cleanup.resource_scan import RegionScan, RegionScanner, scan_region

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from bacalhau_spot.core.cleanup.deletion_result import Dependency
    from bacalhau_spot.core.model import Resource
    from bacalhau_spot.core.problem import ApiFailure
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls
    from bacalhau_spot.engine.cleanup.resource_scan import ScanRequest


# Between two looks at everything while something is refused.
MAX_WAIT_S = 30.0


@dataclass(frozen=True, slots=True)
class DeletionOptions:
    """What was agreed to. `excluded`: why a resource is left alone all the same; empty where it is not."""

    disable_protection: bool = False
    excluded: Callable[[Resource], str] = lambda _one: ""


def _by_name(resource: Resource) -> TaggedId:
    return TaggedId(kind=resource.kind, id=resource.arn or resource.id)


class RegionTeardown:
    """Everything about one region during a teardown."""

    def __init__(self, calls: AwsCalls, request: ScanRequest, name: str, *, options: DeletionOptions) -> None:
        self.calls = calls
        self.name = name
        self._search = request
        self._terms = options
        self.seen: dict[Key, Resource] = {}
        self.remaining: dict[Key, Resource] = {}
        self.spared: dict[Key, str] = {}
        self._refusals = DeletionFailures(name)
        self.requests: dict[Key, tuple[str, ...]] = {}
        self.failure: ApiFailure | None = None
        self.looked_at_s = 0.0
        self._look_every_s = 0.0
        self.unsupported: tuple[Resource, ...] = ()
        self.failures: tuple[ApiFailure, ...] = ()
        self.partial_failures: tuple[ApiFailure, ...] = ()
        self._blind: Mapping[str, ApiFailure] = {}
        self._asked: set[Key] = set()
        self._retried: set[Key] = set()
        self._went: set[Key] = set()  # after we began: with what it belongs to, if not by itself
        self._leaving_since_s: dict[Key, float] = {}
        self._children: set[str] = set()
        self._watched: frozenset[ResourceKind] = frozenset()  # looked at a moment ago, when it was their turn

    @property
    def deleting(self) -> bool:
        """Something only needs time, and has not taken more of it than its kind may."""
        now_s = self.calls.clock.monotonic_s()
        return any(
            now_s - since_s <= SPEC_BY_KIND[ResourceKind(kind)].deletion_timeout_s
            for (kind, resource_id), since_s in self._leaving_since_s.items()
            if (kind, resource_id) in self.remaining
        )

    @property
    def is_blocked(self) -> bool:
        """Nothing that is left could be deleted however long we wait."""
        return all(key in self._refusals.stuck for key in self.remaining)

    @property
    def all_failed(self) -> bool:
        """Whatever could be asked for now is kept by what stays, and nothing is on its way out."""
        return not self.deleting and all(self._refusals.blockers.get(key) for key in self._waiting())

    def give_up(self) -> None:
        """What could be asked for now will not go: what comes after it gets its turn."""
        self._refusals.stuck.update(self._waiting())

    def _waiting(self) -> list[Key]:
        turn = unblocked_kinds(self._movable(self.remaining.values()))
        return [
            key
            for key, resource in self.remaining.items()
            if resource.kind in turn and key not in self._refusals.stuck
        ]

    @property
    def status_text(self) -> str:
        kinds = sorted({resource.kind for resource in self.remaining.values()})
        return f"deleting {kinds[0]}" if len(kinds) == 1 else f"deleting {len(kinds)} kinds"

    async def scan_all(self) -> None:
        """Everything, whatever was seen before. Raises CloudError, Stopped."""
        scan = await scan_region(
            self.calls,
            self._search,
            self.name,
            also=list(map(_by_name, self.seen.values())),
            children=self._children,
        )
        self.update(scan, at_s=self.calls.clock.monotonic_s())
        self._watched = unblocked_kinds(self._movable(self.remaining.values()))

    async def scan_next(self) -> None:
        """The kinds whose turn it is; what waits behind them is as it was.

        After a refusal everything: something may depend on it that was made moments ago and is not shown yet. The longer it
        lasts and the less such a look shows, the seldomer.
        """
        refused = any(
            key in self._refusals.problems and key not in self._refusals.stuck for key in self.remaining
        )
        since_s = self.calls.clock.monotonic_s() - self.looked_at_s
        if refused and since_s >= self._look_every_s:
            seen = len(self.seen)
            await self.scan_all()
            self._look_every_s = min(MAX_WAIT_S, 2 * since_s) if len(self.seen) == seen else 0.0
            return
        turn = unblocked_kinds(self._movable(self.remaining.values()))
        visitor = RegionScanner(self.calls, self._search, self.name, children=self._children)
        resources = await visitor.find(turn, also=list(map(_by_name, self.remaining.values())))
        waiting = [resource for resource in self.remaining.values() if resource.kind not in turn]
        self._watched = turn
        self.update(
            RegionScan(
                resources=(*waiting, *resources),
                unsupported=self.unsupported,
                failures=self.failures,
                partial_failures=self.partial_failures,
                failed_kinds=visitor.blind,
                children=frozenset(visitor.children),
            )
        )

    def update(self, scan: RegionScan, *, at_s: float | None = None) -> None:
        """Compare a look with what was known before: what is new, what is gone. `at_s`: when everything was looked at.

        Of a kind that could not be looked at nothing is gone: only a list without it says so.
        """
        if at_s is not None:
            self.looked_at_s = at_s
        self.unsupported, self.failures, self.partial_failures = (
            scan.unsupported,
            scan.failures,
            scan.partial_failures,
        )
        self._children |= scan.children
        now: dict[Key, Resource] = {}
        for resource in scan.resources:
            key = failure_key(resource)
            why = resource.retained or self._terms.excluded(resource)
            if key not in self.seen and not why:
                self.calls.emit(events.ResourceFound(region=self.name, kind=resource.kind, id=resource.id))
            self.seen[key] = resource
            if is_deleting(resource):
                self._leaving_since_s.setdefault(key, self.calls.clock.monotonic_s())
            if why:
                self.spared[key] = why
            else:
                now[key] = resource
        unknown = {
            key: one for key, one in self.remaining.items() if key[0] in scan.failed_kinds and key not in now
        }
        now |= unknown
        # Asking again would change nothing that we could see.
        self._refusals.stuck.update(key for key in unknown if key in self._asked)
        self._blind = scan.failed_kinds
        for kind, resource_id in self.remaining:
            if (kind, resource_id) not in now:
                if self._asked:
                    self._went.add((kind, resource_id))
                self.calls.emit(events.Deleted(region=self.name, kind=kind, id=resource_id))
        self.remaining = now
        self._retry_empty_launchers()

    def _retry_empty_launchers(self) -> None:
        """AWS refuses to delete a fleet with many instances as long as they live (EC2 API reference, DeleteFleets).

        Once for each launcher: a refusal for another reason comes back.
        """
        instances = {
            resource.id for resource in self.remaining.values() if resource.kind == ResourceKind.INSTANCE
        }
        for key in self._refusals.stuck - self._retried:
            launcher = self.remaining.get(key)
            if launcher is not None and launcher.children and instances.isdisjoint(launcher.children):
                self._retried.add(key)
                self._refusals.stuck.discard(key)

    async def delete_ready(self) -> bool:
        """Ask for everything whose turn it is; whether AWS took any of it. Raises Stopped, and CloudError that ends it all."""
        by_kind: dict[ResourceKind, list[Resource]] = {}
        for resource in deletable(self._movable(self.remaining.values()), scanned=self._watched):
            if await self._may_delete(resource):
                by_kind.setdefault(ResourceKind(resource.kind), []).append(resource)
        batches = [
            (kind, resources[start : start + SPEC_BY_KIND[kind].batch])
            for kind, resources in by_kind.items()
            for start in range(0, len(resources), SPEC_BY_KIND[kind].batch)
        ]
        taken = any(await gather_all(*(self._delete(kind, batch) for kind, batch in batches)))
        await self._revoke_group_rules()
        return taken

    async def _revoke_group_rules(self) -> None:
        """Groups that wait for each other, or for the default group of their VPC, do so by rules that are ours to revoke."""
        refused = [
            resource_id
            for (kind, resource_id), failure in self._refusals.problems.items()
            if kind == ResourceKind.GROUP
            and failure.code == "DependencyViolation"
            and (kind, resource_id) in self.remaining
        ]
        if not refused:
            return
        groups = [resource.id for resource in self.remaining.values() if resource.kind == ResourceKind.GROUP]
        vpcs = [resource.id for resource in self.remaining.values() if resource.kind == ResourceKind.VPC]
        try:
            await self.calls.write(
                self.name,
                partial(self.calls.cloud.revoke_mutual_rules, self.name, groups=groups, vpcs=vpcs),
                retry_dependencies=False,
            )
        except CloudError as error:
            if classify(error.code).category is Category.CREDENTIALS:
                raise
            for resource_id in refused:
                self._refusals.problems[ResourceKind.GROUP.value, resource_id] = api_failure(error)

    async def explain(self) -> None:
        """Find out what keeps what was refused or waits for its owner. Raises CloudError when AWS would not say."""
        cloud = self.calls.cloud
        for waiting in self.remaining.values():
            if is_deleting_or_detaching(waiting) and not is_deleting(waiting):
                self._is_in_use(waiting)
        for resource in [self.remaining[key] for key in self._refusals.busy if key in self.remaining]:
            found, hidden = await self.calls.read(self.name, partial(cloud.dependencies, self.name, resource))
            staying = [dependency for dependency in found if self._is_dependency(dependency, resource)]
            self._refusals.add_dependencies(resource, staying, reasons=self._reasons)
            self._refusals.add_unreadable(resource, hidden)

    def _is_dependency(self, dependency: Dependency, resource: Resource) -> bool:
        """It stays, and does not itself wait for `resource`: a VPC of ours is no reason why its gateway stays."""
        later = (
            is_known_kind(dependency.kind)
            and resource.kind in prerequisites(ResourceKind(dependency.kind))
            and self._is_managed(dependency.id)
        )
        return (
            not later
            and self._remains(dependency.id)
            and (not dependency.parent_id or self._remains(dependency.parent_id))
        )

    def _movable(self, resources: Iterable[Resource]) -> list[Resource]:
        return [resource for resource in resources if failure_key(resource) not in self._refusals.stuck]

    async def _may_delete(self, resource: Resource) -> bool:
        """Nothing foreign hangs on it, nothing starts it again, and it is not protected, or not any more."""
        if self._relaunched(resource):
            self._refusals.by_us(resource, RELAUNCHED, "its launcher remains and would start another one")
            return False
        if self._is_in_use(resource):
            return False
        if not resource.protection:
            return True
        if not self._terms.disable_protection:
            self._refusals.by_us(resource, PROTECTED, f"{resource.protection} is on")
            return False
        return await self._disable_protection(resource)

    async def _disable_protection(self, resource: Resource) -> bool:
        try:
            await self.calls.write(self.name, partial(self.calls.cloud.unprotect, self.name, resource))
        except CloudError as error:
            self._refusals.by_aws(resource, error)
            return False
        return True

    def _relaunched(self, resource: Resource) -> bool:
        stuck = (self.remaining[key] for key in self._refusals.stuck if key in self.remaining)
        return resource.kind == ResourceKind.INSTANCE and any(
            launcher.relaunches and resource.id in launcher.children for launcher in stuck
        )

    def _remains(self, resource_id: str) -> bool:
        """It is not ours, or it cannot or may not go: waiting for it does not help."""
        return not self._is_managed(resource_id) or resource_id in self._reasons

    @property
    def _reasons(self) -> dict[str, str]:
        """Why what is ours stays."""
        return {resource_id: why for (_, resource_id), why in self.spared.items()} | self._refusals.reasons

    def _is_in_use(self, resource: Resource) -> bool:
        """Something that stays uses it; it is told then, with what frees it."""
        staying = tuple(filter(self._remains, resource.used_by))
        if staying:
            self._refusals.in_use(resource, staying, reasons=self._reasons)
        return bool(staying)

    def _is_managed(self, resource_id: str) -> bool:
        return resource_id in self._children or any(seen_id == resource_id for _, seen_id in self.seen)

    async def _delete(self, kind: ResourceKind, batch: Sequence[Resource]) -> bool:
        """One batch; whether AWS took any of it. Where one spoils it for the others, each is asked for alone."""
        cloud = self.calls.cloud
        self._asked.update(map(failure_key, batch))
        try:
            answer = await self.calls.write(
                self.name, partial(cloud.delete, self.name, kind, batch), retry_dependencies=False
            )
        except CloudError as error:
            if classify(error.code).category is Category.CREDENTIALS:
                raise
            if len(batch) > 1:
                return any(await gather_all(*(self._delete(kind, [resource]) for resource in batch)))
            self._refusals.by_aws(batch[0], error)
            return False
        return self._process_result(batch, answer)

    def _process_result(self, batch: Sequence[Resource], answer: Deletion) -> bool:
        """Whether AWS took something that it had not taken before: repeating an order is no progress."""
        refused = {failure.id: failure for failure in answer.failed}
        taken = False
        for resource in batch:
            if resource.id in refused:
                self._refusals.in_batch(resource, refused[resource.id].code, refused[resource.id].message)
                continue
            self._refusals.clear(resource)
            taken = taken or failure_key(resource) not in self.requests
            self.requests[failure_key(resource)] = answer.request_ids
            self.calls.emit(
                events.Deleting(
                    region=self.name, kind=resource.kind, id=resource.id, request_ids=answer.request_ids
                )
            )
        return taken

    def outcomes(self) -> tuple[DeletionOutcome, ...]:
        return tuple(self._outcome(key, resource) for key, resource in self.seen.items())

    def _outcome(self, key: Key, resource: Resource) -> DeletionOutcome:
        if key in self.remaining:
            # What cannot be listed may be gone: the reason is told beside it.
            failure, blind = self._refusals.problems.get(key), self._blind.get(key[0])
            dependencies = self._refusals.blockers.get(key, ())
            fate = (
                DeletionStatus.BLOCKED
                if dependencies
                else DeletionStatus.FAILED
                if failure
                else DeletionStatus.NOT_ATTEMPTED
            )
            return DeletionOutcome(
                resource=resource, status=fate, problem=failure or blind, dependencies=dependencies
            )
        if key in self.spared and key not in self._asked:
            return DeletionOutcome(resource=resource, status=DeletionStatus.SKIPPED, reason=self.spared[key])
        fate = DeletionStatus.DELETED if key in self._went else DeletionStatus.NOT_FOUND
        return DeletionOutcome(resource=resource, status=fate, request_ids=self.requests.get(key, ()))
