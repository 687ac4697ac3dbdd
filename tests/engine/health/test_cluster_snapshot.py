"""One look at the cluster: how few calls it takes, and what it says when it cannot see everything."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bacalhau_spot.cloud.cloud_error import CloudError
from bacalhau_spot.core.health.cluster_status import ClusterSnapshot, ClusterStatus, cluster_status
from bacalhau_spot.core.health.diagnosis import Diagnosis
from bacalhau_spot.core.health.observation import ApiAvailability
from bacalhau_spot.core.model import ClusterSpec, Naming, RegionSpec, Spread, State, Timeouts
from bacalhau_spot.errors import ExitCode
from support.fake_status_cloud import FakeOrchestrator, FakeStatusCloud, snapshot_of
from support.health import MINUTE, NOW, console_output, member, node, spot

LABEL = "bacalhau-aws-spot"
EAST = [node(number) for number in range(1, 4)]
WEST = [node(number, region="us-west-2") for number in range(4, 6)]
SPEC = ClusterSpec(
    name=LABEL, naming=Naming(), regions=(RegionSpec("us-east-1"), RegionSpec("us-west-2")), nodes=5
)


def judged(
    snapshot: ClusterSnapshot, spec: ClusterSpec | None = SPEC, *, only: tuple[str, ...] = ()
) -> ClusterStatus:
    return cluster_status(snapshot, cluster=LABEL, label=LABEL, timeouts=Timeouts(), spec=spec, only=only)


def kinds(status: ClusterStatus) -> dict[str, Diagnosis]:
    return {node.id: node.diagnosis.diagnosis for node in status.nodes}


def test_three_calls_a_region_and_none_a_healthy_node() -> None:
    """One where there is nothing, and a console only of what has not joined."""
    cloud = FakeStatusCloud(*EAST, *WEST)
    cloud.consoles[WEST[1].id] = console_output("docker")
    known = FakeOrchestrator(*(member(instance) for instance in (*EAST, WEST[0])))
    snapshot = snapshot_of(cloud, known, regions=["us-east-1", "us-west-2", "eu-west-1"])
    status = judged(snapshot)
    assert kinds(status)[WEST[1].id] is Diagnosis.BOOTING
    assert [kind for instance_id, kind in kinds(status).items() if instance_id != WEST[1].id] == [
        Diagnosis.JOINED
    ] * 4
    three = ("DescribeInstances", "DescribeInstanceStatus", "DescribeSpotInstanceRequests")
    assert cloud.requests == {
        **{(region, verb): 1 for region in ("us-east-1", "us-west-2") for verb in three},
        ("eu-west-1", "DescribeInstances"): 1,
        ("us-west-2", "GetConsoleOutput"): 1,
    }
    assert (status.exit_code, snapshot.regions_scanned) == (
        ExitCode.FAILED,
        ("us-east-1", "us-west-2", "eu-west-1"),
    )


def test_as_asked() -> None:
    """All joined, none missing: exit code 0. Load is what is not available, in all and by region."""
    status = judged(
        snapshot_of(
            FakeStatusCloud(*EAST, *WEST),
            FakeOrchestrator(*(member(instance) for instance in (*EAST, *WEST))),
        )
    )
    assert status.matches_spec and status.exit_code is ExitCode.DONE
    load = status.total.load
    assert load is not None and (int(load.used.cpu), int(load.total.cpu)) == (5, 10)
    assert [
        (region_status.name, region_status.wanted, region_status.present) for region_status in status.regions
    ] == [
        ("us-east-1", 3, 3),
        ("us-west-2", 2, 2),
    ]
    assert (status.pools.pools, status.pools.max_loss) == (5, 1)


def test_the_six_fates() -> None:
    """Interrupted, never joined, without docker, a ghost, a notice, and a stranger's node that is none of ours."""
    taken = replace(EAST[0], state=State.TERMINATED, termination_reason="Server.SpotInstanceTermination")
    cloud = FakeStatusCloud(taken, *EAST[1:], *WEST)
    cloud.spots = [spot(taken, "instance-terminated-no-capacity"), spot(WEST[0], "marked-for-termination")]
    cloud.consoles[EAST[1].id] = console_output("packages", "waiting: nats: Authorization Violation")
    ghost = member(node(9), connected=False)
    theirs = member(node(10), labels={"provider": "aws", "cluster": "theirs", "instance-id": node(10).id})
    known = FakeOrchestrator(
        member(EAST[2], engines=("wasm",)), *(member(instance) for instance in WEST), ghost, theirs
    )
    status = judged(snapshot_of(cloud, known))
    assert kinds(status) == {
        taken.id: Diagnosis.INTERRUPTED,
        EAST[1].id: Diagnosis.NEVER_JOINED,
        EAST[2].id: Diagnosis.NO_DOCKER,
        WEST[0].id: Diagnosis.NOTICED,
        WEST[1].id: Diagnosis.JOINED,
        ghost.instance_id: Diagnosis.ORPHAN,
    }
    assert status.missing == 1 and status.exit_code is ExitCode.FAILED
    assert [node.id for node in status.stale_nodes] == [ghost.instance_id]


def test_without_an_api_the_consoles_are_read() -> None:
    """Every running one; what they say they joined is good enough, and what nobody knows is not held against it."""
    nodes = [*EAST, *WEST[:1], node(5, region="us-west-2", age=900 * MINUTE)]
    cloud = FakeStatusCloud(*nodes)
    cloud.consoles = {
        instance.id: console_output("joined: connected for 11 s, engines docker") for instance in nodes[:4]
    }
    status = judged(snapshot_of(cloud))
    assert set(kinds(status).values()) == {Diagnosis.CONSOLE_JOINED, Diagnosis.UNKNOWN}
    assert status.exit_code is ExitCode.DONE
    assert sum(count for (_, verb), count in cloud.requests.items() if verb == "GetConsoleOutput") == 5


