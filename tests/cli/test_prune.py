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
def there() -> Iterator[StandIn]:
    with stand_in() as here:
        here.authorization = f"Bearer {KEY}"
        yield here


@pytest.fixture
def user(program: CliRunner, there: StandIn) -> CliRunner:
    """Somebody with two nodes in each of two regions, and the orchestrator's API."""
    program.configure(
        nodes=4, regions="[us-west-1, eu-west-1]", more=f"  api: {{host: {there.url}, key_env: ORCH_KEY}}\n"
    )
    program.environ["ORCH_KEY"] = KEY
    return program


def created(user: CliRunner) -> dict[str, str]:
    """Instance id -> region."""
    done = user("create", "--yes", "-o", "json")
    assert done.code == 0, done.stdout
    return {
        one["id"]: one["region"] for region in done.data["receipt"]["regions"] for one in region["instances"]
    }


def listed(there: StandIn, instances: dict[str, str], *, connected: bool = True) -> None:
    there.nodes = [
        cluster_node(one, region=region, cluster=CLUSTER, connected=connected)
        for one, region in instances.items()
    ]


def fates(done: CliResult) -> dict[str, tuple[str, str]]:
    return {one["instance_id"]: (one["reason"], one["status"]) for one in done.data["nodes"]}


def scene(sandbox: Any, user: CliRunner, there: StandIn) -> tuple[str, str, str, str]:
    """Four nodes of ours: one lives, one's instance has ended, two are disconnected only. And ghosts, and strangers."""
    instances = created(user)
    alive, ended, *unplugged = sorted(
        instances, key=lambda instance: (instances[instance] != "us-west-1", instance)
    )
    sandbox.client("ec2", "us-west-1").terminate_instances(InstanceIds=[ended])
    sandbox.clock.advance(300)
    there.nodes = [
        cluster_node(alive, region=instances[alive], cluster=CLUSTER, connected=True),
        *(cluster_node(one, region=instances[one], cluster=CLUSTER) for one in (ended, *unplugged)),
        cluster_node(GHOST, region="us-west-1", cluster=CLUSTER),
        cluster_node(ELSEWHERE, region="eu-west-1", cluster=CLUSTER),
        cluster_node(STRANGER, region="us-west-1", cluster="another"),
        node("by-hand", connected=False),
    ]
    return alive, ended, unplugged[0], unplugged[1]


def test_nodes_whose_instances_are_gone_are_removed_and_no_others(
    sandbox: Any, user: CliRunner, there: StandIn
) -> None:
    """The whole of it on one cluster: look, ask, remove, again, and then destroy takes its own nodes with it."""
    alive, ended, unplugged, blind = scene(sandbox, user, there)
    before = set(there.names)

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
        blind: ("instance-alive", "kept"),
    }
    assert looked.data["others"] == 2
    contract("prune", looked.data)
    assert there.removals == []

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
    assert before - set(there.names) == {f"bacalhau-{ended}", f"bacalhau-{GHOST}"}
    sandbox.world.settings.faults = []

    # Somebody is asked, sees the list first, and says yes.
    assert user("prune", answers="n\n").code == 3
    result = user("prune", answers="y\n")
    assert result.code == 0, result.stderr
    assert ELSEWHERE in result.stderr
    assert "Remove 1 node of bacalhau-aws-spot from the orchestrator http:" in result.stderr
    assert "1 node removed from the orchestrator" in result.stdout
    assert f"bacalhau-{ELSEWHERE}" not in there.names
    assert user("prune", "--yes").code == 0

    # destroy: the nodes of what it ended, connected or not, and of what went before; a stranger's stay.
    there.nodes.append(cluster_node(GHOST, region="us-west-1", cluster=CLUSTER))
    there.nodes.append(cluster_node(ended, region="us-west-1", cluster=CLUSTER))
    destroyed = user("destroy", "--yes", "-o", "json")
    assert destroyed.code == 0, destroyed.stdout
    removed = destroyed.data["orchestrator"]["removed"]
    assert sorted(removed) == sorted(f"bacalhau-{one}" for one in (alive, unplugged, blind, ended, GHOST))
    assert set(there.names) == {f"bacalhau-{STRANGER}", "by-hand"}
    assert destroyed.envelope["warnings"] == []


def test_destroy_is_clean_whatever_the_orchestrator_says(
    sandbox: Any, user: CliRunner, there: StandIn
) -> None:
    """A key that may not write: AWS is empty, exit 0, and a warning names the command that catches up."""
    user.configure(nodes=4, regions="[us-west-1]", more=f"  api: {{host: {there.url}, key_env: ORCH_KEY}}\n")
    before = sandbox.leftovers()
    instances = created(user)
    listed(there, instances)
    there.read_only = True
    done = user("destroy", "--yes")
    assert done.code == 0, done.stderr
    assert sandbox.leftovers() == before
    assert "OrchestratorForbidden" in done.stderr
    assert "bacalhau-spot prune" in done.stderr
    assert "verified" in done.stdout
    assert len(there.nodes) == 4
    # And prune, which is about nothing else, fails with the exit code for a permission; with the right key it catches up.
    listed(there, instances, connected=False)
    denied = user("prune", "--yes", "-o", "json")
    assert denied.code == 4
    assert denied.envelope["errors"][0]["code"] == "OrchestratorForbidden"
    assert "write:node" in denied.envelope["errors"][0]["hint"]
    assert {one["status"] for one in denied.data["nodes"]} <= {"failed", "left"}
    there.read_only = False
    there.refused = {there.names[0]}
    partly = user("prune", "--yes", "-o", "json")
    assert partly.code == 1
    assert sorted(one["status"] for one in partly.data["nodes"]) == [
        "failed",
        "removed",
        "removed",
        "removed",
    ]
    assert {one["id"] for one in partly.data["nodes"] if one["status"] == "failed"} == there.refused
    assert "the store is closed" in partly.envelope["errors"][0]["why"]


