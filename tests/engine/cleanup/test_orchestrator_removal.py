"""A managed orchestrator goes last and whole; job results stay unless the user allows their deletion."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from bacalhau_spot.cloud.aws import Aws
from bacalhau_spot.cloud.cloud_error import CloudError
from bacalhau_spot.core.cleanup.deletion_result import DeletionStatus
from bacalhau_spot.core.cleanup.orchestrator_loss import BucketContents, OrchestratorLoss
from bacalhau_spot.core.kinds import ResourceKind
from bacalhau_spot.core.model import OrchestratorMode, OrchestratorSpec
from bacalhau_spot.core.tags import cluster_scope, orchestrator_role_name
from bacalhau_spot.engine.cleanup.job_results import orchestrator_loss
from bacalhau_spot.errors import ExitCode
from support.account_snapshot import account_snapshot
from support.killed_process import is_read
from support.long_tests import sample
from support.orchestrated_cluster import (
    BUCKET,
    HOME,
    REGIONS,
    SPEC,
    Call,
    calls_of,
    create_cluster,
    destroy_cluster,
    intercepted,
    killed,
    of_cluster,
    recorded,
)


def put(sandbox: Any, key: str = "jobs/one", body: bytes = b"result", *, bucket: str = BUCKET) -> None:
    sandbox.client("s3", HOME).put_object(Bucket=bucket, Key=key, Body=body)


def snapshot(sandbox: Any) -> dict[str, str]:
    return account_snapshot(sandbox.client, REGIONS)


def orchestrator_of(sandbox: Any, *, name: str = SPEC.naming.tag_value) -> str:
    reply = sandbox.client("ec2", HOME).describe_instances(
        Filters=[
            {"Name": "tag:BacalhauRole", "Values": ["orchestrator"]},
            {"Name": f"tag:{SPEC.naming.tag_key}", "Values": [name]},
            {"Name": "instance-state-name", "Values": ["running"]},
        ]
    )
    (reservation,) = reply["Reservations"]
    instance_id: str = reservation["Instances"][0]["InstanceId"]
    return instance_id


def test_nothing_of_it_is_left(cloud: Aws, sandbox: Any) -> None:
    """Instance, address, volume, group, parameter, bucket, profile and role."""
    before = snapshot(sandbox)
    create_cluster(cloud, sandbox)
    result = destroy_cluster(cloud, sandbox)
    assert result.exit_code is ExitCode.DONE and result.kept_results == ()
    kinds = {outcome.resource.kind for outcome in result.outcomes if outcome.status == DeletionStatus.DELETED}
    assert kinds >= {
        ResourceKind.INSTANCE,
        ResourceKind.ADDRESS,
        ResourceKind.VOLUME,
        ResourceKind.GROUP,
        ResourceKind.PARAMETER,
        ResourceKind.BUCKET,
        ResourceKind.PROFILE,
        ResourceKind.ROLE,
    }
    assert snapshot(sandbox) == before


def test_it_is_terminated_when_no_node_is_left_in_any_region(cloud: Aws, sandbox: Any) -> None:
    create_cluster(cloud, sandbox)
    orchestrator = orchestrator_of(sandbox)
    states: list[str] = []

    def watch(call: Call) -> None:
        if call[2] == "terminate_instances" and orchestrator in call[3]["InstanceIds"]:
            states.extend(state for instance, state in states_now(sandbox) if instance != orchestrator)

    with intercepted(cloud, watch):
        destroy_cluster(cloud, sandbox)
    assert states == ["terminated", "terminated"]


def states_now(sandbox: Any) -> list[tuple[str, str]]:
    return [
        (instance["InstanceId"], instance["State"]["Name"])
        for name in REGIONS
        for reservation in sandbox.client("ec2", name).describe_instances()["Reservations"]
        for instance in reservation["Instances"]
    ]


def test_results_stay_with_their_tags(cloud: Aws, sandbox: Any) -> None:
    before = snapshot(sandbox)
    create_cluster(cloud, sandbox)
    put(sandbox, "jobs/one", b"x" * 1500)
    put(sandbox, "jobs/two", b"y" * 600)
    with recorded(cloud) as calls:
        result = destroy_cluster(cloud, sandbox)
    assert result.exit_code is ExitCode.DONE and result.remaining == ()
    (kept,) = result.kept_results
    assert kept.resource.id == BUCKET
    assert (kept.contents.objects, kept.contents.size_bytes, kept.deleted) == (2, 2100, False)
    assert kept.contents.text == "2 objects, 2.1 KiB"
    after = snapshot(sandbox)
    assert set(after) - set(before) == {f"{HOME} bucket {BUCKET}"}
    assert SPEC.naming.tag_value in after[f"{HOME} bucket {BUCKET}"]
    assert not {operation for _, _, operation, _ in calls} & {"delete_objects", "delete_bucket"}


def test_results_stay_in_a_bucket_without_the_role_tag(cloud: Aws, sandbox: Any) -> None:
    """PutBucketTagging replaces all tags. Those of the cluster are enough for a deletion, but not without permission."""
    create_cluster(cloud, sandbox)
    put(sandbox)
    s3 = sandbox.client("s3", HOME)
    tags = s3.get_bucket_tagging(Bucket=BUCKET)["TagSet"]
    rest = [tag for tag in tags if tag["Key"] != "BacalhauRole"]
    assert len(rest) == len(tags) - 1
    s3.put_bucket_tagging(Bucket=BUCKET, Tagging={"TagSet": rest})
    result = destroy_cluster(cloud, sandbox)
    assert result.exit_code is ExitCode.DONE
    assert [bucket.contents.objects for bucket in result.kept_results] == [1]
    assert s3.get_object(Bucket=BUCKET, Key="jobs/one")["Body"].read() == b"result"
    assert [
        outcome.resource.id for outcome in destroy_cluster(cloud, sandbox, delete_results=True).deleted
    ] == [BUCKET]


def test_a_later_destroy_deletes_the_results(cloud: Aws, sandbox: Any) -> None:
    """The tags of the retained bucket are enough; all versions, delete markers and unfinished uploads go with it."""
    before = snapshot(sandbox)
    create_cluster(cloud, sandbox)
    s3 = sandbox.client("s3", HOME)
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    for body in (b"first", b"second"):
        put(sandbox, "jobs/one", body)
    put(sandbox, "jobs/gone")
    s3.delete_object(Bucket=BUCKET, Key="jobs/gone")
    s3.create_multipart_upload(Bucket=BUCKET, Key="jobs/unfinished")
    first = destroy_cluster(cloud, sandbox)
    assert first.kept_results[0].contents.objects == 3, "versions count, markers do not"
    again = destroy_cluster(cloud, sandbox)
    assert again.exit_code is ExitCode.DONE and len(again.kept_results) == 1
    last = destroy_cluster(cloud, sandbox, delete_results=True)
    assert last.exit_code is ExitCode.DONE and last.kept_results == ()
    assert [outcome.resource.id for outcome in last.deleted] == [BUCKET]
    assert snapshot(sandbox) == before


def test_a_bucket_with_delete_markers_alone_is_empty(cloud: Aws, sandbox: Any) -> None:
    before = snapshot(sandbox)
    create_cluster(cloud, sandbox)
    s3 = sandbox.client("s3", HOME)
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    s3.delete_object(Bucket=BUCKET, Key="jobs/never")
    assert destroy_cluster(cloud, sandbox).kept_results == ()
    assert snapshot(sandbox) == before


def test_a_result_that_arrives_during_the_deletion_stays(cloud: Aws, sandbox: Any) -> None:
    """A node publishes until it is terminated."""
    create_cluster(cloud, sandbox)

    def publish(call: Call) -> None:
        if call[2] == "delete_bucket":
            put(sandbox, "jobs/late")

    with intercepted(cloud, publish):
        result = destroy_cluster(cloud, sandbox)
    assert result.exit_code is ExitCode.DONE
    assert [bucket.contents.objects for bucket in result.kept_results] == [1]
    assert f"{HOME} bucket {BUCKET}" in snapshot(sandbox)


def test_an_unreadable_bucket_stays_and_is_a_failure(cloud: Aws, sandbox: Any) -> None:
    """Its objects cannot be counted, so nothing is deleted silently."""
    create_cluster(cloud, sandbox)
    put(sandbox)

    def refuse(call: Call) -> None:
        if call[2] == "list_object_versions":
            raise CloudError("AccessDenied", "no", operation="ListObjectVersions", region=HOME)

    with intercepted(cloud, refuse):
        result = destroy_cluster(cloud, sandbox, delete_results=True)
    assert result.exit_code is ExitCode.DENIED
    role = orchestrator_role_name(SPEC.naming)
    assert [resource.id for resource in result.remaining] == [BUCKET, role, role]
    assert result.problems[0].operation == "ListObjectVersions"


def test_another_clusters_orchestrator_stays(cloud: Aws, sandbox: Any) -> None:
    """Also a bucket with a similar name, an address and a volume without the tag."""
    create_cluster(cloud, sandbox, of_cluster("other"))
    ec2, s3 = sandbox.client("ec2", HOME), sandbox.client("s3", HOME)
    s3.create_bucket(Bucket=f"{BUCKET}-copy", CreateBucketConfiguration={"LocationConstraint": HOME})
    put(sandbox, bucket=f"{BUCKET}-copy")
    ec2.allocate_address(Domain="vpc")
    ec2.create_volume(AvailabilityZone=f"{HOME}a", Size=20, VolumeType="gp3")
    sandbox.clock.sleep(60)
    before = snapshot(sandbox)
    create_cluster(cloud, sandbox)
    assert destroy_cluster(cloud, sandbox, delete_results=True).exit_code is ExitCode.DONE
    assert snapshot(sandbox) == before
    assert orchestrator_of(sandbox, name="other")


# --- Interrupted


MOST_CHANGES = 40
# Before the n-th change: after those before it, whose answers count as lost.
KILLS = sample([(at, lag_s) for at in range(1, MOST_CHANGES + 1) for lag_s in (0.0, 4.0)], every=41)


@pytest.mark.parametrize(("at", "lag_s"), KILLS)
def test_a_killed_destroy_is_finished_by_the_next(cloud: Aws, sandbox: Any, at: int, lag_s: float) -> None:
    before = snapshot(sandbox)
    create_cluster(cloud, sandbox)
    put(sandbox)
    sandbox.clock.sleep(60)
    sandbox.world.settings.read_lag_s = lag_s
    with killed(cloud, at=at):
        destroy_cluster(cloud, sandbox, delete_results=True)
    result = destroy_cluster(cloud, sandbox, delete_results=True)
    assert result.exit_code is ExitCode.DONE, [
        outcome for outcome in result.outcomes if outcome.status not in {"deleted", "already gone"}
    ]
    sandbox.world.settings.read_lag_s = 0.0
    assert snapshot(sandbox) == before


CREATE_KILLS = sample([(at, lag_s) for at in range(1, 34) for lag_s in (0.0, 4.0)], every=41)


@pytest.mark.parametrize(("at", "lag_s"), CREATE_KILLS)
def test_destroy_leaves_nothing_of_a_killed_create(cloud: Aws, sandbox: Any, at: int, lag_s: float) -> None:
    """Whatever exists carries the tag, or has a name that follows from it."""
    before = snapshot(sandbox)
    sandbox.world.settings.read_lag_s = lag_s
    with killed(cloud, at=at):
        create_cluster(cloud, sandbox)
    result = destroy_cluster(cloud, sandbox)
    assert result.exit_code is ExitCode.DONE, [
        outcome for outcome in result.outcomes if outcome.status not in {"deleted", "already gone"}
    ]
    sandbox.world.settings.read_lag_s = 0.0
    assert snapshot(sandbox) == before


def test_the_kills_reach_every_change(cloud: Aws, sandbox: Any) -> None:
    create_cluster(cloud, sandbox)
    put(sandbox)
    with recorded(cloud) as calls:
        destroy_cluster(cloud, sandbox, delete_results=True)
    changes = [operation for _, _, operation, _ in calls if not is_read(operation)]
    assert 20 <= len(changes) <= MOST_CHANGES, changes


def test_contents_in_words() -> None:
    assert BucketContents(1, 1).text == "1 object, 1 byte"
    assert (
        BucketContents(10_000, 3 * 1024**3, complete=False).text
        == "more than 10000 objects, more than 3.0 GiB"
    )


def test_a_cluster_with_an_orchestrator_of_its_own_uses_no_other(cloud: Aws, sandbox: Any) -> None:
    """Without the orchestrator's answer, AWS's instances are all that is known."""
    create_cluster(cloud, sandbox)
    create_cluster(cloud, sandbox, of_cluster("independent"))
    guest = of_cluster("guest")
    create_cluster(cloud, sandbox, replace(guest, orchestrator=OrchestratorSpec(OrchestratorMode.OWN)))

    async def loss() -> OrchestratorLoss:
        calls = calls_of(cloud, sandbox)
        ours = await cloud.find(HOME, ResourceKind.INSTANCE, cluster_scope(SPEC.naming))
        return await orchestrator_loss(
            calls, ours, None, naming=SPEC.naming, label=SPEC.name, regions=REGIONS
        )

    found = asyncio.run(loss())
    assert [resource.id for resource in found.instances] == [orchestrator_of(sandbox)]
    assert (found.users, found.certain) == ({"guest": 2}, False)
