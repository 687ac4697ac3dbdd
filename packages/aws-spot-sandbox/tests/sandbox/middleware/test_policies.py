"""The caller's policies: the allowed calls, and AWS's errors for the others."""

from __future__ import annotations

from typing import Any

import pytest

from aws_spot_sandbox.iam.policy_evaluator import Answer, Ask, judge
from aws_spot_sandbox.settings_update import BadSwitch, apply
from sandbox.middleware.errors import refusal, refusal_in_full

OURS = {"bacalhau-cluster": "blue"}
TAGS = [{"Key": "bacalhau-cluster", "Value": "blue"}]


def statement(*actions: str, resource: str = "*", effect: str = "Allow", **condition: Any) -> dict[str, Any]:
    conditions = {"Condition": condition} if condition else {}
    return {"Effect": effect, "Action": list(actions), "Resource": resource, **conditions}


def policy(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def tagged(kind: str) -> list[dict[str, Any]]:
    return [{"ResourceType": kind, "Tags": TAGS}]


ASK = Ask("ec2:DeleteVpc", "arn:aws:ec2:us-east-1:1:vpc/vpc-1", {"aws:ResourceTag/Team": ("blue",)})


@pytest.mark.parametrize(
    ("allowed", "statement"),
    [
        (True, statement("ec2:DeleteVpc")),
        (True, statement("EC2:Delete*")),
        (True, statement("ec2:DeleteVp?")),
        (False, statement("ec2:DeleteVpcs")),
        (True, statement("ec2:DeleteVpc", resource="arn:*:ec2:*:*:vpc/*")),
        (False, statement("ec2:DeleteVpc", resource="arn:aws:ec2:*:*:subnet/*")),
        (True, statement("ec2:DeleteVpc", StringEquals={"aws:ResourceTag/Team": "blue"})),
        # Condition keys are case-insensitive, values are not.
        (True, statement("ec2:DeleteVpc", StringEquals={"AWS:resourcetag/team": ["red", "blue"]})),
        (False, statement("ec2:DeleteVpc", StringEquals={"aws:ResourceTag/Team": "Blue"})),
        (True, statement("ec2:DeleteVpc", StringLike={"aws:ResourceTag/Team": "b*"})),
        (False, statement("ec2:DeleteVpc", StringEquals={"aws:ResourceTag/Other": "blue"})),
        (True, statement("ec2:DeleteVpc", StringNotEquals={"aws:ResourceTag/Other": "blue"})),
        (True, statement("ec2:DeleteVpc", StringEqualsIfExists={"aws:ResourceTag/Other": "blue"})),
        (False, statement("ec2:DeleteVpc", Null={"aws:ResourceTag/Team": "true"})),
        (True, statement("ec2:DeleteVpc", Null={"aws:ResourceTag/Other": "true"})),
        (
            True,
            {
                **statement("ec2:DeleteVpc"),
                "Condition": {"ForAllValues:StringEquals": {"aws:TagKeys": ["a"]}},
            },
        ),
        (
            False,
            {**statement("ec2:DeleteVpc"), "Condition": {"ForAnyValue:StringEquals": {"aws:TagKeys": ["a"]}}},
        ),
    ],
)
def test_the_language(allowed: bool, statement: dict[str, Any]) -> None:
    """AWS: IAM User Guide, "IAM JSON policy elements: Condition operators" and "Condition"."""
    assert judge([policy(statement)], ASK) is (Answer.ALLOWED if allowed else Answer.NOT_ALLOWED)


@pytest.mark.parametrize(
    "wrong",
    [
        {"Effect": "allow"},
        {"Effect": None},
        {"NotAction": ["ec2:CreateVpc"]},
        {"NotResource": "*"},
        {"Conditions": {"StringEquals": {"aws:ResourceTag/Team": "red"}}},
        {"Condition": {"StringEqual": {"aws:ResourceTag/Team": "blue"}}},
        {"Condition": {"ForSomeValues:StringEquals": {"aws:TagKeys": "a"}}},
        {"Condition": {"DateLessThan": {"aws:CurrentTime": "2020-01-01T00:00:00Z"}}},
        {"Resource": "arn:aws:ec2:*:*:vpc/${aws:username}"},
        {"Action": None},
        {"Resource": None},
    ],
    ids=str,
)
def test_what_the_sandbox_cannot_judge_allows_nothing(sandbox: Any, wrong: dict[str, Any]) -> None:
    """Setting the switch refuses it, and evaluating it raises an error; it is never interpreted partially."""
    document = policy({**statement("ec2:DeleteVpc"), **wrong})
    with pytest.raises(ValueError, match=r"policy|Effect|operator"):
        judge([document], ASK)
    with pytest.raises(BadSwitch):
        apply(sandbox.world, {"policies": [document]})
    assert sandbox.settings.policies == []


def test_on_arns_a_wildcard_stays_within_its_part() -> None:
    """AWS: IAM User Guide, "ARN condition operators": each of the six parts is compared separately."""
    ask = Ask("ec2:RunInstances", "*", {"ec2:Vpc": ("arn:aws:ec2:us-east-1:1:vpc/vpc-1",)})
    for wanted, answer in (
        ("arn:*:ec2:*:*:vpc/vpc-1", Answer.ALLOWED),
        ("arn:aws:ec2:*:1:vpc/*", Answer.ALLOWED),
        ("arn:*:vpc/vpc-1", Answer.NOT_ALLOWED),
        ("arn:aws:ec2:*:vpc/vpc-1", Answer.NOT_ALLOWED),
    ):
        row = statement("ec2:RunInstances", ArnLike={"ec2:Vpc": wanted})
        assert judge([policy(row)], ask) is answer


def test_an_explicit_deny_wins() -> None:
    """AWS: IAM User Guide, "Policy evaluation logic"."""
    documents = [policy(statement("*")), policy(statement("ec2:DeleteVpc", effect="Deny"))]
    assert judge(documents, ASK) is Answer.DENIED
    assert judge(documents, Ask("ec2:DeleteSubnet")) is Answer.ALLOWED


def test_without_policies_everything_is_allowed_and_with_one_nothing_else(sandbox: Any) -> None:
    """User, action, resource and an encoded message. AWS: EC2 API Reference, "Error codes", UnauthorizedOperation."""
    ec2 = sandbox.client()
    ec2.describe_vpcs()
    sandbox.settings.policies = [policy(statement("ec2:DescribeSubnets"))]
    ec2.describe_subnets()
    code, status, message = refusal_in_full(ec2.create_vpc, CidrBlock="10.0.0.0/16")
    assert (code, status) == ("UnauthorizedOperation", 403)
    assert (
        "User: arn:aws:iam::000000000000:user/sandbox is not authorized to perform: ec2:CreateVpc on resource: "
        "arn:aws:ec2:us-east-1:000000000000:vpc/* because no identity-based policy allows the ec2:CreateVpc action"
    ) in message
    assert "Encoded authorization failure message: " in message
    assert refusal(sandbox.client("iam").list_roles) == ("AccessDenied", 403)
    assert refusal(sandbox.client("ssm").describe_parameters) == ("AccessDeniedException", 400)
    assert refusal(sandbox.client("s3").delete_bucket, Bucket="theirs") == ("AccessDenied", 403)
    assert sandbox.client("sts").get_caller_identity()["Account"] == "000000000000"
    sandbox.settings.policies += [policy(statement("ec2:*", effect="Deny"))]
    assert "with an explicit deny" in refusal_in_full(ec2.describe_subnets)[2]


def test_tags_at_birth_are_an_action_of_their_own(sandbox: Any) -> None:
    """AWS: EC2 User Guide, "Grant permission to tag Amazon EC2 resources during creation": ec2:CreateTags, ec2:CreateAction."""
    ec2, request = sandbox.client(), {"CidrBlock": "10.0.0.0/16", "TagSpecifications": tagged("vpc")}
    request_tag = {"aws:RequestTag/bacalhau-cluster": "blue"}
    create = statement("ec2:CreateVpc", StringEquals=request_tag)
    sandbox.settings.policies = [policy(create)]
    assert "to perform: ec2:CreateTags on" in refusal_in_full(ec2.create_vpc, **request)[2]
    tags = statement("ec2:CreateTags", StringEquals={"ec2:CreateAction": "CreateVpc", **request_tag})
    sandbox.settings.policies = [policy(create, tags)]
    vpc_id = ec2.create_vpc(**request)["Vpc"]["VpcId"]
    assert refusal(ec2.create_vpc, CidrBlock="10.0.0.0/16") == ("UnauthorizedOperation", 403)
    assert refusal(ec2.create_tags, Resources=[vpc_id], Tags=TAGS) == ("UnauthorizedOperation", 403)


def test_tags_bind_what_may_be_deleted(sandbox: Any) -> None:
    """AWS: IAM User Guide, "Controlling access to AWS resources using tags": the live resource's tags count."""
    ec2 = sandbox.client()
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16", TagSpecifications=tagged("vpc"))["Vpc"]["VpcId"]
    theirs = ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
    resource_tag = {"aws:ResourceTag/bacalhau-cluster": "blue"}
    sandbox.settings.policies = [policy(statement("ec2:DeleteVpc", StringEquals=resource_tag))]
    code, _, message = refusal_in_full(ec2.delete_vpc, VpcId=theirs)
    assert code == "UnauthorizedOperation"
    assert f":vpc/{theirs}" in message
    assert refusal(ec2.delete_vpc, VpcId=theirs, DryRun=True) == ("UnauthorizedOperation", 403)
    assert refusal(ec2.delete_vpc, VpcId=vpc, DryRun=True) == ("DryRunOperation", 412)
    ec2.delete_vpc(VpcId=vpc)


def test_what_the_simulator_says(sandbox: Any) -> None:
    """AWS: IAM API Reference, SimulatePrincipalPolicy."""
    iam, arn = sandbox.client("iam"), sandbox.client("sts").get_caller_identity()["Arn"]
    sandbox.settings.policies = [
        policy(
            statement("iam:SimulatePrincipalPolicy"),
            statement("ec2:DeleteVpc", StringEquals={"aws:ResourceTag/a": "b"}),
        )
    ]
    entry = {"ContextKeyName": "aws:ResourceTag/a", "ContextKeyValues": ["b"], "ContextKeyType": "string"}
    request = {"PolicySourceArn": arn, "ActionNames": ["ec2:DeleteVpc", "ec2:CreateVpc"]}
    evaluation_results = iam.simulate_principal_policy(**request, ContextEntries=[entry])["EvaluationResults"]
    assert [row["EvalDecision"] for row in evaluation_results] == ["allowed", "implicitDeny"]
    evaluation_results = iam.simulate_principal_policy(**request)["EvaluationResults"]
    assert [row["EvalDecision"] for row in evaluation_results] == ["implicitDeny", "implicitDeny"]
    assert [row["MissingContextValues"] for row in evaluation_results] == [["aws:ResourceTag/a"], []]
    assert (
        refusal(iam.simulate_principal_policy, PolicySourceArn=arn + "x", ActionNames=["ec2:CreateVpc"])[0]
        == "NoSuchEntity"
    )


def test_of_named_resources_the_simulator_answers_beneath(sandbox: Any) -> None:
    """AWS: IAM API Reference, EvaluationResult: EvalResourceName is not a requested ARN; each action has one row."""
    iam, arn = sandbox.client("iam"), sandbox.client("sts").get_caller_identity()["Arn"]
    allowed, theirs = (
        f"arn:aws:ec2:us-east-1:000000000000:{name}" for name in ("vpc/vpc-1", "subnet/subnet-1")
    )
    sandbox.settings.policies = [
        policy(statement("iam:SimulatePrincipalPolicy"), statement("ec2:DeleteVpc", resource=allowed))
    ]
    request = {"PolicySourceArn": arn, "ActionNames": ["ec2:DeleteVpc"]}
    (row,) = iam.simulate_principal_policy(**request, ResourceArns=[allowed, theirs])["EvaluationResults"]
    assert (row["EvalResourceName"], row["EvalDecision"]) == ("*", "implicitDeny")
    beneath = {
        result["EvalResourceName"]: result["EvalResourceDecision"]
        for result in row["ResourceSpecificResults"]
    }
    assert beneath == {allowed: "allowed", theirs: "implicitDeny"}
    wrong = (
        {"ResourceArns": [allowed, "*"]},
        {"ResourceArns": [allowed], "ActionNames": ["ec2:DescribeVpcs", "ec2:DeleteVpc"]},
    )
    for change in wrong:
        assert refusal(iam.simulate_principal_policy, **{**request, **change}) == ("InvalidInput", 400)


def test_the_first_fleet_makes_the_spot_service_role(sandbox: Any) -> None:
    """AWS: EC2 User Guide, "Service-linked role for EC2 Spot Instances": created for the caller, if permitted."""
    sandbox.settings.service_roles = []
    iam = sandbox.client("iam")
    assert refusal(iam.get_role, RoleName="AWSServiceRoleForEC2Spot")[0] == "NoSuchEntity"
    iam.create_service_linked_role(AWSServiceName="spot.amazonaws.com")
    assert iam.get_role(RoleName="AWSServiceRoleForEC2Spot")["Role"]["Path"].startswith("/aws-service-role/")
    assert refusal(iam.create_service_linked_role, AWSServiceName="spot.amazonaws.com")[0] == "InvalidInput"
