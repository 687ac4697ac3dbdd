"""A managed orchestrator in the sandbox: created once whatever happens, repaired without another token."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gzip
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from bacalhau_spot.cloud import archive
from bacalhau_spot.cloud.aws import Aws
from bacalhau_spot.cloud.cloud_error import CloudError
from bacalhau_spot.core.launch import events, planner
from bacalhau_spot.core.launch.create_result import CreateResult
from bacalhau_spot.core.launch.facts import LaunchFacts
from bacalhau_spot.core.launch.plan import Plan
from bacalhau_spot.core.model import (
    BacalhauSpec,
    ClusterSpec,
    Instance,
    Naming,
    OrchestratorMode,
    OrchestratorSpec,
    RegionSpec,
    Secret,
    State,
)
from bacalhau_spot.core.orchestrator.credentials import OrchestratorCredentials
from bacalhau_spot.core.orchestrator.managed_plan import OrchestratorStep
from bacalhau_spot.core.orchestrator.managed_state import DataVolume, ElasticAddress, InboundGroup
from bacalhau_spot.core.orchestrator.nats_check import NatsCheck, NatsStatus
from bacalhau_spot.core.tags import orchestrator_parameter
from bacalhau_spot.engine.aws_calls.caller import AwsCalls
from bacalhau_spot.engine.launch import create
from bacalhau_spot.engine.launch.archive_checksums import ArchiveSource
from bacalhau_spot.engine.launch.facts_gathering import FactSources, gather_facts
from bacalhau_spot.engine.orchestrator.managed import ensure_orchestrator
from bacalhau_spot.engine.orchestrator.readiness import OrchestratorAccess
from bacalhau_spot.errors import ExitCode, UserError
from bacalhau_spot.orchestrator.certificates import renewed
from support.account_snapshot import account_snapshot
from support.engine_clock import EngineClock
from support.killed_process import Killed, fragile, is_read
from support.long_tests import sample
from support.orchestrated_cluster import destroy_cluster

SPEC = ClusterSpec(
    name="c",
    naming=Naming(),
    regions=(RegionSpec("us-west-1"), RegionSpec("eu-west-1")),
    nodes=4,
    instance_types=("t3.medium",),
    ssh_cidrs=("192.0.2.0/24",),
    orchestrator=OrchestratorSpec(OrchestratorMode.MANAGED),
)


@dataclass
class FakeAccess:
    """The orchestrator as seen from this machine: it answers at the n-th question."""

    ready_after: int = 1
    questions: list[BacalhauSpec] = field(default_factory=list)

    async def nats(self, address: str, bacalhau: BacalhauSpec) -> NatsCheck:
        self.questions.append(bacalhau)
        ready = len(self.questions) >= self.ready_after
        return NatsCheck(address, NatsStatus.ACCEPTED if ready else NatsStatus.UNREACHABLE)

    def access(self) -> OrchestratorAccess:
        return OrchestratorAccess(nats=self.nats, api=lambda _: None)


async def digest(url: str) -> str:
    return await archive.digest(url)


def calls_of(
    cloud: Aws, sandbox: Any, *, run: str = "run", told: list[events.Event] | None = None
) -> AwsCalls:
    return AwsCalls(
        cloud,
        clock=EngineClock(sandbox.clock),
        emit=(told if told is not None else []).append,
        api_s=60,
        jitter=lambda: 0.5,
        run_id=run,
    )


async def planned(calls: AwsCalls, spec: ClusterSpec = SPEC) -> tuple[LaunchFacts, Plan]:
    facts = await gather_facts(calls, spec, FactSources(ArchiveSource(digest)))
    plan = planner.plan(facts)
    assert isinstance(plan, Plan), plan
    return facts, plan


async def created(
    calls: AwsCalls, spec: ClusterSpec = SPEC, *, access: FakeAccess | None = None
) -> tuple[ClusterSpec, CreateResult]:
    return await apply(calls, *await planned(calls, spec), access=access)


async def apply(
    calls: AwsCalls, facts: LaunchFacts, plan: Plan, *, access: FakeAccess | None = None
) -> tuple[ClusterSpec, CreateResult]:
    ready = await ensure_orchestrator(calls, facts, plan, (access or FakeAccess()).access())
    result = await create.apply_plan(
        calls, replace(facts, spec=ready.spec), plan, created_networks=ready.networks
    )
    return ready.spec, result


HOME = "us-west-1"
REGIONS = tuple(region.name for region in SPEC.regions)
KEY, VALUE = SPEC.naming.tag_key, SPEC.naming.tag_value


@dataclass(frozen=True)
class Existing:
    """The orchestrator's resources, by kind; terminated instances are left out."""

    addresses: tuple[ElasticAddress, ...]
    volumes: tuple[DataVolume, ...]
    groups: tuple[InboundGroup, ...]
    instances: tuple[Instance, ...]
    nodes: tuple[Instance, ...]
    vpcs: int
    value: Secret | None

    @property
    def counts(self) -> dict[str, int]:
        return {
            "addresses": len(self.addresses),
            "volumes": len(self.volumes),
            "groups": len(self.groups),
            "instances": len(self.instances),
            "vpcs": self.vpcs,
        }

    @property
    def credentials(self) -> OrchestratorCredentials:
        assert self.value is not None
        return OrchestratorCredentials.from_json(self.value)


