"""A command with a fault at one of its calls, and its end: each fault in a copy of this process."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from support.cli_runner import CliResult
from support.faults import Fault, Injection, whole_calls
from support.process_copies import Copies, CopyFailedError
from support.trust_figures import SEED
from support.trust_stage import Scenario, Stage
from support.wire import Point

# By the fake clock: the deadlines of a command's rounds of calls, one after the other.
LONGEST_S = 1800.0
_CODES = frozenset({0, 1, 2, 4, 5})


@dataclass(frozen=True)
class Case:
    point: Point
    fault: Fault
    always: bool

    def __str__(self) -> str:
        return f"{self.fault.name}{', always' if self.always else ''}, {self.point}"


@dataclass
class FaultOutcome:
    """How one command with a fault ended. An empty `problem`: well."""

    case: str
    problem: str = ""
    leaks: bool = False
    double_launch: bool = False
    code: int = 0
    elapsed_s: float = 0.0


@dataclass
class FaultRun:
    """One run of a scenario, with each fault that `chosen` takes at each of its calls."""

    stage: Stage
    scenario: Scenario
    chosen: Callable[[Case], bool]
    outcomes: list[FaultOutcome] = field(default_factory=list)

    def run(self) -> None:
        stage, wire = self.stage, self.stage.wire
        self.scenario.arrange(stage)
        words = self.scenario.command(stage)
        self._words = words if "-o" in words else (*words, "-o", "json")
        stage.watch()
        self._copies = Copies()
        self._met: set[tuple[str, str]] = set()
        self._case: Case | None = None
        self._began_s = stage.sandbox.clock.now()
        wire.at = self._reach
        try:
            result = stage.run(*self._words)
        except AssertionError as error:
            self._end_of_copy(error)
            raise
        wire.at = None
        self._end_of_copy(result)
        assert result.code == 0, result.stdout + result.stderr

    def _reach(self, point: Point) -> None:
        if point.after or point.service == "orchestrator":
            return
        # The first call of each name; the others are the same in the other region, or later.
        if (point.service, point.operation) in self._met:
            return
        self._met.add((point.service, point.operation))
        for case in self._cases(point):
            if not self.chosen(case):
                continue
            try:
                if self._copies.split():
                    self._begin(case)
                    return
            except CopyFailedError as error:
                self.outcomes.append(FaultOutcome(str(case), str(error)))
        self.outcomes += filter(None, self._copies.results)
        self._copies.results.clear()

    def _cases(self, point: Point) -> list[Case]:
        return [
            Case(point, fault, always)
            for fault in self.stage.faults
            for always in (False, True)
            if (fault.for_reads or not point.reads) and (fault.lasts or not always)
        ]

    def _begin(self, case: Case) -> None:
        """In the copy: the command goes on, and meets the fault at its next call."""
        wire = self.stage.wire
        self._case = case
        self._injection = Injection(case.fault, case.always)
        wire.at = None
        wire.answer = lambda call, aws: self._injection(wire, call, aws)
        if case.fault.whole:
            whole_calls(wire, self.stage.whole_call)

    def _end_of_copy(self, ended: CliResult | AssertionError) -> None:
        case = self._case
        if case is not None:
            self._copies.end(lambda: self._judge(case, ended))

    def _judge(self, case: Case, ended: CliResult | AssertionError) -> FaultOutcome | None:
        """None if the call could not have this fault."""
        if not self._injection.times:
            return None
        stage, scenario = self.stage, self.scenario
        stage.wire.answer = None
        elapsed_s = stage.sandbox.clock.now() - self._began_s
        code = ended.code if isinstance(ended, CliResult) else -1
        outcome = FaultOutcome(str(case), code=code, elapsed_s=elapsed_s)
        problems = [str(ended)] if isinstance(ended, AssertionError) else self._words_of(case, ended)
        if elapsed_s > LONGEST_S:
            problems.append(f"it took {elapsed_s:.0f} s")
        if code == 0 and len(stage.nodes()) != scenario.nodes:
            problems.append(f"exit code 0 with {len(stage.nodes())} nodes instead of {scenario.nodes}")
        stage.pass_time(5)
        if random.Random(f"{SEED} {scenario.name} {case}").random() < 0.5:
            stage.finish(*self._words)
            scenario.check(stage)
        stage.must(*scenario.end)
        left = sorted(set(stage.left()) - set(stage.before))
        outcome.leaks, outcome.double_launch = bool(left), stage.most > scenario.most
        if outcome.leaks or outcome.double_launch:
            problems.append(f"at most {stage.most} nodes; left: {left}")
        if problems:
            outcome.problem = "\n".join((*problems, *stage.log))
        return outcome

    def _words_of(self, case: Case, ended: CliResult) -> list[str]:
        """Why the end of the command is not one that its user can act on."""
        if ended.code not in _CODES:
            return [f"exit code {ended.code}"]
        if ended.code == 0:
            return []
        problems = []
        if case.fault.passes and not case.always:
            problems.append(f"a single fault that passes ended it with {ended.code}: {_errors(ended)}")
        if not _errors(ended):
            problems.append(f"exit code {ended.code} without an error: {ended.stdout}{ended.stderr}")
        problems += [
            f"an error without a next step: {error}" for error in _errors(ended) if not error.get("hint")
        ]
        return problems


def _errors(ended: CliResult) -> list[dict[str, Any]]:
    """Those of the last document on stdout."""
    lines = ended.stdout.strip()
    try:
        document = json.loads(lines)
    except ValueError:
        document = json.loads(lines.splitlines()[-1]) if lines else {}
    found: list[dict[str, Any]] = document.get("errors") or []
    return found
