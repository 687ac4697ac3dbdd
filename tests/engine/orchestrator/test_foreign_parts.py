"""Resources of others that have the names of the orchestrator's parts: never used, never changed."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from bacalhau_spot.cloud.aws import Aws
from bacalhau_spot.core.orchestrator.credentials import OrchestratorCredentials
from bacalhau_spot.core.tags import iam_path, orchestrator_parameter, orchestrator_role_name, results_bucket
from bacalhau_spot.errors import UserError
from bacalhau_spot.orchestrator.certificates import new_credentials
from engine.orchestrator.test_managed import (
    HOME,
    KEY,
    ONE_OF_EACH,
    SPEC,
    VALUE,
    calls_of,
    create_once,
    created,
    existing,
)

ROLE = orchestrator_role_name(SPEC.naming)
TAGS = [{"Key": KEY, "Value": VALUE}]
OTHER_TAGS = [{"Key": KEY, "Value": "other"}]
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"AWS": "arn:aws:iam::000000000000:root"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
)


def refusal_of_create(cloud: Aws, sandbox: Any) -> UserError:
    """The error of a create that creates nothing."""
    with pytest.raises(UserError) as error:
        asyncio.run(created(calls_of(cloud, sandbox)))
    there = asyncio.run(existing(cloud))
    assert set(there.counts.values()) == {0} and there.nodes == () and there.value is None
    assert sandbox.client("ec2", HOME).describe_launch_templates()["LaunchTemplates"] == []
    return error.value


@pytest.mark.parametrize("tags", [[], OTHER_TAGS])
def test_a_foreign_role_is_refused_and_keeps_its_policies(cloud: Aws, sandbox: Any, tags: list[Any]) -> None:
    iam = sandbox.client("iam")
    iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument=TRUST, Tags=tags)
    error = refusal_of_create(cloud, sandbox)
    assert f"the IAM role {ROLE} exists and does not have the tag {KEY}={VALUE}" in error.what
    assert "cluster.tag_value" in error.hint
    assert iam.list_role_policies(RoleName=ROLE)["PolicyNames"] == []
    iam.tag_role(RoleName=ROLE, Tags=TAGS)
    create_once(cloud, sandbox)
    assert asyncio.run(existing(cloud)).counts == ONE_OF_EACH


def test_a_foreign_instance_profile_is_refused(cloud: Aws, sandbox: Any) -> None:
    iam = sandbox.client("iam")
    iam.create_instance_profile(InstanceProfileName=ROLE)
    error = refusal_of_create(cloud, sandbox)
    assert f"the IAM instance profile {ROLE} exists and does not have the tag" in error.what
    assert iam.get_instance_profile(InstanceProfileName=ROLE)["InstanceProfile"]["Roles"] == []


def test_a_profile_with_another_role_is_refused(cloud: Aws, sandbox: Any) -> None:
    iam = sandbox.client("iam")
    iam.create_role(RoleName="theirs-admin", AssumeRolePolicyDocument=TRUST)
    iam.create_instance_profile(InstanceProfileName=ROLE, Path=iam_path(SPEC.naming), Tags=TAGS)
    iam.add_role_to_instance_profile(InstanceProfileName=ROLE, RoleName="theirs-admin")
    error = refusal_of_create(cloud, sandbox)
    assert f"{ROLE} contains the role theirs-admin instead of {ROLE}" in error.what
    assert "remove the role theirs-admin" in error.hint


BUCKET = results_bucket(SPEC.naming, account_id="000000000000", region=HOME)
RULES = [
    {"ID": "theirs", "Status": "Enabled", "Filter": {"Prefix": "x/"}, "Expiration": {"Days": 3}},
]


def test_a_foreign_bucket_is_refused_and_stays_as_it_is(cloud: Aws, sandbox: Any) -> None:
    s3 = sandbox.client("s3", HOME)
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": HOME})
    s3.delete_public_access_block(Bucket=BUCKET)
    s3.put_bucket_lifecycle_configuration(Bucket=BUCKET, LifecycleConfiguration={"Rules": RULES})
    error = refusal_of_create(cloud, sandbox)
    assert f"the bucket {BUCKET} exists and does not have the tag {KEY}={VALUE}" in error.what
    (rule,) = s3.get_bucket_lifecycle_configuration(Bucket=BUCKET)["Rules"]
    assert rule["ID"] == "theirs"
    with pytest.raises(s3.exceptions.ClientError, match="NoSuchPublicAccessBlock"):
        s3.get_public_access_block(Bucket=BUCKET)


def test_a_repair_keeps_the_users_settings_of_the_bucket(cloud: Aws, sandbox: Any) -> None:
    s3 = sandbox.client("s3", HOME)
    create_once(cloud, sandbox)
    s3.delete_public_access_block(Bucket=BUCKET)
    s3.put_bucket_lifecycle_configuration(Bucket=BUCKET, LifecycleConfiguration={"Rules": RULES})
    asyncio.run(cloud.terminate(HOME, [asyncio.run(existing(cloud)).instances[0].id]))
    create_once(cloud, sandbox)
    assert [rule["ID"] for rule in s3.get_bucket_lifecycle_configuration(Bucket=BUCKET)["Rules"]] == [
        "theirs"
    ]
    with pytest.raises(s3.exceptions.ClientError, match="NoSuchPublicAccessBlock"):
        s3.get_public_access_block(Bucket=BUCKET)


def test_a_bucket_without_any_lifecycle_is_completed(cloud: Aws, sandbox: Any) -> None:
    """A create was killed right after the creation."""
    s3 = sandbox.client("s3", HOME)
    where = {"LocationConstraint": HOME, "Tags": TAGS}
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration=where)
    create_once(cloud, sandbox)
    (rule,) = s3.get_bucket_lifecycle_configuration(Bucket=BUCKET)["Rules"]
    assert rule["ID"] == "abort-incomplete-uploads"
    assert s3.get_public_access_block(Bucket=BUCKET)["PublicAccessBlockConfiguration"]["BlockPublicAcls"]


PARAMETER = orchestrator_parameter(SPEC.naming)
GARBAGE = json.dumps(dict.fromkeys(OrchestratorCredentials.__dataclass_fields__, "x"))


@pytest.mark.parametrize(
    ("good", "kind", "tags", "said"),
    [
        (False, "SecureString", TAGS, "does not contain this cluster's credentials"),
        (True, "String", TAGS, "does not contain this cluster's credentials"),
        (True, "SecureString", OTHER_TAGS, f"does not have the tag {KEY}={VALUE}"),
        (True, "SecureString", [], f"does not have the tag {KEY}={VALUE}"),
    ],
)
def test_a_foreign_parameter_is_refused_before_anything_is_created(
    cloud: Aws, sandbox: Any, good: bool, kind: str, tags: list[Any], said: str
) -> None:
    ssm = sandbox.client("ssm", HOME)
    text = new_credentials("192.0.2.1").to_json().reveal() if good else GARBAGE
    ssm.put_parameter(Name=PARAMETER, Value=text, Type=kind, Tags=tags)
    with pytest.raises(UserError, match=PARAMETER) as error:
        asyncio.run(created(calls_of(cloud, sandbox)))
    assert said in error.value.what and "delete it" in error.value.hint
    assert set(asyncio.run(existing(cloud)).counts.values()) == {0}
    assert ssm.get_parameter(Name=PARAMETER, WithDecryption=True)["Parameter"]["Value"] == text
