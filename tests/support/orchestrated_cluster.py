"""A cluster with a managed orchestrator in the sandbox, as `create` leaves it; and a process that ends at any call."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from typing import Any

from bacalhau_spot.cloud import archive
from bacalhau_spot.cloud.aws import Aws
from bacalhau_spot.core.cleanup.deletion_result import DeletionResult
from bacalhau_spot.core.launch import planner
from bacalhau_spot.core.launch.plan import Plan
from bacalhau_spot.core.model import (
    BacalhauSpec,
    ClusterSpec,
    Naming,
    OrchestratorMode,
    OrchestratorSpec,
    RegionSpec,
)
from bacalhau_spot.core.orchestrator.nats_check import NatsCheck, NatsStatus
from bacalhau_spot.core.tags import cluster_scope, results_bucket
from bacalhau_spot.engine.aws_calls import discovery
from bacalhau_spot.engine.aws_calls.caller import AwsCalls
from bacalhau_spot.engine.cleanup import resource_scan, teardown
from bacalhau_spot.engine.cleanup.job_results import configured_home, results_candidates
from bacalhau_spot.engine.cleanup.region_teardown import DeletionOptions
from bacalhau_spot.engine.cleanup.scan_result import ScanRequest
from bacalhau_spot.engine.launch import create
from bacalhau_spot.engine.launch.archive_checksums import ArchiveSource
from bacalhau_spot.engine.launch.facts_gathering import FactSources, gather_facts
from bacalhau_spot.engine.orchestrator.managed import ensure_orchestrator
from bacalhau_spot.engine.orchestrator.readiness import OrchestratorAccess
from bacalhau_spot.errors import ExitCode
from support.engine_clock import EngineClock
from support.killed_process import Killed, is_read

HOME, ELSEWHERE = "us-west-1", "eu-west-1"
REGIONS = (HOME, ELSEWHERE)
SPEC = ClusterSpec(
    name="c",
    naming=Naming(),
    regions=tuple(map(RegionSpec, REGIONS)),
    nodes=2,
    instance_types=("t3.medium",),
    ssh_cidrs=("192.0.2.0/24",),
    orchestrator=OrchestratorSpec(OrchestratorMode.MANAGED),
)
BUCKET = results_bucket(SPEC.naming, account_id="000000000000", region=HOME)
_RUNS = count()


def of_cluster(name: str) -> ClusterSpec:
    """The same cluster under another tag value."""
    return replace(SPEC, name=name, naming=replace(SPEC.naming, tag_value=name))


def calls_of(cloud: Aws, sandbox: Any) -> AwsCalls:
    return AwsCalls(
        cloud,
        clock=EngineClock(sandbox.clock),
        emit=lambda _: None,
        api_s=60,
        jitter=lambda: 0.5,
        run_id=f"run {next(_RUNS)}",
    )


async def _answers(address: str, _: BacalhauSpec) -> NatsCheck:
    return NatsCheck(address, NatsStatus.ACCEPTED)


async def _digest(url: str) -> str:
    return await archive.digest(url)


def create_cluster(cloud: Aws, sandbox: Any, spec: ClusterSpec = SPEC) -> None:
    """The orchestrator answers at once."""

    async def run() -> None:
        calls = calls_of(cloud, sandbox)
        facts = await gather_facts(calls, spec, FactSources(ArchiveSource(_digest)))
        plan = planner.plan(facts)
        assert isinstance(plan, Plan), plan
        access = OrchestratorAccess(nats=_answers, api=lambda _: None)
        if plan.orchestrator is None:
            result = await create.apply_plan(calls, facts, plan)
        else:
            ready = await ensure_orchestrator(calls, facts, plan, access)
            result = await create.apply_plan(
                calls, replace(facts, spec=ready.spec), plan, created_networks=ready.networks
            )
        assert result.exit_code is ExitCode.DONE, result

    asyncio.run(run())


def destroy_cluster(
    cloud: Aws, sandbox: Any, spec: ClusterSpec = SPEC, *, delete_results: bool = False
) -> DeletionResult:
    """In the enabled regions of the account."""

    async def run() -> DeletionResult:
        calls = calls_of(cloud, sandbox)
        account = await discovery.load_account(calls)
        account_id = account.identity.account_id
        search = ScanRequest(
            cluster_scope(spec.naming),
            with_children=frozenset(REGIONS),
            candidates=results_candidates(spec.naming, configured_home(spec), account_id=account_id),
            account_id=account_id,
        )
        scan = await resource_scan.scan_regions(
            calls, search, regions=discovery.enabled_names(account.regions)
        )
        return await teardown.delete_resources(
            calls,
            search,
            cluster=spec.name,
            scan=scan,
            timeout_s=900,
            options=DeletionOptions(delete_results=delete_results),
        )

    return asyncio.run(run())


Call = tuple[str, str, str, dict[str, Any]]  # service, region, operation, parameters


@contextlib.contextmanager
def intercepted(cloud: Aws, before: Callable[[Call], None]) -> Iterator[None]:
    """`before` sees each call before AWS does, and may raise instead."""
    session = cloud._session
    call = session.call

    async def intercept(service: str, region: str | None, operation: str, **kwargs: Any) -> dict[str, Any]:
        before((service, region or "", operation, kwargs))
        return await call(service, region, operation, **kwargs)

    session.call = intercept  # type: ignore[method-assign]  # the one way in and out
    try:
        yield
    finally:
        session.call = call  # type: ignore[method-assign]  # as before


@contextlib.contextmanager
def recorded(cloud: Aws) -> Iterator[list[Call]]:
    """All calls, in the order in which they begin."""
    made: list[Call] = []
    with intercepted(cloud, made.append):
        yield made


@contextlib.contextmanager
def killed(cloud: Aws, *, at: int) -> Iterator[None]:
    """A process that ends at its n-th change. Changes before it were made, and their answers may be lost."""
    left = at

    def die(call: Call) -> None:
        nonlocal left
        if not is_read(call[2]):
            left -= 1
        if left <= 0:
            raise Killed

    with intercepted(cloud, die), contextlib.suppress(Killed):
        yield
