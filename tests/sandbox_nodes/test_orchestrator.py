"""The stand-in orchestrator. Source: Bacalhau 1.9, pkg/publicapi/endpoint/orchestrator, pkg/orchestrator/nodes, pkg/models."""

from __future__ import annotations

import gzip
import http.client
from datetime import datetime
from typing import Any

import pytest

from aws_spot_sandbox_bacalhau.node_settings import NodeSettings
from bacalhau_spot.core.model import Secrets
from bacalhau_spot.core.tags import token_parameter
from bacalhau_spot.instance import user_data
from sandbox_nodes.machines import (
    BOOT_S,
    NODES,
    PENDING_S,
    ask,
    compute,
    launch,
    put,
    spec,
    summary,
)
from support.node_specs import PLAIN, TOKEN

CONNECTED = [("CONNECTED", "")]


def boot(sandbox: Any) -> None:
    sandbox.clock.advance(PENDING_S + BOOT_S)


def test_a_node_joins_when_it_has_booted(sandbox: Any) -> None:
    """models.NodeState: its name and labels from its user-data and its metadata, four fifths of its machine, both engines."""
    instance_id = launch(sandbox)[0]
    sandbox.clock.advance(PENDING_S + BOOT_S - 1)
    assert compute(sandbox) == []
    sandbox.clock.advance(31)
    row = compute(sandbox)[0]
    info = row["Info"]
    assert info["NodeID"] == f"bacalhau-{instance_id}"
    assert info["Labels"] == {
        "provider": "aws",
        "cluster": "demo",
        "team": "data",
        "region": "us-east-1",
        "zone": "us-east-1a",
        "instance-id": instance_id,
        "instance-type": "t3.medium",
        "lifecycle": "spot",
        "name": f"bacalhau-{instance_id}",
        "os_arch": "amd64",
        "os_type": "linux",
    }
    machine = info["ComputeNodeInfo"]
    assert machine["ExecutionEngines"] == ["docker", "wasm"]
    assert machine["MaxCapacity"] == machine["AvailableCapacity"]
    assert (machine["MaxCapacity"]["CPU"], machine["MaxCapacity"]["Memory"]) == (1.6, 3435973836)
    assert "GPU" not in machine["MaxCapacity"]
    assert (row["Membership"], row["Connection"]) == ("APPROVED", "CONNECTED")
    state = row["ConnectionState"]
    assert state["DisconnectedSince"] == "0001-01-01T00:00:00Z"
    joined, heard = (datetime.fromisoformat(state[name]) for name in ("ConnectedSince", "LastHeartbeat"))
    assert joined.timestamp() == sandbox.clock.now() - 30
    assert (heard - joined).total_seconds() == 30


def test_it_lists_itself_and_only_nodes_of_ours(sandbox: Any) -> None:
    """The orchestrator is a Requester; an instance that was given nothing, or something else, never shows up."""
    launch(sandbox, UserData=b"#!/bin/sh\n")
    launch(sandbox, UserData=b"")
    boot(sandbox)
    answer = ask(sandbox, NODES)[1]
    assert answer["NextToken"] == ""
    assert [(row["Info"]["NodeType"], row["Connection"]) for row in answer["Nodes"]] == [
        ("Requester", "CONNECTED")
    ]


def test_user_data_in_a_mime_archive_is_read_as_well(sandbox: Any) -> None:
    """cloud-init, "User-data formats": a part of type text/cloud-config is what the whole would be."""
    text = user_data.cloud_config(spec(), region="us-east-1")
    archive = f'Content-Type: multipart/mixed; boundary="=="\n\n--==\nContent-Type: text/cloud-config\n\n{text}\n--==--\n'
    launch(sandbox, UserData=gzip.compress(archive.encode()))
    boot(sandbox)
    assert summary(sandbox) == CONNECTED


@pytest.mark.parametrize(("has", "joins"), [(TOKEN, True), ("another-token", False)])
def test_the_token_that_came_along_decides(sandbox: Any, has: str, joins: bool) -> None:
    """A refused token is no node: nothing at the orchestrator shows that it tried."""
    sandbox.world.settings_of(NodeSettings).orchestrator_token = TOKEN
    launch(sandbox, of=spec(token=has))
    boot(sandbox)
    assert summary(sandbox) == (CONNECTED if joins else [])


