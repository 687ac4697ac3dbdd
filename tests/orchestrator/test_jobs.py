"""Jobs through the orchestrator's API: what is sent, how an answer is read, how each failure is told."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bacalhau_spot.core.error_catalog.classifier import CATALOG
from bacalhau_spot.core.orchestrator.jobs import Execution, ExecutionState, JobState
from bacalhau_spot.orchestrator import parsing
from bacalhau_spot.orchestrator.http import HttpOrchestrator
from bacalhau_spot.orchestrator.port import OrchestratorError
from support.orchestrator import JOBS, StandIn, execution, job_state, stand_in

JOB = {
    "Type": "batch",
    "Constraints": [{"Key": "instance-id", "Operator": "=", "Values": ["i-1"]}],
    "Tasks": [],
}
CREATED_NS = 1_795_883_531_569_758_155
CREATED = datetime(2026, 11, 28, 16, 32, 11, 569758, UTC)


@pytest.fixture
def server() -> Iterator[StandIn]:
    with stand_in() as here:
        yield here


@pytest.fixture
def client(server: StandIn) -> HttpOrchestrator:
    return HttpOrchestrator(server.url)


def code_of(call: Any) -> str:
    with pytest.raises(OrchestratorError) as caught:
        asyncio.run(call)
    assert caught.value.code in CATALOG
    return caught.value.code


def test_a_job_is_submitted_read_and_stopped_with_one_request_each(
    server: StandIn, client: HttpOrchestrator
) -> None:
    name = asyncio.run(client.submit(JOB))
    server.plays = lambda job, node: (job_state(job, "Running"), [execution(job, node=node, state=5)])
    job = asyncio.run(client.job(name))
    asyncio.run(client.stop_job(name, reason="no longer needed"))
    assert [(method, path) for method, path, _, _ in server.requests] == [
        ("PUT", JOBS),
        ("GET", f"{JOBS}/{name}?include=executions"),
        ("DELETE", f"{JOBS}/{name}?reason=no%20longer%20needed"),
    ]
    assert json.loads(server.requests[0][3]) == {"Job": JOB}
    assert (job.id, job.state, job.created_at) == (name, JobState.RUNNING, CREATED)
    assert [item.state for item in job.executions] == [ExecutionState.ACTIVE]
    assert server.stopped == [name]


def test_executions_are_read_with_their_reason() -> None:
    """The shape of Bacalhau 1.9.3 as it really answers: numbers for states, and times in nanoseconds."""
    job = {"ID": "j-1", "CreateTime": CREATED_NS}
    body = {
        "Job": job_state(job, "Failed", "one or more executions failed"),
        "Executions": {
            "Items": [
                {**execution(job, node="n-2", state=9, exit_code=3), "CreateTime": CREATED_NS + 10**9},
                execution(job, node="n-1", state=10, message="failed to load entry module"),
            ]
        },
    }
    found = parsing.parse_job(body)
    assert (found.state, found.message) == (JobState.FAILED, "one or more executions failed")
    first, second = found.executions
    assert first == Execution(
        "n-1",
        ExecutionState.FAILED,
        "failed to load entry module",
        0,
        CREATED,
        datetime(2026, 11, 28, 16, 32, 13, 69758, UTC),
    )
    assert (second.state, second.exit_code) == (ExecutionState.COMPLETED, 3)


@pytest.mark.parametrize(
    ("number", "state"),
    [
        *((n, "active") for n in (1, 3, 5, 7, 99)),
        (4, "rejected"),
        (8, "rejected"),
        (9, "completed"),
        (10, "failed"),
        (11, "cancelled"),
    ],
)
def test_every_number_has_a_state(number: int, state: str) -> None:
    job = {"ID": "j-1", "CreateTime": CREATED_NS}
    body = {"Job": job, "Executions": {"Items": [execution(job, node="n", state=number)]}}
    (found,) = parsing.parse_job(body).executions
    assert found.state == state


def test_a_job_without_executions_or_state_is_one() -> None:
    found = parsing.parse_job({"Job": {"ID": "j-1"}, "Executions": None})
    assert (found.state, found.executions, found.created_at) == (JobState.OTHER, (), None)
    assert not found.state.final


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "Job",
                    "Executions",
                    "Items",
                    "State",
                    "StateType",
                    "ComputeState",
                    "ID",
                    "CreateTime",
                    "RunOutput",
                ]
            ),
            inner,
        )
    ),
)


@given(ANYTHING)
def test_any_answer_is_read_or_is_called_unexpected(body: Any) -> None:
    for parse in (parsing.parse_job, parsing.parse_submission):
        with contextlib.suppress(parsing.UnexpectedFormatError):
            parse(body)


def test_a_key_for_nodes_alone_is_told_apart(server: StandIn, client: HttpOrchestrator) -> None:
    """The remedy differs from that of a key that may not even read nodes."""
    server.read_only = True
    for call in (client.submit(JOB), client.job("j-1"), client.stop_job("j-1", reason="r")):
        assert code_of(call) == "OrchestratorJobForbidden"


def test_a_rejected_job_says_why(server: StandIn, client: HttpOrchestrator) -> None:
    server.rejects = "task main validation failed: missing engine"
    with pytest.raises(OrchestratorError, match="missing engine") as caught:
        asyncio.run(client.submit(JOB))
    assert caught.value.code == "OrchestratorJobRejected"


def test_stopping_what_has_ended_or_does_not_exist_is_no_error(
    server: StandIn, client: HttpOrchestrator
) -> None:
    name = asyncio.run(client.submit(JOB))
    asyncio.run(client.job(name))
    asyncio.run(client.stop_job(name, reason="r"))
    asyncio.run(client.stop_job("j-unknown", reason="r"))
    assert server.stopped == []
    server.answer = (500, {}, b'{"Message": "the store is closed"}')
    assert code_of(client.stop_job(name, reason="r")) == "OrchestratorFailed"


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (200, b"[]", "OrchestratorAnswer"),
        (200, b'{"JobID": ""}', "OrchestratorAnswer"),
        (404, b"not here", "OrchestratorAnswer"),
        (503, b"", "OrchestratorBusy"),
        (401, b"{}", "OrchestratorUnauthorized"),
    ],
)
def test_other_answers(
    server: StandIn, client: HttpOrchestrator, status: int, body: bytes, code: str
) -> None:
    server.answer = (status, {}, body)
    assert code_of(client.submit(JOB)) == code


def test_all_jobs_are_read_with_their_last_change() -> None:
    """The shape of Bacalhau 1.9.3: GET /api/v1/orchestrator/jobs."""
    rows = [
        job_state({"ID": "j-1", "CreateTime": CREATED_NS, "ModifyTime": CREATED_NS + 10**9}, "Completed"),
        job_state({"ID": "j-2"}, "Running"),
    ]
    first, second = parsing.parse_jobs({"Items": rows, "NextToken": ""})
    assert (first.id, first.state, first.changed_at) == (
        "j-1",
        JobState.COMPLETED,
        CREATED + timedelta(seconds=1),
    )
    assert (second.state, second.changed_at) == (JobState.RUNNING, None)
    assert parsing.parse_jobs({"Items": None}) == ()
