"""Runs the smoke test: submits the jobs, follows them concurrently, and stops those that have not ended."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from bacalhau_spot.core.error_catalog.classifier import Category, classify
from bacalhau_spot.core.launch import events
from bacalhau_spot.core.orchestrator.smoke_test import (
    NodeTest,
    NodeVerdict,
    Outcome,
    SmokeTestResult,
    overdue,
    smoke_test_job,
    verdict,
    without_engine,
)
from bacalhau_spot.engine.aws_calls.caller import Cancelled
from bacalhau_spot.engine.orchestrator.orchestrator_sync import orchestrator_failure
from bacalhau_spot.orchestrator.port import OrchestratorError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bacalhau_spot.core.orchestrator.jobs import Job
    from bacalhau_spot.core.orchestrator.orchestrator_nodes import OrchestratorNode
    from bacalhau_spot.core.orchestrator.smoke_test import SmokeTestOptions
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls
    from bacalhau_spot.orchestrator.port import JobClient

# Concurrent requests to the orchestrator, which serves jobs too.
_AT_ONCE: Final = 8
_FIRST_POLL_S: Final = 0.5
_LONGEST_POLL_S: Final = 5.0
_GROWTH: Final = 1.5
# The next poll may have another answer.
_PASSING: Final = frozenset({Category.NETWORK, Category.THROTTLED})
_REASON: Final = "stopped by bacalhau-spot smoke-test"


async def run_smoke_test(
    calls: AwsCalls,
    orchestrator: JobClient,
    nodes: Sequence[OrchestratorNode],
    options: SmokeTestOptions,
    *,
    cluster: str,
    unjoined: Sequence[str] = (),
) -> SmokeTestResult:
    """Test all `nodes`. Refusals are in the result; after one that applies to every job, none is submitted.

    Ctrl-C and the timeout stop the jobs that have not ended.
    """
    return await _SmokeTest(calls, orchestrator, options).run(nodes, cluster=cluster, unjoined=unjoined)


class _SmokeTest:
    """One run. `_refused`: the orchestrator returned an error that applies to every job."""

    def __init__(self, calls: AwsCalls, orchestrator: JobClient, options: SmokeTestOptions) -> None:
        self._calls = calls
        self._orchestrator = orchestrator
        self._options = options
        self._room = asyncio.Semaphore(_AT_ONCE)
        self._refused = False
        self._not_stopped: list[str] = []

    async def run(
        self, nodes: Sequence[OrchestratorNode], *, cluster: str, unjoined: Sequence[str]
    ) -> SmokeTestResult:
        for region in sorted({node.labels.get("region", "") for node in nodes}):
            count = sum(node.labels.get("region", "") == region for node in nodes)
            self._calls.emit(events.SmokeTestStarted(region, count))
        tests = await asyncio.gather(*(self._test(node) for node in nodes))
        return SmokeTestResult(
            cluster=cluster,
            address=self._orchestrator.address,
            options=self._options,
            tests=tuple(tests),
            unjoined=tuple(unjoined),
            not_stopped=tuple(sorted(self._not_stopped)),
            interrupted=self._calls.stop.by_user,
        )

    async def _test(self, node: OrchestratorNode) -> NodeTest:
        test = await self._tested(node)
        self._calls.emit(
            events.NodeTested(
                test.region, node.id, test.verdict.outcome, test.verdict.detail, test.verdict.seconds
            )
        )
        return test

    async def _tested(self, node: OrchestratorNode) -> NodeTest:
        missing = without_engine(node, self._options.engine)
        if missing is not None:
            return NodeTest(node, missing)
        try:
            async with self._room:
                if self._refused or self._calls.stop.is_set:
                    return NodeTest(node, NodeVerdict(Outcome.CANCELLED, "not submitted"))
                job = await self._orchestrator.submit(smoke_test_job(node, self._options))
        except OrchestratorError as error:
            self._refused = self._refused or classify(error.code).category is not Category.UNKNOWN
            return NodeTest(node, _refusal(error))
        return NodeTest(node, await self._followed(job, node), job)

    async def _followed(self, job: str, node: OrchestratorNode) -> NodeVerdict:
        """The verdict on a submitted job. A job that has not ended is stopped."""
        try:
            found, ended = await self._poll(job, node)
        except Cancelled:
            found, ended = NodeVerdict(Outcome.CANCELLED, "stopped"), False
        if not ended:
            await self._stop(job)
        return found

    async def _poll(self, job: str, node: OrchestratorNode) -> tuple[NodeVerdict, bool]:
        """The verdict, and whether the job has ended. Raises Cancelled after Ctrl-C."""
        clock, wait_s = self._calls.clock, _FIRST_POLL_S
        by_s = clock.monotonic_s() + self._options.timeout_s
        last: Job | None = None
        while (left_s := by_s - clock.monotonic_s()) > 0:
            await self._calls.pause(min(wait_s, left_s))
            wait_s = min(wait_s * _GROWTH, _LONGEST_POLL_S)
            try:
                async with self._room:
                    last = await self._orchestrator.job(job)
            except OrchestratorError as error:
                if classify(error.code).category in _PASSING and clock.monotonic_s() < by_s:
                    continue
                return _refusal(error), False
            found = verdict(last, node=node.id)
            if found is not None:
                return found, last.state.final
        return overdue(last, node=node, timeout_s=self._options.timeout_s), False

    async def _stop(self, job: str) -> None:
        try:
            async with self._room:
                await self._orchestrator.stop_job(job, reason=_REASON)
        except OrchestratorError:
            self._not_stopped.append(job)


def _refusal(error: OrchestratorError) -> NodeVerdict:
    return NodeVerdict(Outcome.REFUSED, error.message, failure=orchestrator_failure(error))