ONE_OF_EACH = {"addresses": 1, "volumes": 1, "groups": 1, "instances": 1, "vpcs": 1}


async def existing(cloud: Aws, region: str = HOME) -> Existing:
    instances = [one for one in await cloud.instances(region, key=KEY, value=VALUE) if one.state in ALIVE]
    vpcs, _ = await cloud.vpcs(region, key=KEY, value=VALUE)
    addresses = [found for found in await cloud.addresses(region) if found.tags.get(KEY) == VALUE]
    return Existing(
        addresses=tuple(addresses),
        volumes=await cloud.volumes(region, key=KEY, value=VALUE),
        groups=await cloud.inbound_groups(region, key=KEY, value=VALUE),
        instances=tuple(one for one in instances if one.is_orchestrator),
        nodes=tuple(one for one in instances if not one.is_orchestrator),
        vpcs=vpcs - 1,  # the default one
        value=await cloud.parameter(region, orchestrator_parameter(SPEC.naming)),
    )


ALIVE = {State.PENDING, State.RUNNING, State.STOPPED, State.STOPPING}


def create_once(cloud: Aws, sandbox: Any, spec: ClusterSpec = SPEC, **options: Any) -> ClusterSpec:
    """The specification with which the nodes were launched."""
    joined, result = asyncio.run(created(calls_of(cloud, sandbox), spec, **options))
    assert result.exit_code is ExitCode.DONE, result
    return joined


def steps_now(cloud: Aws, sandbox: Any, spec: ClusterSpec = SPEC) -> tuple[OrchestratorStep, ...]:
    _, plan = asyncio.run(planned(calls_of(cloud, sandbox), spec))
    assert plan.orchestrator is not None
    return plan.orchestrator.steps


def test_nodes_are_launched_with_its_address_certificate_and_token(cloud: Aws, sandbox: Any) -> None:
    told: list[events.Event] = []
    access = FakeAccess(ready_after=3)
    spec, result = asyncio.run(created(calls_of(cloud, sandbox, told=told), access=access))
    there = asyncio.run(existing(cloud))
    assert there.counts == ONE_OF_EACH and len(there.nodes) == 2
    (address,), (instance,), (volume,) = there.addresses, there.instances, there.volumes
    assert address.instance_id == volume.instance_id == instance.id
    assert instance.lifecycle == "on-demand" and instance.zone == volume.zone
    assert there.groups[0].admitted == {
        4222: frozenset({"0.0.0.0/0"}),
        1234: frozenset({"192.0.2.0/24"}),
        22: frozenset({"192.0.2.0/24"}),
    }
    assert there.credentials.host == address.address
    assert spec.bacalhau.orchestrators == (f"tls://{address.address}:4222",)
    assert [question.token for question in access.questions] == [there.credentials.token] * 3
    first_node = next(i for i, event in enumerate(told) if isinstance(event, events.RegionStarted))
    ready = next(
        i for i, event in enumerate(told) if isinstance(event, events.OrchestratorChanged) and event.ready
    )
    assert ready < first_node
    assert result.running == 4 and result.requested == 4


