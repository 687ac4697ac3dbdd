"""The policies of `destroy` and `nuke` for a managed orchestrator: every call is allowed, and no more than needed."""

from __future__ import annotations

from typing import Any

import pytest

from bacalhau_spot.core.iam.policy import actions_of
from cli.test_destroy_orchestrator import BUCKET, CREATE, HOME, buckets, configure, lines, put
from cli.test_managed_life import SandboxClock
from iam.test_enforced import policy, refusals, without
from support.cli_runner import CliRunner

# Each deletion of a part of the orchestrator, and of its results.
NEEDED = {
    "ec2:ReleaseAddress",
    "ec2:TerminateInstances",
    "iam:DeleteInstanceProfile",
    "iam:DeleteRole",
    "s3:AbortMultipartUpload",
    "s3:DeleteBucket",
    "s3:DeleteObjectVersion",
    "s3:GetBucketTagging",
    "s3:ListBucketMultipartUploads",
    "s3:ListBucketVersions",
    "ssm:DeleteParameters",
}


@pytest.fixture(autouse=True)
def clock(program: CliRunner, sandbox: Any) -> None:
    program.clock = SandboxClock(sandbox)


def checked(sandbox: Any) -> set[str]:
    return {action for _, _, action in sandbox.world.evaluated}


@pytest.mark.parametrize(("command", "confirmed"), [("destroy", "--yes"), ("nuke", "--force")])
def test_the_policy_suffices(sandbox: Any, program: CliRunner, command: str, confirmed: str) -> None:
    configure(program)
    assert program(*CREATE).code == 0
    put(sandbox)
    sandbox.client("s3", HOME).create_multipart_upload(Bucket=BUCKET, Key="jobs/unfinished")
    sandbox.world.evaluated.clear()
    sandbox.settings.policies = policy(program, command)
    kept = program(command, confirmed)
    assert (kept.code, refusals(sandbox)) == (0, []), kept.stderr[-2000:]
    whole = program(command, confirmed, "--delete-results")
    assert (whole.code, refusals(sandbox)) == (0, []), whole.stderr[-2000:]
    sandbox.settings.policies = []
    assert buckets(sandbox) == []
    allowed = set(actions_of(policy(program, command)))
    assert checked(sandbox) <= allowed
    assert checked(sandbox) >= NEEDED
    reads_credentials = "ssm:GetParameter"
    assert (reads_credentials in allowed) == (reads_credentials in checked(sandbox)) == (command == "destroy")


def test_another_accounts_bucket_of_that_name_is_no_hindrance(sandbox: Any, program: CliRunner) -> None:
    """AWS refuses to show its tags, and does not list it among the account's buckets: both calls are allowed."""
    configure(program)
    sandbox.settings.taken_buckets = [BUCKET]
    sandbox.settings.policies = policy(program, "destroy")
    sandbox.world.evaluated.clear()
    destroyed = program("destroy", "--yes")
    assert destroyed.code == 0, lines(destroyed)
    assert "not scanned" not in lines(destroyed)
    assert checked(sandbox) >= {"s3:GetBucketTagging", "s3:ListAllMyBuckets"}


@pytest.mark.parametrize("denied", [("s3:GetBucketTagging",), ("s3:GetBucketTagging", "s3:ListAllMyBuckets")])
def test_an_own_bucket_with_unreadable_tags_is_a_failure(
    sandbox: Any, program: CliRunner, denied: tuple[str, ...]
) -> None:
    configure(program)
    s3 = sandbox.client("s3", HOME)
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": HOME})
    sandbox.settings.policies = without(policy(program, "destroy"), *denied)
    refused = program("destroy", "--yes")
    assert (refused.code, "s3:GetBucketTagging" in lines(refused)) == (5, True), lines(refused)


def test_without_its_credentials_destroy_shows_other_clusters(sandbox: Any, program: CliRunner) -> None:
    configure(program)
    assert program(*CREATE).code == 0
    configure(program, "none", "cluster: {tag_value: guest}\n")
    assert program("create", "--yes", "--without-orchestrator").code == 0
    configure(program)
    sandbox.settings.policies = without(policy(program, "destroy"), "ssm:GetParameter")
    shown = program("destroy", "--dry-run")
    assert shown.code == 0
    assert "it does not answer; other clusters may use it: guest (1 node)" in lines(shown)


def test_results_that_may_not_be_listed_stay(sandbox: Any, program: CliRunner) -> None:
    """Nothing is deleted uncounted; the error names the action."""
    configure(program)
    assert program(*CREATE).code == 0
    put(sandbox)
    sandbox.settings.policies = without(policy(program, "destroy"), "s3:ListBucketVersions")
    result = program("destroy", "--yes", "--delete-results")
    assert (result.code, "s3:ListBucketVersions" in lines(result)) == (4, True), lines(result)
    sandbox.settings.policies = []
    assert buckets(sandbox) == [BUCKET]
    assert program("destroy", "--yes", "--delete-results").code == 0
    assert buckets(sandbox) == []
