"""`smoke-test`: real command lines against a stand-in orchestrator that takes jobs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from bacalhau_spot.core.model import Naming
from bacalhau_spot.instance.bacalhau_config import label_value
from support.cli_runner import CliResult, CliRunner
from support.orchestrator import StandIn, cluster_node, execution, job_state, node, stand_in
from support.planted_secrets import API_KEY
from support.schemas import contract

CLUSTER = label_value(Naming().tag_value)
FIRST, SECOND, GONE = (f"i-0aaaaaaaaaaaaaaa{number}" for number in (1, 2, 3))


@pytest.fixture
def server() -> Iterator[StandIn]:
    with stand_in() as here:
        here.authorization = f"Bearer {API_KEY}"
        here.nodes = [
            cluster_node(FIRST, region="us-west-2", cluster=CLUSTER, connected=True),
            cluster_node(SECOND, region="eu-west-1", cluster=CLUSTER, connected=True),
            cluster_node("i-0aaaaaaaaaaaaaaa9", cluster="another", connected=True),
            node("somebody-elses"),
        ]
        yield here


@pytest.fixture
def user(program: CliRunner, server: StandIn) -> CliRunner:
    program.configure(nodes=2, more=f"  api: {{host: '{server.url}', key_env: ORCH}}\n")
    program.environ["ORCH"] = API_KEY
    return program


def constraints(server: StandIn) -> list[str]:
    return sorted(job["Constraints"][0]["Values"][0] for job in server.jobs.values())


def outcomes(result: CliResult) -> dict[str, str]:
    return {node["instance_id"]: node["outcome"] for node in result.data["nodes"]}


def test_a_job_for_every_joined_node_of_the_cluster_and_no_other(user: CliRunner, server: StandIn) -> None:
    result = user("smoke-test", "-o", "json")
    assert (result.code, outcomes(result)) == (0, {FIRST: "ran", SECOND: "ran"})
    contract("smoke-test", result.data)
    assert {node["seconds"] for node in result.data["nodes"]} == {1.5}
    assert constraints(server) == [FIRST, SECOND] and server.stopped == []
    assert {job["Tasks"][0]["Engine"]["Params"]["Image"] for job in server.jobs.values()} == {"busybox:1.37"}
    assert len({job["Name"] for job in server.jobs.values()}) == 2, (
        "a job of the same name would replace the other"
    )


def test_for_people(user: CliRunner, server: StandIn) -> None:
    """A row a node, the total, and the next steps; the progress is a line a node on stderr."""
    result = user("smoke-test", "--image", "mirror/tiny:1")
    assert result.code == 0
    rows = [line.split() for line in result.stdout.splitlines()]
    assert ["us-west-2", f"bacalhau-{FIRST}", "ran", "1.5"] in rows
    assert "the job ran on 2 of 2 joined nodes" in result.stdout
    assert 'next: eval "$(bacalhau-spot env)"' in result.stdout
    assert f"us-west-2: bacalhau-{FIRST} ran in 1.5 s" in result.stderr
    assert {job["Tasks"][0]["Engine"]["Params"]["Image"] for job in server.jobs.values()} == {"mirror/tiny:1"}


def test_a_stream_has_an_event_a_node(user: CliRunner) -> None:
    lines = [json.loads(line) for line in user("smoke-test", "-o", "ndjson").stdout.splitlines()]
    assert [line["event"] for line in lines] == [
        *["smoke-test-started"] * 2,
        *["node-tested"] * 2,
        "result",
    ]


def test_one_node_that_fails_is_named_with_its_reason(user: CliRunner, server: StandIn) -> None:
    def plays(job: dict[str, Any], name: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        if name.endswith(SECOND):
            return job_state(job, "Running"), [
                execution(job, node=name, state=10, message="pull access denied")
            ]
        return job_state(job, "Completed"), [execution(job, node=name, state=9)]

    server.plays = plays
    result = user("smoke-test")
    assert result.code == 1
    assert "pull access denied" in result.stdout and "the job ran on 1 of 2 joined nodes" in result.stdout
    assert f"bacalhau-spot console {SECOND}" in result.stdout
    assert "next: " not in result.stdout
    # Bacalhau would try again.
    assert [server.jobs[job]["Constraints"][0]["Values"] for job in server.stopped] == [[SECOND]]


def test_a_node_that_does_not_begin_in_time(user: CliRunner, server: StandIn) -> None:
    """The node's own line in the orchestrator's message; the jobs are stopped. The sandbox's clock does the waiting."""
    busy = f"not enough nodes.\n• Node bacalhau-{FIRST}: node busy with available capacity {{CPU: 0.00}}"
    server.plays = lambda job, _: (job_state(job, "Queued", busy), [])
    result = user("smoke-test", "--timeout", "7", "-o", "json")
    assert (result.code, set(outcomes(result).values())) == (1, {"not-started"})
    details = {node["instance_id"]: node["detail"] for node in result.data["nodes"]}
    assert details[FIRST] == "did not start within 7 s: node busy with available capacity {CPU: 0.00}"
    assert sorted(server.stopped) == sorted(server.jobs)
    (timeouts,) = {json.dumps(job["Tasks"][0]["Timeouts"]) for job in server.jobs.values()}
    assert json.loads(timeouts)["QueueTimeout"] == 7


