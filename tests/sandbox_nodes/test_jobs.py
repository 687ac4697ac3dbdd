"""Jobs on a managed orchestrator's stand-in. Source: Bacalhau 1.9, replies recorded from the real program."""

from __future__ import annotations

import base64
import datetime as dt
import http.client
import io
import os
import tarfile
import urllib.error
import urllib.request
from typing import Any

import pytest

from aws_spot_sandbox_bacalhau import job_store
from aws_spot_sandbox_bacalhau.node_settings import NodeSettings
from bacalhau_spot.core.tags import DRAIN_KEY, TIME_FORMAT
from sandbox_nodes.machines import launch
from sandbox_nodes.orchestrators import BUCKET, Orchestrator, echo, permissions
from sandbox_nodes.test_console import phase_lines

# Keys of an execution in a reply of the real program
EXECUTION = {
    "ID", "Namespace", "EvalID", "Name", "NodeID", "JobID", "Job", "JobVersion", "AllocatedResources", "DesiredState",
    "ComputeState", "PublishedResult", "RunOutput", "PreviousExecution", "NextExecution", "FollowupEvalID", "Revision",
    "CreateTime", "ModifyTime",
}  # fmt: skip
JOB = {
    "ID", "Name", "Namespace", "Type", "Priority", "Count", "Constraints", "Meta", "Labels", "Tasks", "State",
    "Version", "Revision", "CreateTime", "ModifyTime",
}  # fmt: skip


@pytest.fixture
def cluster(sandbox: Any) -> Orchestrator:
    """An orchestrator with three nodes, and a bucket."""
    made = Orchestrator.complete(sandbox)
    sandbox.client("s3").create_bucket(Bucket=BUCKET)
    made.boots()
    launch(sandbox, 3, of=made.spec(), MetadataOptions={"InstanceMetadataTags": "enabled"})
    sandbox.clock.advance(60)
    assert made.summary() == [("CONNECTED", "")] * 3
    return made


def names(made: Orchestrator) -> list[str]:
    return [row["Info"]["NodeID"] for row in made.nodes()]


def test_a_job_runs_and_prints(cluster: Orchestrator) -> None:
    """A little of the clock passes; then the output is in the execution, in the real program's form."""
    job_id = cluster.submit(echo("echo", "hello", "there"))
    job, execution = cluster.job(job_id), cluster.executions(job_id)[0]
    assert set(job) == JOB
    assert set(execution) == EXECUTION
    assert job["State"] == {"StateType": "Running"}
    assert execution["ComputeState"] == {"StateType": 5, "Message": "Running"}
    assert execution["DesiredState"] == {"StateType": 1, "Message": "Running"}
    assert job["Tasks"][0]["Publisher"] == {"Type": "s3managed"}
    cluster.sandbox.clock.advance(1)
    execution = cluster.executions(job_id)[0]
    assert cluster.job(job_id)["State"] == {"StateType": "Completed"}
    assert execution["RunOutput"]["Stdout"] == "hello there\n"
    assert execution["ComputeState"] == {"StateType": 9, "Message": "Running"}
    assert execution["PublishedResult"]["Type"] == "s3managed"
    messages = [
        event["Event"]["Message"] for event in cluster.ask(f"/orchestrator/jobs/{job_id}/history")[1]["Items"]
    ]
    assert messages == [
        "Job submitted",
        f"Requested execution on {execution['NodeID']}",
        "Running",
        "Running",
        "Completed successfully",
        "Completed",
    ]


def test_a_shell_prints_and_sleeps(cluster: Orchestrator) -> None:
    job_id = cluster.submit(echo("sh", "-c", "echo one && sleep 30; echo -n two"))
    cluster.sandbox.clock.advance(29)
    assert cluster.job(job_id)["State"]["StateType"] == "Running"
    cluster.sandbox.clock.advance(1)
    assert cluster.executions(job_id)[0]["RunOutput"]["Stdout"] == "one\ntwo"


