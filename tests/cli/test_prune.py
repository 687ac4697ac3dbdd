"""`prune`, and what `destroy` does in the orchestrator: real command lines, the sandbox for AWS, a stand-in orchestrator."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from aws_spot_sandbox.state import ACCESS_KEY_ID, SECRET_ACCESS_KEY
from bacalhau_spot.cloud.connection import AwsConnection
from bacalhau_spot.core.model import Naming
from bacalhau_spot.instance.bacalhau_config import label_value
from support.cli_runner import CliResult, CliRunner
from support.orchestrator import StandIn, cluster_node, node, stand_in
from support.schemas import contract

CLUSTER = label_value(Naming().tag_value)
KEY = "key-0123456789-secret"
GHOST = "i-0aaaaaaaaaaaaaaa1"
ELSEWHERE = "i-0aaaaaaaaaaaaaaa2"
STRANGER = "i-0aaaaaaaaaaaaaaa3"


@pytest.fixture
def stand_in_server() -> Iterator[StandIn]:
    with stand_in() as here:
        here.authorization = f"Bearer {KEY}"
        yield here


@pytest.fixture
def user(program: CliRunner, stand_in_server: StandIn) -> CliRunner:
    """Somebody with two nodes in each of two regions, and the orchestrator's API."""
    program.configure(
        nodes=4,
        regions="[us-west-1, eu-west-1]",
        more=f"  api: {{host: {stand_in_server.url}, key_env: ORCH_KEY}}\n",
    )
    program.environ["ORCH_KEY"] = KEY
    return program


def created(user: CliRunner) -> dict[str, str]:
    """Instance id -> region."""
    result = user("create", "--yes", "--wait", "running", "-o", "json")
    assert result.code == 0, result.stdout
    return {
        instance["id"]: instance["region"]
        for region in result.data["receipt"]["regions"]
        for instance in region["instances"]
    }


def listed(stand_in: StandIn, instances: dict[str, str], *, connected: bool = True) -> None:
    stand_in.nodes = [
        cluster_node(instance_id, region=region, cluster=CLUSTER, connected=connected)
        for instance_id, region in instances.items()
    ]


def fates(result: CliResult) -> dict[str, tuple[str, str]]:
    return {node["instance_id"]: (node["reason"], node["status"]) for node in result.data["nodes"]}


def scene(sandbox: Any, user: CliRunner, stand_in: StandIn) -> tuple[str, str, str, str]:
    """Four nodes of ours: one lives, one's instance has ended, two are disconnected only. And ghosts, and strangers."""
    instances = created(user)
    alive, ended, *unplugged = sorted(
        instances, key=lambda instance: (instances[instance] != "us-west-1", instance)
    )
    sandbox.client("ec2", "us-west-1").terminate_instances(InstanceIds=[ended])
    sandbox.clock.advance(300)
    stand_in.nodes = [
        cluster_node(alive, region=instances[alive], cluster=CLUSTER, connected=True),
        *(
            cluster_node(instance_id, region=instances[instance_id], cluster=CLUSTER)
            for instance_id in (ended, *unplugged)
        ),
        cluster_node(GHOST, region="us-west-1", cluster=CLUSTER),
        cluster_node(ELSEWHERE, region="eu-west-1", cluster=CLUSTER),
        cluster_node(STRANGER, region="us-west-1", cluster="another"),
        node("by-hand", connected=False),
    ]
    return alive, ended, unplugged[0], unplugged[1]