def test_the_token_in_the_parameter_store_decides(sandbox: Any) -> None:
    """With `secrets: ssm` it is what the parameter held while the node booted, read by the instance's role."""
    sandbox.world.settings_of(NodeSettings).orchestrator_token = TOKEN
    ssm = spec(token="never sent", secrets=Secrets.SSM)
    iam = sandbox.client("iam")
    iam.create_instance_profile(InstanceProfileName="nodes")
    name = token_parameter(ssm.naming)
    sandbox.client("ssm").put_parameter(Name=name, Value=TOKEN, Type="SecureString")
    launch(sandbox, of=ssm)
    with_role = launch(sandbox, of=ssm, IamInstanceProfile={"Name": "nodes"})[0]
    sandbox.clock.advance(PENDING_S)
    sandbox.client().describe_instances()
    sandbox.client("ssm").delete_parameter(Name=name)
    boot(sandbox)
    assert [row["Info"]["Labels"]["instance-id"] for row in compute(sandbox)] == [with_role]
    assert "s3" in compute(sandbox)[0]["Info"]["ComputeNodeInfo"]["Publishers"]


def test_switches_mean_nodes_by_any_name(sandbox: Any) -> None:
    """`stuck`, `without_docker` and `executions`: an instance, a pool, a zone, a type, a region or `*`; the narrowest wins."""
    bare, busy, late = launch(sandbox, 3)
    sandbox.world.settings_of(NodeSettings).stuck = {
        "t3.medium": "docker",
        bare: "",
        busy: "",
        late: "docker",
    }
    sandbox.world.settings_of(NodeSettings).without_docker = [bare]
    sandbox.world.settings_of(NodeSettings).executions = {"us-east-1a/t3.medium": 2, bare: 0}
    boot(sandbox)
    rows = {row["Info"]["Labels"]["instance-id"]: row["Info"]["ComputeNodeInfo"] for row in compute(sandbox)}
    assert set(rows) == {bare, busy}
    assert rows[bare]["ExecutionEngines"] == ["wasm"]
    assert rows[busy]["AvailableCapacity"]["CPU"] == 0.6
    assert rows[busy]["RunningExecutions"] == 0  # as of the handshake: heartbeats carry capacities only
    sandbox.world.settings_of(NodeSettings).stuck = {}
    assert len(compute(sandbox)) == 3


def test_an_interrupted_node_says_goodbye(sandbox: Any) -> None:
    """ShutdownNotice: disconnected at once, capacities empty, and listed for ever."""
    instance_id = launch(sandbox)[0]
    boot(sandbox)
    assert summary(sandbox) == CONNECTED
    sandbox.server.interrupt("us-east-1", instance_id)
    assert summary(sandbox) == [("DISCONNECTED", "graceful shutdown")]
    sandbox.clock.advance(90 * 86400)
    row = compute(sandbox)[0]
    assert row["Info"]["ComputeNodeInfo"]["AvailableCapacity"] == {}
    assert row["Info"]["ComputeNodeInfo"]["MaxCapacity"]["CPU"] == 1.6
    assert row["Info"]["ComputeNodeInfo"]["Publishers"] == ["noop", "s3managed"]
    assert summary(sandbox) == [("DISCONNECTED", "graceful shutdown")]


def test_a_node_at_work_uses_its_notice(sandbox: Any) -> None:
    """The watcher lets work end for `interruption.grace_s`, 75 s by default."""
    sandbox.world.settings_of(NodeSettings).executions = {"*": 1}
    instance_id = launch(sandbox)[0]
    boot(sandbox)
    sandbox.server.interrupt("us-east-1", instance_id, notice_s=120)
    sandbox.clock.advance(74)
    assert summary(sandbox) == CONNECTED
    sandbox.clock.advance(1)
    assert summary(sandbox) == [("DISCONNECTED", "graceful shutdown")]