def test_a_complete_cluster_needs_six_reads_more(cloud: Aws, sandbox: Any) -> None:
    """Address, volume, security group, credentials and their tags, the configuration of reconcile, in the home region alone."""
    create_once(cloud, sandbox)
    operations: Counter[str] = Counter()
    with counted(cloud, operations):
        _, plan = asyncio.run(planned(calls_of(cloud, sandbox)))
    assert plan.empty and plan.orchestrator is not None
    own = asyncio.run(counted_plan(cloud, sandbox, replace(SPEC, orchestrator=OrchestratorSpec())))
    assert operations - own == Counter(
        [
            "describe_addresses",
            "describe_volumes",
            "describe_security_groups",
            "get_parameter",
            "get_parameter",
            "list_tags_for_resource",
        ]
    )


def test_a_first_create_takes_some_thirty_calls_more_however_many_nodes(cloud: Aws, sandbox: Any) -> None:
    operations: Counter[str] = Counter()
    with counted(cloud, operations):
        facts, plan = asyncio.run(planned(calls_of(cloud, sandbox)))
        calls = calls_of(cloud, sandbox)
        operations.clear()
        asyncio.run(ensure_orchestrator(calls, facts, plan, FakeAccess().access()))
    polls = operations.pop("describe_instances")
    assert polls <= 20, "one look every two seconds"
    assert operations.total() <= 29, operations


def test_without_an_inbound_rule_for_this_machine_its_api_is_not_waited_for(cloud: Aws, sandbox: Any) -> None:
    """`ssh_cidrs: caller`, and nobody knows the caller's address: no rule opens the API."""

    def asked(_bacalhau: BacalhauSpec) -> None:
        raise AssertionError("nobody can answer")

    async def scenario() -> ClusterSpec:
        calls = calls_of(cloud, sandbox)
        facts, plan = await planned(calls, replace(SPEC, ssh_cidrs=("caller",)))
        access = OrchestratorAccess(nats=FakeAccess().nats, api=asked)
        return (await ensure_orchestrator(calls, facts, plan, access)).spec

    assert asyncio.run(scenario()).bacalhau.token


def test_its_machine_gets_its_user_data_in_one_encoding(cloud: Aws, sandbox: Any) -> None:
    """Botocore encodes it in RunInstances, not in CreateLaunchTemplate; cloud-init reads gzip."""
    create_once(cloud, sandbox)
    (instance,) = asyncio.run(existing(cloud)).instances
    client = sandbox.client("ec2", instance.region)
    reply = client.describe_instance_attribute(InstanceId=instance.id, Attribute="userData")
    text = gzip.decompress(base64.b64decode(reply["UserData"]["Value"])).decode()
    assert text.startswith("#cloud-config") and "/etc/bacalhau-spot/orchestrator.json" in text


@contextlib.contextmanager
def counted(cloud: Aws, operations: Counter[str]) -> Iterator[None]:
    session = cloud._session
    call = session.call

    async def counting(service: str, region: str | None, operation: str, **kwargs: Any) -> dict[str, Any]:
        operations[operation] += 1
        return await call(service, region, operation, **kwargs)

    session.call = counting  # type: ignore[method-assign]  # the one way in and out
    try:
        yield
    finally:
        session.call = call  # type: ignore[method-assign]  # as before


async def counted_plan(cloud: Aws, sandbox: Any, spec: ClusterSpec) -> Counter[str]:
    operations: Counter[str] = Counter()
    with counted(cloud, operations):
        await planned(calls_of(cloud, sandbox), spec)
    return operations


# --- Interrupted, and at the same time

# Before the call, or before its answer. The sample of the suite; `make long` takes all.
ALL_KILLS = [
    (at, answered, lag_s) for at in range(1, 41) for answered in (False, True) for lag_s in (0.0, 10.0)
]
KILLS = sample(ALL_KILLS, every=61)


