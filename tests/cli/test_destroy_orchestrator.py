"""`destroy` with a managed orchestrator: it is named first, goes last, and leaves job results to the user."""

from __future__ import annotations

from typing import Any

import pytest

from cli.test_managed_life import SandboxClock
from support.cli_runner import CliResult, CliRunner

HOME = "us-west-1"  # it has two zones: few subnets
BUCKET = "bacalhau-results-14f543f3-000000000000-us-west-1"
CREATE = ("create", "--yes", "--wait", "joined")


def configure(program: CliRunner, orchestrator: str = "managed", more: str = "") -> None:
    path = program.configure(nodes=1, regions=f"[{HOME}]")
    nodes, _, _ = path.read_text().partition("bacalhau:")
    nodes = nodes.replace("192.0.2.0/24", "52.94.76.1/32")  # the address of the sandbox's operator
    path.write_text(f"{nodes}orchestrator: {orchestrator}\n{more}")


@pytest.fixture(autouse=True)
def clock(program: CliRunner, sandbox: Any) -> None:
    program.clock = SandboxClock(sandbox)


@pytest.fixture
def cluster(program: CliRunner) -> CliRunner:
    """One node and its orchestrator."""
    configure(program)
    created = program(*CREATE)
    assert created.code == 0, created.stderr[-3000:]
    return program


def put(sandbox: Any, key: str = "jobs/one", body: bytes = b"x" * 2048) -> None:
    sandbox.client("s3", HOME).put_object(Bucket=BUCKET, Key=key, Body=body)


def buckets(sandbox: Any) -> list[str]:
    return [row["Name"] for row in sandbox.client("s3", HOME).list_buckets()["Buckets"]]


def lines(result: CliResult) -> str:
    """Both streams, without the folding of a narrow screen."""
    return " ".join((result.stderr + result.stdout).split())


def test_the_preview_names_the_orchestrator_and_the_clusters_that_use_it(
    sandbox: Any, cluster: CliRunner
) -> None:
    configure(cluster, "{cluster: bacalhau-aws-spot}", "cluster: {tag_value: guest}\n")
    assert cluster(*CREATE).code == 0
    configure(cluster)
    shown = cluster("destroy", "--dry-run")
    assert "is deleted after the nodes, with its jobs and its keys" in lines(shown)
    assert "other clusters use it, and their nodes receive no more jobs: guest (1 node)" in lines(shown)
    data = cluster("destroy", "--dry-run", "-o", "json").data
    assert data["orchestrator"]["users"] == [{"cluster": "guest", "nodes": 1}]
    assert data["orchestrator"]["certain"] is True
    (instance,) = data["orchestrator"]["instances"]
    assert instance in {resource["id"] for resource in data["to_delete"]}


def test_without_an_answer_awss_list_of_other_clusters_is_shown(sandbox: Any, cluster: CliRunner) -> None:
    configure(cluster, "none", "cluster: {tag_value: guest}\n")
    assert cluster("create", "--yes", "--without-orchestrator").code == 0
    configure(cluster)
    sandbox.client("ssm", HOME).delete_parameter(
        Name="/bacalhau-spot/bacalhau-aws-spot-14f543f3/orchestrator"
    )
    shown = lines(cluster("destroy", "--dry-run"))
    assert "it does not answer; other clusters may use it: guest (1 node)" in shown


def test_a_guests_destroy_leaves_the_orchestrator(sandbox: Any, cluster: CliRunner) -> None:
    """The guest's nodes are removed from its list of nodes."""
    configure(cluster, "{cluster: bacalhau-aws-spot}", "cluster: {tag_value: guest}\n")
    assert cluster(*CREATE).code == 0
    destroyed = cluster("destroy", "--yes", "-o", "json")
    assert destroyed.code == 0
    assert destroyed.data["orchestrator"]["removed"] != []
    assert {row["kind"] for row in destroyed.data["outcomes"]}.isdisjoint(
        {"bucket", "parameter", "elastic-ip"}
    )
    configure(cluster)
    assert cluster("destroy", "--dry-run", "-o", "json").data["orchestrator"]["users"] == []
    assert BUCKET in buckets(sandbox)


