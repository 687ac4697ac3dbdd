"""Deletes all managed resources of one region: scan, delete those that are ready, scan again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bacalhau_spot.core.cleanup.deletion_order import RUNNING, SPEC_BY_KIND
from bacalhau_spot.core.cleanup.orchestrator_loss import is_of_orchestrator, orchestrator_instances
from bacalhau_spot.core.kinds import ResourceKind
from bacalhau_spot.core.launch import events
from bacalhau_spot.engine.cleanup.deletion_failures import RELAUNCHED, DeletionFailures
from bacalhau_spot.engine.cleanup.deletion_report import DeletionReport
from bacalhau_spot.engine.cleanup.deletion_scheduler import DeletionScheduler
from bacalhau_spot.engine.cleanup.dependency_check import DependencyCheck
from bacalhau_spot.engine.cleanup.job_results import JobResultsGuard
from bacalhau_spot.engine.cleanup.region_deleter import RegionDeleter
from bacalhau_spot.engine.cleanup.region_inventory import RegionInventory
from bacalhau_spot.engine.cleanup.region_scanner import RegionScanner

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bacalhau_spot.core.model import Resource
    from bacalhau_spot.core.problem import ApiFailure
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls
    from bacalhau_spot.engine.cleanup.region_inventory import Changes, LocalKey
    from bacalhau_spot.engine.cleanup.scan_result import RegionScan, ScanRequest

# Between two lists of a region with deletions in progress; grows while nothing changes. Instances take 20 seconds at
# least, and most take less than a minute: a longer pause would cost more than the calls that it saves.
POLL_S, SLOW_POLL_S, SLOWEST_POLL_S = 1.0, 2.0, 5.0
SLOWEST_AFTER_S = 60.0
# Resources created moments ago may not be listed yet; EC2 says "a few seconds" (EC2 API reference, "Eventual
# consistency").
SETTLE_S = 3.0
# Seconds without a change before AWS is asked for dependencies: longer than reads lag.
EXPLAIN_S = 10.0
# Seconds without a change or a deletion in progress, after which longer waiting does not help. Instances may take
# minutes to terminate: only the deadline limits them.
IDLE_S = 60.0
# The longest time between two scans of everything while a deletion is refused.
MAX_RESCAN_S = 30.0


@dataclass(frozen=True, slots=True)
class DeletionOptions:
    """The options that the user confirmed. `excluded`: why a resource is not deleted; empty if it is.

    `delete_results`: job results are deleted with their bucket, which otherwise is retained.
    """

    disable_protection: bool = False
    delete_results: bool = False
    excluded: Callable[[Resource], str] = lambda _resource: ""


class RegionTeardown:
    """One region, or the account-wide resources. `failure`: why the teardown ended early."""

    def __init__(
        self,
        calls: AwsCalls,
        request: ScanRequest,
        name: str,
        *,
        options: DeletionOptions,
        nodes_elsewhere: Callable[[], bool] = lambda: False,
    ) -> None:
        """`nodes_elsewhere`: whether another region has nodes, which are deleted before their orchestrator."""
        self.name = name
        self._nodes_elsewhere = nodes_elsewhere
        self.failure: ApiFailure | None = None
        self.scanned_at_s = 0.0
        self._rescan_every_s = 0.0
        self._calls = calls
        self._scanner = RegionScanner(calls, request, name)
        self._exclusive = request.exclusive
        self._index_is_clear = False  # when it was read last
        self.inventory = RegionInventory(excluded=options.excluded)
        self._failures = DeletionFailures(name)
        self._scheduler = DeletionScheduler(self.inventory, self._failures)
        self._dependencies = DependencyCheck(calls, name, self.inventory, self._failures)
        self.report = DeletionReport(self.inventory, self._failures)
        self._results = JobResultsGuard(calls, self.inventory, self._failures, delete=options.delete_results)
        self._deleter = RegionDeleter(
            calls,
            name,
            failures=self._failures,
            report=self.report,
            disable_protection=options.disable_protection,
        )

    @property
    def has_nodes(self) -> bool:
        """Whether instances remain that can be deleted, besides those of orchestrators."""
        if self.failure is not None:
            return False
        return any(
            resource.kind == ResourceKind.INSTANCE
            and not is_of_orchestrator(resource)
            and key not in self._failures.stuck
            for key, resource in self.inventory.remaining.items()
        )

    @property
    def is_blocked(self) -> bool:
        return self._scheduler.is_blocked

    async def run(self, *, deadline_s: float) -> None:
        """Until two scans, seconds apart, are empty; or no remaining resource can be deleted; or the deadline passes."""
        while True:
            await self._delete_until_idle(deadline_s=deadline_s)
            if not self._exclusive:
                await self._calls.pause(SETTLE_S)
            if not (self._exclusive and self._index_is_clear and self.inventory.is_clear):
                await self.scan_again()
            if self.is_blocked or self._now_s >= deadline_s:
                return

    def add_scan(self, scan: RegionScan, *, at_s: float) -> None:
        """Apply a scan of everything, taken at `at_s`."""
        self.scanned_at_s = at_s
        self._apply(self.inventory.update(scan, now_s=self._now_s))
        self._scheduler.mark_listed(SPEC_BY_KIND, at_s=at_s)

    async def scan_all(self) -> None:
        """Scan everything, regardless of earlier scans. Raises CloudError."""
        scan = await self._scanner.scan(known=self.inventory.seen_names, children=self.inventory.children)
        self.add_scan(scan, at_s=self._now_s)

    async def scan_again(self) -> None:
        """Scan everything; fewer calls if nothing remains and nothing has appeared. Raises CloudError."""
        if not self.inventory.is_clear:
            await self.scan_all()
            return
        scan = await self._scanner.scan_again(
            known=self.inventory.unindexed_names,
            children=self.inventory.children,
            ended=self._ended,
        )
        self.add_scan(scan, at_s=self._now_s)

    @property
    def _now_s(self) -> float:
        return self._calls.clock.monotonic_s()

    def _apply(self, changes: Changes) -> None:
        for resource in changes.appeared:
            self._calls.emit(events.ResourceFound(region=self.name, kind=resource.kind, id=resource.id))
        # The effect of another deletion request could not be observed.
        self._failures.stuck |= changes.unlisted & self.report.requested
        self.report.gone(changes.gone)
        for kind, resource_id in changes.gone:
            self._calls.emit(events.Deleted(region=self.name, kind=kind, id=resource_id))
        self._scheduler.retry_empty_launchers()

    async def _delete_until_idle(self, *, deadline_s: float) -> None:
        """Until no remaining resource can be deleted. One without progress is given up, so that the next are tried."""
        moved_s, pause_s = self._now_s, POLL_S
        while not self.is_blocked and self._now_s < deadline_s:
            moved = await self._step()
            if moved or self._is_deleting:
                moved_s = self._now_s
            idle_s = self._now_s - moved_s
            if idle_s >= EXPLAIN_S and (
                await self._has_moved_unseen() or await self._gives_up(idle_s=idle_s)
            ):
                moved_s = self._now_s
                continue
            if moved:
                pause_s = POLL_S
                continue
            self._emit_waiting()
            await self._calls.pause(pause_s)
            pause_s = min(SLOW_POLL_S if idle_s < SLOWEST_AFTER_S else SLOWEST_POLL_S, pause_s * 1.5)
            self._scheduler.mark_changed(self._scheduler.next_kinds)
        await self._dependencies.explain()

    async def _step(self) -> bool:
        """Scan the next kinds, delete the resources that are ready. Whether anything changed."""
        before = set(self.inventory.remaining)
        await self._scan_next()
        accepted = await self._delete_ready()
        return accepted or set(self.inventory.remaining) != before

    async def _has_moved_unseen(self) -> bool:
        """Scan everything: a deletion may have had its effect without an answer, and a dependency may be managed and new."""
        before = set(self.inventory.remaining)
        await self.scan_all()
        return set(self.inventory.remaining) != before

    async def _gives_up(self, *, idle_s: float) -> bool:
        """Find the dependencies, and give up the resources that cannot be deleted."""
        await self._dependencies.explain()
        all_failed = not self._is_deleting and self._scheduler.next_all_in_use
        if not all_failed and idle_s < IDLE_S:
            return False
        self._scheduler.give_up()
        return True

    @property
    def _is_deleting(self) -> bool:
        return self.inventory.any_deleting(now_s=self._now_s) or self._awaits_nodes_elsewhere

    @property
    def _awaits_nodes_elsewhere(self) -> bool:
        return bool(orchestrator_instances(self.inventory.remaining.values())) and self._nodes_elsewhere()

    async def _scan_next(self) -> None:
        """List the kinds that can be deleted next; the kinds after them are not listed again.

        After a refusal everything is scanned: a dependent resource may be so new that it is not listed yet.
        """
        if self._scheduler.any_passing_failure and self._scheduler.presume_nothing():
            self._failures.forget_busy()
        if self._scheduler.any_passing_failure and self._now_s - self.scanned_at_s >= self._rescan_every_s:
            await self._rescan_after_refusal()
            return
        kinds = self._scheduler.kinds_to_list(now_s=self._now_s)
        expected = frozenset(kind for kind in kinds - RUNNING if self._is_expected_gone(kind))
        if not RUNNING.isdisjoint(kinds):
            kinds -= expected  # they are looked at together with what ends with the instances
        if not kinds:
            return
        scan = await self._scanner.scan_kinds(
            kinds - await self._vanished(kinds & expected),
            known=self.inventory.remaining_names,
            children=self.inventory.children,
        )
        self._scheduler.mark_listed(kinds, at_s=self._now_s)
        self._apply(self.inventory.update_kinds(scan, kinds, now_s=self._now_s))

    async def _vanished(self, candidates: frozenset[ResourceKind]) -> frozenset[ResourceKind]:
        """Of kinds that are expected to be gone, those of which EC2's index lists nothing any more, in one call."""
        are_last = self._exclusive and all(key[0] in candidates for key in self.inventory.remaining)
        if len(candidates) < (1 if are_last else 2):  # the list of one kind is one call, too
            return frozenset()
        shown = {(tag.kind, tag.id) for tag in await self._scanner.index()}
        self.scanned_at_s = self._now_s if are_last else self.scanned_at_s
        self._index_is_clear = are_last and shown <= self._ended
        return candidates - {kind for kind, _ in shown}

    @property
    def _ended(self) -> frozenset[LocalKey]:
        """Launchers and instances that were found: AWS's index lists them for hours after their end."""
        return frozenset(key for key in self.inventory.seen if key[0] in RUNNING)

    def _is_expected_gone(self, kind: ResourceKind) -> bool:
        """Whether EC2's index has listed everything that remains of it, and AWS has accepted the deletion, or the owner's.

        An index that omits a resource is no proof by itself.
        """
        keys = self.inventory.remaining_of(kind)
        is_expected = SPEC_BY_KIND[kind].deleted_with_parent or all(map(self.report.is_accepted, keys))
        return is_expected and self.inventory.indexed.issuperset(keys)

    async def _rescan_after_refusal(self) -> None:
        """The interval grows with the duration of a refusal, as long as scans of everything find nothing new."""
        since_s, seen = self._now_s - self.scanned_at_s, len(self.inventory.seen)
        await self.scan_all()
        nothing_new = len(self.inventory.seen) == seen
        self._rescan_every_s = min(MAX_RESCAN_S, 2 * since_s) if nothing_new else 0.0

    async def _delete_ready(self) -> bool:
        """Whether AWS accepted any deletion. Raises Cancelled, and CloudError when the credentials are no longer valid."""
        ready = [
            resource
            for resource in self._scheduler.ready(now_s=self._now_s)
            if await self._may_delete(resource)
        ]
        changed = {ResourceKind(resource.kind) for resource in ready}
        self._scheduler.mark_changed(changed | self._attached_to_any(ready))
        accepted = await self._deleter.delete(ready)
        self._scheduler.presume_gone(
            key
            for key, resource in self.inventory.remaining.items()
            if self._is_presumably_gone(key, resource)
        )
        await self._deleter.revoke_group_rules(self.inventory)
        return accepted

    def _attached_to_any(self, users: Sequence[Resource]) -> frozenset[ResourceKind]:
        """Kinds of resources that are attached to one of `users`, such as a route table to its subnets.

        AWS ends the attachment with the user, and denies the call that would detach what is no longer attached.
        """
        ids = {user.id for user in users}
        return frozenset(
            ResourceKind(resource.kind)
            for resource in self.inventory.remaining.values()
            if resource.attached_to and not ids.isdisjoint(resource.used_by)
        )

    def _is_presumably_gone(self, key: LocalKey, resource: Resource) -> bool:
        """AWS has accepted its deletion, which takes no time, or it ended with the instances that used it.

        The list of everything at the end shows whether it is gone; so does a refusal to delete a resource that it uses.
        """
        if key not in self.inventory.indexed:
            return False
        spec = SPEC_BY_KIND[ResourceKind(resource.kind)]
        if spec.deleted_with_parent:
            return bool(resource.used_by) and all(map(self.inventory.is_gone, resource.used_by))
        return spec.at_once and self.report.is_accepted(key)

    async def _may_delete(self, resource: Resource) -> bool:
        """No launcher would replace it, no node or other resource uses it, and its protection is off."""
        if orchestrator_instances([resource]) and (self.has_nodes or self._nodes_elsewhere()):
            return False
        if self._scheduler.would_be_relaunched(resource):
            self._failures.by_us(resource, RELAUNCHED, "its launcher remains and would start another one")
            return False
        return (
            not self._dependencies.is_in_use(resource)
            and await self._results.may_delete(resource)
            and await self._deleter.lift_protection(resource)
        )

    def _emit_waiting(self) -> None:
        left = self.inventory.remaining.values()
        instances = sum(resource.kind == ResourceKind.INSTANCE for resource in left)
        message = f"{instances} terminating, then the others" if instances else "deleting"
        self._calls.emit(events.Waiting(region=self.name, message=message, remaining=len(left)))