def test_an_orchestrator_that_does_not_answer() -> None:
    """Everything else is shown, and the exit code says that not everything could be seen."""
    cloud = FakeStatusCloud(*EAST, *WEST)
    cloud.consoles = {instance.id: console_output("joined") for instance in (*EAST, *WEST)}
    status = judged(snapshot_of(cloud, FakeOrchestrator(refusal="OrchestratorUnreachable")))
    assert status.snapshot.api is ApiAvailability.UNAVAILABLE and status.snapshot.api_failure is not None
    assert (status.matches_spec, status.exit_code) == (True, ExitCode.INCOMPLETE)


def test_a_region_that_cannot_be_seen() -> None:
    """What may be there is neither missing nor an orphan; the rest is judged."""
    cloud = FakeStatusCloud(*EAST, *WEST)
    cloud.denied["us-west-2", "DescribeInstances"] = "UnauthorizedOperation"
    status = judged(snapshot_of(cloud, FakeOrchestrator(*(member(instance) for instance in (*EAST, *WEST)))))
    assert set(kinds(status)) == {instance.id for instance in EAST}
    assert status.exit_code is ExitCode.INCOMPLETE
    assert [failure.region for failure in status.snapshot.failed_regions] == ["us-west-2"]


def test_what_is_certain_counts_more_than_what_is_not() -> None:
    """A bad node is a failure, whatever else could not be seen."""
    cloud = FakeStatusCloud(*EAST, *WEST)
    cloud.denied["us-west-2", "DescribeInstances"] = "UnauthorizedOperation"
    known = FakeOrchestrator(*(member(instance, engines=("wasm",)) for instance in EAST))
    assert judged(snapshot_of(cloud, known)).exit_code is ExitCode.FAILED


@pytest.mark.parametrize(
    "verb", ["DescribeInstanceStatus", "DescribeSpotInstanceRequests", "GetConsoleOutput"]
)
def test_what_only_adds_to_the_picture_may_be_refused(verb: str) -> None:
    """The nodes are shown all the same; the refusal is told once a region, and nothing is made up."""
    nodes = [replace(instance, launched_at=NOW - 20 * MINUTE) for instance in (*EAST, *WEST)]
    cloud = FakeStatusCloud(*nodes)
    cloud.denied["us-east-1", verb] = "UnauthorizedOperation"
    status = judged(snapshot_of(cloud, FakeOrchestrator(*(member(instance) for instance in nodes[2:]))))
    assert len(status.nodes) == 5
    assert [(failure.operation, failure.region) for failure in status.snapshot.partial_failures] == [
        (verb, "us-east-1")
    ]


def test_credentials_refused_everywhere_are_an_error() -> None:
    """Not a cluster without nodes."""
    cloud = FakeStatusCloud(*EAST)
    cloud.denied["us-east-1", "DescribeInstances"] = "ExpiredToken"
    with pytest.raises(CloudError, match="ExpiredToken"):
        snapshot_of(cloud)


def test_where_the_nodes_are_matters_only_with_a_strict_spread() -> None:
    """As `create` counts: another region may have taken them over."""
    moved = [*EAST, *(node(number) for number in range(4, 6))]
    snapshot = snapshot_of(
        FakeStatusCloud(*moved), FakeOrchestrator(*(member(instance) for instance in moved))
    )
    assert judged(snapshot).exit_code is ExitCode.DONE
    strict = judged(snapshot, replace(SPEC, spread=Spread.STRICT))
    assert (strict.missing, strict.surplus, strict.exit_code) == (2, 2, ExitCode.FAILED)


def test_too_many_are_not_as_asked() -> None:
    """In a region of the configuration or outside of it."""
    extra = node(6, region="eu-west-1")
    every = [*EAST, *WEST, extra]
    status = judged(
        snapshot_of(FakeStatusCloud(*every), FakeOrchestrator(*(member(instance) for instance in every)))
    )
    assert (status.missing, status.surplus, status.matches_spec) == (0, 1, False)
    assert status.regions[0].wanted == 0


def test_one_region_only() -> None:
    """Nothing is wanted of the others, and their nodes at the orchestrator are nobody's ghosts."""
    known = FakeOrchestrator(*(member(instance) for instance in (*EAST, *WEST)))
    status = judged(snapshot_of(FakeStatusCloud(*EAST), known, regions=["us-east-1"]), only=("us-east-1",))
    assert (len(status.nodes), status.wanted_total, status.exit_code) == (3, 3, ExitCode.DONE)


def test_another_cluster_wants_nothing() -> None:
    """The configuration is not its; its nodes are judged."""
    status = judged(
        snapshot_of(FakeStatusCloud(*EAST), FakeOrchestrator(*(member(instance) for instance in EAST))), None
    )
    assert (status.wanted_total, status.missing, status.exit_code) == (None, None, ExitCode.DONE)


def test_regions_that_were_chosen_by_price() -> None:
    """The configuration names a number of them and none by name: only the total is wanted."""
    spec = replace(SPEC, regions=(), auto_regions=2, nodes=4)
    status = judged(
        snapshot_of(FakeStatusCloud(*EAST), FakeOrchestrator(*(member(instance) for instance in EAST))), spec
    )
    assert (status.wanted_total, status.missing, status.surplus) == (4, 1, 0)
