"""Drains against the sandbox: each node ends with its work, at the latest with the grace, and the result says how."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from aws_spot_sandbox_bacalhau.node_settings import NodeSettings
from bacalhau_spot.cloud.aws import Aws
from bacalhau_spot.cloud.cloud_error import CloudError
from bacalhau_spot.core.launch import events, planner
from bacalhau_spot.core.launch.events import Event
from bacalhau_spot.core.launch.plan import Plan
from bacalhau_spot.core.lifecycle.drain_result import MARGIN_S, DrainEnd, DrainResult
from bacalhau_spot.core.model import ClusterSpec, Instance, Naming, RegionSpec, State
from bacalhau_spot.core.orchestrator.orchestrator_nodes import Membership, NodeListing, OrchestratorNode
from bacalhau_spot.core.tags import DRAIN_KEY
from bacalhau_spot.engine.aws_calls.caller import AwsCalls
from bacalhau_spot.engine.launch import create
from bacalhau_spot.engine.launch.archive_checksums import ArchiveSource
from bacalhau_spot.engine.launch.facts_gathering import FactSources, gather_facts
from bacalhau_spot.engine.lifecycle.drain import drain
from bacalhau_spot.errors import ExitCode
from support.engine_clock import EngineClock

WEST, EUROPE = "us-west-1", "eu-west-1"
SPEC = ClusterSpec(
    name="c",
    naming=Naming(),
    regions=(RegionSpec(WEST), RegionSpec(EUROPE)),
    nodes=3,
    instance_types=("t3.medium",),
    ssh_cidrs=("192.0.2.0/24",),
)
RUNS = count()


async def digest(_url: str) -> str:
    return "0" * 64


class Api:
    """An orchestrator's list of nodes. `left`: instances that have left it in order; `unknown`: that never joined."""

    address = "http://192.0.2.1:1234"

    def __init__(self, instances: list[Instance]) -> None:
        self.instances, self.left, self.unknown = instances, set[str](), set[str]()

    async def listing(self) -> NodeListing:
        return NodeListing(await self.nodes())

    async def nodes(self) -> tuple[OrchestratorNode, ...]:
        return tuple(
            OrchestratorNode(
                id=f"bacalhau-{one.id}",
                connected=one.id not in self.left,
                membership=Membership.APPROVED,
                labels={"instance-id": one.id},
                last_error="graceful shutdown" if one.id in self.left else "",
            )
            for one in self.instances
            if one.id not in self.unknown
        )

    async def remove(self, node_id: str) -> None:
        raise AssertionError(node_id)

    async def version(self) -> str:
        return "v1.9.3"


class Cluster:
    def __init__(self, cloud: Aws, sandbox: Any, spec: ClusterSpec = SPEC) -> None:
        self.cloud, self.sandbox, self.spec = cloud, sandbox, spec
        self.heard: list[Event] = []
        self.calls = self.new_calls()
        asyncio.run(self._create())
        sandbox.clock.advance(60)
        sandbox.server.settle()

    def new_calls(self) -> AwsCalls:
        return AwsCalls(
            self.cloud,
            clock=EngineClock(self.sandbox.clock),
            emit=self.heard.append,
            api_s=60,
            jitter=lambda: 0.5,
            run_id=f"run {next(RUNS)}",
        )

    async def _create(self) -> None:
        facts = await gather_facts(self.calls, self.spec, FactSources(ArchiveSource(digest)))
        plan = planner.plan(facts)
        assert isinstance(plan, Plan)
        assert (await create.apply_plan(self.calls, facts, plan)).exit_code is ExitCode.DONE

    def instances(self) -> list[Instance]:
        """The living ones, as AWS lists them now."""

        async def ask() -> list[Instance]:
            key, value = self.spec.naming.tag_key, self.spec.naming.tag_value
            found = [
                await self.cloud.instances(region.name, key=key, value=value) for region in self.spec.regions
            ]
            return [one for part in found for one in part]

        return [one for one in asyncio.run(ask()) if one.state is not State.TERMINATED]

    def drain(
        self, instances: list[Instance], *, grace_s: float = 300, api: Api | None = None
    ) -> DrainResult:
        self.heard.clear()
        self.calls = self.new_calls()
        return asyncio.run(drain(self.calls, self.spec.naming, instances, grace_s=grace_s, api=api))

    def work_on(self, *instances: Instance) -> None:
        self.sandbox.world.settings_of(NodeSettings).executions = {one.id: 1 for one in instances}


