"""Instances as principals. Source: EC2 User Guide, "IAM roles for Amazon EC2"; IAM User Guide, "Roles terms and concepts"."""

from __future__ import annotations

import json
from typing import Any

import pytest

from aws_spot_sandbox.http_types import AwsError
from aws_spot_sandbox.iam import sessions
from aws_spot_sandbox.instance_access import presigned_url, read_parameter
from sandbox.conftest import boto_session
from sandbox.ec2.clusters import image, refused
from sandbox.services.test_s3 import BUCKET, fetch

PARAMETER = "/bacalhau-spot/demo/orchestrator"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
    ],
}
POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": ["ssm:GetParameter"],
            "Resource": f"arn:aws:ssm:us-east-1:000000000000:parameter{PARAMETER}",
        },
        {
            "Effect": "Allow",
            "Action": ["s3:GetObject", "s3:PutObject"],
            "Resource": f"arn:aws:s3:::{BUCKET}/jobs/*",
        },
    ],
}


def create_role(iam: Any, name: str, policy: dict[str, Any] | None = POLICY) -> None:
    iam.create_role(RoleName=name, Path="/bacalhau-spot/", AssumeRolePolicyDocument=json.dumps(TRUST))
    if policy:
        iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=json.dumps(policy))
    iam.create_instance_profile(InstanceProfileName=name, Path="/bacalhau-spot/")
    iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)


class Scene:
    """A parameter, a bucket, and an instance with a role of its own."""

    def __init__(self, sandbox: Any, *, profile: str = "machine") -> None:
        self.sandbox = sandbox
        ec2 = sandbox.client()
        self.iam, self.s3, self.ssm = (sandbox.client(name) for name in ("iam", "s3", "ssm"))
        create_role(self.iam, "machine")
        self.s3.create_bucket(Bucket=BUCKET)
        self.ssm.put_parameter(Name=PARAMETER, Value="secret", Type="SecureString")
        profiles = {"IamInstanceProfile": {"Name": profile}} if profile else {}
        launched = ec2.run_instances(
            ImageId=image(ec2), InstanceType="t3.small", MinCount=1, MaxCount=1, **profiles
        )
        self.region = sandbox.server._ec2._region("us-east-1")
        self.machine = self.region.machines[launched["Instances"][0]["InstanceId"]]

    def session(self) -> sessions.Session:
        session = sessions.of_machine(self.sandbox.world, self.machine)
        assert session is not None
        return session

    def client(self, service: str, **change: str) -> Any:
        session = self.session()
        return boto_session().create_client(
            service,
            region_name="us-east-1",
            endpoint_url=self.sandbox.url,
            **{
                "aws_access_key_id": session.access_key_id,
                "aws_secret_access_key": session.secret_access_key,
                "aws_session_token": session.token,
                **change,
            },
        )

    def url(self, method: str, key: str, **options: Any) -> str:
        now = self.sandbox.clock.now()
        place = {"method": method, "bucket": BUCKET, "key": key, "region": "us-east-1", "now": now}
        return presigned_url(self.sandbox.url, self.session(), **place | options)


@pytest.fixture
def scene(sandbox: Any) -> Scene:
    return Scene(sandbox)


def test_a_machine_may_do_what_its_role_allows(scene: Scene) -> None:
    """IAM User Guide, "Policy evaluation logic", for the session of a role."""
    ssm, s3 = scene.client("ssm"), scene.client("s3")
    assert ssm.get_parameter(Name=PARAMETER, WithDecryption=True)["Parameter"]["Value"] == "secret"
    s3.put_object(Bucket=BUCKET, Key="jobs/a", Body=b"1")
    with refused("AccessDenied"):
        s3.put_object(Bucket=BUCKET, Key="a", Body=b"1")
    with refused("AccessDeniedException"):
        ssm.put_parameter(Name=PARAMETER, Value="other", Type="SecureString", Overwrite=True)
    with refused("UnauthorizedOperation"):
        scene.client("ec2").describe_instances()
    who = scene.client("sts").get_caller_identity()["Arn"]
    assert who == f"arn:aws:sts::000000000000:assumed-role/machine/{scene.machine.id}"


