"""The results of commands, as values: requested, launched and failed nodes; found, deleted and remaining resources."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bacalhau_spot.core.error_catalog.classifier import Category, classify, most_severe
from bacalhau_spot.core.launch.instance_phases import Phase, phase_of
from bacalhau_spot.core.placement.pool_distribution import PoolDistribution
from bacalhau_spot.core.scaling_group.groups import GROUP_CHANGES
from bacalhau_spot.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from decimal import Decimal

    from bacalhau_spot.core.lifecycle.drain_result import DrainedNode, DrainResult
    from bacalhau_spot.core.model import Instance
    from bacalhau_spot.core.problem import ApiFailure


def _has_to_be_mended(problem: ApiFailure) -> bool:
    """Whether it remains a problem where no node is missing: a group that is not as planned, or a refused caller."""
    denied = {Category.CREDENTIALS, Category.PERMISSION}
    return problem.operation in GROUP_CHANGES or classify(problem.code).category in denied


@dataclass(frozen=True, slots=True)
class PoolFailure:
    """A pool that AWS could not use."""

    type: str
    zone: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class RegionResult:
    """One region of a create.

    `requested`: the first number of nodes. `extra`: nodes taken over from other regions. `reassigned`: nodes that other
    regions took over. `launched`: ids from AWS. `instances`: their last state.
    """

    region: str
    requested: int
    extra: int = 0
    reassigned: int = 0
    launched: tuple[str, ...] = ()
    instances: tuple[Instance, ...] = ()
    pool_failures: tuple[PoolFailure, ...] = ()
    problem: ApiFailure | None = None
    group_desired: int | None = (
        None  # of the region's Auto Scaling group, which goes on launching; None without one
    )

    @property
    def running(self) -> tuple[Instance, ...]:
        return tuple(instance for instance in self.instances if phase_of(instance) is Phase.RUNNING)

    @property
    def lost(self) -> tuple[Instance, ...]:
        return tuple(
            instance
            for instance in self.instances
            if phase_of(instance) in {Phase.TERMINATING, Phase.TERMINATED, Phase.LOST}
        )

    @property
    def pending(self) -> int:
        """Launched, but neither running nor terminated at the end of the wait."""
        return len(self.launched) - len(self.running) - len(self.lost)

    @property
    def not_visible(self) -> int:
        """Unsettled instances that no scan has returned: AWS granted them, their state is unknown."""
        return max(0, len(self.launched) - len(self.instances))

    @property
    def missing(self) -> int:
        """Requested nodes that neither run here nor were taken over by another region."""
        return max(0, self.requested + self.extra - self.reassigned - len(self.running))

    @property
    def healing(self) -> int:
        """Missing nodes that AWS goes on trying to launch."""
        return 0 if self.group_desired is None else self.missing

    @property
    def zones(self) -> dict[str, int]:
        """How many run per zone."""
        return dict(sorted(Counter(instance.zone for instance in self.running).items()))

    @property
    def code(self) -> str | None:
        """The code that explains the missing nodes, by severity; None when none is missing."""
        if self.problem is not None:
            return self.problem.code
        if not self.pool_failures or (self.missing == 0 and self.reassigned == 0):
            return None
        return most_severe(failure.code for failure in self.pool_failures)


@dataclass(frozen=True, slots=True)
class CreateResult:
    """The result of a create. `wanted`: nodes in the configuration; `existing`: nodes before.

    `drain`: of the surplus nodes, None without any. `joined`: running nodes that the orchestrator lists as connected, None if the
    command did not wait for them; `not_joined`: the others. `joined_at`: by instance, the time of the connection by the
    orchestrator's clock.
    """

    cluster: str
    wanted: int
    existing: int
    regions: tuple[RegionResult, ...] = ()
    drain: DrainResult | None = None
    resources_created: tuple[tuple[str, int], ...] = ()  # kind and count, without the instances
    interrupted: bool = False
    waited: bool = True  # False: the command did not wait for running instances
    pools: PoolDistribution = field(default_factory=PoolDistribution)  # of all present nodes
    joined: int | None = None
    not_joined: tuple[str, ...] = ()
    joined_at: Mapping[str, datetime] = field(default_factory=dict)
    elapsed_s: float | None = None  # from the confirmation until now; None: not measured
    usd_per_hour: Decimal | None = None  # of the whole cluster; None: unknown

    @property
    def removed(self) -> tuple[str, ...]:
        """Ids of terminated surplus instances."""
        return tuple(node.instance.id for node in self._drained if node.over)

    @property
    def leaving(self) -> tuple[str, ...]:
        """Ids of surplus instances that will end without the command."""
        return tuple(node.instance.id for node in self._drained if node.leaving and not node.over)

    @property
    def not_removed(self) -> tuple[str, ...]:
        """Ids of surplus instances that stay."""
        return tuple(node.instance.id for node in self._drained if not node.leaving)

    @property
    def _drained(self) -> tuple[DrainedNode, ...]:
        return self.drain.nodes if self.drain else ()

    @property
    def launched(self) -> int:
        return sum(len(region.launched) for region in self.regions)

    @property
    def running(self) -> int:
        return sum(len(region.running) for region in self.regions)

    @property
    def requested(self) -> int:
        return sum(region.requested for region in self.regions)

    @property
    def missing(self) -> int:
        """Requested nodes that do not run, in total; a pending node is missing only after a wait."""
        starting = 0 if self.waited else sum(region.pending for region in self.regions)
        return max(0, self.requested - self.running - starting)

    @property
    def problems(self) -> tuple[ApiFailure, ...]:
        launches = tuple(region.problem for region in self.regions if region.problem is not None)
        return launches + (self.drain.failures if self.drain else ())

    @property
    def unresolved(self) -> tuple[ApiFailure, ...]:
        """The problems that other regions did not make up for, and those that have to be mended even so."""
        failures = tuple(
            region.problem
            for region in self.regions
            if region.problem is not None and (region.missing or _has_to_be_mended(region.problem))
        )
        failures += self.drain.failures if self.drain else ()
        return (
            self.problems
            if self.interrupted or self.not_removed or (self.missing and not failures)
            else failures
        )

    @property
    def exit_code(self) -> ExitCode:
        if self.interrupted:
            return ExitCode.INTERRUPTED
        code = most_severe(failure.code for failure in self.problems)
        if code is not None and classify(code).category in {Category.CREDENTIALS, Category.PERMISSION}:
            return ExitCode.DENIED
        if not (self.missing or self._surplus_stays or self._has_failed_region):
            return ExitCode.FAILED if self.not_joined else ExitCode.DONE
        return ExitCode.USAGE if self._misconfigured else ExitCode.FAILED

    @property
    def _surplus_stays(self) -> bool:
        """Whether a surplus node has not ended; after a run that does not wait, whether one will not end."""
        return bool(self.not_removed or (self.waited and self.leaving))

    @property
    def _has_failed_region(self) -> bool:
        """A problem that other regions made up for is reported, but is not a failure; a group that is not as planned is one."""
        return any(
            region.problem is not None
            and (
                region.missing > (0 if self.waited else region.pending)
                or region.problem.operation in GROUP_CHANGES
            )
            for region in self.regions
        )

    @property
    def _misconfigured(self) -> bool:
        """No launch, and only configuration errors: only a change of the configuration helps."""
        categories = [
            classify(pool_failure.code, pool_failure.message).category
            for region in self.regions
            for pool_failure in (*region.pool_failures, *([region.problem] if region.problem else ()))
        ]
        return not self.launched and not self.not_removed and set(categories) == {Category.CONFIG}
