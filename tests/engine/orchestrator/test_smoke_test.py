"""The smoke test's course: few requests at a time, no job left behind, a refusal that concerns all is asked for once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bacalhau_spot.core.launch import events
from bacalhau_spot.core.orchestrator.jobs import Execution, ExecutionState, Job, JobState
from bacalhau_spot.core.orchestrator.orchestrator_nodes import Membership, OrchestratorNode
from bacalhau_spot.core.orchestrator.smoke_test import Engine, Outcome, SmokeTestOptions, SmokeTestResult
from bacalhau_spot.engine.aws_calls.caller import AwsCalls
from bacalhau_spot.engine.orchestrator.smoke_test import run_smoke_test
from bacalhau_spot.orchestrator.port import OrchestratorError
from support.clock import FakeClock
from support.engine_clock import EngineClock

BEGIN = datetime(2026, 11, 28, tzinfo=UTC)
NODES = [f"i-0aaaaaaaaaaaaa{number:03}" for number in range(30)]
OPTIONS = SmokeTestOptions(Engine.WASM, "", 60, "run")


def node(instance: str, *, engines: tuple[str, ...] = ("wasm",)) -> OrchestratorNode:
    labels = {"provider": "aws", "cluster": "c", "instance-id": instance, "region": "us-east-1"}
    return OrchestratorNode(
        f"bacalhau-{instance}", connected=True, membership=Membership.APPROVED, engines=engines, labels=labels
    )


@dataclass
class Fake:
    """Each job completes at its `after`th request. `hanging` never do. `errors`: raised once each, at that request of a job."""

    clock: EngineClock
    after: int = 2
    hanging: frozenset[str] = frozenset()
    refuses: str = ""
    errors: dict[int, str] = field(default_factory=dict)
    stop_fails: bool = False
    on_request: Any = None
    address: str = "http://o:1234"
    jobs: dict[str, str] = field(default_factory=dict)
    polls: Counter[str] = field(default_factory=Counter)
    stopped: list[str] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0

    async def _request(self) -> None:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0)
        self.at_once -= 1
        if self.on_request is not None:
            self.on_request()

    async def submit(self, job: Mapping[str, Any]) -> str:
        await self._request()
        instance = job["Constraints"][0]["Values"][0]
        if self.refuses:
            self.jobs[f"refused {len(self.jobs)}"] = instance
            raise OrchestratorError(self.refuses, "no", address=self.address)
        self.jobs[f"j-{len(self.jobs)}"] = instance
        return f"j-{len(self.jobs) - 1}"

    async def job(self, job_id: str) -> Job:
        await self._request()
        self.polls[job_id] += 1
        code = self.errors.get(self.polls[job_id])
        if code:
            raise OrchestratorError(code, "passing", address=self.address)
        instance = self.jobs[job_id]
        if instance in self.hanging or self.polls[job_id] < self.after:
            return Job(job_id, JobState.QUEUED, "busy", BEGIN)
        done = Execution(
            f"bacalhau-{instance}", ExecutionState.COMPLETED, changed_at=BEGIN + timedelta(seconds=4)
        )
        return Job(job_id, JobState.COMPLETED, "", BEGIN, (done,))

    async def stop_job(self, job_id: str, *, reason: str) -> None:
        assert "smoke-test" in reason
        await self._request()
        if self.stop_fails:
            raise OrchestratorError("OrchestratorTimeout", "no answer", address=self.address)
        self.stopped.append(job_id)


@dataclass
class Scene:
    fake: Fake
    calls: AwsCalls
    seen: list[events.Event]

    def run(self, nodes: list[OrchestratorNode] | None = None) -> SmokeTestResult:
        chosen = [node(name) for name in NODES] if nodes is None else nodes
        return asyncio.run(run_smoke_test(self.calls, self.fake, chosen, OPTIONS, cluster="c"))


@pytest.fixture
def scene() -> Scene:
    clock, seen = EngineClock(FakeClock()), list[events.Event]()
    calls = AwsCalls(None, clock=clock, emit=seen.append, api_s=1, jitter=lambda: 0.5, run_id="r")  # type: ignore[arg-type]  # no call to AWS
    return Scene(Fake(clock), calls, seen)


def outcomes(result: SmokeTestResult) -> Counter[Outcome]:
    return Counter(test.verdict.outcome for test in result.tests)


def test_all_nodes_at_once_with_eight_requests_at_a_time(scene: Scene) -> None:
    """One submission and two polls a node; nothing to stop. A screen gets the number first, then each node."""
    result = scene.run()
    assert (result.exit_code, outcomes(result)) == (0, {Outcome.RAN: 30})
    assert {test.verdict.seconds for test in result.tests} == {4.0}
    assert [test.node.instance_id for test in result.tests] == NODES
    assert sorted(scene.fake.jobs.values()) == NODES
    assert set(scene.fake.polls.values()) == {2} and scene.fake.stopped == []
    assert 1 < scene.fake.most_at_once <= 8
    assert scene.seen[0] == events.SmokeTestStarted("us-east-1", 30)
    tested = [event.node for event in scene.seen[1:] if isinstance(event, events.NodeTested)]
    assert sorted(tested) == [f"bacalhau-{name}" for name in NODES]


def test_a_node_that_does_not_run_it_in_time_holds_up_no_other_and_its_job_is_stopped(scene: Scene) -> None:
    scene.fake.hanging = frozenset(NODES[:2])
    before = scene.fake.clock.monotonic_s()
    result = scene.run()
    assert outcomes(result) == {Outcome.RAN: 28, Outcome.NOT_STARTED: 2}
    assert sorted(scene.fake.jobs[job] for job in scene.fake.stopped) == NODES[:2]
    assert 60 <= scene.fake.clock.monotonic_s() - before < 70
    assert result.exit_code == 1 and result.not_stopped == ()
    # 0.5 s, then each 1.5 times as long, at most 5 s: not one a second.
    assert max(scene.fake.polls.values()) < 20


def test_ctrl_c_stops_every_job_that_has_not_ended(scene: Scene) -> None:
    scene.fake.hanging = frozenset(NODES)

    def press() -> None:
        if sum(scene.fake.polls.values()) >= 10:
            scene.calls.stop.set(by_user=True)

    scene.fake.on_request = press
    result = scene.run()
    assert (result.exit_code, outcomes(result)) == (130, {Outcome.CANCELLED: 30})
    assert sorted(scene.fake.stopped) == sorted(scene.fake.jobs)


def test_after_ctrl_c_no_job_is_submitted(scene: Scene) -> None:
    scene.calls.stop.set(by_user=True)
    result = scene.run()
    assert (result.exit_code, scene.fake.jobs) == (130, {})


@pytest.mark.parametrize(
    "code", ["OrchestratorJobForbidden", "OrchestratorUnreachable", "OrchestratorJobRejected"]
)
def test_a_refusal_that_concerns_every_job_is_not_asked_for_thirty_times(scene: Scene, code: str) -> None:
    scene.fake.refuses = code
    result = scene.run()
    assert 0 < len(scene.fake.jobs) <= 8
    assert outcomes(result)[Outcome.REFUSED] == len(scene.fake.jobs)
    assert {failure.code for failure in result.failures} == {code}
    assert (
        result.exit_code
        == {"OrchestratorJobForbidden": 4, "OrchestratorUnreachable": 1, "OrchestratorJobRejected": 2}[code]
    )


def test_an_error_of_the_moment_is_asked_for_again(scene: Scene) -> None:
    scene.fake.errors = {1: "OrchestratorTimeout", 2: "OrchestratorBusy"}
    scene.fake.after = 3
    assert outcomes(scene.run()) == {Outcome.RAN: 30}


def test_another_error_ends_the_test_of_that_node_and_stops_its_job(scene: Scene) -> None:
    scene.fake.errors = {1: "OrchestratorAnswer"}
    result = scene.run([node(NODES[0])])
    assert outcomes(result) == {Outcome.REFUSED: 1}
    assert scene.fake.stopped == ["j-0"]


def test_a_job_that_could_not_be_stopped_is_named(scene: Scene) -> None:
    scene.fake.hanging, scene.fake.stop_fails = frozenset(NODES), True
    assert scene.run([node(NODES[0])]).not_stopped == ("j-0",)


def test_a_node_without_the_engine_gets_no_job(scene: Scene) -> None:
    result = scene.run([node(NODES[0], engines=("docker",)), node(NODES[1])])
    assert outcomes(result) == {Outcome.NO_ENGINE: 1, Outcome.RAN: 1}
    assert list(scene.fake.jobs.values()) == [NODES[1]]
