"""The smoke test's jobs, and the conclusion from each state of a job."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from bacalhau_spot.core.orchestrator.jobs import Execution, ExecutionState, Job, JobState
from bacalhau_spot.core.orchestrator.orchestrator_nodes import Capacity, Membership, OrchestratorNode
from bacalhau_spot.core.orchestrator.smoke_test import (
    Engine,
    NodeTest,
    NodeVerdict,
    Outcome,
    SmokeTestOptions,
    SmokeTestResult,
    joined_nodes,
    overdue,
    smoke_test_job,
    verdict,
    without_engine,
)
from bacalhau_spot.core.problem import ApiFailure
from bacalhau_spot.errors import ExitCode

BEGIN = datetime(2026, 11, 28, tzinfo=UTC)
NAME = "bacalhau-i-0aaaaaaaaaaaaaaa1"
OTHER = "bacalhau-i-0aaaaaaaaaaaaaaa2"
OPTIONS = SmokeTestOptions(Engine.DOCKER, "busybox", 60, "run")


def node(name: str = NAME, *, cluster: str = "c", connected: bool = True, **more: Any) -> OrchestratorNode:
    labels = {
        "provider": "aws",
        "cluster": cluster,
        "instance-id": name.removeprefix("bacalhau-"),
        "region": "us-east-1",
    }
    return OrchestratorNode(
        name, connected, more.pop("membership", Membership.APPROVED), labels=labels, **more
    )


def execution(state: ExecutionState, **more: Any) -> Execution:
    return Execution(NAME, state, created_at=BEGIN, changed_at=BEGIN + timedelta(seconds=2.5), **more)


def job(state: JobState, *executions: Execution, message: str = "") -> Job:
    return Job("j-1", state, message, BEGIN, executions)


QUEUED = (
    "Job queued. not enough nodes to run job. requested: 1, available: 2, suitable: 0.\n"
    f"• Node {OTHER}: labels map[a:b] don't match required selectors [instance-id = i-0aaaaaaaaaaaaaaa1]\n"
    f"• Node {NAME}: node busy with available capacity {{CPU: 0.00}}"
)


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (job(JobState.PENDING), None),
        (job(JobState.OTHER), None),
        (job(JobState.QUEUED, message=QUEUED), None),
        (job(JobState.RUNNING, execution(ExecutionState.ACTIVE)), None),
        (job(JobState.COMPLETED, execution(ExecutionState.COMPLETED)), NodeVerdict(Outcome.RAN, seconds=2.5)),
        (job(JobState.COMPLETED), NodeVerdict(Outcome.FAILED, "no execution completed")),
        (
            job(JobState.COMPLETED, execution(ExecutionState.COMPLETED, exit_code=3)),
            NodeVerdict(Outcome.FAILED, "exit code 3"),
        ),
        (
            job(JobState.RUNNING, execution(ExecutionState.FAILED, message="no such image")),
            NodeVerdict(Outcome.FAILED, "no such image"),
        ),
        (job(JobState.RUNNING, execution(ExecutionState.REJECTED)), NodeVerdict(Outcome.FAILED, "rejected")),
        (
            job(JobState.FAILED, message=QUEUED),
            NodeVerdict(Outcome.FAILED, "node busy with available capacity {CPU: 0.00}"),
        ),
        (
            job(JobState.FAILED, message="x\n• 3 of 3 nodes: node busy"),
            NodeVerdict(Outcome.FAILED, "node busy"),
        ),
        (job(JobState.FAILED, message="timed out\nmore"), NodeVerdict(Outcome.FAILED, "timed out")),
        (job(JobState.STOPPED), NodeVerdict(Outcome.CANCELLED, "stopped")),
    ],
)
def test_a_state_has_one_conclusion(state: Job, expected: NodeVerdict | None) -> None:
    assert verdict(state, node=NAME) == expected


def test_a_run_after_a_failure_is_a_run() -> None:
    """Bacalhau tries a second time; between two requests both may have happened."""
    both = job(JobState.COMPLETED, execution(ExecutionState.FAILED), execution(ExecutionState.COMPLETED))
    found = verdict(both, node=NAME)
    assert found is not None and found.outcome is Outcome.RAN


def test_when_the_time_is_over_the_queue_is_told_apart_from_the_work() -> None:
    assert overdue(None, node=node(), timeout_s=9) == NodeVerdict(
        Outcome.NOT_STARTED, "did not start within 9 s"
    )
    late = overdue(job(JobState.QUEUED, message=QUEUED), node=node(), timeout_s=9)
    assert late.outcome is Outcome.NOT_STARTED and late.detail.endswith(
        "node busy with available capacity {CPU: 0.00}"
    )
    working = overdue(job(JobState.RUNNING, execution(ExecutionState.ACTIVE)), node=node(), timeout_s=9)
    assert working.outcome is Outcome.TIMED_OUT


def test_a_job_in_a_busy_nodes_own_queue_has_not_started() -> None:
    """Its state at the orchestrator is that of a running job."""
    queued = job(JobState.RUNNING, execution(ExecutionState.ACTIVE))
    busy = node(total=Capacity(cpu=Decimal("1.6")), free=Capacity(cpu=Decimal(0)))
    assert overdue(queued, node=busy, timeout_s=9) == NodeVerdict(
        Outcome.NOT_STARTED, "did not start within 9 s: the node is busy: 0 of 1.6 CPUs were free"
    )
    idle = node(total=Capacity(cpu=Decimal("1.6")), free=Capacity(cpu=Decimal("1.6")))
    assert overdue(queued, node=idle, timeout_s=9).outcome is Outcome.TIMED_OUT


def test_only_joined_nodes_of_the_cluster_are_tested() -> None:
    """In the order of their regions; others of the cluster are named."""
    pending = node("bacalhau-i-0aaaaaaaaaaaaaaa3", membership=Membership.PENDING)
    gone = node("bacalhau-i-0aaaaaaaaaaaaaaa4", connected=False)
    foreign = node("bacalhau-i-0aaaaaaaaaaaaaaa5", cluster="d")
    joined, unjoined = joined_nodes([node(OTHER), gone, foreign, node(), pending], cluster="c")
    assert [member.id for member in joined] == [NAME, OTHER]
    assert unjoined == (pending.id, gone.id)


def test_a_node_without_the_engine_needs_no_job() -> None:
    assert without_engine(node(engines=("docker", "wasm")), Engine.DOCKER) is None
    found = without_engine(node(engines=("wasm",)), Engine.DOCKER)
    assert found == NodeVerdict(Outcome.NO_ENGINE, "offers wasm, not docker")
    assert without_engine(node(), Engine.WASM) == NodeVerdict(Outcome.NO_ENGINE, "offers no engine")


@pytest.mark.parametrize("engine", list(Engine))
def test_the_job_names_one_node_and_ends_by_itself(engine: Engine) -> None:
    """Bacalhau refuses a total timeout below the sum of the other two."""
    made = smoke_test_job(node(), SmokeTestOptions(engine, "busybox", 60, "run"))
    assert made["Constraints"] == [{"Key": "instance-id", "Operator": "=", "Values": ["i-0aaaaaaaaaaaaaaa1"]}]
    (task,) = made["Tasks"]
    assert task["Engine"]["Type"] == engine
    timeouts = task["Timeouts"]
    assert timeouts["ExecutionTimeout"] + timeouts["QueueTimeout"] <= timeouts["TotalTimeout"]
    if engine is Engine.WASM:
        (source,) = task["InputSources"]
        program = base64.b64decode(source["Source"]["Params"]["URL"].partition(",")[2])
        assert program.startswith(b"\0asm\1\0\0\0") and b"_start" in program
        assert source["Target"] == task["Engine"]["Params"]["EntryModule"]


@pytest.mark.parametrize(
    ("verdicts", "interrupted", "code"),
    [
        ([NodeVerdict(Outcome.RAN), NodeVerdict(Outcome.RAN)], False, ExitCode.DONE),
        ([NodeVerdict(Outcome.RAN), NodeVerdict(Outcome.NOT_STARTED)], False, ExitCode.FAILED),
        ([NodeVerdict(Outcome.RAN), NodeVerdict(Outcome.CANCELLED)], True, ExitCode.INTERRUPTED),
        (
            [
                NodeVerdict(Outcome.REFUSED, failure=ApiFailure("OrchestratorJobForbidden", "", "o", "")),
                NodeVerdict(Outcome.CANCELLED),
            ],
            False,
            ExitCode.DENIED,
        ),
        (
            [NodeVerdict(Outcome.REFUSED, failure=ApiFailure("OrchestratorTimeout", "", "o", ""))],
            False,
            ExitCode.FAILED,
        ),
    ],
)
def test_only_a_run_on_every_node_is_a_success(
    verdicts: list[NodeVerdict], interrupted: bool, code: ExitCode
) -> None:
    tests = tuple(NodeTest(node(), found) for found in verdicts)
    assert SmokeTestResult("c", "o", OPTIONS, tests, interrupted=interrupted).exit_code is code
