"""What could not be deleted in one region: AWS's refusals and our own, what is in the way, and what is given up."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bacalhau_spot.core.receipt import Blocker, Problem
from bacalhau_spot.core.teardown import kind_of_id
from bacalhau_spot.core.verdict import Fault, judge
from bacalhau_spot.engine.calls import problem_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bacalhau_spot.cloud.port import CloudError
    from bacalhau_spot.core.model import Resource

Key = tuple[str, str]  # kind, id

# Refusals that time or another deletion may lift. After any other the same call would be refused again.
_PASSING = frozenset({Fault.BUSY, Fault.THROTTLED, Fault.AWS, Fault.NETWORK, Fault.LAG})
# Not AWS's: what we refuse ourselves.
PROTECTED = "Protected"
HELD = "HeldByAnother"
RELAUNCHED = "LauncherLives"
_UNREAD = "What uses it could not be read whole"


def key_of(resource: Resource) -> Key:
    return resource.kind, resource.id


class Refusals:
    """By resource: the last refusal, and what keeps it. `stuck`: asking again would be refused again."""

    def __init__(self, region: str) -> None:
        self._region = region
        self.problems: dict[Key, Problem] = {}
        self.blockers: dict[Key, tuple[Blocker, ...]] = {}
        self.stuck: set[Key] = set()

    def by_aws(self, one: Resource, error: CloudError) -> None:
        self._note(one, problem_of(error), stuck=judge(error.code).fault not in _PASSING)

    def in_batch(self, one: Resource, code: str, message: str) -> None:
        """AWS took the call and not this one."""
        self._note(one, self._problem(code, message), stuck=judge(code).fault not in _PASSING)

    def by_us(self, one: Resource, code: str, message: str) -> None:
        self._note(one, self._problem(code, message), stuck=True)

    def held(self, one: Resource, holders: Sequence[str], *, reasons: Mapping[str, str]) -> None:
        """Something that stays uses it; what frees it is asked later. `reasons`: why what is ours stays, by id."""
        self._note(one, self._problem(HELD, f"{', '.join(holders)} uses it and stays"), stuck=False)
        if not self.blockers.get(key_of(one)):
            self.kept_by(one, [Blocker(kind_of_id(holder), holder) for holder in holders], reasons=reasons)

    def kept_by(self, one: Resource, blockers: Iterable[Blocker], *, reasons: Mapping[str, str]) -> None:
        """What is ours is named with the reason why it stays; no command is offered then that would end it."""
        self.blockers[key_of(one)] = tuple(_reasoned(blocker, reasons) for blocker in blockers)

    def unread(self, one: Resource, hidden: Sequence[CloudError]) -> None:
        """What else uses it AWS would not show; said with the refusal, once."""
        problem = self.problems.get(key_of(one))
        if problem is None or not hidden or _UNREAD in problem.message:
            return
        lists = ", ".join(sorted({f"{error.operation} ({error.code})" for error in hidden}))
        self.problems[key_of(one)] = replace(problem, message=f"{problem.message} {_UNREAD}: {lists}")

    def lifted(self, one: Resource) -> None:
        """AWS has taken the order now."""
        self.problems.pop(key_of(one), None)

    @property
    def reasons(self) -> dict[str, str]:
        """Why what is stuck stays, by id."""
        return {key[1]: self.problems[key].message for key in self.stuck if key in self.problems}

    @property
    def busy(self) -> list[Key]:
        """What is in use, by AWS's word or ours: by what, and what would free it, is still to be asked."""
        return [key for key, problem in self.problems.items() if judge(problem.code).fault is Fault.BUSY]

    def _problem(self, code: str, message: str) -> Problem:
        return Problem(code=code, message=message, operation="", region=self._region)

    def _note(self, one: Resource, problem: Problem, *, stuck: bool) -> None:
        self.problems[key_of(one)] = problem
        if stuck:
            self.stuck.add(key_of(one))


def _reasoned(blocker: Blocker, reasons: Mapping[str, str]) -> Blocker:
    why = reasons.get(blocker.of) or reasons.get(blocker.id)
    return replace(blocker, owner=f"ours: {why}", free="") if why else blocker