def test_results_stay_until_the_user_allows_their_deletion(sandbox: Any, cluster: CliRunner) -> None:
    put(sandbox)
    shown = cluster("destroy", "--dry-run")
    said = f"job results stay: 1 object, 2.0 KiB in bucket {BUCKET} in {HOME}"
    assert said in lines(shown)
    assert "to delete them: bacalhau-spot destroy --delete-results" in lines(shown)
    assert lines(shown).count("job results") == 1, "the tag index and its name lead to the same bucket"
    kept = cluster("destroy", "--yes")
    assert kept.code == 0
    assert said in lines(kept)
    assert "to delete them: bacalhau-spot destroy --delete-results" in lines(kept)
    assert ", except 1 bucket with job results" in lines(kept)
    assert buckets(sandbox) == [BUCKET]
    again = cluster("destroy", "--yes", "-o", "json")
    assert again.code == 0
    assert again.data["results"] == [
        {
            "bucket": BUCKET,
            "region": HOME,
            "objects": 1,
            "size_bytes": 2048,
            "complete": True,
            "deleted": False,
            "delete_command": "bacalhau-spot destroy --delete-results",
        }
    ]
    last = cluster("destroy", "--yes", "--delete-results")
    assert last.code == 0
    assert f"job results are deleted: 1 object, 2.0 KiB in bucket {BUCKET} in {HOME}" in lines(last)
    assert lines(last).count("job results") == 1
    assert buckets(sandbox) == []
    assert "verified: nothing with" in lines(last)


def test_another_clusters_command_names_it(sandbox: Any, cluster: CliRunner) -> None:
    put(sandbox)
    configure(cluster, "none", "cluster: {tag_value: guest}\n")
    line = ("destroy", "--cluster", "bacalhau-aws-spot")
    data = cluster(*line, "--dry-run", "-o", "json").data
    kept = lines(cluster(*line, "--yes"))
    assert data["results"][0]["delete_command"] in kept
    assert "to delete them: bacalhau-spot destroy --cluster bacalhau-aws-spot --delete-results" in kept
    assert buckets(sandbox) == [BUCKET]


def test_results_are_not_deleted_without_the_clusters_name(sandbox: Any, cluster: CliRunner) -> None:
    """Nodes are gone, the question is about results alone: a `y` is not enough."""
    put(sandbox)
    assert cluster("destroy", "--yes").code == 0
    assert cluster("destroy", "--delete-results").code == 3
    assert cluster("destroy", "--delete-results", answers="y\n").code == 3
    assert buckets(sandbox) == [BUCKET]
    assert cluster("destroy", "--delete-results", answers="bacalhau-aws-spot\n").code == 0
    assert buckets(sandbox) == []


def test_an_orchestrator_without_nodes_is_no_small_matter(sandbox: Any, program: CliRunner) -> None:
    """Its jobs and keys are lost: the question asks for the cluster's name, too, and does not call it a node."""
    configure(program)
    assert program(*CREATE).code == 0
    (node,) = program("list", "-o", "json").data["instances"]
    sandbox.client("ec2", HOME).terminate_instances(InstanceIds=[node["id"]])
    sandbox.clock.advance(4000)
    refused = program("destroy", answers="y\n")
    assert refused.code == 3
    assert "running node" not in lines(refused)


def test_a_bucket_that_the_tag_index_omits_is_found(sandbox: Any, program: CliRunner) -> None:
    """The tagging API lags for hours; the bucket's name follows from cluster, account and region."""
    sandbox.settings.hidden_in_tags = ["bucket"]
    configure(program)
    assert program(*CREATE).code == 0
    assert buckets(sandbox) == [BUCKET]
    assert program("destroy", "--yes").code == 0
    assert buckets(sandbox) == []
