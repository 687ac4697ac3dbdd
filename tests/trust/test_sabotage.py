"""The suite on a program that is broken on purpose: it says what is wrong."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

import pytest

from bacalhau_spot.cloud import compute
from bacalhau_spot.cloud.cleanup import AwsCleanup, tag_index
from bacalhau_spot.core.kinds import ResourceKind
from bacalhau_spot.core.model import TaggedId
from support.cli_runner import CliRunner
from support.fault_run import Case, FaultRun
from support.kills import KillRun
from support.trust_stage import SCENARIOS, Stage

CREATE = next(scenario for scenario in SCENARIOS if scenario.name == "create")


@pytest.fixture
def stage(sandbox: Any, program: CliRunner, monkeypatch: pytest.MonkeyPatch) -> Stage:
    stage = Stage.begin(sandbox, program, monkeypatch)
    stage.prepare(CREATE)
    return stage


def _lost_launch(case: Case) -> bool:
    return (
        case.point.operation == "create_fleet"
        and case.fault.name == "lost after its effect"
        and not case.always
    )


def test_a_launch_that_is_not_idempotent_is_a_double_launch(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its answer is lost, and the repeated call has another token."""
    fleet = compute._fleet
    monkeypatch.setattr(
        compute, "_fleet", lambda request: fleet(request) | {"ClientToken": str(uuid.uuid4())}
    )
    run = FaultRun(stage, CREATE, _lost_launch)
    run.run()
    assert [outcome.double_launch for outcome in run.outcomes] == [True]
    assert all(outcome.problem for outcome in run.outcomes)


def test_the_same_fault_of_the_whole_program_is_none(stage: Stage) -> None:
    run = FaultRun(stage, CREATE, _lost_launch)
    run.run()
    assert [outcome.problem for outcome in run.outcomes] == [""]


def test_a_destroy_that_overlooks_a_kind_is_a_leak(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    find, tagged = AwsCleanup.find, tag_index.tagged_in_ec2

    async def blind_find(
        self: Any, region: str, kind: ResourceKind, *rest: Any, **more: Any
    ) -> Sequence[Any]:
        return () if kind is ResourceKind.TEMPLATE else await find(self, region, kind, *rest, **more)

    async def blind_index(*asked: Any) -> tuple[TaggedId, ...]:
        return tuple(row for row in await tagged(*asked) if not row.id.startswith("lt-"))

    monkeypatch.setattr(AwsCleanup, "find", blind_find)
    monkeypatch.setattr(tag_index, "tagged_in_ec2", blind_index)
    run = KillRun(stage, CREATE, lag_s=0.0, two=False)
    run.run_one(change=12, after=True)
    assert [outcome.leaks for outcome in run.outcomes] == [True]
    assert "lt-" in run.outcomes[0].problem