def test_nodes_whose_instances_are_gone_are_removed_and_no_others(
    sandbox: Any, user: CliRunner, stand_in_server: StandIn
) -> None:
    """The whole of it on one cluster: look, ask, remove, again, and then destroy takes its own nodes with it."""
    alive, ended, unplugged, unreadable = scene(sandbox, user, stand_in_server)
    before = set(stand_in_server.names)

    # Without a terminal and without --yes nothing is changed; nor by a dry run, which shows what would be.
    assert user("prune").code == 3
    looked = user("prune", "--dry-run", "-o", "json")
    assert looked.code == 0
    assert fates(looked) == {
        alive: ("connected", "kept"),
        ended: ("instance-ended", "to remove"),
        GHOST: ("instance-unknown", "to remove"),
        ELSEWHERE: ("instance-unknown", "to remove"),
        unplugged: ("instance-alive", "kept"),
        unreadable: ("instance-alive", "kept"),
    }
    assert looked.data["others"] == 2
    contract("prune", looked.data)
    assert stand_in_server.removals == []

    # A region that cannot be scanned keeps its nodes, and the exit code says so.
    sandbox.world.settings.faults = [
        {"match": "DescribeInstances", "region": "eu-west-1", "code": "UnauthorizedOperation", "status": 403}
    ]
    partly = user("prune", "--yes", "-o", "json")
    assert partly.code == 5, partly.stdout
    assert partly.envelope["status"] == "partial"
    assert partly.data["failed_regions"][0]["region"] == "eu-west-1"
    assert fates(partly)[ELSEWHERE] == ("region-unseen", "kept")
    assert fates(partly)[GHOST] == ("instance-unknown", "removed")
    assert before - set(stand_in_server.names) == {f"bacalhau-{ended}", f"bacalhau-{GHOST}"}
    sandbox.world.settings.faults = []

    # Somebody is asked, sees the list first, and says yes.
    assert user("prune", answers="n\n").code == 3
    result = user("prune", answers="y\n")
    assert result.code == 0, result.stderr
    assert ELSEWHERE in result.stderr
    assert "Remove 1 node of bacalhau-aws-spot from the orchestrator http:" in result.stderr
    assert "1 node removed from the orchestrator" in result.stdout
    assert f"bacalhau-{ELSEWHERE}" not in stand_in_server.names
    assert user("prune", "--yes").code == 0

    # destroy: the nodes of what it ended, connected or not, and of what went before; a stranger's stay.
    stand_in_server.nodes.append(cluster_node(GHOST, region="us-west-1", cluster=CLUSTER))
    stand_in_server.nodes.append(cluster_node(ended, region="us-west-1", cluster=CLUSTER))
    destroyed = user("destroy", "--yes", "-o", "json")
    assert destroyed.code == 0, destroyed.stdout
    removed = destroyed.data["orchestrator"]["removed"]
    assert sorted(removed) == sorted(
        f"bacalhau-{instance_id}" for instance_id in (alive, unplugged, unreadable, ended, GHOST)
    )
    assert set(stand_in_server.names) == {f"bacalhau-{STRANGER}", "by-hand"}
    assert destroyed.envelope["warnings"] == []


def test_destroy_is_clean_whatever_the_orchestrator_says(
    sandbox: Any, user: CliRunner, stand_in_server: StandIn
) -> None:
    """A key that may not write: AWS is empty, exit 0, and a warning names the command that catches up."""
    user.configure(
        nodes=4, regions="[us-west-1]", more=f"  api: {{host: {stand_in_server.url}, key_env: ORCH_KEY}}\n"
    )
    before = sandbox.leftovers()
    instances = created(user)
    listed(stand_in_server, instances)
    stand_in_server.read_only = True
    result = user("destroy", "--yes")
    assert result.code == 0, result.stderr
    assert sandbox.leftovers() == before
    assert "OrchestratorForbidden" in result.stderr
    assert "bacalhau-spot prune" in result.stderr
    assert "verified" in result.stdout
    assert len(stand_in_server.nodes) == 4
    # And prune, which is about nothing else, fails with the exit code for a permission; with the right key it catches up.
    listed(stand_in_server, instances, connected=False)
    denied = user("prune", "--yes", "-o", "json")
    assert denied.code == 4
    assert denied.envelope["errors"][0]["code"] == "OrchestratorForbidden"
    assert "write:node" in denied.envelope["errors"][0]["hint"]
    assert {node["status"] for node in denied.data["nodes"]} <= {"failed", "left"}
    stand_in_server.read_only = False
    stand_in_server.refused = {stand_in_server.names[0]}
    partly = user("prune", "--yes", "-o", "json")
    assert partly.code == 1
    assert sorted(node["status"] for node in partly.data["nodes"]) == [
        "failed",
        "removed",
        "removed",
        "removed",
    ]
    assert {
        node["id"] for node in partly.data["nodes"] if node["status"] == "failed"
    } == stand_in_server.refused
    assert "the store is closed" in partly.envelope["errors"][0]["why"]


def test_destroy_with_an_orchestrator_that_is_not_there(user: CliRunner, stand_in_server: StandIn) -> None:
    """And with nothing to end the orchestrator is not even asked."""
    user.configure(nodes=1, regions="[us-west-1]", more="  api: {host: 'http://127.0.0.1:1'}\n")
    created(user)
    result = user("destroy", "--yes", "-o", "json")
    assert result.code == 0
    assert result.data["orchestrator"]["problems"][0]["code"] == "OrchestratorUnreachable"
    (warning,) = result.envelope["warnings"]
    assert "still lists terminated nodes" in warning
    contract("destroy", result.data)
    again = user("destroy", "--yes", "-o", "json")
    assert again.data["orchestrator"] is None
    assert again.envelope["warnings"] == []


