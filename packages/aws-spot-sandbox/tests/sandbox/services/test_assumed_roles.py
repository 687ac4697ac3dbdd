"""STS AssumeRole. Source: STS API Reference, AssumeRole; IAM User Guide, "AWS JSON policy elements: Principal"."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from aws_spot_sandbox.state import ACCOUNT_ID
from sandbox.conftest import boto_session

ROOT = f"arn:aws:iam::{ACCOUNT_ID}:root"
VPCS = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "ec2:DescribeVpcs", "Resource": "*"}],
}


def role(sandbox: Any, *, principal: dict[str, str], **more: Any) -> str:
    statement = {**more, "Effect": "Allow", "Action": "sts:AssumeRole", "Principal": principal}
    trust = {"Version": "2012-10-17", "Statement": [statement]}
    made = sandbox.client("iam").create_role(RoleName="r", AssumeRolePolicyDocument=json.dumps(trust))
    return str(made["Role"]["Arn"])


def code(call: Any, **parameters: Any) -> str:
    with pytest.raises(ClientError) as error:
        call(**parameters)
    return str(error.value.response["Error"]["Code"])


def as_role(sandbox: Any, service: str, credentials: dict[str, Any]) -> Any:
    return boto_session().create_client(
        service,
        region_name="us-east-1",
        endpoint_url=sandbox.url,
        aws_access_key_id=credentials["AccessKeyId"],
        aws_secret_access_key=credentials["SecretAccessKey"],
        aws_session_token=credentials["SessionToken"],
    )


def test_a_session_may_do_what_the_policies_of_its_role_allow(sandbox: Any) -> None:
    """From their attachment on, and only until it expires."""
    arn = role(sandbox, principal={"AWS": ROOT})
    reply = sandbox.client("sts").assume_role(RoleArn=arn, RoleSessionName="s1", DurationSeconds=900)
    assert reply["AssumedRoleUser"]["Arn"] == f"arn:aws:sts::{ACCOUNT_ID}:assumed-role/r/s1"
    ec2 = as_role(sandbox, "ec2", reply["Credentials"])
    assert code(ec2.describe_vpcs) == "UnauthorizedOperation"
    sandbox.client("iam").put_role_policy(RoleName="r", PolicyName="p", PolicyDocument=json.dumps(VPCS))
    assert ec2.describe_vpcs()["Vpcs"]
    assert code(ec2.describe_subnets) == "UnauthorizedOperation"
    identity = as_role(sandbox, "sts", reply["Credentials"]).get_caller_identity()
    assert identity["Arn"] == reply["AssumedRoleUser"]["Arn"]
    sandbox.clock.advance(901)
    assert code(ec2.describe_vpcs) == "RequestExpired"


@pytest.mark.parametrize(
    "principal", [{"Service": "ec2.amazonaws.com"}, {"AWS": "arn:aws:iam::123456789012:root"}]
)
def test_a_role_that_does_not_trust_the_caller_is_denied(sandbox: Any, principal: dict[str, str]) -> None:
    arn = role(sandbox, principal=principal)
    assume = sandbox.client("sts").assume_role
    assert code(assume, RoleArn=arn, RoleSessionName="s1") == "AccessDenied"
    assert code(assume, RoleArn=f"{arn}-unknown", RoleSessionName="s1") == "AccessDenied"


def test_a_session_is_no_longer_than_its_role_allows(sandbox: Any) -> None:
    arn = role(sandbox, principal={"AWS": ROOT})
    assume = sandbox.client("sts").assume_role
    assert code(assume, RoleArn=arn, RoleSessionName="s1", DurationSeconds=7200) == "ValidationError"


def test_what_is_not_modelled_is_an_error(sandbox: Any) -> None:
    condition = {"Bool": {"aws:MultiFactorAuthPresent": "true"}}
    arn = role(sandbox, principal={"AWS": ROOT}, Condition=condition)
    assume = sandbox.client("sts").assume_role
    assert code(assume, RoleArn=arn, RoleSessionName="s1", ExternalId="x1") == "NotImplemented"
    assert code(assume, RoleArn=arn, RoleSessionName="s1") == "NotImplemented"
