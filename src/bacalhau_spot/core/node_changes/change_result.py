"""The result of `remove`, `replace` and `scale`, batch by batch."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from bacalhau_spot.core.error_catalog.classifier import classify, most_severe
from bacalhau_spot.core.notices import replacement
from bacalhau_spot.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bacalhau_spot.core.launch.create_result import CreateResult
    from bacalhau_spot.core.lifecycle.drain_result import DrainedNode, DrainResult
    from bacalhau_spot.core.model import Instance
    from bacalhau_spot.core.notices import Notice
    from bacalhau_spot.core.problem import ApiFailure


class Stop(StrEnum):
    """Why the change stopped before its end."""

    OVER_BUDGET = "over the budget"
    NOT_LAUNCHED = "not launched"
    NOT_JOINED = "not joined"
    TEST_FAILED = "smoke test failed"
    TEST_REFUSED = "smoke test refused by the orchestrator"
    NOT_DRAINED = "not drained"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True)
class BatchResult:
    """One batch. `new`: ids of its new nodes, also those of an interrupted run. `faulty`: those that are not joined or failed the
    smoke test. `refusal`: the orchestrator's, of the smoke test.
    """

    old: tuple[str, ...] = ()
    new: tuple[str, ...] = ()
    faulty: tuple[str, ...] = ()
    launch: CreateResult | None = None
    drain: DrainResult | None = None
    stop: Stop | None = None
    refusal: ApiFailure | None = None


def replacement_notices(cluster: str, result: ChangeResult, known: Iterable[Instance]) -> tuple[Notice, ...]:
    """One for each new node of the batches that were replaced completely. `known`: instances of earlier runs."""
    instances = {one.id: one for one in known}
    notices = []
    for batch in result.batches:
        regions = batch.launch.regions if batch.launch else ()
        instances |= {one.id: one for region in regions for one in region.running}
        pairs = zip(batch.old, batch.new, strict=False) if batch.stop is None else ()
        notices += [
            replacement(
                cluster, old_id=old, new_id=new, zone=instances[new].zone, instance_type=instances[new].type
            )
            for old, new in pairs
            if new in instances
        ]
    return tuple(notices)


@dataclass(frozen=True, slots=True)
class ChangeResult:
    """`left`: ids of nodes that were to leave, and of which no batch was begun."""

    batches: tuple[BatchResult, ...] = ()
    left: tuple[str, ...] = ()

    @property
    def stop(self) -> Stop | None:
        return next((batch.stop for batch in self.batches if batch.stop is not None), None)

    @property
    def drained(self) -> tuple[DrainedNode, ...]:
        return tuple(node for batch in self.batches if batch.drain for node in batch.drain.nodes)

    @property
    def new(self) -> tuple[str, ...]:
        return tuple(name for batch in self.batches for name in batch.new)

    @property
    def failures(self) -> tuple[ApiFailure, ...]:
        drains = (failure for batch in self.batches if batch.drain for failure in batch.drain.failures)
        launches = (failure for batch in self.batches if batch.launch for failure in batch.launch.unresolved)
        refusals = (batch.refusal for batch in self.batches if batch.refusal)
        return (*launches, *refusals, *drains)

    @property
    def launch_code(self) -> str | None:
        """AWS's code that explains nodes that were not launched, by severity; None if none is missing."""
        launches = (
            batch.launch for batch in self.batches if batch.stop is Stop.NOT_LAUNCHED and batch.launch
        )
        return most_severe(region.code for launch in launches for region in launch.regions if region.code)

    @property
    def exit_code(self) -> ExitCode:
        if self.stop is Stop.INTERRUPTED or ExitCode.INTERRUPTED in self._codes:
            return ExitCode.INTERRUPTED
        stopped = ExitCode.DONE if self.stop is None else ExitCode.FAILED
        return next((code for code in self._codes if code is not ExitCode.DONE), stopped)

    @property
    def _codes(self) -> tuple[ExitCode, ...]:
        parts = (part for batch in self.batches for part in (batch.launch, batch.drain))
        refused = tuple(classify(batch.refusal.code).exit_code for batch in self.batches if batch.refusal)
        return (*refused, *(part.exit_code for part in parts if part is not None))

    def unreplaced(self) -> int:
        """The number of nodes that have left or leave, whose replacements were not launched."""
        return sum(
            max(0, sum(node.leaving for node in batch.drain.nodes) - len(batch.new))
            for batch in self.batches
            if batch.drain
        )
