"""The output of `smoke-test` for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from bacalhau_spot.core.orchestrator.smoke_test import Engine, Outcome
from bacalhau_spot.ui.json_output.values import Count, ProblemOutput, problem_data

if TYPE_CHECKING:
    from bacalhau_spot.core.orchestrator.smoke_test import NodeTest, SmokeTestResult


class NodeTestOutput(TypedDict):
    id: str
    """the node's name in the orchestrator"""
    instance_id: str
    region: str
    """empty if the node has no label `region`"""
    outcome: Outcome
    """`no-engine`: the node does not offer the engine; `not-started`: the job waited in the queue for the whole time; `refused`:
    the orchestrator returned an error; `cancelled`: the test ended first"""
    seconds: float | None
    """from the submission to the end, by the orchestrator's clock; null unless it ran"""
    detail: str
    """Bacalhau's reason"""
    job_id: str | None
    problem: ProblemOutput | None
    """the orchestrator's error"""


class SmokeTestOutput(TypedDict):
    cluster: str
    """the label"""
    orchestrator: str
    """its address"""
    engine: Engine
    image: str | None
    """null with `wasm`"""
    timeout_s: Count
    ran: Count
    """nodes on which the job ran"""
    nodes: list[NodeTestOutput]
    """the joined nodes"""
    not_joined: list[str]
    """names of the cluster's nodes without a connection or approval; they are not tested"""
    not_stopped: list[str]
    """ids of jobs that could not be stopped"""
    interrupted: bool


def smoke_test_data(result: SmokeTestResult) -> SmokeTestOutput:
    options = result.options
    return {
        "cluster": result.cluster,
        "orchestrator": result.address,
        "engine": options.engine,
        "image": options.image if options.engine is Engine.DOCKER else None,
        "timeout_s": options.timeout_s,
        "ran": len(result.ran),
        "nodes": [_node(test) for test in result.tests],
        "not_joined": list(result.unjoined),
        "not_stopped": list(result.not_stopped),
        "interrupted": result.interrupted,
    }


def _node(test: NodeTest) -> NodeTestOutput:
    verdict = test.verdict
    return {
        "id": test.node.id,
        "instance_id": test.node.instance_id,
        "region": test.region,
        "outcome": verdict.outcome,
        "seconds": None if verdict.seconds is None else round(verdict.seconds, 3),
        "detail": verdict.detail,
        "job_id": test.job or None,
        "problem": None if verdict.failure is None else problem_data(verdict.failure),
    }