def test_a_machine_that_ends_without_a_word_is_missed_after_a_minute(sandbox: Any) -> None:
    """NodeManager.DisconnectTimeout 1m, looked for every 20 s: connected for 60 s after its last heartbeat, never for over 80."""
    instance_id = launch(sandbox)[0]
    boot(sandbox)
    assert summary(sandbox) == CONNECTED
    sandbox.client().terminate_instances(InstanceIds=[instance_id])
    sandbox.clock.advance(59)
    assert summary(sandbox) == CONNECTED
    sandbox.clock.advance(22)
    assert summary(sandbox) == [("DISCONNECTED", "heartbeat timeout")]


def test_nobody_needs_to_look(sandbox: Any) -> None:
    """What joined and ended while nobody asked is known all the same."""
    instance_id = launch(sandbox)[0]
    sandbox.client().describe_instances()
    boot(sandbox)
    sandbox.client().terminate_instances(InstanceIds=[instance_id])
    sandbox.clock.advance(2 * 86400)
    sandbox.client().describe_instances()
    assert summary(sandbox) == [("DISCONNECTED", "heartbeat timeout")]


def test_removing(sandbox: Any) -> None:
    """A ghost is gone; a living node is back at its next heartbeat, newly registered."""
    ghost, living = launch(sandbox, 2)
    boot(sandbox)
    assert len(compute(sandbox)) == 2
    sandbox.client().terminate_instances(InstanceIds=[ghost])
    sandbox.clock.advance(1)
    for node_name in (ghost, living):
        assert put(sandbox, f"bacalhau-{node_name}", "delete") == (200, {"Success": True})
    assert compute(sandbox) == []
    sandbox.clock.advance(13)
    assert compute(sandbox) == []
    sandbox.clock.advance(1)
    assert [row["Info"]["Labels"]["instance-id"] for row in compute(sandbox)] == [living]
    sandbox.clock.advance(3600)
    assert len(compute(sandbox)) == 1
    status, error = put(sandbox, f"bacalhau-{ghost}", "delete")
    assert (status, error["Code"], error["Component"]) == (404, "NotFound", "NodesManager")
    assert error["Message"] == f"node not found: bacalhau-{ghost}"


def test_rejecting_and_approving(sandbox: Any) -> None:
    """A rejected node is disconnected and refused until it is approved; saying the same twice is a conflict."""
    name = f"bacalhau-{launch(sandbox)[0]}"
    boot(sandbox)
    assert put(sandbox, name, "reject")[0] == 200
    sandbox.clock.advance(600)
    assert [row["Membership"] for row in compute(sandbox)] == ["REJECTED"]
    assert summary(sandbox) == [("DISCONNECTED", "node rejected")]
    status, error = put(sandbox, name, "reject")
    assert (status, error["Code"], error["Message"]) == (
        409,
        "ConflictNodeState",
        f"node {name} already rejected",
    )
    assert put(sandbox, name, "approve")[0] == 200
    assert summary(sandbox)[0][0] == "DISCONNECTED"
    sandbox.clock.advance(15)
    assert summary(sandbox) == CONNECTED
    assert put(sandbox, name, "approve")[0] == 409


def test_manual_approval(sandbox: Any) -> None:
    """NodeManager.ManualApproval: new nodes are connected and PENDING."""
    sandbox.world.settings_of(NodeSettings).manual_approval = True
    name = f"bacalhau-{launch(sandbox)[0]}"
    boot(sandbox)
    row = compute(sandbox, "?filter-approval=pending&filter-status=connected")[0]
    assert (row["Membership"], row["Connection"]) == ("PENDING", "CONNECTED")
    put(sandbox, name, "approve")
    assert [row["Membership"] for row in compute(sandbox)] == ["APPROVED"]


