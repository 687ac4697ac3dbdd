"""`secrets: ssm`: the token reaches the nodes through the Parameter Store, and destroy leaves nothing of it."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

import boto3
import pytest

from aws_spot_sandbox.state import ACCESS_KEY_ID, SECRET_ACCESS_KEY
from support.cli_runner import CliRunner

TOKEN = "planted-token-71"
PARAMETER = "/bacalhau-spot/bacalhau-aws-spot-14f543f3/token"
ROLE = "bacalhau-14f543f3"


@pytest.fixture
def user(program: CliRunner) -> CliRunner:
    configure(program)
    return program


def configure(program: CliRunner, token: str = TOKEN, secrets: str = "ssm") -> None:
    program.configure(
        nodes=2,
        regions="[us-west-1, eu-west-1]",
        more=f"  token: {token}\n  secrets: {secrets}\n",
    )


def client(sandbox: Any, service: str, region: str = "us-west-1") -> Any:
    return boto3.client(
        service,
        region_name=region,
        endpoint_url=sandbox.url,
        aws_access_key_id=ACCESS_KEY_ID,
        aws_secret_access_key=SECRET_ACCESS_KEY,
    )


def value(sandbox: Any, region: str) -> str:
    ssm = client(sandbox, "ssm", region)
    return str(ssm.get_parameter(Name=PARAMETER, WithDecryption=True)["Parameter"]["Value"])


def test_the_token_is_in_no_user_data_and_no_output(sandbox: Any, user: CliRunner) -> None:
    """It is in an encrypted parameter in each region, which only the nodes' role may read, and that by its one name."""
    created = user("create", "--yes", "-o", "json")
    assert created.code == 0, created.stderr
    assert TOKEN not in created.stdout + created.stderr
    for region in ("us-west-1", "eu-west-1"):
        assert value(sandbox, region) == TOKEN
        ssm, ec2 = client(sandbox, "ssm", region), client(sandbox, "ec2", region)
        assert ssm.describe_parameters()["Parameters"][0]["Type"] == "SecureString"
        tags = ssm.list_tags_for_resource(ResourceType="Parameter", ResourceId=PARAMETER)["TagList"]
        assert {"Key": "bacalhau-cluster", "Value": "bacalhau-aws-spot"} in tags
        template = ec2.describe_launch_templates()["LaunchTemplates"][0]["LaunchTemplateId"]
        version = ec2.describe_launch_template_versions(LaunchTemplateId=template, Versions=["$Latest"])[
            "LaunchTemplateVersions"
        ][0]["LaunchTemplateData"]
        assert version["IamInstanceProfile"]["Name"] == ROLE
        assert TOKEN.encode() not in gzip.decompress(base64.b64decode(version["UserData"]))
    iam = client(sandbox, "iam")
    document = iam.get_role_policy(RoleName=ROLE, PolicyName="read-token")["PolicyDocument"]
    account = client(sandbox, "sts").get_caller_identity()["Account"]
    assert document["Statement"] == [
        {
            "Effect": "Allow",
            "Action": "ssm:GetParameter",
            "Resource": f"arn:aws:ssm:*:{account}:parameter{PARAMETER}",
        }
    ]


def test_create_again_changes_nothing_and_a_new_token_is_written(sandbox: Any, user: CliRunner) -> None:
    """Nodes that are launched later join with the token of the day."""
    assert user("create", "--yes").code == 0
    start = len(sandbox.world.calls)
    assert user("create", "--yes").code == 0
    actions = [
        action for _, action, _ in sandbox.world.calls[start:] if "Put" in action or "Create" in action
    ]
    assert actions == []
    configure(user, token="another-token")
    assert user("destroy", "--yes").code == 0
    assert user("create", "--yes").code == 0
    assert value(sandbox, "eu-west-1") == "another-token"


def test_a_new_token_replaces_one_that_is_there(sandbox: Any, user: CliRunner) -> None:
    """A create that was cut short after it had written the token, and another token since: under the printed policy."""
    client(sandbox, "ssm", "eu-west-1").put_parameter(
        Name=PARAMETER,
        Value="old",
        Type="SecureString",
        Tags=[{"Key": "bacalhau-cluster", "Value": "bacalhau-aws-spot"}],
    )
    printed = user("iam-policy", "-o", "json", "--account", "000000000000", "--command", "create").data
    sandbox.settings.policies = [document["document"] for document in printed["documents"]]
    assert user("create", "--yes").code == 0
    assert not {"AccessDenied", "AccessDeniedException"} & {code for _, _, code in sandbox.world.calls}
    sandbox.settings.policies = []
    assert value(sandbox, "eu-west-1") == TOKEN