def test_without_a_registry_there_is_wasm(user: CliRunner, server: StandIn) -> None:
    server.nodes = [cluster_node(FIRST, cluster=CLUSTER, connected=True)]
    server.nodes[0]["Info"]["ComputeNodeInfo"]["ExecutionEngines"] = ["wasm"]
    refused = user("smoke-test")
    assert (
        refused.code == 1
        and "offers wasm, not docker" in refused.stdout
        and "--engine wasm" in refused.stdout
    )
    assert server.jobs == {}
    assert user("smoke-test", "--engine", "wasm").code == 0
    assert [job["Tasks"][0]["Engine"]["Type"] for job in server.jobs.values()] == ["wasm"]


def test_nodes_that_have_not_joined_are_named(user: CliRunner, server: StandIn) -> None:
    server.nodes.append(cluster_node(GONE, cluster=CLUSTER, connected=False))
    result = user("smoke-test")
    assert result.code == 0 and f"not tested, because not joined: bacalhau-{GONE}" in result.stdout
    document = user("smoke-test", "-o", "json")
    assert document.data["not_joined"] == [f"bacalhau-{GONE}"] and document.envelope["warnings"]


def test_without_a_joined_node_there_is_nothing_to_test(user: CliRunner, server: StandIn) -> None:
    server.nodes = [cluster_node(GONE, cluster=CLUSTER, connected=False)]
    result = user("smoke-test")
    assert result.code == 1 and "has joined" in result.stderr and "bacalhau-spot status" in result.stderr
    assert server.jobs == {}


def test_a_key_that_may_only_read_nodes(user: CliRunner, server: StandIn) -> None:
    server.read_only = True
    result = user("smoke-test")
    assert result.code == 4
    assert "write:job" in result.stderr and "read:job" in result.stderr
    assert "bacalhau-spot explain orchestrator-job-forbidden" in result.stderr
    assert user("explain", "orchestrator-job-forbidden").code == 0


def test_a_job_that_the_orchestrator_rejects(user: CliRunner, server: StandIn) -> None:
    server.rejects = "invalid image reference"
    result = user("smoke-test", "--image", "???")
    assert result.code == 2 and "invalid image reference" in result.stderr


def test_an_orchestrator_that_does_not_answer(user: CliRunner) -> None:
    user.configure(nodes=1, more="  api: {host: 'http://127.0.0.1:9', key_env: ORCH}\n")
    result = user("smoke-test")
    assert result.code == 1 and "cannot be reached" in result.stderr


@pytest.mark.parametrize("option", [["--timeout", "0"], ["--engine", "podman"]])
def test_mistakes(user: CliRunner, server: StandIn, option: list[str]) -> None:
    assert user("smoke-test", *option).code == 2
    assert server.jobs == {}


def test_without_an_api(user: CliRunner) -> None:
    user.configure(nodes=1)
    result = user("smoke-test")
    assert result.code == 2 and "smoke-test needs the orchestrator's API" in result.stderr
    assert user("prune", "--yes").code == 2
