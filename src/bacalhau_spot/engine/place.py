"""One region going away, or what is the same in all of them: what has been seen, what is left, what AWS refused."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from bacalhau_spot.cloud.port import CloudError, Deletion, TaggedId
from bacalhau_spot.core import events
from bacalhau_spot.core.receipt import Fate, Outcome, Problem
from bacalhau_spot.core.teardown import ROWS, Kind, before, ending, in_turn, known, leaving, ready
from bacalhau_spot.core.verdict import Fault, judge
from bacalhau_spot.engine.calls import problem_of, together
from bacalhau_spot.engine.refusals import PROTECTED, RELAUNCHED, Key, Refusals, key_of
from bacalhau_spot.engine.sights import Sight, Visitor, look_into

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from bacalhau_spot.core.model import Resource
    from bacalhau_spot.core.receipt import Blocker
    from bacalhau_spot.engine.calls import Calls
    from bacalhau_spot.engine.sights import Search


# Between two looks at everything while something is refused.
MOST_S = 30.0


@dataclass(frozen=True, slots=True)
class Terms:
    """What was agreed to. `spared`: why a resource is left alone all the same; empty where it is not."""

    lift_protection: bool = False
    spared: Callable[[Resource], str] = lambda _one: ""


def _by_name(resource: Resource) -> TaggedId:
    return TaggedId(kind=resource.kind, id=resource.arn or resource.id)


class Place:
    """Everything about one region during a teardown."""

    def __init__(self, calls: Calls, search: Search, name: str, *, terms: Terms) -> None:
        self.calls = calls
        self.name = name
        self._search = search
        self._terms = terms
        self.seen: dict[Key, Resource] = {}
        self.left: dict[Key, Resource] = {}
        self.spared: dict[Key, str] = {}
        self._refusals = Refusals(name)
        self.requests: dict[Key, tuple[str, ...]] = {}
        self.trouble: Problem | None = None
        self.looked_at_s = 0.0
        self._look_every_s = 0.0
        self.unknown: tuple[Resource, ...] = ()
        self.unseen: tuple[Problem, ...] = ()
        self.silent: tuple[Problem, ...] = ()
        self._blind: Mapping[str, Problem] = {}
        self._asked: set[Key] = set()
        self._retried: set[Key] = set()
        self._went: set[Key] = set()  # after we began: with what it belongs to, if not by itself
        self._leaving_since_s: dict[Key, float] = {}
        self._children: set[str] = set()
        self._watched: frozenset[Kind] = frozenset()  # looked at a moment ago, when it was their turn

    @property
    def leaving(self) -> bool:
        """Something only needs time, and has not taken more of it than its kind may."""
        now_s = self.calls.clock.monotonic_s()
        return any(
            now_s - since_s <= ROWS[Kind(kind)].patience_s
            for (kind, resource_id), since_s in self._leaving_since_s.items()
            if (kind, resource_id) in self.left
        )

    @property
    def only_stuck(self) -> bool:
        """Nothing that is left could be deleted however long we wait."""
        return all(key in self._refusals.stuck for key in self.left)

    @property
    def hopeless(self) -> bool:
        """Whatever could be asked for now is kept by what stays, and nothing is on its way out."""
        return not self.leaving and all(self._refusals.blockers.get(key) for key in self._waiting())

    def give_up(self) -> None:
        """What could be asked for now will not go: what comes after it gets its turn."""
        self._refusals.stuck.update(self._waiting())

    def _waiting(self) -> list[Key]:
        turn = in_turn(self._movable(self.left.values()))
        return [key for key, one in self.left.items() if one.kind in turn and key not in self._refusals.stuck]

    @property
    def doing(self) -> str:
        kinds = sorted({resource.kind for resource in self.left.values()})
        return f"deleting {kinds[0]}" if len(kinds) == 1 else f"deleting {len(kinds)} kinds"

    async def look(self) -> None:
        """Everything, whatever was seen before. Raises CloudError, Stopped."""
        sight = await look_into(
            self.calls,
            self._search,
            self.name,
            also=list(map(_by_name, self.seen.values())),
            children=self._children,
        )
        self.note(sight, at_s=self.calls.clock.monotonic_s())
        self._watched = in_turn(self._movable(self.left.values()))

    async def look_at_what_is_next(self) -> None:
        """The kinds whose turn it is; what waits behind them is as it was.

        After a refusal everything: something may depend on it that was made moments ago and is not shown yet. The longer it
        lasts and the less such a look shows, the seldomer.
        """
        refused = any(key in self._refusals.problems and key not in self._refusals.stuck for key in self.left)
        since_s = self.calls.clock.monotonic_s() - self.looked_at_s
        if refused and since_s >= self._look_every_s:
            seen = len(self.seen)
            await self.look()
            self._look_every_s = min(MOST_S, 2 * since_s) if len(self.seen) == seen else 0.0
            return
        turn = in_turn(self._movable(self.left.values()))
        visitor = Visitor(self.calls, self._search, self.name, children=self._children)
        found = await visitor.find(turn, also=list(map(_by_name, self.left.values())))
        waiting = [one for one in self.left.values() if one.kind not in turn]
        self._watched = turn
        self.note(
            Sight(
                known=(*waiting, *found),
                unknown=self.unknown,
                unseen=self.unseen,
                silent=self.silent,
                blind=visitor.blind,
                children=frozenset(visitor.children),
            )
        )

    def note(self, sight: Sight, *, at_s: float | None = None) -> None:
        """Compare a look with what was known before: what is new, what is gone. `at_s`: when everything was looked at.

        Of a kind that could not be looked at nothing is gone: only a list without it says so.
        """
        if at_s is not None:
            self.looked_at_s = at_s
        self.unknown, self.unseen, self.silent = sight.unknown, sight.unseen, sight.silent
        self._children |= sight.children
        now: dict[Key, Resource] = {}
        for one in sight.known:
            key = key_of(one)
            why = one.kept or self._terms.spared(one)
            if key not in self.seen and not why:
                self.calls.emit(events.Found(region=self.name, kind=one.kind, id=one.id))
            self.seen[key] = one
            if leaving(one):
                self._leaving_since_s.setdefault(key, self.calls.clock.monotonic_s())
            if why:
                self.spared[key] = why
            else:
                now[key] = one
        unknown = {key: one for key, one in self.left.items() if key[0] in sight.blind and key not in now}
        now |= unknown
        # Asking again would change nothing that we could see.
        self._refusals.stuck.update(key for key in unknown if key in self._asked)
        self._blind = sight.blind
        for kind, resource_id in self.left:
            if (kind, resource_id) not in now:
                if self._asked:
                    self._went.add((kind, resource_id))
                self.calls.emit(events.Deleted(region=self.name, kind=kind, id=resource_id))
        self.left = now
        self._retry_empty_launchers()

    def _retry_empty_launchers(self) -> None:
        """AWS refuses to delete a fleet with many instances as long as they live (EC2 API reference, DeleteFleets).

        Once for each launcher: a refusal for another reason comes back.
        """
        instances = {one.id for one in self.left.values() if one.kind == Kind.INSTANCE}
        for key in self._refusals.stuck - self._retried:
            launcher = self.left.get(key)
            if launcher is not None and launcher.children and instances.isdisjoint(launcher.children):
                self._retried.add(key)
                self._refusals.stuck.discard(key)

    async def delete_ready(self) -> bool:
        """Ask for everything whose turn it is; whether AWS took any of it. Raises Stopped, and CloudError that ends it all."""
        by_kind: dict[Kind, list[Resource]] = {}
        for one in ready(self._movable(self.left.values()), watched=self._watched):
            if await self._may_go(one):
                by_kind.setdefault(Kind(one.kind), []).append(one)
        batches = [
            (kind, resources[start : start + ROWS[kind].batch])
            for kind, resources in by_kind.items()
            for start in range(0, len(resources), ROWS[kind].batch)
        ]
        taken = any(await together(*(self._delete(kind, batch) for kind, batch in batches)))
        await self._loosen()
        return taken

    async def _loosen(self) -> None:
        """Groups that wait for each other, or for the default group of their VPC, do so by rules that are ours to revoke."""
        refused = [
            resource_id
            for (kind, resource_id), problem in self._refusals.problems.items()
            if kind == Kind.GROUP
            and problem.code == "DependencyViolation"
            and (kind, resource_id) in self.left
        ]
        if not refused:
            return
        groups = [one.id for one in self.left.values() if one.kind == Kind.GROUP]
        vpcs = [one.id for one in self.left.values() if one.kind == Kind.VPC]
        try:
            await self.calls.write(
                self.name,
                partial(self.calls.cloud.revoke_between, self.name, groups=groups, vpcs=vpcs),
                patient=False,
            )
        except CloudError as error:
            if judge(error.code).fault is Fault.CREDENTIALS:
                raise
            for resource_id in refused:
                self._refusals.problems[Kind.GROUP.value, resource_id] = problem_of(error)

    async def explain(self) -> None:
        """Find out what keeps what was refused or waits for its owner. Raises CloudError when AWS would not say."""
        cloud = self.calls.cloud
        for waiting in self.left.values():
            if ending(waiting) and not leaving(waiting):
                self._held(waiting)
        for one in [self.left[key] for key in self._refusals.busy if key in self.left]:
            found, hidden = await self.calls.read(self.name, partial(cloud.blockers, self.name, one))
            staying = [blocker for blocker in found if self._keeps(blocker, one)]
            self._refusals.kept_by(one, staying, reasons=self._reasons)
            self._refusals.unread(one, hidden)

    def _keeps(self, blocker: Blocker, one: Resource) -> bool:
        """It stays, and does not itself wait for `one`: a VPC of ours is no reason why its gateway stays."""
        later = known(blocker.kind) and one.kind in before(Kind(blocker.kind)) and self._ours(blocker.id)
        return not later and self._stays(blocker.id) and (not blocker.of or self._stays(blocker.of))

    def _movable(self, resources: Iterable[Resource]) -> list[Resource]:
        return [one for one in resources if key_of(one) not in self._refusals.stuck]

    async def _may_go(self, one: Resource) -> bool:
        """Nothing foreign hangs on it, nothing starts it again, and it is not protected, or not any more."""
        if self._relaunched(one):
            self._refusals.by_us(one, RELAUNCHED, "what launched it is left and would start another")
            return False
        if self._held(one):
            return False
        if not one.protection:
            return True
        if not self._terms.lift_protection:
            self._refusals.by_us(one, PROTECTED, f"{one.protection} is on")
            return False
        return await self._lift(one)

    async def _lift(self, one: Resource) -> bool:
        try:
            await self.calls.write(self.name, partial(self.calls.cloud.unprotect, self.name, one))
        except CloudError as error:
            self._refusals.by_aws(one, error)
            return False
        return True

    def _relaunched(self, one: Resource) -> bool:
        stuck = (self.left[key] for key in self._refusals.stuck if key in self.left)
        return one.kind == Kind.INSTANCE and any(
            launcher.relaunches and one.id in launcher.children for launcher in stuck
        )

    def _stays(self, resource_id: str) -> bool:
        """It is not ours, or it cannot or may not go: waiting for it does not help."""
        return not self._ours(resource_id) or resource_id in self._reasons

    @property
    def _reasons(self) -> dict[str, str]:
        """Why what is ours stays."""
        return {resource_id: why for (_, resource_id), why in self.spared.items()} | self._refusals.reasons

    def _held(self, one: Resource) -> bool:
        """Something that stays uses it; it is told then, with what frees it."""
        staying = tuple(filter(self._stays, one.holders))
        if staying:
            self._refusals.held(one, staying, reasons=self._reasons)
        return bool(staying)

    def _ours(self, resource_id: str) -> bool:
        return resource_id in self._children or any(seen_id == resource_id for _, seen_id in self.seen)

    async def _delete(self, kind: Kind, batch: Sequence[Resource]) -> bool:
        """One batch; whether AWS took any of it. Where one spoils it for the others, each is asked for alone."""
        cloud = self.calls.cloud
        self._asked.update(map(key_of, batch))
        try:
            answer = await self.calls.write(
                self.name, partial(cloud.delete, self.name, kind, batch), patient=False
            )
        except CloudError as error:
            if judge(error.code).fault is Fault.CREDENTIALS:
                raise
            if len(batch) > 1:
                return any(await together(*(self._delete(kind, [one]) for one in batch)))
            self._refusals.by_aws(batch[0], error)
            return False
        return self._answered(batch, answer)

    def _answered(self, batch: Sequence[Resource], answer: Deletion) -> bool:
        """Whether AWS took something that it had not taken before: repeating an order is no progress."""
        refused = {one.id: one for one in answer.refused}
        taken = False
        for one in batch:
            if one.id in refused:
                self._refusals.in_batch(one, refused[one.id].code, refused[one.id].message)
                continue
            self._refusals.lifted(one)
            taken = taken or key_of(one) not in self.requests
            self.requests[key_of(one)] = answer.request_ids
            self.calls.emit(
                events.Deleting(region=self.name, kind=one.kind, id=one.id, request_ids=answer.request_ids)
            )
        return taken

    def outcomes(self) -> tuple[Outcome, ...]:
        return tuple(self._outcome(key, resource) for key, resource in self.seen.items())

    def _outcome(self, key: Key, resource: Resource) -> Outcome:
        if key in self.left:
            # What cannot be listed may be gone: the reason is told beside it.
            problem, blind = self._refusals.problems.get(key), self._blind.get(key[0])
            blockers = self._refusals.blockers.get(key, ())
            fate = Fate.BLOCKED if blockers else Fate.FAILED if problem else Fate.LEFT
            return Outcome(resource=resource, fate=fate, problem=problem or blind, blockers=blockers)
        if key in self.spared and key not in self._asked:
            return Outcome(resource=resource, fate=Fate.SKIPPED, why=self.spared[key])
        fate = Fate.DELETED if key in self._went else Fate.GONE
        return Outcome(resource=resource, fate=fate, request_ids=self.requests.get(key, ()))
