"""Clusters to look at: one that is well, one with all that can be wrong, thirty nodes in six regions."""

from __future__ import annotations

from dataclasses import replace

from bacalhau_spot.core.health.cluster_status import ClusterStatus, cluster_status
from bacalhau_spot.core.model import ClusterSpec, Naming, RegionSpec, State, Timeouts
from support.fake_status_cloud import FakeOrchestrator, FakeStatusCloud, snapshot_of
from support.health import MINUTE, console_output, member, node, spot

NAME = "bacalhau-aws-spot"
SIX = ("ap-southeast-1", "eu-west-1", "us-east-1", "us-east-2", "us-west-1", "us-west-2")


def spec(nodes: int, *regions: str) -> ClusterSpec:
    return ClusterSpec(
        name=NAME, naming=Naming(), regions=tuple(RegionSpec(name) for name in regions), nodes=nodes
    )


def judged(
    cloud: FakeStatusCloud, orchestrator: FakeOrchestrator | None, wanted: ClusterSpec | None
) -> ClusterStatus:
    snapshot = snapshot_of(cloud, orchestrator)
    return cluster_status(snapshot, cluster=NAME, label=NAME, timeouts=Timeouts(), spec=wanted)


def well(*, api: bool = True) -> ClusterStatus:
    """Four nodes in two regions; without an API the consoles say so."""
    nodes = [node(number, region=SIX[2 + 3 * (number > 2)]) for number in range(1, 5)]
    cloud = FakeStatusCloud(*nodes)
    cloud.consoles = {
        instance.id: console_output("joined: connected for 11 s, engines docker wasm") for instance in nodes
    }
    known = FakeOrchestrator(*(member(instance) for instance in nodes)) if api else None
    return judged(cloud, known, spec(4, "us-east-1", "us-west-2"))


def thirty() -> ClusterStatus:
    """Five nodes in each of six regions, and among them each fate that a cluster can meet."""
    nodes = [node(number, region=SIX[(number - 1) // 5], age=number * MINUTE) for number in range(1, 31)]
    nodes[2] = replace(nodes[2], state=State.TERMINATED, termination_reason="Server.SpotInstanceTermination")
    cloud = FakeStatusCloud(*nodes)
    cloud.spots = [
        spot(nodes[2], "instance-terminated-no-capacity"),
        spot(nodes[20], "marked-for-termination", ago=MINUTE / 2),
    ]
    cloud.consoles = {
        nodes[3].id: console_output("packages: Docker", "docker: waiting until it answers"),
        nodes[9].id: console_output("start: x", "waiting: nats: Authorization Violation"),
        nodes[28].id: console_output("packages: Docker", ago=28 * MINUTE),
    }
    quiet = {nodes[number].id for number in (2, 3, 9, 28)}
    members = [member(instance) for instance in nodes if instance.id not in quiet]
    members[15] = replace(members[15], engines=("wasm",))
    ghost = member(node(99, region=SIX[5]), connected=False, last_error="heartbeat timeout")
    return judged(cloud, FakeOrchestrator(*members, ghost), spec(30, *SIX))


def partial_status() -> ClusterStatus:
    """An orchestrator that does not answer, a region that does not, and consoles that may not be read."""
    nodes = [node(number, region="us-east-1", age=20 * MINUTE) for number in range(1, 3)]
    cloud = FakeStatusCloud(*nodes, node(3, region="us-west-2"))
    cloud.denied = {
        ("us-west-2", "DescribeInstances"): "UnauthorizedOperation",
        ("us-east-1", "GetConsoleOutput"): "UnauthorizedOperation",
    }
    known = FakeOrchestrator(refusal="OrchestratorUnreachable")
    return judged(cloud, known, spec(3, "us-east-1", "us-west-2"))


def nothing() -> ClusterStatus:
    return judged(FakeStatusCloud(), None, None)
