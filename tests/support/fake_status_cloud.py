"""A cloud and an orchestrator that can be looked at, in memory; every question is remembered."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, cast

from bacalhau_spot.cloud.cloud_error import CloudError
from bacalhau_spot.cloud.port import Cloud
from bacalhau_spot.core.health.cluster_status import ClusterSnapshot
from bacalhau_spot.core.health.observation import SpotStatus, StatusCheck, StatusChecks
from bacalhau_spot.core.model import Instance, Naming, SpotRequest
from bacalhau_spot.core.orchestrator.orchestrator_nodes import NodeListing, OrchestratorNode
from bacalhau_spot.engine.aws_calls.caller import AwsCalls
from bacalhau_spot.engine.health.cluster_snapshot import cluster_snapshot
from bacalhau_spot.orchestrator.port import Orchestrator, OrchestratorError
from support.clock import FakeClock
from support.engine_clock import EngineClock
from support.health import NOW

ALL_WELL = StatusChecks(StatusCheck.OK, StatusCheck.OK)


class FakeStatusCloud:
    """`denied`: (region, verb) that are refused, with their code."""

    def __init__(self, *instances: Instance) -> None:
        self.there = list(instances)
        self.spots: list[SpotStatus] = []
        self.consoles: dict[str, str] = {}
        self.denied: dict[tuple[str, str], str] = {}
        self.requests: Counter[tuple[str, str]] = Counter()

    def _ask(self, region: str, verb: str) -> None:
        self.requests[region, verb] += 1
        if (region, verb) in self.denied:
            raise CloudError(self.denied[region, verb], "no", operation=verb, region=region)

    async def instances(self, region: str, *, key: str, value: str) -> tuple[Instance, ...]:
        self._ask(region, "DescribeInstances")
        return tuple(instance for instance in self.there if instance.region == region)

    async def statuses(self, region: str, ids: Sequence[str]) -> dict[str, StatusChecks]:
        self._ask(region, "DescribeInstanceStatus")
        return dict.fromkeys(ids, ALL_WELL)

    async def spot_requests(self, region: str, *, key: str, value: str) -> tuple[SpotRequest, ...]:
        self._ask(region, "DescribeSpotInstanceRequests")
        here = {instance.id: instance for instance in self.there if instance.region == region}
        return tuple(
            SpotRequest(
                id=spot.request_id,
                region=region,
                zone=here[spot.instance_id].zone,
                type=here[spot.instance_id].type,
                state="active",
                status=spot.code,
                created_at=spot.updated_at,
                updated_at=spot.updated_at,
                instance_id=spot.instance_id,
            )
            for spot in self.spots
            if spot.instance_id in here
        )

    async def console(self, region: str, instance_id: str) -> str:
        self._ask(region, "GetConsoleOutput")
        return self.consoles.get(instance_id, "")


class FakeOrchestrator:
    """An orchestrator that answers with `known`, or with a refusal. `age`: since its start."""

    address = "https://orchestrator.example:1234"

    def __init__(
        self, *known: OrchestratorNode, refusal: str = "", age: timedelta = timedelta(days=1)
    ) -> None:
        self.known = list(known)
        self.refusal = refusal
        self.age = age

    async def listing(self) -> NodeListing:
        if self.refusal:
            raise OrchestratorError(self.refusal, "connection refused", address=self.address)
        return NodeListing(tuple(self.known), "v1.9.3", started_at=NOW - self.age, answered_at=NOW)

    async def nodes(self) -> tuple[OrchestratorNode, ...]:
        return (await self.listing()).nodes

    async def remove(self, node_id: str) -> None:
        self.known = [node for node in self.known if node.id != node_id]

    async def version(self) -> str:
        return "v1.9.3"


def snapshot_of(
    cloud: FakeStatusCloud, orchestrator: Orchestrator | None = None, *, regions: Sequence[str] = ()
) -> ClusterSnapshot:
    """One look, at the moment around which support.health makes its evidence."""
    calls = AwsCalls(
        cast("Cloud", cloud),
        clock=EngineClock(FakeClock(NOW.timestamp())),
        emit=lambda _: None,
        api_s=30,
        jitter=lambda: 0.5,
        run_id="run",
    )
    where = regions or sorted({instance.region for instance in cloud.there})

    async def run() -> Any:
        return await cluster_snapshot(calls, Naming(), regions=where, orchestrator=orchestrator)

    snapshot: ClusterSnapshot = asyncio.run(run())
    return snapshot