@pytest.mark.parametrize(("at", "answered", "lag_s"), KILLS)
def test_killed_at_every_change(cloud: Aws, sandbox: Any, at: int, answered: bool, lag_s: float) -> None:
    """Create again completes the orchestrator with exactly what is missing, then launches every node once."""
    sandbox.world.settings.read_lag_s = lag_s
    with fragile(cloud, at=at, answered=answered), contextlib.suppress(Killed):
        asyncio.run(created(calls_of(cloud, sandbox, run="first")))
    stored = asyncio.run(cloud.parameter(HOME, orchestrator_parameter(SPEC.naming)))
    joined, result = asyncio.run(created(calls_of(cloud, sandbox, run="second")))
    assert result.exit_code is ExitCode.DONE, result
    sandbox.clock.sleep(lag_s)
    there = asyncio.run(existing(cloud))
    assert there.counts == ONE_OF_EACH
    assert len(there.nodes) == 2 and len(asyncio.run(existing(cloud, "eu-west-1")).nodes) == 2
    assert there.addresses[0].instance_id == there.volumes[0].instance_id == there.instances[0].id
    assert there.credentials.host == there.addresses[0].address
    assert joined.bacalhau.token == there.credentials.token
    if stored is not None:
        assert OrchestratorCredentials.from_json(stored).token == there.credentials.token
    assert steps_now(cloud, sandbox) == ()


# From an empty account; without repeating the creation.
DESTROYED = sample(ALL_KILLS, every=97)


@pytest.mark.parametrize(("at", "answered", "lag_s"), DESTROYED)
def test_destroy_after_a_killed_create_leaves_nothing(
    cloud: Aws, sandbox: Any, at: int, answered: bool, lag_s: float
) -> None:
    sandbox.world.settings.read_lag_s = lag_s
    before = account_snapshot(sandbox.client, REGIONS)
    with fragile(cloud, at=at, answered=answered), contextlib.suppress(Killed):
        asyncio.run(created(calls_of(cloud, sandbox)))
    result = destroy_cluster(cloud, sandbox, SPEC)
    assert result.exit_code is ExitCode.DONE, result.outcomes
    sandbox.clock.sleep(lag_s)
    assert account_snapshot(sandbox.client, REGIONS) == before


def test_the_kills_reach_every_change(cloud: Aws, sandbox: Any) -> None:
    operations: Counter[str] = Counter()
    with counted(cloud, operations):
        create_once(cloud, sandbox)
    changes = Counter({name: n for name, n in operations.items() if not is_read(name)})
    assert 25 <= changes.total() <= max(at for at, _, _ in ALL_KILLS), changes


@contextlib.contextmanager
def refused_once(cloud: Aws, code: str, *, answered: bool) -> Iterator[Counter[str]]:
    """The first call of each operation that changes something fails: unmade, or made with a lost answer."""
    session = cloud._session
    call = session.call
    refused: Counter[str] = Counter()

    async def refusing(service: str, region: str | None, operation: str, **kwargs: Any) -> dict[str, Any]:
        if is_read(operation) or refused[operation]:
            return await call(service, region, operation, **kwargs)
        refused[operation] += 1
        if answered:
            await call(service, region, operation, **kwargs)
        raise CloudError(code, "as AWS does", operation=operation, region=region or "")

    session.call = refusing  # type: ignore[method-assign]  # the one way in and out
    try:
        yield refused
    finally:
        session.call = call  # type: ignore[method-assign]  # as before


@pytest.mark.parametrize(
    ("code", "answered"),
    [("RequestLimitExceeded", False), ("EndpointConnectionError", False), ("ReadTimeoutError", True)],
)
@pytest.mark.parametrize("lag_s", sample([10.0, 0.0], every=2))
def test_throttled_calls_and_lost_answers(
    cloud: Aws, sandbox: Any, code: str, answered: bool, lag_s: float
) -> None:
    """Each is repeated; without a client token, the resource is looked up first."""
    sandbox.world.settings.read_lag_s = lag_s
    with refused_once(cloud, code, answered=answered) as refused:
        create_once(cloud, sandbox)
    assert {"allocate_address", "create_volume", "run_instances", "put_parameter", "create_bucket"} <= set(
        refused
    )
    sandbox.clock.sleep(lag_s)
    there = asyncio.run(existing(cloud))
    assert there.counts == ONE_OF_EACH and len(there.nodes) == 2
    assert steps_now(cloud, sandbox) == ()