def test_destroy_of_what_aws_has_taken_back_whole(
    sandbox: Any, user: CliRunner, stand_in_server: StandIn
) -> None:
    """No instance is left to end, and the nodes are the cluster's all the same; one that is in doubt stays."""
    user.configure(
        nodes=1, regions="[us-west-1]", more=f"  api: {{host: {stand_in_server.url}, key_env: ORCH_KEY}}\n"
    )
    (instance_id,) = created(user)
    sandbox.server.interrupt("us-west-1", instance_id, notice_s=0)
    sandbox.clock.advance(7200)
    listed(stand_in_server, {instance_id: "us-west-1", ELSEWHERE: "nowhere-1"}, connected=False)
    result = user("destroy", "--yes", "-o", "json")
    assert result.code == 0, result.stdout
    assert result.data["orchestrator"]["removed"] == [f"bacalhau-{instance_id}"]
    assert stand_in_server.names == [f"bacalhau-{ELSEWHERE}"]


def test_without_an_address_prune_says_what_to_set(program: CliRunner) -> None:
    result = program("prune", "--yes", "-o", "json")
    assert result.code == 2
    assert "bacalhau.api.host" in result.envelope["errors"][0]["hint"]


def test_nothing_to_prune_asks_aws_nothing(sandbox: Any, user: CliRunner, stand_in_server: StandIn) -> None:
    stand_in_server.nodes = [cluster_node(GHOST, cluster=CLUSTER, connected=True), node("by-hand")]
    result = user("prune")
    assert result.code == 0
    assert "nothing to remove: 1 of 1 node of bacalhau-aws-spot connected" in result.stdout
    assert sandbox.world.calls == []


@pytest.mark.parametrize(
    ("key", "code", "exit_code"), [("wrong", "OrchestratorUnauthorized", 4), (KEY, None, 0)]
)
def test_a_wrong_key(user: CliRunner, key: str, code: str | None, exit_code: int) -> None:
    """Exit 4 as for AWS's credentials, and the key itself is nowhere."""
    user.environ["ORCH_KEY"] = key
    result = user("prune", "--yes", "-o", "json")
    assert result.code == exit_code
    assert [error["code"] for error in result.envelope["errors"]] == ([code] if code else [])
    assert key not in result.stdout + result.stderr


def test_another_cluster_by_its_tag(user: CliRunner, stand_in_server: StandIn) -> None:
    stand_in_server.nodes = [
        cluster_node(GHOST, region="us-west-1", cluster="blue-2"),
        cluster_node(STRANGER, region="us-west-1", cluster=CLUSTER),
    ]
    assert user("prune", "--yes", "--cluster", "blue 2").code == 0
    assert stand_in_server.names == [f"bacalhau-{STRANGER}"]


def test_more_nodes_than_one_question_to_aws_holds(user: CliRunner, stand_in_server: StandIn) -> None:
    """EC2 takes two hundred ids in a filter."""
    stand_in_server.nodes = [
        cluster_node(f"i-{n:017x}", region="us-west-1", cluster=CLUSTER) for n in range(201)
    ]
    result = user("prune", "--yes")
    assert result.code == 0, result.stderr
    assert "201 nodes removed" in result.stdout
    assert stand_in_server.nodes == []


def test_another_account_removes_nothing(user: CliRunner, stand_in_server: StandIn) -> None:
    """A profile of an account that does not have the connected nodes' instances knows nothing of the others either."""
    stand_in_server.nodes = [
        cluster_node(GHOST, region="us-west-1", cluster=CLUSTER, connected=True),
        cluster_node(ELSEWHERE, region="us-west-1", cluster=CLUSTER),
    ]
    result = user("prune", "--yes", "-o", "json")
    assert result.code == 5
    assert fates(result)[ELSEWHERE] == ("account-doubtful", "kept")
    assert "--profile" in result.envelope["errors"][0]["hint"]
    assert len(stand_in_server.nodes) == 2


def test_in_the_sandbox_the_configured_orchestrator_is_never_asked(
    sandbox: Any, user: CliRunner, stand_in_server: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is its key sent anywhere: the sandbox has its own."""
    with stand_in() as own:
        own.authorization = "Bearer the-sandboxes"
        own.nodes = [cluster_node(GHOST, region="us-west-1", cluster=CLUSTER)]
        connection = AwsConnection(
            endpoint_url=sandbox.url,
            access_key_id=ACCESS_KEY_ID,
            secret_access_key=SECRET_ACCESS_KEY,
            orchestrator_url=own.url,
            orchestrator_key="the-sandboxes",
        )
        monkeypatch.setattr(
            "bacalhau_spot.cli.runtime.sandbox_connection.connect_sandbox", lambda _runtime: connection
        )
        assert user("prune", "--yes", "--sandbox").code == 0
        assert own.nodes == []
    assert stand_in_server.requests == []
    nothing = AwsConnection(endpoint_url=sandbox.url, access_key_id="x", secret_access_key="x")
    monkeypatch.setattr(
        "bacalhau_spot.cli.runtime.sandbox_connection.connect_sandbox", lambda _runtime: nothing
    )
    assert user("prune", "--yes", "--sandbox").code == 2
    assert stand_in_server.requests == []
