"""Cut short at every single call: whatever there is then carries the tag, is listed, and destroy removes all of it."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from bacalhau_spot.cloud import archive
from bacalhau_spot.cloud.aws import Aws
from bacalhau_spot.cloud.port import FleetRequest, FleetResult
from bacalhau_spot.core.cleanup.deletion_result import DeletionResult
from bacalhau_spot.core.launch import planner
from bacalhau_spot.core.launch.create_result import CreateResult
from bacalhau_spot.core.launch.facts import LaunchFacts
from bacalhau_spot.core.launch.plan import Plan
from bacalhau_spot.core.model import ClusterSpec, Instance, Naming, RegionSpec
from bacalhau_spot.core.tags import EXPIRES_KEY, account_scope, cluster_scope
from bacalhau_spot.engine.aws_calls import discovery
from bacalhau_spot.engine.aws_calls.caller import AwsCalls
from bacalhau_spot.engine.cleanup import resource_scan, teardown
from bacalhau_spot.engine.cleanup.nuke import nuke_resources
from bacalhau_spot.engine.cleanup.scan_result import ScanRequest
from bacalhau_spot.engine.launch import create
from bacalhau_spot.engine.launch.archive_checksums import ArchiveSource
from bacalhau_spot.engine.launch.facts_gathering import FactSources, gather_facts
from bacalhau_spot.errors import ExitCode
from support.engine_clock import EngineClock
from support.killed_process import Killed, fragile
from support.long_tests import sample

SPEC = ClusterSpec(
    name="c",
    naming=Naming(),
    regions=(RegionSpec("us-west-1"), RegionSpec("eu-west-1")),
    nodes=4,
    instance_types=("t3.medium",),
    ssh_cidrs=("192.0.2.0/24",),
)


RUNS = count()


def calls_of(cloud: Aws, sandbox: Any) -> AwsCalls:
    return AwsCalls(
        cloud,
        clock=EngineClock(sandbox.clock),
        emit=lambda _: None,
        api_s=60,
        jitter=lambda: 0.5,
        run_id=f"run {next(RUNS)}",
    )


async def digest(url: str) -> str:
    return await archive.digest(url)  # the one of the fixture


ARCHIVE = ArchiveSource(digest)


async def created(calls: AwsCalls, spec: ClusterSpec = SPEC) -> CreateResult:
    return await create.apply_plan(calls, *await planned(calls, spec))


async def planned(calls: AwsCalls, spec: ClusterSpec) -> tuple[LaunchFacts, Plan]:
    facts = await gather_facts(calls, spec, FactSources(ARCHIVE))
    plan = planner.plan(facts)
    assert isinstance(plan, Plan)
    return facts, plan


async def destroyed(calls: AwsCalls) -> DeletionResult:
    account = await discovery.load_account(calls)
    search = ScanRequest(
        cluster_scope(SPEC.naming), with_children=frozenset(region.name for region in SPEC.regions)
    )
    scan = await resource_scan.scan_regions(calls, search, regions=discovery.enabled_names(account.regions))
    return await teardown.delete_resources(calls, search, cluster="c", scan=scan, timeout_s=600)


def instances_of(cloud: Aws) -> list[Instance]:
    """The cluster's instances in both regions, read from AWS."""
    naming = SPEC.naming
    return [
        instance
        for region in SPEC.regions
        for instance in asyncio.run(cloud.instances(region.name, key=naming.tag_key, value=naming.tag_value))
    ]


def die(cloud: Aws, sandbox: Any, *, at: int, answered: bool) -> None:
    """A create that dies at its `at`-th change, if it has so many."""
    with fragile(cloud, at=at, answered=answered), contextlib.suppress(Killed):
        asyncio.run(created(calls_of(cloud, sandbox)))


@pytest.mark.parametrize("answered", [False, True], ids=["before the call", "before its answer"])
@pytest.mark.parametrize("at", sample(range(1, 27), every=13))
def test_killed_at_every_change(cloud: Aws, sandbox: Any, at: int, answered: bool) -> None:
    """Create again completes the cluster with exactly what is missing; destroy leaves nothing."""
    before = sandbox.leftovers()
    die(cloud, sandbox, at=at, answered=answered)
    result = asyncio.run(created(calls_of(cloud, sandbox)))
    assert result.exit_code is ExitCode.DONE
    new = [line.split()[:2] for line in sandbox.leftovers() if line not in before]
    assert [kind for _, kind in new].count("instance") == 4, (
        "killed and repeated, still not one node too many"
    )
    deletion = asyncio.run(destroyed(calls_of(cloud, sandbox)))
    assert deletion.exit_code is ExitCode.DONE, [
        o for o in deletion.outcomes if o.status not in {"deleted", "already gone"}
    ]
    assert sandbox.leftovers() == before


WITH_TTL = replace(SPEC, ttl_s=8 * 3600)