def test_constraints_choose_the_nodes(cluster: Orchestrator) -> None:
    """By a label, by the node's own name; none matches: the job fails with the reason of each node."""
    wanted = names(cluster)[1]
    by_name = {"Key": "name", "Operator": "=", "Values": [wanted]}
    job_id = cluster.submit(echo("echo", Constraints=[by_name]))
    assert [row["NodeID"] for row in cluster.executions(job_id)] == [wanted]
    by_cluster = {"Key": "cluster", "Operator": "in", "Values": ["demo", "other"]}
    everywhere = cluster.submit(echo("echo", name="all", Type="ops", Constraints=[by_cluster]))
    assert sorted(row["NodeID"] for row in cluster.executions(everywhere)) == sorted(names(cluster))
    none = cluster.submit(
        echo("echo", name="none", Constraints=[{"Key": "cluster", "Operator": "=", "Values": ["x"]}])
    )
    state = cluster.job(none)["State"]
    assert state["StateType"] == "Failed"
    assert state["Message"].startswith(
        "not enough nodes to run job. requested: 1, available: 3, suitable: 0.\n• Node"
    )
    assert state["Message"].endswith("don't match required selectors [cluster = x]")


def test_more_than_the_nodes_fails_unless_it_may_wait(cluster: Orchestrator) -> None:
    """Timeouts.QueueTimeout: 0 by default. A queued job runs when a node joins."""
    job_id = cluster.submit(echo("echo", Count=4))
    assert cluster.job(job_id)["State"]["StateType"] == "Failed"
    waits = echo("echo", name="waits", Count=4)
    waits["Tasks"][0]["Timeouts"] = {"QueueTimeout": 300}
    queued = cluster.submit(waits)
    assert cluster.job(queued)["State"]["StateType"] == "Queued"
    launch(cluster.sandbox, of=cluster.spec())
    cluster.sandbox.clock.advance(60)
    cluster.nodes()
    assert cluster.job(queued)["State"]["StateType"] == "Running"
    cluster.sandbox.clock.advance(5)
    assert cluster.job(queued)["State"]["StateType"] == "Completed"
    assert len({row["NodeID"] for row in cluster.executions(queued)}) == 4


def test_a_node_without_docker_takes_no_container(cluster: Orchestrator) -> None:
    cluster.sandbox.world.settings_of(NodeSettings).without_docker = ["*"]
    job_id = cluster.submit(echo("echo"))
    assert cluster.job(job_id)["State"]["Message"] == (
        "not enough nodes to run job. requested: 1, available: 3, suitable: 0.\n"
        "• 3 of 3 nodes: does not support docker, only wasm"
    )


def test_an_interruption_moves_a_job(cluster: Orchestrator) -> None:
    """The watcher waits for it as long as it may, then the node leaves; 15 s later the job runs elsewhere."""
    job_id = cluster.submit(echo("sleep", "600"))
    first = cluster.executions(job_id)[0]
    instance_id = first["NodeID"].removeprefix("bacalhau-")
    cluster.sandbox.server.interrupt("us-east-1", instance_id)
    cluster.sandbox.clock.advance(74)
    assert [row["ComputeState"]["StateType"] for row in cluster.executions(job_id)] == [
        job_store.BATCH_RUNNING
    ]
    cluster.sandbox.clock.advance(1)
    assert cluster.executions(job_id)[0]["ComputeState"] == {
        "StateType": job_store.FAILED,
        "Message": "Execution stop requested because node has disappeared",
    }
    assert cluster.job(job_id)["State"]["StateType"] == "Running"
    cluster.sandbox.clock.advance(15)
    before, after = cluster.executions(job_id)
    assert after["NodeID"] != before["NodeID"]
    assert (after["PreviousExecution"], before["NextExecution"]) == (before["ID"], after["ID"])
    cluster.sandbox.clock.advance(600)
    assert cluster.job(job_id)["State"]["StateType"] == "Completed"


def test_short_work_ends_before_the_node_leaves(cluster: Orchestrator) -> None:
    """No new work for a node with a notice; the watcher stops it as soon as its work is done."""
    job_id = cluster.submit(echo("sleep", "30"))
    node = cluster.executions(job_id)[0]["NodeID"]
    cluster.sandbox.server.interrupt("us-east-1", node.removeprefix("bacalhau-"))
    ops = cluster.submit(echo("echo", name="ops", Type="ops"))
    assert node not in [row["NodeID"] for row in cluster.executions(ops)]
    cluster.sandbox.clock.advance(31)
    assert cluster.job(job_id)["State"]["StateType"] == "Completed"
    assert dict(zip(names(cluster), cluster.summary(), strict=True))[node] == (
        "DISCONNECTED",
        "graceful shutdown",
    )


def drain(cluster: Orchestrator, node: str, *, in_s: int) -> str:
    """Tag the node's instance, as bacalhau-spot does. Its id."""
    instance_id = node.removeprefix("bacalhau-")
    until = dt.datetime.fromtimestamp(cluster.sandbox.clock.now() + in_s, tz=dt.UTC)
    tag = {"Key": DRAIN_KEY, "Value": until.strftime(TIME_FORMAT)}
    cluster.ec2.create_tags(Resources=[instance_id], Tags=[tag])
    return instance_id