@pytest.fixture
def cluster(cloud: Aws, sandbox: Any) -> Cluster:
    return Cluster(cloud, sandbox)


def ends(result: DrainResult) -> dict[str, DrainEnd]:
    return {node.instance.id: node.end for node in result.nodes}


def test_an_idle_node_leaves_at_once_and_the_others_stay(cluster: Cluster) -> None:
    first, *others = cluster.instances()
    result = cluster.drain([first])
    assert ends(result) == {first.id: DrainEnd.SHUT_DOWN}
    assert (result.exit_code, result.complete) == (ExitCode.DONE, True)
    assert result.nodes[0].seconds < 30
    assert [one.id for one in cluster.instances()] == [one.id for one in others]
    deleted = [event.id for event in cluster.heard if isinstance(event, events.Deleted)]
    assert deleted == [first.id]


def test_two_regions_drain_at_once_with_one_tag_call_each(cluster: Cluster, sandbox: Any) -> None:
    sandbox.world.calls.clear()
    result = cluster.drain(cluster.instances())
    assert Counter(ends(result).values()) == {DrainEnd.SHUT_DOWN: 3}
    changes = [(region, call) for region, call, _ in sandbox.world.calls if "Describe" not in call]
    assert sorted(changes) == [(EUROPE, "ec2:CreateTags"), (WEST, "ec2:CreateTags")]


def test_work_may_end_within_the_grace(cluster: Cluster, sandbox: Any) -> None:
    first, second, _ = cluster.instances()
    cluster.work_on(first)
    sandbox.clock.at(sandbox.clock.now() + 120, cluster.work_on)
    result = cluster.drain([first, second])
    seconds = {node.instance.id: node.seconds for node in result.nodes}
    assert seconds[second.id] < 30
    assert 120 <= seconds[first.id] < 140
    assert ends(result)[first.id] is DrainEnd.SHUT_DOWN


def test_the_grace_is_the_longest_wait(cluster: Cluster) -> None:
    first = cluster.instances()[0]
    cluster.work_on(first)
    result = cluster.drain([first], grace_s=100)
    assert ends(result) == {first.id: DrainEnd.SHUT_DOWN}
    assert 100 <= result.nodes[0].seconds < 115