def test_killed_in_a_fleet_with_a_lifetime_and_repeated_later(
    cloud: Aws, sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second create has another end in mind, and sends the same request all the same: one cluster, one expiry."""
    sandbox.world.settings.read_lag_s = 8
    launch = cloud.launch

    async def launch_and_die(region: str, request: FleetRequest) -> FleetResult:
        await launch(region, request)
        raise Killed

    with monkeypatch.context() as patch, contextlib.suppress(Killed):
        patch.setattr(cloud, "launch", launch_and_die)
        asyncio.run(created(calls_of(cloud, sandbox), WITH_TTL))
    result = asyncio.run(created(calls_of(cloud, sandbox), WITH_TTL))
    assert result.exit_code is ExitCode.DONE, [(region.region, region.problem) for region in result.regions]
    living = [instance for instance in instances_of(cloud) if instance.alive]
    assert len(living) == 4
    assert len({instance.tags[EXPIRES_KEY] for instance in living}) == 1
    outcomes = {outcome for _, name, outcome in sandbox.world.calls if name.endswith("CreateFleet")}
    assert outcomes == {"ok"}, "no token was sent with another request"


@pytest.mark.parametrize(
    ("at", "lag_s"),
    sample([(1, 4), (2, 10), (3, 4), (4, 10), (8, 4), (9, 10), (14, 4), (21, 10), (25, 10)], every=3),
)
def test_killed_and_created_while_reads_lag(cloud: Aws, sandbox: Any, at: int, lag_s: float) -> None:
    """T3, T8: 69 of 148 kills were followed by a create that ended with 1, others by one that made a second VPC."""
    before = sandbox.leftovers()
    sandbox.world.settings.read_lag_s = lag_s
    die(cloud, sandbox, at=at, answered=True)
    result = asyncio.run(created(calls_of(cloud, sandbox)))
    assert result.exit_code is ExitCode.DONE, [(region.region, region.problem) for region in result.regions]
    kinds = [line.split()[1] for line in sandbox.leftovers() if line not in before]
    assert kinds.count("instance") == 4
    assert kinds.count("vpc") == 2
    sandbox.clock.sleep(lag_s)
    assert asyncio.run(destroyed(calls_of(cloud, sandbox))).exit_code is ExitCode.DONE
    assert sandbox.leftovers() == before


@pytest.mark.parametrize("lag_s", sample([4.0, 0.5, 10.0], every=3))
@pytest.mark.parametrize("at", sample([1, 5, 9, 14, 19], every=3))
def test_killed_and_destroyed_while_reads_lag(cloud: Aws, sandbox: Any, at: int, lag_s: float) -> None:
    """T3: what was created a moment before is not shown yet; two looks further apart than the lag decide."""
    before = sandbox.leftovers()
    sandbox.world.settings.read_lag_s = lag_s
    die(cloud, sandbox, at=at, answered=True)
    deletion = asyncio.run(destroyed(calls_of(cloud, sandbox)))
    assert deletion.exit_code is ExitCode.DONE, [
        o for o in deletion.outcomes if o.status not in {"deleted", "already gone"}
    ]
    assert sandbox.leftovers() == before


@pytest.mark.parametrize("lag_s", sample([4.0, 0.5, 10.0], every=3))
@pytest.mark.parametrize("at", sample([1, 9, 19], every=2))
def test_killed_and_nuked_while_reads_lag(cloud: Aws, sandbox: Any, at: int, lag_s: float) -> None:
    """T3: nuke looked once, and found nothing at any lag."""
    before = sandbox.leftovers()
    sandbox.world.settings.read_lag_s = lag_s
    die(cloud, sandbox, at=at, answered=True)
    calls = calls_of(cloud, sandbox)
    regions = [region.name for region in SPEC.regions]
    deletion = asyncio.run(
        nuke_resources(regions, True, calls=calls, search=ScanRequest(account_scope(SPEC.naming)))
    )
    assert deletion.exit_code is ExitCode.DONE
    assert sandbox.leftovers() == before


@pytest.mark.parametrize("at", sample(range(1, 24), every=12))
def test_a_destroy_that_is_killed_is_finished_by_the_next(cloud: Aws, sandbox: Any, at: int) -> None:
    """There is nothing to remember: the next one finds what is left."""
    before = sandbox.leftovers()
    asyncio.run(created(calls_of(cloud, sandbox)))
    with fragile(cloud, at=at, answered=True), contextlib.suppress(Killed):
        asyncio.run(destroyed(calls_of(cloud, sandbox)))
    deletion = asyncio.run(destroyed(calls_of(cloud, sandbox)))
    assert deletion.exit_code is ExitCode.DONE, [
        o for o in deletion.outcomes if o.status not in {"deleted", "already gone"}
    ]
    assert sandbox.leftovers() == before


def test_two_creates_at_once_make_one_cluster(cloud: Aws, sandbox: Any) -> None:
    """The template's name is unique in a region: who comes second waits for the first, and launches only what it lacks."""

    async def both() -> list[CreateResult]:
        runs = [
            AwsCalls(
                cloud,
                clock=EngineClock(sandbox.clock),
                emit=lambda _: None,
                api_s=60,
                jitter=lambda: 0.5,
                run_id=f"run-{number}",
            )
            for number in range(2)
        ]
        plans = [await planned(calls, SPEC) for calls in runs]
        return list(
            await asyncio.gather(
                *(create.apply_plan(calls, *plan) for calls, plan in zip(runs, plans, strict=True))
            )
        )

    before = sandbox.leftovers()
    results = asyncio.run(both())
    resource_ids = [line.split()[1] for line in sandbox.leftovers() if line not in before]
    assert resource_ids.count("vpc") == 2
    assert resource_ids.count("instance") == 4
    assert all(result.exit_code is ExitCode.DONE for result in results)