def test_destroy_with_an_orchestrator_that_is_not_there(user: CliRunner, there: StandIn) -> None:
    """And with nothing to end the orchestrator is not even asked."""
    user.configure(nodes=1, regions="[us-west-1]", more="  api: {host: 'http://127.0.0.1:1'}\n")
    created(user)
    done = user("destroy", "--yes", "-o", "json")
    assert done.code == 0
    assert done.data["orchestrator"]["problems"][0]["code"] == "OrchestratorUnreachable"
    (warning,) = done.envelope["warnings"]
    assert "still lists terminated nodes" in warning
    contract("destroy", done.data)
    again = user("destroy", "--yes", "-o", "json")
    assert again.data["orchestrator"] is None
    assert again.envelope["warnings"] == []


def test_destroy_of_what_aws_has_taken_back_whole(sandbox: Any, user: CliRunner, there: StandIn) -> None:
    """No instance is left to end, and the nodes are the cluster's all the same; one that is in doubt stays."""
    user.configure(nodes=1, regions="[us-west-1]", more=f"  api: {{host: {there.url}, key_env: ORCH_KEY}}\n")
    (one,) = created(user)
    sandbox.server.interrupt("us-west-1", one, notice_s=0)
    sandbox.clock.advance(7200)
    listed(there, {one: "us-west-1", ELSEWHERE: "nowhere-1"}, connected=False)
    done = user("destroy", "--yes", "-o", "json")
    assert done.code == 0, done.stdout
    assert done.data["orchestrator"]["removed"] == [f"bacalhau-{one}"]
    assert there.names == [f"bacalhau-{ELSEWHERE}"]


def test_without_an_address_prune_says_what_to_set(program: CliRunner) -> None:
    done = program("prune", "--yes", "-o", "json")
    assert done.code == 2
    assert "bacalhau.api.host" in done.envelope["errors"][0]["hint"]


def test_nothing_to_prune_asks_aws_nothing(sandbox: Any, user: CliRunner, there: StandIn) -> None:
    there.nodes = [cluster_node(GHOST, cluster=CLUSTER, connected=True), node("by-hand")]
    done = user("prune")
    assert done.code == 0
    assert "nothing to remove: 1 of 1 node of bacalhau-aws-spot connected" in done.stdout
    assert sandbox.world.calls == []


@pytest.mark.parametrize(
    ("key", "code", "exit_code"), [("wrong", "OrchestratorUnauthorized", 4), (KEY, None, 0)]
)
def test_a_wrong_key(user: CliRunner, key: str, code: str | None, exit_code: int) -> None:
    """Exit 4 as for AWS's credentials, and the key itself is nowhere."""
    user.environ["ORCH_KEY"] = key
    done = user("prune", "--yes", "-o", "json")
    assert done.code == exit_code
    assert [error["code"] for error in done.envelope["errors"]] == ([code] if code else [])
    assert key not in done.stdout + done.stderr


def test_another_cluster_by_its_tag(user: CliRunner, there: StandIn) -> None:
    there.nodes = [
        cluster_node(GHOST, region="us-west-1", cluster="blue-2"),
        cluster_node(STRANGER, region="us-west-1", cluster=CLUSTER),
    ]
    assert user("prune", "--yes", "--cluster", "blue 2").code == 0
    assert there.names == [f"bacalhau-{STRANGER}"]


def test_more_nodes_than_one_question_to_aws_holds(user: CliRunner, there: StandIn) -> None:
    """EC2 takes two hundred ids in a filter."""
    there.nodes = [cluster_node(f"i-{n:017x}", region="us-west-1", cluster=CLUSTER) for n in range(201)]
    done = user("prune", "--yes")
    assert done.code == 0, done.stderr
    assert "201 nodes removed" in done.stdout
    assert there.nodes == []


def test_another_account_removes_nothing(user: CliRunner, there: StandIn) -> None:
    """A profile of an account that does not have the connected nodes' instances knows nothing of the others either."""
    there.nodes = [
        cluster_node(GHOST, region="us-west-1", cluster=CLUSTER, connected=True),
        cluster_node(ELSEWHERE, region="us-west-1", cluster=CLUSTER),
    ]
    done = user("prune", "--yes", "-o", "json")
    assert done.code == 5
    assert fates(done)[ELSEWHERE] == ("account-doubtful", "kept")
    assert "--profile" in done.envelope["errors"][0]["hint"]
    assert len(there.nodes) == 2


def test_in_the_sandbox_the_configured_orchestrator_is_never_asked(
    sandbox: Any, user: CliRunner, there: StandIn, monkeypatch: pytest.MonkeyPatch
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
    assert there.asked == []
    nothing = AwsConnection(endpoint_url=sandbox.url, access_key_id="x", secret_access_key="x")
    monkeypatch.setattr(
        "bacalhau_spot.cli.runtime.sandbox_connection.connect_sandbox", lambda _runtime: nothing
    )
    assert user("prune", "--yes", "--sandbox").code == 2
    assert there.asked == []
