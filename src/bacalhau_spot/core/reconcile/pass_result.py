"""The result of one pass of `reconcile`: what was wrong, what was done, what remains."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from bacalhau_spot.core.error_catalog.classifier import Category, classify, most_severe
from bacalhau_spot.core.reconcile.reconcile_plan import ReconcilePlan
from bacalhau_spot.errors import ExitCode

if TYPE_CHECKING:
    from datetime import datetime, timedelta
    from decimal import Decimal

    from bacalhau_spot.core.pricing.estimate import Budget
    from bacalhau_spot.core.problem import ApiFailure


class Hindrance(StrEnum):
    """Why a pass did not launch, or changed nothing at all."""

    NO_CLUSTER = "no-cluster"  # never created, or destroyed
    JUST_CREATED = "just-created"  # AWS may not list its nodes yet
    DESTROYED_NOW = "destroy-under-way"
    OVER_BUDGET = "over-budget"
    REFUSED = "refused"  # the configuration or the account does not allow the launch
    NO_CAPACITY = "no-capacity"  # AWS refused
    EXPIRED = "expired"  # its time is over
    NOT_SCANNED = "not-scanned"  # regions that may have the missing nodes
    LOCKED = "locked"  # another command is changing the cluster
    OTHER_CONFIGURATION = (
        "other-configuration"  # than that of the orchestrator's machine, which keeps the cluster, too
    )
    ORCHESTRATOR_LEFT = "orchestrator-left"  # its own pass ends the nodes of a cluster, and not its machine


@dataclass(frozen=True, slots=True)
class PassActions:
    """What a pass changed. `launched`, `drained` (surplus), `replaced` (unhealthy): instance ids; `pruned`: the
    orchestrator's names of nodes. `moved`: launches that another region took over. `failures`: AWS's and the orchestrator's
    refusals. `hindrance`: with a sentence in `reason`; None when nothing hindered. `deleted`: resources of an expired cluster.
    `budget`: of a launch of `not_launched` nodes that it does not allow. `expired_at`: of a cluster without nodes whose time is
    over; nodes have it themselves. `expiry_written`: regions whose Auto Scaling group or nodes got the cluster's expiry.
    """

    launched: tuple[str, ...] = ()
    drained: tuple[str, ...] = ()
    replaced: tuple[str, ...] = ()
    pruned: tuple[str, ...] = ()
    moved: int = 0
    deleted: int = 0
    failures: tuple[ApiFailure, ...] = ()
    hindrance: Hindrance | None = None
    reason: str = ""
    missing: int = 0  # after the pass
    orchestrator_repaired: bool = False
    budget: Budget | None = None
    not_launched: int = 0
    expired_at: datetime | None = None
    expiry_written: tuple[str, ...] = ()

    @property
    def empty(self) -> bool:
        changed = (*self.launched, *self.drained, *self.replaced, *self.pruned, *self.expiry_written)
        return not changed and not self.deleted and not self.orchestrator_repaired


@dataclass(frozen=True, slots=True)
class PassResult:
    """One pass. The counts `wanted`, `present` and `joined` are from its beginning. `calls`: requests to AWS.

    `usd_per_hour`: the cost of the cluster; None while this process has not read its prices. `scan_failures`: parts of the
    cluster that could not be read.
    """

    cluster: str
    began_at: datetime
    took: timedelta
    calls: int
    wanted: int
    present: int
    joined: int
    plan: ReconcilePlan = field(default_factory=ReconcilePlan)
    actions: PassActions = field(default_factory=PassActions)
    scan_failures: tuple[ApiFailure, ...] = ()
    orchestrator_broken: bool = False
    usd_per_hour: Decimal | None = None
    expires_at: datetime | None = None
    dry_run: bool = False
    interrupted: bool = False

    @property
    def changed(self) -> bool:
        return not self.actions.empty

    @property
    def remaining(self) -> bool:
        """Whether something is wrong after the pass. Nodes that boot or drain are on their way."""
        actions = self.actions
        broken = self.orchestrator_broken and not actions.orchestrator_repaired
        if self.plan.ended is not None and self.dry_run:
            return True
        return bool(actions.missing or actions.failures or actions.hindrance or broken or self._left)

    @property
    def _left(self) -> bool:
        """Whether nodes with a fault, or too many of them, are left."""
        plan, actions = self.plan, self.actions
        unhealthy = len(plan.unhealthy) - len(actions.replaced) - self._unhealthy_drained
        return bool(
            plan.faulty
            or unhealthy > 0
            or len(plan.drain) > len(actions.drained)
            or len(plan.stale) > len(actions.pruned)
            or (plan.expiry is not None and len(plan.expiry.regions) > len(actions.expiry_written))
        )

    @property
    def _unhealthy_drained(self) -> int:
        return len({node.instance.id for node in self.plan.unhealthy} & set(self.actions.drained))

    @property
    def exit_code(self) -> ExitCode:
        if self.interrupted:
            return ExitCode.INTERRUPTED
        code = most_severe(failure.code for failure in (*self.actions.failures, *self.scan_failures))
        if code is not None and classify(code).category in {Category.CREDENTIALS, Category.PERMISSION}:
            return ExitCode.DENIED
        unseen = self.actions.hindrance in {None, Hindrance.NOT_SCANNED} and bool(self.scan_failures)
        if self.remaining and not unseen:
            return ExitCode.FAILED
        return ExitCode.INCOMPLETE if self.scan_failures else ExitCode.DONE