def test_the_callers_policies_are_not_the_machines(scene: Scene) -> None:
    """Each principal has its own policies."""
    scene.sandbox.settings.policies = [{"Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]}]
    scene.sandbox.settings.deny = ["ssm:*"]
    assert scene.client("ssm").get_parameter(Name=PARAMETER)["Parameter"]["Name"] == PARAMETER
    scene.sandbox.settings.policies = [{"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}]
    with refused("AccessDenied"):
        scene.client("s3").list_objects_v2(Bucket=BUCKET)


def test_a_presigned_url_has_the_permissions_of_its_signer(scene: Scene) -> None:
    """S3 User Guide, "Who can create a presigned URL": it works only if its creator may perform the operation."""
    assert fetch(scene.url("PUT", "jobs/a b"), "PUT", b"result") == (200, b"")
    assert fetch(scene.url("GET", "jobs/a b")) == (200, b"result")
    for url, method in ((scene.url("PUT", "other"), "PUT"), (scene.url("DELETE", "jobs/a b"), "DELETE")):
        status, body = fetch(url, method, b"")
        assert (status, b"<Code>AccessDenied</Code>" in body) == (403, True)
    earlier = scene.url("PUT", "jobs/b")
    scene.iam.delete_role_policy(RoleName="machine", PolicyName="own")
    assert fetch(earlier, "PUT", b"result")[0] == 403
    status, body = fetch(scene.url("PUT", "jobs/b", expires_s=0), "PUT", b"")
    assert status == 403


def test_credentials_are_renewed_and_expire(scene: Scene) -> None:
    """EC2 User Guide, "Retrieve security credentials": new ones are there at least five minutes before the old ones expire."""
    first = scene.session()
    assert scene.session() is first
    old = scene.client("ssm")
    scene.sandbox.clock.advance(sessions.LIFETIME_S - 200)
    second = scene.session()
    assert second.access_key_id != first.access_key_id
    old.get_parameter(Name=PARAMETER)
    scene.sandbox.clock.advance(200)
    with refused("ExpiredTokenException"):
        old.get_parameter(Name=PARAMETER)
    scene.client("ssm").get_parameter(Name=PARAMETER)


def test_a_session_needs_its_token_and_secret(scene: Scene) -> None:
    """IAM User Guide, "Using temporary credentials with AWS resources": calls include the session token."""
    with refused("UnrecognizedClientException"):
        scene.client("ssm", aws_session_token="other").get_parameter(Name=PARAMETER)
    with refused("InvalidSignatureException"):
        scene.client("ssm", aws_secret_access_key="other").get_parameter(Name=PARAMETER)


def test_a_program_on_the_machine_reads_a_parameter(scene: Scene) -> None:
    """As GetParameter with the instance's credentials; without a role there are none."""
    assert read_parameter(scene.region, scene.machine, PARAMETER) == "secret"
    with pytest.raises(AwsError, match="AccessDeniedException"):
        read_parameter(scene.region, scene.machine, "/other")
    scene.ssm.delete_parameter(Name=PARAMETER)
    with pytest.raises(AwsError, match="ParameterNotFound"):
        read_parameter(scene.region, scene.machine, PARAMETER)
    scene.iam.remove_role_from_instance_profile(InstanceProfileName="machine", RoleName="machine")
    with pytest.raises(AwsError, match="NoCredentials"):
        read_parameter(scene.region, scene.machine, PARAMETER)
    assert sessions.of_machine(scene.sandbox.world, scene.machine) is None


def test_an_instance_without_a_profile_has_no_credentials(sandbox: Any) -> None:
    """EC2 User Guide, "Retrieve security credentials": there are none without an instance profile."""
    scene = Scene(sandbox, profile="")
    assert sessions.of_machine(sandbox.world, scene.machine) is None


def test_a_second_role_and_its_profile(scene: Scene) -> None:
    """IAM API Reference, CreateRole, AddRoleToInstanceProfile (one role in a profile), DeleteRole, DeleteInstanceProfile."""
    iam = scene.iam
    create_role(iam, "second", policy=None)
    for call, arguments, code in (
        (
            "create_role",
            {"RoleName": "second", "AssumeRolePolicyDocument": json.dumps(TRUST)},
            "EntityAlreadyExists",
        ),
        ("create_instance_profile", {"InstanceProfileName": "second"}, "EntityAlreadyExists"),
        (
            "add_role_to_instance_profile",
            {"InstanceProfileName": "second", "RoleName": "machine"},
            "LimitExceeded",
        ),
        ("delete_role", {"RoleName": "second"}, "DeleteConflict"),
        ("delete_instance_profile", {"InstanceProfileName": "second"}, "DeleteConflict"),
    ):
        with refused(code):
            getattr(iam, call)(**arguments)
    iam.remove_role_from_instance_profile(InstanceProfileName="second", RoleName="second")
    iam.delete_instance_profile(InstanceProfileName="second")
    iam.delete_role(RoleName="second")
    names = [row["RoleName"] for row in iam.list_roles(PathPrefix="/bacalhau-spot/")["Roles"]]
    assert names == ["machine"]


@pytest.mark.parametrize(
    ("size", "tier", "code"),
    [
        (4096, "Standard", ""),
        (4097, "Standard", "ValidationException"),
        (8192, "Advanced", ""),
        (8193, "Advanced", "ValidationException"),
        (8192, "Intelligent-Tiering", ""),
    ],
)
def test_the_size_of_a_parameter(sandbox: Any, size: int, tier: str, code: str) -> None:
    """Systems Manager API Reference, PutParameter, Value and Tier: 4 KB, or 8 KB in the advanced tier."""
    ssm = sandbox.client("ssm")
    arguments = {"Name": PARAMETER, "Value": "v" * size, "Type": "SecureString", "Tier": tier}
    if code:
        with refused(code):
            ssm.put_parameter(**arguments)
        return
    ssm.put_parameter(**arguments, Tags=[{"Key": "a", "Value": "b"}])
    assert len(ssm.get_parameter(Name=PARAMETER, WithDecryption=True)["Parameter"]["Value"]) == size
    with refused("ParameterAlreadyExists"):
        ssm.put_parameter(**arguments)
    tagging = sandbox.client("resourcegroupstaggingapi")
    rows = tagging.get_resources(TagFilters=[{"Key": "a"}])["ResourceTagMappingList"]
    assert [row["ResourceARN"] for row in rows] == [
        f"arn:aws:ssm:us-east-1:000000000000:parameter{PARAMETER}"
    ]
