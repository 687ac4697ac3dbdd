"""Every command that changes something, killed at every call: the next commands finish it, and delete everything.

The other changes that are under way at a kill before a call still take effect. Between two changes at the same moment the
account is the same, so that one kill stands for all. One in three of the next commands comes from another machine, which has
none of the killed one's files and waits until its lock expires.
"""

from __future__ import annotations

import random
from typing import Any

import pytest

from support import trust_figures
from support.cli_runner import CliRunner
from support.kills import KillOutcome, KillRun
from support.process_copies import cpu_s
from support.trust_stage import SCENARIOS, Scenario, Stage

LAGS_S = (0.0, 2.0, 5.0)
# A scenario, the lag of AWS's lists, and whether the next command is killed, too, at a call that is chosen at random.
Run = tuple[Scenario, float, bool]
RUNS: list[Run] = [
    *((scenario, lag_s, False) for scenario in SCENARIOS for lag_s in LAGS_S),
    *((scenario, LAGS_S[number % 3], True) for number, scenario in enumerate(SCENARIOS)),
]
# In the ordinary suite: one kill of these commands each, on one cluster.
SAMPLE = [scenario for scenario in SCENARIOS if scenario.sampled]


def _id(run: Run) -> str:
    scenario, lag_s, two = run
    return f"{scenario.name}, lag {lag_s:g} s{', twice' if two else ''}"


@pytest.mark.parametrize("run", RUNS if trust_figures.FULL else [], ids=_id)
def test_killed_at_every_call(
    sandbox: Any, program: CliRunner, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    scenario, lag_s, two = run
    began_s = cpu_s()
    stage = Stage.begin(sandbox, program, monkeypatch, managed=scenario.managed)
    stage.prepare(scenario)
    kills = KillRun(stage, scenario, lag_s, two, chosen=lambda _: trust_figures.in_share())
    kills.run()
    _record({scenario.name: kills.outcomes}, cpu_s=cpu_s() - began_s)


@pytest.mark.parametrize("prepare", dict.fromkeys(scenario.prepare for scenario in SAMPLE))
def test_killed_at_one_call(
    sandbox: Any, program: CliRunner, monkeypatch: pytest.MonkeyPatch, prepare: Any
) -> None:
    began_s = cpu_s()
    scenarios = [scenario for scenario in SAMPLE if scenario.prepare is prepare]
    stage = Stage.begin(sandbox, program, monkeypatch)
    stage.prepare(scenarios[0])
    outcomes = {}
    for scenario in scenarios:
        choice = random.Random(f"{trust_figures.SEED} {scenario.name}")
        kills = KillRun(stage, scenario, choice.choice(LAGS_S), two=choice.random() < 0.3)
        kills.run_one(change=choice.randint(1, scenario.sampled), after=choice.random() < 0.7)
        outcomes[scenario.name] = kills.outcomes
    _record(outcomes, cpu_s=cpu_s() - began_s)


def _record(outcomes: dict[str, list[KillOutcome]], *, cpu_s: float) -> None:
    every = [outcome for some in outcomes.values() for outcome in some]
    problems = [outcome for outcome in every if outcome.problem]
    trust_figures.record(
        "killed at every call",
        cases=len(every),
        leaks=sum(outcome.leaks for outcome in problems),
        double_launches=sum(outcome.double_launch for outcome in problems),
        wrong=sum(not (outcome.leaks or outcome.double_launch) for outcome in problems),
        cpu_s=round(cpu_s, 1),
        groups={name: len(some) for name, some in outcomes.items()},
    )
    told = "\n\n".join(f"{outcome.kill}\n{outcome.problem}" for outcome in problems[:3])
    assert not problems, f"{len(problems)} of {len(every)}\n{told}"
