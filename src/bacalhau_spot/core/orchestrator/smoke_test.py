"""The smoke test: one tiny job for each joined node of a cluster, and the conclusion from each job's state.

Rules:
1. A job is a batch job with a constraint on the label `instance-id`, which first boot sets: one node in the world has it.
2. Its queue timeout is the test's timeout: a busy node runs it as soon as it can. Its total timeout ends it even if this
   program is killed.
3. The first failed execution decides: Bacalhau would try the same node a second time, and then wait for others.
4. Seconds are counted by the orchestrator's clock, from the submission to the end of the execution.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from bacalhau_spot.core.error_catalog.classifier import classify, most_severe
from bacalhau_spot.core.orchestrator.jobs import ExecutionState, JobState
from bacalhau_spot.core.orchestrator.orchestrator_nodes import INSTANCE_LABEL, Membership
from bacalhau_spot.core.orchestrator.prune import is_cluster_node, region_of
from bacalhau_spot.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bacalhau_spot.core.orchestrator.jobs import Execution, Job
    from bacalhau_spot.core.orchestrator.orchestrator_nodes import OrchestratorNode
    from bacalhau_spot.core.problem import ApiFailure

# The label of the test's jobs, for `bacalhau job list --labels bacalhau-spot=smoke-test`.
LABEL: Final = ("bacalhau-spot", "smoke-test")
IMAGE: Final = "busybox:1.37"
_TEXT: Final = "smoke test"
_CPU, _MEMORY = "0.1", "64MB"
# A WebAssembly program that writes `smoke test` and exits with 0: an import of WASI's fd_write and proc_exit, a memory, one
# function, and the name section without which Bacalhau 1.9 loads no module. Inline, because it then needs no network.
_PROGRAM: Final = (
    "AGFzbQEAAAABEANgBH9/f38Bf2AAAGABfwACRgIWd2FzaV9zbmFwc2hvdF9wcmV2aWV3MQhmZF93cml0ZQAAFndhc2lfc25hcHNob3RfcHJldmlldzEJ"
    "cHJvY19leGl0AAIDAgEBBQMBAAEHEwIGbWVtb3J5AgAGX3N0YXJ0AAIKEwERAEEBQQBBAUEUEAAaQQAQAQsLGQEAQQALEwgAAAALAAAAc21va2UgdGVz"
    "dAoAEgRuYW1lAAsKc21va2UtdGVzdA=="
)
_MODULE: Final = "/smoke-test/main.wasm"
# `• Node NAME: reason`, one line for each node that cannot take the job.
_NODE_REASON: Final = re.compile(
    r"^\s*•\s*(?:Node (?P<node>\S+)|\d+ of \d+ nodes): (?P<reason>.+)$", re.MULTILINE
)


class Engine(StrEnum):
    """The engine of the test's jobs, in Bacalhau's spelling."""

    DOCKER = "docker"
    WASM = "wasm"


@dataclass(frozen=True, slots=True)
class SmokeTestOptions:
    """`run_id`: distinguishes the jobs of one run."""

    engine: Engine
    image: str
    timeout_s: int
    run_id: str


class Outcome(StrEnum):
    """How the test of one node ended."""

    RAN = "ran"
    FAILED = "failed"  # the job was tried on the node and failed, or the node rejected it
    NO_ENGINE = "no-engine"  # the node does not offer the engine; no job was submitted
    NOT_STARTED = "not-started"  # the job waited in the queue for the whole time
    TIMED_OUT = "timed-out"  # the job began, and did not end in time
    REFUSED = "refused"  # the orchestrator did not accept the job, or returned no state of it
    CANCELLED = "cancelled"  # the test ended before this node's turn, or its job was stopped


@dataclass(frozen=True, slots=True)
class NodeVerdict:
    """`detail`: the reason, in the words of Bacalhau; `seconds`: of a job that ran."""

    outcome: Outcome
    detail: str = ""
    seconds: float | None = None
    failure: ApiFailure | None = None


@dataclass(frozen=True, slots=True)
class NodeTest:
    """The test of one node. `job`: the job's id; empty if none was accepted."""

    node: OrchestratorNode
    verdict: NodeVerdict
    job: str = ""

    @property
    def region(self) -> str:
        return region_of(self.node)


@dataclass(frozen=True, slots=True)
class SmokeTestResult:
    """The result. `unjoined`: nodes of the cluster without a connection or approval; `not_stopped`: ids of jobs that may
    still run.
    """

    cluster: str
    address: str
    options: SmokeTestOptions
    tests: tuple[NodeTest, ...]
    unjoined: tuple[str, ...] = ()
    not_stopped: tuple[str, ...] = ()
    interrupted: bool = False

    @property
    def ran(self) -> tuple[NodeTest, ...]:
        return tuple(test for test in self.tests if test.verdict.outcome is Outcome.RAN)

    @property
    def failures(self) -> tuple[ApiFailure, ...]:
        """The orchestrator's refusals."""
        return tuple(test.verdict.failure for test in self.tests if test.verdict.failure is not None)

    @property
    def exit_code(self) -> ExitCode:
        """0 only if the job ran on every joined node."""
        if self.interrupted:
            return ExitCode.INTERRUPTED
        code = most_severe(failure.code for failure in self.failures)
        if code is not None:
            return classify(code).exit_code
        return ExitCode.DONE if len(self.ran) == len(self.tests) else ExitCode.FAILED