def test_a_node_that_does_not_react_is_terminated(
    cluster: Cluster, sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its programs may be broken."""
    first = cluster.instances()[0]
    monkeypatch.setattr("aws_spot_sandbox_bacalhau.drain.Drains.look", lambda *_: None)
    result = cluster.drain([first], grace_s=50)
    assert ends(result) == {first.id: DrainEnd.OVERDUE}
    assert 50 + MARGIN_S <= result.nodes[0].seconds < 50 + MARGIN_S + 10
    assert len(cluster.instances()) == 2


def test_a_node_that_cannot_read_its_tags_is_terminated_at_once(cloud: Aws, sandbox: Any) -> None:
    naming = replace(SPEC.naming, extra_tags=(("Cost Center", "x"),))
    cluster = Cluster(cloud, sandbox, replace(SPEC, naming=naming))
    first = cluster.instances()[0]
    assert not first.metadata_tags
    cluster.work_on(first)
    result = cluster.drain([first])
    assert ends(result) == {first.id: DrainEnd.AT_ONCE}
    assert not [event for event in cluster.heard if isinstance(event, events.NodeDraining)]


def test_the_orchestrator_shows_earlier_that_a_node_has_left(
    cluster: Cluster, sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And which node never joined. A lost connection is no departure."""
    monkeypatch.setattr("aws_spot_sandbox_bacalhau.drain.Drains.look", lambda *_: None)
    left, unused, silent = instances = cluster.instances()
    api = Api(instances)
    api.unknown = {unused.id}
    sandbox.clock.at(sandbox.clock.now() + 40, lambda: api.left.add(left.id))
    result = cluster.drain(instances, grace_s=100, api=api)
    assert ends(result) == {
        left.id: DrainEnd.SHUT_DOWN,
        unused.id: DrainEnd.UNUSED,
        silent.id: DrainEnd.OVERDUE,
    }
    seconds = {node.instance.id: node.seconds for node in result.nodes}
    assert seconds[unused.id] <= 5, (
        "at the first look; a wait of the other region may move the shared clock first"
    )
    assert 40 <= seconds[left.id] <= 50


def test_ctrl_c_leaves_the_nodes_draining_and_a_second_run_continues(cluster: Cluster, sandbox: Any) -> None:
    first, second, _ = cluster.instances()
    cluster.work_on(first, second)
    sandbox.clock.at(sandbox.clock.now() + 20, lambda: cluster.calls.stop.set(by_user=True))
    result = cluster.drain([first, second], grace_s=300)
    assert set(ends(result).values()) == {DrainEnd.DRAINING}
    assert result.exit_code is ExitCode.INTERRUPTED
    assert all(15 <= node.seconds <= 25 for node in result.nodes), "so long they have been draining"
    tags = {one.id: one.tags.get(DRAIN_KEY) for one in cluster.instances()}
    assert tags[first.id] is not None and tags[first.id] == tags[second.id]

    sandbox.clock.advance(100)
    sandbox.world.calls.clear()
    again = cluster.drain([one for one in cluster.instances() if one.id in ends(result)], grace_s=300)
    assert set(ends(again).values()) == {DrainEnd.SHUT_DOWN}
    assert "ec2:CreateTags" not in [call for _, call, _ in sandbox.world.calls]  # the first time stands
    assert all(170 <= node.seconds <= 190 for node in again.nodes)


def test_ctrl_c_before_the_drain_changes_nothing(cluster: Cluster) -> None:
    first = cluster.instances()[0]
    calls = cluster.new_calls()
    calls.stop.set(by_user=True)
    result = asyncio.run(drain(calls, cluster.spec.naming, [first], grace_s=10, api=None))
    assert ends(result) == {first.id: DrainEnd.UNCHANGED}
    assert DRAIN_KEY not in cluster.instances()[0].tags


def test_what_has_ended_is_no_failure(cluster: Cluster, sandbox: Any) -> None:
    first, second, _ = cluster.instances()
    sandbox.client("ec2", first.region).terminate_instances(InstanceIds=[first.id])
    result = cluster.drain([first, second])
    assert set(ends(result).values()) == {DrainEnd.SHUT_DOWN}
    over = replace(first, state=State.TERMINATED)
    assert ends(cluster.drain([over])) == {first.id: DrainEnd.ALREADY_ENDED}


def test_a_refusal_in_one_region_does_not_stop_the_other(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    tag = cluster.cloud.tag

    async def refused(region: str, ids: Any, *, tags: Any) -> None:
        if region == EUROPE:
            raise CloudError("UnauthorizedOperation", "no", operation="CreateTags", region=region)
        await tag(region, ids, tags=tags)

    monkeypatch.setattr(cluster.cloud, "tag", refused)
    result = cluster.drain(cluster.instances())
    assert {node.instance.region: node.end for node in result.nodes} == {
        WEST: DrainEnd.SHUT_DOWN,
        EUROPE: DrainEnd.FAILED,
    }
    assert [failure.region for failure in result.failures] == [EUROPE]
    assert result.exit_code is ExitCode.DENIED
