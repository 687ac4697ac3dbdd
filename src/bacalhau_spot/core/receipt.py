"""What a command leaves behind in the scrollback, as values: asked, launched, failed and why; found, deleted, left."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from bacalhau_spot.core.lifecycle import Phase, phase_of
from bacalhau_spot.core.pools import PoolShares
from bacalhau_spot.core.verdict import Fault, judge, worst
from bacalhau_spot.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bacalhau_spot.core.model import Instance, Resource

K = TypeVar("K", str, tuple[str, str], tuple[str, str, bool])  # what refusals are told apart by


@dataclass(frozen=True, slots=True)
class Problem:
    """An error of AWS, where it happened. `code`, `message`, `operation` are AWS's words; core.verdict says what they mean.

    `request_id`: what AWS's support asks for.
    """

    code: str
    message: str
    operation: str
    region: str
    request_id: str = ""


def regions_by(problems: Iterable[Problem], key: Callable[[Problem], K]) -> dict[K, list[str]]:
    """The regions of each kind of refusal, both in order: the same refusal in twelve regions is one."""
    found: dict[K, set[str]] = {}
    for problem in problems:
        found.setdefault(key(problem), set()).add(problem.region)
    return {one: sorted(found[one]) for one in sorted(found)}


@dataclass(frozen=True, slots=True)
class PoolRefusal:
    """A pool that AWS could not use."""

    type: str
    zone: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class RegionReceipt:
    """One region of a create.

    `asked`: how many it was to launch at first. `extra`: how many more it took over from other regions. `moved_away`: how
    many of its own others took over. `launched`: ids that AWS gave. `instances`: what they have become.
    """

    region: str
    asked: int
    extra: int = 0
    moved_away: int = 0
    launched: tuple[str, ...] = ()
    instances: tuple[Instance, ...] = ()
    refusals: tuple[PoolRefusal, ...] = ()
    problem: Problem | None = None

    @property
    def running(self) -> tuple[Instance, ...]:
        return tuple(one for one in self.instances if phase_of(one) is Phase.RUNNING)

    @property
    def lost(self) -> tuple[Instance, ...]:
        return tuple(
            one for one in self.instances if phase_of(one) in {Phase.ENDING, Phase.ENDED, Phase.LOST}
        )

    @property
    def unsettled(self) -> int:
        """Launched, but neither running nor ended when the wait was over."""
        return len(self.launched) - len(self.running) - len(self.lost)

    @property
    def unseen(self) -> int:
        """Of the unsettled those that no look has shown: AWS granted them, and what they are now is not known."""
        return max(0, len(self.launched) - len(self.instances))

    @property
    def short(self) -> int:
        """How many of those it was to launch neither run here nor were taken over by another region."""
        return max(0, self.asked + self.extra - self.moved_away - len(self.running))

    @property
    def zones(self) -> dict[str, int]:
        """How many run per zone."""
        return dict(sorted(Counter(one.zone for one in self.running).items()))

    @property
    def code(self) -> str | None:
        """The code that explains what is missing here, by the order of faults; None when nothing is."""
        if self.problem is not None:
            return self.problem.code
        if not self.refusals or (self.short == 0 and self.moved_away == 0):
            return None
        return worst(refusal.code for refusal in self.refusals)


@dataclass(frozen=True, slots=True)
class CreateReceipt:
    """The result of a create. `wanted`: nodes the cluster should have; `before`: how many there were.

    `removed`: ids that were too many and have been ended; `kept`: those that were to be ended and were not.
    """

    cluster: str
    wanted: int
    before: int
    regions: tuple[RegionReceipt, ...] = ()
    removed: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    made: tuple[tuple[str, int], ...] = ()  # kind and how many, beside the instances
    interrupted: bool = False
    waited: bool = True  # False: nobody wanted to see the instances run; that AWS granted them is enough
    pools: PoolShares = field(default_factory=PoolShares)  # of all nodes that there are now

    @property
    def launched(self) -> int:
        return sum(len(region.launched) for region in self.regions)

    @property
    def running(self) -> int:
        return sum(len(region.running) for region in self.regions)

    @property
    def asked(self) -> int:
        return sum(region.asked for region in self.regions)

    @property
    def missing(self) -> int:
        """Nodes that were asked for and do not run, in all; still starting is missing only when it was waited for."""
        starting = 0 if self.waited else sum(region.unsettled for region in self.regions)
        return max(0, self.asked - self.running - starting)

    @property
    def problems(self) -> tuple[Problem, ...]:
        return tuple(region.problem for region in self.regions if region.problem is not None)

    @property
    def unsolved(self) -> tuple[Problem, ...]:
        """The problems that other regions did not make up for, and those that have to be mended even so."""
        found = tuple(
            region.problem
            for region in self.regions
            if region.problem is not None
            and (region.short or judge(region.problem.code).fault in {Fault.CREDENTIALS, Fault.PERMISSION})
        )
        return self.problems if self.interrupted or self.kept or (self.missing and not found) else found

    @property
    def exit_code(self) -> ExitCode:
        if self.interrupted:
            return ExitCode.INTERRUPTED
        code = worst(problem.code for problem in self.problems)
        if code is not None and judge(code).fault in {Fault.CREDENTIALS, Fault.PERMISSION}:
            return ExitCode.DENIED
        # A region's problem that other regions made up for is told, and is no failure.
        lacking = any(
            region.problem is not None and region.short > (0 if self.waited else region.unsettled)
            for region in self.regions
        )
        if not self.missing and not self.kept and not lacking:
            return ExitCode.DONE
        return ExitCode.USAGE if self._misconfigured else ExitCode.FAILED

    @property
    def _misconfigured(self) -> bool:
        """Nothing was launched, for nothing but what the configuration asks for: only to change it helps."""
        told = [
            judge(one.code, one.message).fault
            for region in self.regions
            for one in (*region.refusals, *([region.problem] if region.problem else ()))
        ]
        return not self.launched and not self.kept and set(told) == {Fault.CONFIG}


@dataclass(frozen=True, slots=True)
class Listing:
    """What AWS has under the cluster's tag now. `unseen`: regions that could not be looked into, and why.

    `others`: everything beside the instances, by the tag index.
    """

    cluster: str
    instances: tuple[Instance, ...] = ()
    looked_into: tuple[str, ...] = ()
    unseen: tuple[Problem, ...] = ()
    others: tuple[Resource, ...] = ()

    @property
    def exit_code(self) -> ExitCode:
        return ExitCode.BLIND if self.unseen else ExitCode.DONE


class Fate:
    """What became of a resource that was to go."""

    DELETED = "deleted"
    GONE = "already gone"
    FAILED = "failed"
    BLOCKED = "blocked"  # by something that is not ours
    SKIPPED = "skipped"  # not ours to touch, or spared
    LEFT = "left"  # not reached: interrupted, or something before it did not go


# How the owner of what a service of AWS made begins.
A_SERVICE = "an AWS service"


@dataclass(frozen=True, slots=True)
class Blocker:
    """What keeps a resource of ours, and is not ours. `owner`: as far as AWS shows; `of`: the id that it hangs on.

    `free`: the AWS CLI's command that frees us of it; empty where only a service of AWS can.
    """

    kind: str
    id: str
    owner: str = ""
    of: str = ""
    free: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One resource and its fate.

    `problem` when it was refused, `why` when it was skipped; `request_ids` are AWS's; `blockers` is what was in the way.
    """

    resource: Resource
    fate: str
    problem: Problem | None = None
    why: str = ""
    request_ids: tuple[str, ...] = ()
    blockers: tuple[Blocker, ...] = ()