def joined_nodes(
    nodes: Iterable[OrchestratorNode], *, cluster: str
) -> tuple[tuple[OrchestratorNode, ...], tuple[str, ...]]:
    """The cluster's nodes that get work, by region and id; and the ids of its other nodes."""
    members = sorted(
        (node for node in nodes if is_cluster_node(node, cluster=cluster)),
        key=lambda node: (region_of(node), node.id),
    )
    joined = tuple(node for node in members if node.connected and node.membership is Membership.APPROVED)
    return joined, tuple(node.id for node in members if node not in joined)


def smoke_test_job(node: OrchestratorNode, options: SmokeTestOptions) -> dict[str, Any]:
    """The job for one node, as the orchestrator's API takes it."""
    key, value = LABEL
    return {
        "Name": f"smoke-test-{options.run_id}-{node.instance_id}",
        "Type": "batch",
        "Count": 1,
        "Constraints": [{"Key": INSTANCE_LABEL, "Operator": "=", "Values": [node.instance_id]}],
        "Labels": {key: value},
        "Tasks": [
            {
                "Name": "main",
                **_program(options),
                "Publisher": {"Type": "noop"},
                "Network": {"Type": "None"},
                "Resources": {"CPU": _CPU, "Memory": _MEMORY},
                "Timeouts": {
                    "QueueTimeout": options.timeout_s,
                    "ExecutionTimeout": options.timeout_s,
                    "TotalTimeout": 2 * options.timeout_s,  # at least the sum of the others
                },
            }
        ],
    }


def _program(options: SmokeTestOptions) -> dict[str, Any]:
    if options.engine is Engine.DOCKER:
        parameters = {"Image": options.image, "Entrypoint": ["/bin/echo"], "Parameters": [_TEXT]}
        return {"Engine": {"Type": "docker", "Params": parameters}}
    source = {"Type": "inline", "Params": {"URL": f"data:application/wasm;base64,{_PROGRAM}"}}
    return {
        "Engine": {"Type": "wasm", "Params": {"EntryModule": _MODULE, "Entrypoint": "_start"}},
        "InputSources": [{"Source": source, "Target": _MODULE}],
    }


def verdict(job: Job, *, node: str) -> NodeVerdict | None:
    """The conclusion from the job's state; None while it may still run."""
    if job.state is JobState.COMPLETED:
        return _completed(job)
    failed = next(
        (
            execution
            for execution in job.executions
            if execution.state in {ExecutionState.FAILED, ExecutionState.REJECTED}
        ),
        None,
    )
    if failed is not None:
        return NodeVerdict(Outcome.FAILED, failed.message or failed.state)
    if job.state is JobState.STOPPED:
        return NodeVerdict(Outcome.CANCELLED, job.message or "stopped")
    if job.state is JobState.FAILED:
        return NodeVerdict(Outcome.FAILED, waiting_reason(job, node=node))
    return None


def _completed(job: Job) -> NodeVerdict:
    done = [execution for execution in job.executions if execution.state is ExecutionState.COMPLETED]
    if not done:
        return NodeVerdict(Outcome.FAILED, "no execution completed")
    if done[-1].exit_code:
        return NodeVerdict(Outcome.FAILED, f"exit code {done[-1].exit_code}")
    return NodeVerdict(Outcome.RAN, seconds=_seconds(job, done[-1]))


def _seconds(job: Job, execution: Execution) -> float | None:
    if job.created_at is None or execution.changed_at is None:
        return None
    return max(0.0, (execution.changed_at - job.created_at).total_seconds())


def overdue(job: Job | None, *, node: OrchestratorNode, timeout_s: int) -> NodeVerdict:
    """The conclusion when the time is over. `job`: its last known state.

    A node also accepts jobs into its own queue, and the orchestrator has the same state for these as for running ones
    (Bacalhau 1.9). The node's free resources at the start of the test tell them apart.
    """
    active = job is not None and any(execution.state is ExecutionState.ACTIVE for execution in job.executions)
    if active and not _is_busy(node):
        return NodeVerdict(Outcome.TIMED_OUT, f"did not end within {timeout_s} s")
    reason = waiting_reason(job, node=node.id) if job is not None else ""
    if active:
        reason = f"the node is busy: {node.free.cpu} of {node.total.cpu} CPUs were free"
    late = f"did not start within {timeout_s} s"
    return NodeVerdict(Outcome.NOT_STARTED, f"{late}: {reason}" if reason else late)


def _is_busy(node: OrchestratorNode) -> bool:
    """False if the node's resources are unknown."""
    return node.free.cpu < Decimal(_CPU) <= node.total.cpu


def waiting_reason(job: Job, *, node: str) -> str:
    """Why the node does not take the job: its line in the orchestrator's message, or else the first line."""
    for match in _NODE_REASON.finditer(job.message):
        if match["node"] in {None, node}:
            return match["reason"].strip()
    return next(iter(job.message.splitlines()), "")


def without_engine(node: OrchestratorNode, engine: Engine) -> NodeVerdict | None:
    """The verdict on a node that does not offer the engine; None for the others."""
    if engine in node.engines:
        return None
    offered = ", ".join(node.engines)
    return NodeVerdict(
        Outcome.NO_ENGINE, f"offers {offered}, not {engine}" if offered else "offers no engine"
    )