# How many changes a third create made before it was killed.
ALL_LEFT = [(left, lag_s) for left in range(20) for lag_s in (0.0, 4.0)]
LEFT = [*ALL_LEFT[:2], *sample(ALL_LEFT[2:], every=37)]


@pytest.mark.parametrize(("left", "lag_s"), LEFT)
def test_two_creates_at_once_make_one_orchestrator(cloud: Aws, sandbox: Any, left: int, lag_s: float) -> None:
    """The second one waits for the first, and both launch nodes with the same token."""
    sandbox.world.settings.read_lag_s = lag_s
    if left:
        with fragile(cloud, at=left, answered=True), contextlib.suppress(Killed):
            asyncio.run(created(calls_of(cloud, sandbox, run="killed")))

    async def both() -> list[tuple[ClusterSpec, CreateResult]]:
        runs = [calls_of(cloud, sandbox, run=f"run-{number}") for number in range(2)]
        plans = [await planned(calls) for calls in runs]
        return list(
            await asyncio.gather(
                *(apply(calls, facts, plan) for calls, (facts, plan) in zip(runs, plans, strict=True))
            )
        )

    operations: Counter[str] = Counter()
    with counted(cloud, operations):
        results = asyncio.run(both())
    sandbox.clock.sleep(lag_s)
    assert operations["allocate_address"] <= 1 and operations["run_instances"] <= 1, operations
    there = asyncio.run(existing(cloud))
    assert there.counts == ONE_OF_EACH and len(there.nodes) == 2
    assert {spec.bacalhau.token for spec, _ in results} == {there.credentials.token}
    assert all(result.exit_code is ExitCode.DONE for _, result in results)


# --- Repair


def test_a_terminated_instance_is_replaced_on_the_same_volume_with_the_same_token(
    cloud: Aws, sandbox: Any
) -> None:
    create_once(cloud, sandbox)
    before = asyncio.run(existing(cloud))
    asyncio.run(cloud.terminate(HOME, [before.instances[0].id]))
    joined = create_once(cloud, sandbox)
    after = asyncio.run(existing(cloud))
    assert after.counts == ONE_OF_EACH and after.nodes == before.nodes
    assert after.instances[0].id != before.instances[0].id
    assert [volume.id for volume in after.volumes] == [volume.id for volume in before.volumes]
    assert [address.id for address in after.addresses] == [address.id for address in before.addresses]
    assert after.addresses[0].instance_id == after.volumes[0].instance_id == after.instances[0].id
    assert after.value == before.value and joined.bacalhau.token == before.credentials.token


def test_without_another_create_a_repair_waits_for_none(cloud: Aws, sandbox: Any) -> None:
    """The template of the last create exists, and is older than any create takes; so is its second version."""
    create_once(cloud, sandbox)
    for run in ("second", "third"):
        sandbox.clock.sleep(100)
        asyncio.run(cloud.terminate(HOME, [asyncio.run(existing(cloud)).instances[0].id]))
        told: list[events.Event] = []
        asyncio.run(created(calls_of(cloud, sandbox, run=run, told=told)))
        changes = [event.message for event in told if isinstance(event, events.OrchestratorChanged)]
        assert "instance" in changes and "waiting for another create" not in changes


def test_replaced_twice_within_an_hour_it_is_no_launch_that_aws_remembers(cloud: Aws, sandbox: Any) -> None:
    """AWS lists a terminated instance for an hour, and remembers the client token for longer."""
    create_once(cloud, sandbox)
    seen = set()
    for pause_s in (0, 4000, 4000):
        instance = asyncio.run(existing(cloud)).instances[0]
        seen.add(instance.id)
        asyncio.run(cloud.terminate(HOME, [instance.id]))
        sandbox.clock.sleep(pause_s)
        create_once(cloud, sandbox)
    after = asyncio.run(existing(cloud))
    assert after.counts == ONE_OF_EACH and after.instances[0].id not in seen