def test_filters_and_orders(sandbox: Any) -> None:
    """filter-approval, filter-status, labels as a Kubernetes selector, order_by, reverse, limit."""
    first, second = sorted(launch(sandbox, 2))
    sandbox.world.settings_of(NodeSettings).executions = {first: 1}
    boot(sandbox)

    def names_of(query: str) -> list[str]:
        return [row["Info"]["Labels"]["instance-id"] for row in compute(sandbox, query)]

    assert names_of("") == [first, second]
    assert names_of("?order_by=id&reverse=true") == [second, first]
    assert names_of("?order_by=available_cpu") == [second, first]
    assert names_of("?filter-status=disconnected") == []
    assert names_of("?filter-approval=APPROVED") == [first, second]
    assert names_of(f"?labels=cluster%3Ddemo,instance-id!%3D{first}") == [second]
    assert names_of(f"?labels=instance-id+in+({first},x)&labels=zone") == [first]
    assert names_of("?labels=!zone") == []
    assert len(ask(sandbox, f"{NODES}?limit=1")[1]["Nodes"]) == 1
    assert ask(sandbox, f"{NODES}?order_by=age")[0] == 400


def test_one_by_prefix(sandbox: Any) -> None:
    """GET by id or by a prefix that only it has; several are a conflict that names three of them."""
    instance_ids = launch(sandbox, 4)
    boot(sandbox)
    status, answer = ask(sandbox, f"{NODES}/bacalhau-{instance_ids[0][:-2]}")
    assert (status, answer["Node"]["Info"]["NodeID"]) == (200, f"bacalhau-{instance_ids[0]}")
    status, error = ask(sandbox, f"{NODES}/bacalhau-")
    assert (status, error["Code"]) == (409, "MultipleNodesFound")
    assert error["Message"].endswith(" ...]")
    assert error["Hint"] == "Use a more specific node ID prefix"
    assert ask(sandbox, f"{NODES}/nobody")[0] == 404


def test_what_is_open_and_what_needs_the_key(sandbox: Any) -> None:
    """agent/alive and agent/version never need one; nodes do when there is one; reading is not writing."""
    sandbox.world.settings_of(NodeSettings).orchestrator_api_key = "user:secret-key-of-the-api"
    assert ask(sandbox, "/agent/alive") == (200, {"Status": "OK"})
    assert ask(sandbox, "/agent/version")[1]["GitVersion"] == "v1.9.3"
    status, error = ask(sandbox, NODES)
    assert (status, error["Code"], error["Message"]) == (401, "Unauthorized", "Request Unauthorized")
    assert error["Details"] == {"reason": "Missing Authorization header"}
    assert ask(sandbox, NODES, authorization="Bearer wrong")[0] == 401
    assert ask(sandbox, NODES, authorization="Bearer user:secret-key-of-the-api")[0] == 200
    basic = {"authorization": "Basic dXNlcjpzZWNyZXQta2V5LW9mLXRoZS1hcGk="}
    assert ask(sandbox, NODES, **basic)[0] == 200
    sandbox.world.settings_of(NodeSettings).orchestrator_read_only = True
    status, error = ask(sandbox, f"{NODES}/x", method="PUT", body={"Action": "delete"}, **basic)
    assert (status, error["Code"], error["Component"]) == (403, "Forbidden", "Authorizer")


def test_mistakes(sandbox: Any) -> None:
    """An action that it does not know is its own fault, 500; a path that it does not have is 404; both are JSON."""
    status, error = put(sandbox, "x", "drain")
    assert (status, error["Code"], error["Message"]) == (500, "InternalError", "Internal server error")
    status, error = ask(sandbox, "/orchestrator/drain")
    assert (status, error["Code"], error["Component"]) == (404, "NotFound", "APIServer")


def test_faults_are_ordered_for_it_by_its_name(sandbox: Any) -> None:
    """`orchestrator:ListNodes`; what is ordered for all of AWS does not hit it."""
    sandbox.settings.faults = [{"match": "*", "code": "InternalError"}]
    assert ask(sandbox, NODES)[0] == 200
    sandbox.settings.faults = [
        {"match": "orchestrator:ListNodes", "code": "ServiceUnavailable", "status": 503}
    ]
    assert ask(sandbox, NODES)[0] == 503
    assert ask(sandbox, "/agent/alive")[0] == 200
    sandbox.settings.faults = [{"match": "orchestrator:*", "code": "ConnectionReset"}]
    with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
        ask(sandbox, NODES)


def test_a_node_that_was_told_of_no_orchestrator(sandbox: Any) -> None:
    """It cannot join, as on AWS."""
    launch(sandbox, of=PLAIN)
    boot(sandbox)
    assert compute(sandbox) == []