@pytest.mark.parametrize("changed_since", [False, True])
def test_destroy_leaves_nothing_of_it(sandbox: Any, user: CliRunner, changed_since: bool) -> None:
    """Also when the configuration does not say `ssm` any more."""
    before = sandbox.leftovers()
    assert user("create", "--yes").code == 0
    if changed_since:
        configure(user, secrets="user_data")
    result = user("destroy", "--yes", "-o", "json")
    assert result.code == 0, result.stdout
    deleted_kinds = [outcome["kind"] for outcome in result.data["outcomes"] if outcome["status"] == "deleted"]
    assert deleted_kinds.count("parameter") == 2
    assert deleted_kinds.count("role") == deleted_kinds.count("instance-profile") == 1
    assert sandbox.leftovers() == before
    assert client(sandbox, "iam").list_roles(PathPrefix="/bacalhau-spot/")["Roles"] == []
    assert client(sandbox, "ssm").describe_parameters()["Parameters"] == []


def test_another_clusters_role_stays(sandbox: Any, user: CliRunner) -> None:
    """It has our path too, and another cluster's tag."""
    iam = client(sandbox, "iam")
    iam.create_role(
        RoleName="bacalhau-other",
        Path="/bacalhau-spot/other-1/",
        AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": []}),
        Tags=[{"Key": "bacalhau-cluster", "Value": "other"}],
    )
    assert user("create", "--yes").code == 0
    assert user("destroy", "--yes").code == 0
    assert [role["RoleName"] for role in iam.list_roles(PathPrefix="/bacalhau-spot/")["Roles"]] == [
        "bacalhau-other"
    ]
    sandbox.world.settings.deny = ("iam:ListRoles",)
    refused = user("destroy", "--yes", "--cluster", "other")  # nobody knows what that one was made with
    assert (refused.code, "verified" in refused.stdout) == (5, False)


@pytest.mark.parametrize("action", ["iam:ListRoles", "ssm:DescribeParameters", "*:GetResources"])
def test_a_cluster_without_ssm_needs_no_permission_for_it(
    sandbox: Any, program: CliRunner, action: str
) -> None:
    """Who may use EC2 alone can destroy; a list that was refused is told, and is no failure."""
    program.configure(nodes=1, regions="[us-west-1]")
    assert program("create", "--yes").code == 0
    sandbox.world.settings.deny = (action,)
    start = len(sandbox.world.calls)
    result = program("destroy", "--yes")
    assert result.code == 0, result.stdout + result.stderr
    name = action.split(":")[1]
    # Parameters are listed only where the tagging API has any.
    is_asked = any(call.endswith(name) for _, call, _ in sandbox.world.calls[start:])
    assert is_asked or name == "DescribeParameters"
    assert (f"not scanned, and not used by the configuration: {name}" in result.stdout) == is_asked


def test_a_cluster_with_ssm_is_not_verified_gone_without_looking(sandbox: Any, user: CliRunner) -> None:
    """The role might still be there."""
    assert user("create", "--yes").code == 0
    sandbox.world.settings.deny = ("iam:ListRoles",)
    result = user("destroy", "--yes")
    assert result.code == 5
    assert "ListRoles" in result.stderr
    assert "verified" not in result.stdout
    assert "the scan is incomplete" in result.stdout


def test_a_fresh_profile_that_ec2_does_not_know_yet_is_waited_for(sandbox: Any, user: CliRunner) -> None:
    """Each try is another fleet, because the same one would answer the same; none of them is left."""
    before = sandbox.leftovers()
    sandbox.world.settings.iam_lag_s = 20
    created = user("create", "--yes", "-o", "json")
    assert created.code == 0, created.stdout
    assert [len(region["launched"]) for region in created.data["receipt"]["regions"]] == [1, 1]
    assert user("destroy", "--yes").code == 0
    assert sandbox.leftovers() == before


def test_a_profile_that_ec2_never_learns_of_is_told(sandbox: Any, user: CliRunner) -> None:
    """After a minute, in AWS's words, and destroy works all the same."""
    before = sandbox.leftovers()
    sandbox.world.settings.iam_lag_s = 3600
    created = user("create", "--yes")
    assert created.code == 1
    assert "InvalidParameterValue" in created.stdout + created.stderr
    assert "the nodes' new role (instance profile) is not available" in created.stdout + created.stderr
    assert user("destroy", "--yes").code == 0
    assert sandbox.leftovers() == before