@pytest.mark.parametrize("lag_s", [0.0, 10.0])
def test_a_stopped_instance_is_started(cloud: Aws, sandbox: Any, lag_s: float) -> None:
    """AWS may list it as stopped for some seconds after its start."""
    create_once(cloud, sandbox)
    instance = asyncio.run(existing(cloud)).instances[0]
    asyncio.run(cloud._session.call("ec2", HOME, "stop_instances", InstanceIds=[instance.id]))
    sandbox.clock.sleep(120)
    sandbox.world.settings.read_lag_s = lag_s
    assert steps_now(cloud, sandbox) == (OrchestratorStep.START,)
    create_once(cloud, sandbox, access=FakeAccess(ready_after=10))
    sandbox.clock.sleep(60)
    (now,) = asyncio.run(existing(cloud)).instances
    assert (now.id, now.state) == (instance.id, State.RUNNING)


def test_another_address_gets_a_certificate_with_the_same_authority_and_token(
    cloud: Aws, sandbox: Any
) -> None:
    create_once(cloud, sandbox)
    before = asyncio.run(existing(cloud))
    asyncio.run(release(cloud, before.addresses[0]))
    _, plan = asyncio.run(planned(calls_of(cloud, sandbox)))
    (warning,) = [text for text in plan.warnings if "terminate them" in text]
    assert f"{before.addresses[0].address} is gone, and 4 running nodes connect to it" in warning
    assert steps_now(cloud, sandbox) == (
        OrchestratorStep.ADDRESS,
        OrchestratorStep.RENEWAL,
        OrchestratorStep.ASSOCIATE,
        OrchestratorStep.RESTART,
    )
    operations: Counter[str] = Counter()
    with counted(cloud, operations):
        create_once(cloud, sandbox)
    after = asyncio.run(existing(cloud))
    assert operations["reboot_instances"] == 1 and operations["run_instances"] == 0
    assert after.counts == ONE_OF_EACH and after.addresses[0].address != before.addresses[0].address
    assert after.credentials.host == after.addresses[0].address
    assert after.credentials.token == before.credentials.token
    assert after.credentials.ca_pem == before.credentials.ca_pem


def delete_volume(sandbox: Any, volume: DataVolume) -> None:
    detach_volume(sandbox, volume)
    sandbox.client("ec2", HOME).delete_volume(VolumeId=volume.id)
    sandbox.clock.sleep(60)


def detach_volume(sandbox: Any, volume: DataVolume) -> None:
    sandbox.client("ec2", HOME).detach_volume(VolumeId=volume.id)
    sandbox.clock.sleep(60)


def test_a_volume_that_is_lost_again_and_again_is_replaced_each_time(cloud: Aws, sandbox: Any) -> None:
    """AWS remembers the client token of a deleted volume, and returns its id."""
    create_once(cloud, sandbox)
    seen = set()
    for _ in range(3):
        (volume,) = asyncio.run(existing(cloud)).volumes
        seen.add(volume.id)
        delete_volume(sandbox, volume)
        create_once(cloud, sandbox)
    after = asyncio.run(existing(cloud))
    assert after.counts == ONE_OF_EACH and after.volumes[0].id not in seen
    assert after.volumes[0].instance_id == after.instances[0].id


