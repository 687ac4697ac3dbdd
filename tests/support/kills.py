"""A command that is killed at one of its calls, and the commands after it: each kill in a copy of this process."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from support.process_copies import Copies, CopyFailedError
from support.trust_figures import SEED
from support.trust_stage import Scenario, Stage
from support.wire import Point


@dataclass(frozen=True)
class Kill:
    """`again`: the same command comes next, else the one that deletes. `second`: at which call that one is killed, too."""

    point: Point
    again: bool
    elsewhere: bool
    second: int | None

    def __str__(self) -> str:
        where = " on another machine" if self.elsewhere else ""
        more = f", again at call {self.second}" if self.second else ""
        return f"killed {self.point}{more}; then {'the same' if self.again else 'the end'}{where}"


@dataclass
class KillOutcome:
    """How one kill ended. An empty `problem`: well."""

    kill: str
    problem: str = ""
    leaks: bool = False
    double_launch: bool = False


@dataclass
class KillRun:
    """A scenario on a prepared stage, with a kill at every point that `chosen` takes."""

    stage: Stage
    scenario: Scenario
    lag_s: float
    two: bool
    chosen: Callable[[Point], bool] = lambda _: True
    outcomes: list[KillOutcome] = field(default_factory=list)
    points: int = 0

    def run(self) -> None:
        """The command once to its end, and from each chosen point a copy that is killed there."""
        self._begin()
        self.stage.wire.at = self._reach
        self.stage.must(*self._words)
        self.stage.wire.at = None
        self._end(None)

    def run_one(self, *, change: int, after: bool) -> None:
        """In a copy, the command killed at the n-th call that changes something; at its end, if it has fewer."""
        copies = Copies()
        if copies.split():
            copies.end(partial(self._one, copies, change, after))
        self.outcomes += copies.results

    def _one(self, copies: Copies, change: int, after: bool) -> KillOutcome:
        self._begin()
        left = change

        def at(point: Point) -> None:
            nonlocal left
            if not point.reads and point.after == after:
                left -= 1
                if left == 0:
                    self._die(copies, self._kills(point)[0])

        self.stage.wire.at = at
        self.stage.must(*self._words)
        self.stage.wire.at = None
        return self._end(None)

    def _begin(self) -> None:
        self.scenario.arrange(self.stage)
        self.stage.sandbox.settings.read_lag_s = self.lag_s
        self._words = self.scenario.command(self.stage)
        self.stage.watch()
        self._first = self.stage.wire.calls
        self._state: object = None
        self._changes = 0

    def _reach(self, point: Point) -> None:
        if point.after and not point.reads:
            self._changes += 1
        if point.after and point.reads:
            return
        # Between two changes at the same time the account is the same: one kill is enough.
        state = (self._changes, self.stage.sandbox.clock.now(), len(self.stage.wire.in_flight))
        if state == self._state:
            return
        self._state = state
        self.points += 1
        if not self.chosen(point):
            return
        for kill in self._kills(point):
            copies = Copies()
            try:
                if copies.split():
                    self._die(copies, kill)
            except CopyFailedError as error:
                self.outcomes.append(KillOutcome(str(kill), str(error)))
            else:
                self.outcomes += copies.results

    def _kills(self, point: Point) -> list[Kill]:
        number = point.number - self._first
        choice = random.Random(f"{SEED} {self.scenario.name} {self.lag_s} {number} {point.after}")
        second = choice.randint(1, 60) if self.two else None
        kills = [Kill(point, again=True, elsewhere=choice.random() < 0.3, second=second)]
        if point.after and not self.two:
            kills.append(Kill(point, again=False, elsewhere=choice.random() < 0.3, second=None))
        return kills

    def _die(self, copies: Copies, kill: Kill) -> None:
        def rest() -> KillOutcome:
            self.stage.wire.at = None
            if not kill.point.after:
                self.stage.wire.arrive()
            return self._go_on(copies, kill)

        copies.end(rest)

    def _go_on(self, copies: Copies, kill: Kill) -> KillOutcome:
        stage, wire = self.stage, self.stage.wire
        if kill.elsewhere:
            stage.elsewhere()
        self._list(exact=not self.lag_s)
        if kill.again and kill.second:
            first = wire.calls

            def at(point: Point) -> None:
                if point.number - first == kill.second and not point.after:
                    wire.at = None
                    copies.end(lambda: self._end(kill))

            wire.at = at
            stage.run(*self._words)
            wire.at = None
        return self._end(kill)

    def _list(self, *, exact: bool) -> None:
        """`exact`: AWS's lists show everything."""
        rows = self.stage.must("list", "-o", "json").data["instances"]
        listed = {row["id"] for row in rows if row["state"] in {"pending", "running"}}
        there = set(self.stage.nodes())
        assert not exact or listed == there, f"listed {listed}, there are {there}"

    def _end(self, kill: Kill | None) -> KillOutcome:
        stage, scenario = self.stage, self.scenario
        outcome = KillOutcome(str(kill))
        if kill is None or kill.again:
            if kill is not None:
                stage.finish(*self._words)
            stage.pass_time(self.lag_s + 5)
            self._list(exact=True)
            nodes = len(stage.nodes())
            assert nodes == scenario.nodes, f"{nodes} nodes instead of {scenario.nodes}\n{stage.log}"
            scenario.check(stage)
        stage.must(*scenario.end)
        outcome.leaks = stage.left() != stage.before
        outcome.double_launch = stage.most > scenario.most
        if outcome.leaks or outcome.double_launch:
            left = sorted(set(stage.left()) - set(stage.before))
            outcome.problem = f"at most {stage.most} nodes; left: {left}\n{stage.log}"
        return outcome