def state_of(cluster: Orchestrator, instance_id: str) -> tuple[str, str]:
    """Of the instance, with AWS's reason."""
    row = cluster.ec2.describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"][0]
    return row["State"]["Name"], row.get("StateReason", {}).get("Code", "")


def test_a_drained_node_ends_its_work_and_then_its_instance(cluster: Orchestrator) -> None:
    """It accepts no new work from the watcher's next look on, and leaves when its work is done, before the time is over."""
    job_id = cluster.submit(echo("sleep", "30"))
    node = cluster.executions(job_id)[0]["NodeID"]
    instance_id = drain(cluster, node, in_s=300)
    cluster.sandbox.clock.advance(6)
    ops = cluster.submit(echo("echo", name="ops", Type="ops"))
    assert node not in [row["NodeID"] for row in cluster.executions(ops)]
    assert state_of(cluster, instance_id)[0] == "running"
    cluster.sandbox.clock.advance(26)
    assert state_of(cluster, instance_id) == ("terminated", "Client.InstanceInitiatedShutdown")
    assert [row["ComputeState"]["StateType"] for row in cluster.executions(job_id)] == [job_store.COMPLETED]
    assert dict(zip(names(cluster), cluster.summary(), strict=True))[node] == (
        "DISCONNECTED",
        "graceful shutdown",
    )
    assert [line[0] for line in phase_lines(cluster.sandbox, instance_id)][-3:] == [
        "draining",
        "stopping",
        "stopped",
    ]


def test_longer_work_than_the_grace_moves_to_another_node(cluster: Orchestrator) -> None:
    job_id = cluster.submit(echo("sleep", "600"))
    first = cluster.executions(job_id)[0]["NodeID"]
    instance_id = drain(cluster, first, in_s=60)
    cluster.sandbox.clock.advance(58)
    assert state_of(cluster, instance_id)[0] == "running"
    cluster.sandbox.clock.advance(5)
    assert state_of(cluster, instance_id)[0] == "terminated"
    cluster.sandbox.clock.advance(16)
    assert len(cluster.executions(job_id)) == 2
    assert cluster.executions(job_id)[1]["NodeID"] != first
    cluster.sandbox.clock.advance(600)
    assert cluster.job(job_id)["State"]["StateType"] == "Completed"


def test_a_drain_can_be_shortened_and_an_interruption_ends_it(cluster: Orchestrator) -> None:
    """The notice leaves less time than the drain."""
    job_id = cluster.submit(echo("sleep", "600"))
    node = cluster.executions(job_id)[0]["NodeID"]
    instance_id = drain(cluster, node, in_s=3000)
    cluster.sandbox.clock.advance(60)
    cluster.sandbox.server.interrupt("us-east-1", instance_id)
    cluster.sandbox.clock.advance(78)
    assert state_of(cluster, instance_id)[0] == "terminated"

    cluster.sandbox.clock.advance(30)
    node = next(
        row["NodeID"]
        for row in cluster.executions(job_id)
        if row["ComputeState"]["StateType"] == job_store.BATCH_RUNNING
    )
    instance_id = drain(cluster, node, in_s=3000)
    cluster.sandbox.clock.advance(60)
    drain(cluster, node, in_s=0)
    cluster.sandbox.clock.advance(4)
    assert state_of(cluster, instance_id)[0] == "terminated"


def test_a_lost_machine_costs_more_time(cluster: Orchestrator) -> None:
    """Missing heartbeats are noticed after 60 to 80 s, and the job moves 15 s later."""
    job_id = cluster.submit(echo("sleep", "600"))
    instance_id = cluster.executions(job_id)[0]["NodeID"].removeprefix("bacalhau-")
    cluster.ec2.terminate_instances(InstanceIds=[instance_id])
    cluster.sandbox.clock.advance(60)
    assert len(cluster.executions(job_id)) == 1
    cluster.sandbox.clock.advance(36)
    assert len(cluster.executions(job_id)) == 2