def test_a_detached_volume_is_mounted_by_a_restart(cloud: Aws, sandbox: Any) -> None:
    """Not in its first boot: the machine still waits for its volume, and a restart would cut cloud-init off."""
    create_once(cloud, sandbox)
    before = asyncio.run(existing(cloud))
    (volume,) = before.volumes
    detach_volume(sandbox, volume)
    with_it, without = before.instances[0].devices, asyncio.run(existing(cloud)).instances[0].devices
    assert with_it is not None and without == with_it - {"/dev/sdf"} != with_it
    assert steps_now(cloud, sandbox) == (OrchestratorStep.ATTACH,)
    sandbox.clock.sleep(180)
    assert steps_now(cloud, sandbox) == (OrchestratorStep.ATTACH, OrchestratorStep.RESTART)
    operations: Counter[str] = Counter()
    with counted(cloud, operations):
        create_once(cloud, sandbox)
    assert operations["reboot_instances"] == 1
    assert asyncio.run(existing(cloud)).volumes[0].id == volume.id and steps_now(cloud, sandbox) == ()


def test_a_lost_volume_is_replaced_and_the_token_stays(cloud: Aws, sandbox: Any) -> None:
    create_once(cloud, sandbox)
    before = asyncio.run(existing(cloud))
    delete_volume(sandbox, before.volumes[0])
    _, plan = asyncio.run(planned(calls_of(cloud, sandbox)))
    assert any("all jobs are lost" in text for text in plan.warnings)
    assert steps_now(cloud, sandbox) == (
        OrchestratorStep.VOLUME,
        OrchestratorStep.ATTACH,
        OrchestratorStep.RESTART,
    )
    create_once(cloud, sandbox)
    after = asyncio.run(existing(cloud))
    assert after.counts == ONE_OF_EACH and after.volumes[0].id != before.volumes[0].id
    assert after.instances[0].id == before.instances[0].id and after.value == before.value
    assert steps_now(cloud, sandbox) == ()


async def release(cloud: Aws, address: ElasticAddress) -> None:
    rows = await cloud._session.pages("ec2", HOME, "describe_addresses", "Addresses")
    (row,) = [row for row in rows if row["AllocationId"] == address.id]
    await cloud._session.call("ec2", HOME, "disassociate_address", AssociationId=row["AssociationId"])
    await cloud._session.call("ec2", HOME, "release_address", AllocationId=address.id)


def test_a_certificate_that_expires_soon_is_renewed(cloud: Aws, sandbox: Any) -> None:
    create_once(cloud, sandbox)
    before = asyncio.run(existing(cloud)).credentials
    old = renewed(before, before.host, now=EngineClock(sandbox.clock).now() - timedelta(days=1600))
    put = cloud.put_parameter(
        HOME, orchestrator_parameter(SPEC.naming), value=old.to_json(), tags={}, replace=True
    )
    asyncio.run(put)
    assert steps_now(cloud, sandbox) == (OrchestratorStep.RENEWAL, OrchestratorStep.RESTART)
    create_once(cloud, sandbox)
    after = asyncio.run(existing(cloud)).credentials
    assert after.token == before.token and after.server_pem not in {old.server_pem, before.server_pem}
    assert steps_now(cloud, sandbox) == ()


def test_another_operators_address_is_admitted(cloud: Aws, sandbox: Any) -> None:
    create_once(cloud, sandbox)
    elsewhere = replace(SPEC, ssh_cidrs=("198.51.100.0/24",))
    assert steps_now(cloud, sandbox, elsewhere) == (OrchestratorStep.RULES,)
    create_once(cloud, sandbox, elsewhere)
    admitted = asyncio.run(existing(cloud)).groups[0].admitted
    assert admitted[1234] == {"192.0.2.0/24", "198.51.100.0/24"} and admitted[4222] == {"0.0.0.0/0"}


def test_without_an_answer_no_node_is_launched(cloud: Aws, sandbox: Any) -> None:
    """The error names the console, and the next create continues with the same instance."""
    calls = calls_of(cloud, sandbox)
    with pytest.raises(UserError, match="no node was launched") as error:
        asyncio.run(created(calls, access=FakeAccess(ready_after=10_000)))
    there = asyncio.run(existing(cloud))
    assert there.counts == ONE_OF_EACH and there.nodes == ()
    assert f"bacalhau-spot console {there.instances[0].id}" in error.value.hint
    assert any(detail.startswith("last line on its console: ") for detail in error.value.details)
    create_once(cloud, sandbox)
    after = asyncio.run(existing(cloud))
    assert after.instances == there.instances and len(after.nodes) == 2


