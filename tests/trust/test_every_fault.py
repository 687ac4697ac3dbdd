"""Every command that changes something, with every fault at every call: it ends in time and in words, and nothing is left."""

from __future__ import annotations

import random
from typing import Any

import pytest

from support import trust_figures
from support.cli_runner import CliRunner
from support.fault_run import Case, FaultOutcome, FaultRun
from support.process_copies import cpu_s
from support.trust_stage import SCENARIOS, Scenario, Stage

# In the ordinary suite: a few faults.
SAMPLE = ("create",)
SAMPLED = 2


@pytest.mark.parametrize(
    "scenario", SCENARIOS if trust_figures.FULL else [], ids=lambda scenario: scenario.name
)
def test_every_fault_at_every_call(
    sandbox: Any, program: CliRunner, monkeypatch: pytest.MonkeyPatch, scenario: Scenario
) -> None:
    began_s = cpu_s()
    stage = Stage.begin(sandbox, program, monkeypatch, managed=scenario.managed)
    stage.prepare(scenario)
    run = FaultRun(stage, scenario, lambda _: trust_figures.in_share())
    run.run()
    _record(scenario, run.outcomes, cpu_s=cpu_s() - began_s)


@pytest.mark.parametrize(
    "scenario", [one for one in SCENARIOS if one.name in SAMPLE], ids=lambda one: one.name
)
def test_a_few_faults(
    sandbox: Any, program: CliRunner, monkeypatch: pytest.MonkeyPatch, scenario: Scenario
) -> None:
    began_s, left = cpu_s(), SAMPLED
    choice = random.Random(f"{trust_figures.SEED} {scenario.name}")

    def chosen(case: Case) -> bool:
        nonlocal left
        taken = left > 0 and not case.point.reads and choice.random() < 0.05
        left -= taken
        return taken

    stage = Stage.begin(sandbox, program, monkeypatch)
    stage.prepare(scenario)
    run = FaultRun(stage, scenario, chosen)
    run.run()
    _record(scenario, run.outcomes, cpu_s=cpu_s() - began_s)


def _record(scenario: Scenario, outcomes: list[FaultOutcome], *, cpu_s: float) -> None:
    problems = [outcome for outcome in outcomes if outcome.problem]
    trust_figures.record(
        "faults at every call",
        cases=len(outcomes),
        leaks=sum(outcome.leaks for outcome in problems),
        double_launches=sum(outcome.double_launch for outcome in problems),
        wrong=sum(not (outcome.leaks or outcome.double_launch) for outcome in problems),
        cpu_s=round(cpu_s, 1),
        groups={scenario.name: len(outcomes)},
    )
    told = "\n\n".join(f"{outcome.case}\n{outcome.problem}" for outcome in problems[:5])
    assert not problems, f"{len(problems)} of {len(outcomes)}\n{told}"