def test_what_is_refused(cluster: Orchestrator) -> None:
    """ValidateSubmission's words; the same job twice; an unknown id."""
    wrong = {"Name": "x", "Type": "weird", "Count": -1, "Tasks": []}
    code, reply = cluster.ask("/orchestrator/jobs", method="PUT", body={"Job": wrong})
    assert (code, reply["Message"]) == (
        400,
        'invalid job type: "weird"\njob count must be >= 0\nmissing job tasks',
    )
    job_id = cluster.submit(echo("echo"))
    code, reply = cluster.ask("/orchestrator/jobs", method="POST", body={"Job": echo("echo")})
    assert (code, reply["Message"]) == (
        500,
        f"no changes detected for new job spec. Job Name: 'echo', Job Id: '{job_id}'",
    )
    assert cluster.ask("/orchestrator/jobs/j-none")[1]["Message"] == "job not found: j-none"
    assert cluster.ask(f"/orchestrator/jobs/{job_id[:10]}")[1]["Job"]["ID"] == job_id


def test_a_stopped_job(cluster: Orchestrator) -> None:
    job_id = cluster.submit(echo("sleep", "600", Count=2))
    assert cluster.ask(f"/orchestrator/jobs/{job_id}?reason=x", method="DELETE")[1]["EvaluationID"]
    assert cluster.job(job_id)["State"] == {"StateType": "Stopped"}
    states = {row["ComputeState"]["StateType"] for row in cluster.executions(job_id)}
    assert states == {job_store.CANCELLED}
    assert cluster.ask(f"/orchestrator/jobs/{job_id}", method="DELETE") == (200, {"EvaluationID": ""})


def test_logs_come_through_a_websocket(cluster: Orchestrator) -> None:
    """RFC 6455: the handshake, a text frame for each line, the frame that closes. `follow` waits for the end."""
    job_id = cluster.submit(echo("sh", "-c", "echo one; echo two; sleep 20"))
    connection = http.client.HTTPSConnection(cluster.address, 1234, timeout=10, context=cluster.tls())
    headers = {
        "Authorization": "Bearer operator-key-0123456789",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
    }
    connection.request("GET", f"/api/v1/orchestrator/jobs/{job_id}/logs?follow=true", headers=headers)
    reply = connection.getresponse()
    assert reply.status == 101
    frames = reply.fp.read()
    connection.close()
    one, two = b'{"value": {"Type": 1, "Line": "one\\n"}}', b'{"value": {"Type": 1, "Line": "two\\n"}}'
    assert frames == b"".join(
        (b"\x81", bytes([len(one)]), one, b"\x81", bytes([len(two)]), two, b"\x88\x02\x03\xe8")
    )


def test_results_without_permission_fail_the_job(cluster: Orchestrator) -> None:
    """The role of the orchestrator signs the upload: its policy decides."""
    policy = permissions()
    cluster.allow({**policy, "Statement": policy["Statement"][:1]})
    job_id = cluster.submit(echo("echo", "x"))
    cluster.sandbox.clock.advance(2)
    execution = cluster.executions(job_id)[0]
    assert execution["ComputeState"] == {
        "StateType": job_store.FAILED,
        "Message": "failed to upload result: unexpected status 403 Forbidden",
    }


def test_work_survives_the_orchestrators_absence(cluster: Orchestrator) -> None:
    """Facts of the real program: running work goes on, and is Completed after the return."""
    job_id = cluster.submit(echo("sleep", "60"))
    cluster.ec2.terminate_instances(InstanceIds=[cluster.instance_id])
    cluster.sandbox.clock.advance(100)
    cluster.sandbox.server.settle()
    cluster.launch()
    cluster.give_volume()
    cluster.give_address()
    cluster.boots()
    cluster.sandbox.clock.advance(20)
    assert cluster.summary() == [("CONNECTED", "")] * 3
    assert cluster.job(job_id)["State"]["StateType"] == "Completed"
    assert len(cluster.executions(job_id)) == 1


def test_a_result_is_fetched_from_the_bucket(cluster: Orchestrator) -> None:
    """The presigned URL has the permissions of the orchestrator's role, and expires after an hour."""
    job_id = cluster.submit(echo("echo", "hello"))
    cluster.sandbox.clock.advance(2)
    items = cluster.ask(f"/orchestrator/jobs/{job_id}/results")[1]["Items"]
    assert [(item["Type"], item["Params"]["Managed"]) for item in items] == [("s3PreSigned", True)]
    url = items[0]["Params"]["PreSignedURL"]
    with urllib.request.urlopen(url, timeout=10) as reply:
        archive = tarfile.open(fileobj=io.BytesIO(reply.read()))  # noqa: SIM115
    stdout = archive.extractfile("stdout")
    assert stdout is not None
    assert stdout.read() == b"hello\n"
    keys = cluster.sandbox.client("s3").list_objects_v2(Bucket=BUCKET)["Contents"]
    execution = cluster.executions(job_id)[0]["ID"]
    assert [row["Key"] for row in keys] == [f"jobs/{job_id}/{execution}.tar.gz"]
    cluster.sandbox.clock.advance(3601)
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(url, timeout=10)