CONSOLE = """\
[    3.1] EXT4-fs (nvme1n1): mounted filesystem
bacalhau-spot: 2026-01-31T12:00:00Z download: bacalhau 1.9.3
bacalhau-spot: 2026-01-31T12:00:09Z failed: volume: /dev/sdf has another content
[   11.0] systemd[1]: Started Daily apt download activities.
"""


def test_the_error_has_the_last_phase_of_the_console(cloud: Aws, sandbox: Any, monkeypatch: Any) -> None:
    async def console(region: str, instance_id: str) -> str:
        return CONSOLE

    monkeypatch.setattr(cloud, "console", console)
    with pytest.raises(UserError, match="no node was launched") as error:
        asyncio.run(created(calls_of(cloud, sandbox), access=FakeAccess(ready_after=10_000)))
    assert error.value.details[1] == "last line on its console: failed: volume: /dev/sdf has another content"


def test_an_instance_that_ends_while_it_boots_is_not_waited_for(cloud: Aws, sandbox: Any) -> None:
    class EndsAtTheThirdQuestion(FakeAccess):
        async def nats(self, address: str, bacalhau: BacalhauSpec) -> NatsCheck:
            answer = await super().nats(address, bacalhau)
            if len(self.questions) == 3:
                await cloud.terminate(HOME, [(await existing(cloud)).instances[0].id])
            return answer

    access = EndsAtTheThirdQuestion(ready_after=10_000)
    with pytest.raises(UserError, match="and cannot answer; no node was launched") as error:
        asyncio.run(created(calls_of(cloud, sandbox), access=access))
    assert "`bacalhau-spot create` again" in error.value.hint
    assert len(access.questions) < 12, "it ended after 15 seconds, and EC2 is asked every 30"
    create_once(cloud, sandbox)


def test_the_home_region_need_not_have_nodes(cloud: Aws, sandbox: Any) -> None:
    elsewhere = replace(SPEC, orchestrator=replace(SPEC.orchestrator, region="eu-north-1"))
    create_once(cloud, sandbox, elsewhere)
    home = asyncio.run(existing(cloud, "eu-north-1"))
    assert home.counts == ONE_OF_EACH and home.nodes == ()
    assert steps_now(cloud, sandbox, SPEC) == (), "the region of an existing orchestrator counts"
    assert asyncio.run(existing(cloud)).instances == ()


def test_settings_that_an_existing_one_does_not_get_are_named(cloud: Aws, sandbox: Any) -> None:
    """With the command that applies them."""
    create_once(cloud, sandbox)
    there = asyncio.run(existing(cloud))

    def warnings(**changes: Any) -> str:
        spec = replace(SPEC, orchestrator=replace(SPEC.orchestrator, **changes))
        _, plan = asyncio.run(planned(calls_of(cloud, sandbox), spec))
        assert plan.orchestrator is not None and plan.orchestrator.empty
        return " ".join(plan.warnings)

    assert "orchestrator." not in warnings(region=HOME)
    assert "run `bacalhau-spot destroy` and then" in warnings(region="eu-west-1")
    assert f"terminate-instances --region {HOME} --instance-ids {there.instances[0].id}" in warnings(
        instance_type="t3.large"
    )
    assert f"--volume-id {there.volumes[0].id} --size 50" in warnings(volume_gib=50)
    assert "cannot make a volume smaller" in warnings(volume_gib=10)


def test_a_shared_orchestrator_is_only_used(cloud: Aws, sandbox: Any) -> None:
    create_once(cloud, sandbox)
    other = replace(
        SPEC,
        name="other",
        naming=replace(SPEC.naming, tag_value="other"),
        nodes=1,
        regions=(RegionSpec("us-west-1"),),
        orchestrator=OrchestratorSpec(OrchestratorMode.SHARED, cluster=VALUE),
    )
    joined = create_once(cloud, sandbox, other)
    assert joined.bacalhau.token == asyncio.run(existing(cloud)).credentials.token
    assert asyncio.run(cloud.parameter(HOME, orchestrator_parameter(other.naming))) is None