@dataclass(frozen=True, slots=True)
class TeardownReceipt:
    """The result of a destroy. The verifying scan decides: `remaining` is what AWS still shows, whatever was asked of it."""

    cluster: str
    outcomes: tuple[Outcome, ...] = ()
    remaining: tuple[Resource, ...] = ()
    unknown: tuple[Resource, ...] = ()  # carries the tag, of a kind that we do not know how to delete
    looked_into: tuple[str, ...] = ()
    unseen: tuple[Problem, ...] = ()
    silent: tuple[Problem, ...] = ()  # services that would not say, and that this teardown can do without
    interrupted: bool = False

    @property
    def deleted(self) -> tuple[Outcome, ...]:
        return tuple(one for one in self.outcomes if one.fate == Fate.DELETED)

    def gone(self, kind: str) -> frozenset[str]:
        """Ids of one kind that AWS does not show any more."""
        remaining = {one.id for one in self.remaining}
        fates = {Fate.DELETED, Fate.GONE}
        return frozenset(
            one.resource.id
            for one in self.outcomes
            if one.resource.kind == kind and one.fate in fates and one.resource.id not in remaining
        )

    @property
    def problems(self) -> tuple[Problem, ...]:
        return tuple(
            one.problem
            for one in self.outcomes
            if one.problem is not None and one.fate in {Fate.FAILED, Fate.BLOCKED}
        )

    @property
    def exit_code(self) -> ExitCode:
        if self.interrupted:
            return ExitCode.INTERRUPTED
        code = worst(problem.code for problem in (*self.problems, *self.unseen))
        denied = code is not None and judge(code).fault in {Fault.CREDENTIALS, Fault.PERMISSION}
        if self.remaining or self.unknown:
            return ExitCode.DENIED if denied else ExitCode.FAILED
        if self.unseen:
            fault = judge(code).fault if code else Fault.UNKNOWN
            return ExitCode.DENIED if fault is Fault.CREDENTIALS else ExitCode.BLIND
        return ExitCode.DONE


def by_region(resources: Iterable[Resource]) -> dict[str, tuple[Resource, ...]]:
    """Grouped, in the regions' order."""
    grouped: dict[str, list[Resource]] = {}
    for resource in resources:
        grouped.setdefault(resource.region, []).append(resource)
    return {region: tuple(grouped[region]) for region in sorted(grouped)}