def test_files_below_a_result_path_are_in_the_result(cluster: Orchestrator) -> None:
    """`echo` writes them by a redirection; other files are lost with the container, and stdout has the rest."""
    script = "echo shown; echo 41 > /outputs/a.txt; echo 42 > /outputs/a.txt; echo 43 >> /outputs/a.txt; echo x > /tmp/b"
    job = echo("sh", "-c", script)
    job["Tasks"][0]["ResultPaths"] = [{"Name": "outputs", "Path": "/outputs"}]
    job_id = cluster.submit(job)
    cluster.sandbox.clock.advance(2)
    (item,) = cluster.ask(f"/orchestrator/jobs/{job_id}/results")[1]["Items"]
    with urllib.request.urlopen(item["Params"]["PreSignedURL"], timeout=10) as reply:
        archive = tarfile.open(fileobj=io.BytesIO(reply.read()))  # noqa: SIM115
    names = archive.getnames()
    assert names.index("outputs") < names.index("outputs/a.txt")
    files = {name: archive.extractfile(name) for name in names}
    contents = {name: file.read() for name, file in files.items() if file is not None}
    assert contents == {
        "stdout": b"shown\n", "stderr": b"", "exitCode": b"0", "outputs/a.txt": b"42\n43\n",
    }  # fmt: skip


def test_the_history_is_followed_by_its_token_until_the_job_is_over(cluster: Orchestrator) -> None:
    """Bacalhau's client ends when a page has no token."""
    job_id = cluster.submit(echo("sleep", "30"))
    path = f"/orchestrator/jobs/{job_id}/history?limit=2"
    first = cluster.ask(path)[1]
    rest = cluster.ask(f"{path}&next_token={first['NextToken']}")[1]
    nothing = cluster.ask(f"{path}&next_token={rest['NextToken']}")[1]
    assert [len(page["Items"]) for page in (first, rest, nothing)] == [2, 2, 0]
    assert nothing["NextToken"]
    cluster.sandbox.clock.advance(30)
    last = cluster.ask(f"{path}&next_token={nothing['NextToken']}")[1]
    assert [event["Event"]["Message"] for event in last["Items"]] == ["Completed successfully", "Completed"]
    assert last["NextToken"] == ""
    assert len(cluster.ask(f"/orchestrator/jobs/{job_id}/history?event_type=job")[1]["Items"]) == 3
    assert cluster.ask(f"{path}&next_token=x")[0] == 400


def test_a_job_runs_again_as_a_new_version(cluster: Orchestrator) -> None:
    job_id = cluster.submit(echo("echo", "again"))
    cluster.sandbox.clock.advance(2)
    status, answer = cluster.ask(f"/orchestrator/jobs/{job_id}/rerun", method="PUT", body={})
    assert (status, answer["JobID"], answer["JobVersion"]) == (200, job_id, 2)
    assert cluster.job(job_id)["State"] == {"StateType": "Running"}
    cluster.sandbox.clock.advance(2)
    assert cluster.job(job_id)["Version"] == 2
    assert [row["JobVersion"] for row in cluster.executions(job_id)] == [1, 2]
    assert len(cluster.ask(f"/orchestrator/jobs/{job_id}/results")[1]["Items"]) == 1


def test_a_job_that_waits_does_not_run_again(cluster: Orchestrator) -> None:
    waits = echo("echo", Count=9)
    waits["Tasks"][0]["Timeouts"] = {"QueueTimeout": 600}
    job_id = cluster.submit(waits)
    status, answer = cluster.ask(f"/orchestrator/jobs/{job_id}/rerun", method="PUT", body={})
    assert (status, answer["Message"]) == (500, "cannot rerun job in state Queued")


def test_jobs_are_listed_by_label(cluster: Orchestrator) -> None:
    cluster.submit(echo("echo", name="one", Labels={"team": "a"}))
    cluster.submit(echo("echo", name="two"))
    listed = cluster.ask("/orchestrator/jobs?labels=team%3Da")[1]["Items"]
    assert [job["Name"] for job in listed] == ["one"]
