"""The table of permissions: nothing that the code calls is missing, nothing is there that it does not call."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from aws_spot_sandbox.iam.policy_evaluator import Answer, Ask, Context, judge
from bacalhau_spot import config
from bacalhau_spot.core.iam import policy
from bacalhau_spot.core.iam.permissions import (
    COMMANDS,
    OPT_IN_COMMANDS,
    PERMISSIONS,
    Condition,
    ResourceScope,
)
from bacalhau_spot.core.model import (
    ClusterSpec,
    Naming,
    OrchestratorMode,
    OrchestratorSpec,
    RegionSpec,
    Secrets,
)
from support.calls_in_code import calls_in_code

DEFAULTS = replace(config.defaults(), orchestrator=OrchestratorSpec())
MANAGED = OrchestratorSpec(OrchestratorMode.MANAGED)
# Calls that need no permission (STS API reference, GetCallerIdentity).
UNRESTRICTED = frozenset({"sts:GetCallerIdentity"})


def spec(**changes: Any) -> ClusterSpec:
    return replace(DEFAULTS, **changes)


def allowed(*commands: str, **changes: Any) -> set[str]:
    return set(policy.actions_of(policy.documents(spec(**changes), commands=commands)))


def test_the_table_is_what_the_code_calls() -> None:
    """Every call of the code asks for actions of the table, and every action is asked for by a call of the code."""
    in_table = {call for row in PERMISSIONS for call in row.api_calls}
    in_code = calls_in_code()
    assert in_code - in_table - UNRESTRICTED == set()
    assert in_table - in_code == set()


def test_no_row_is_there_twice() -> None:
    keys = [(row.action, row.commands, row.conditions, row.scopes) for row in PERMISSIONS]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("commands", [(command,) for command in (*COMMANDS, *OPT_IN_COMMANDS)] + [COMMANDS])
def test_no_document_is_larger_than_a_managed_policy_may_be(commands: tuple[str, ...]) -> None:
    """AWS: IAM User Guide, "IAM and AWS STS quotas": 6,144 characters without white space. Names as long as they may be."""
    long = Naming(tag_key="k" * 127, tag_value="v" * 256, creator="c" * 256, resource_prefix="p" * 32)
    wide = Naming(tag_key="щ" * 127, tag_value="щ" * 256, creator="щ" * 256)
    for naming in (Naming(), long, wide):
        documents = policy.documents(
            spec(naming=naming, orchestrator=MANAGED), commands=commands, account="1" * 12
        )
        for document in documents:
            assert len("".join(json.dumps(document, indent=2).split())) <= policy.characters(document) <= 6144
        assert sum(len(document["Statement"]) for document in documents) == len(
            {id(s) for document in documents for s in document["Statement"]}
        )


def test_no_action_has_a_wildcard_and_what_changes_something_is_bound() -> None:
    """Only what looks is allowed on everything without a condition."""
    everything = spec(
        orchestrator=MANAGED,
        bacalhau=replace(DEFAULTS.bacalhau, secrets=Secrets.SSM),
        regions=(RegionSpec("us-east-1", vpc_id="vpc-1"), RegionSpec("us-west-2")),
    )
    looking = {row.action for row in PERMISSIONS if ResourceScope.ANY in row.scopes}
    assert all(
        action.split(":")[1].startswith(("Describe", "Get", "List", "Simulate", "Decode"))
        for action in looking
    )
    for document in policy.documents(everything, commands=COMMANDS):
        for entry in document["Statement"]:
            assert not any("*" in action for action in entry["Action"])
            assert entry["Resource"] != "*" or "Condition" in entry or set(entry["Action"]) <= looking


def test_the_policy_is_what_the_configuration_needs() -> None:
    """A part of the configuration that is not used is not in it."""
    assert "iam:PassRole" not in allowed("create")
    assert "iam:PassRole" in allowed("create", bacalhau=replace(DEFAULTS.bacalhau, secrets=Secrets.SSM))
    assert "ec2:AuthorizeSecurityGroupIngress" not in allowed("create", ssh_cidrs=())
    assert "ssm:GetParameters" not in allowed("create", image="ami-0123")
    theirs = (RegionSpec("us-east-1", vpc_id="vpc-1"),)
    assert not {"ec2:CreateVpc", "ec2:CreateRoute"} & allowed("create", regions=theirs)
    assert "ec2:DeleteVpc" not in allowed("create", "list")
    assert not {"ec2:AllocateAddress", "s3:CreateBucket", "ec2:StartInstances"} & allowed("create")
    assert {"ec2:AllocateAddress", "s3:CreateBucket"} < allowed("create", orchestrator=MANAGED)
    assert allowed("list") < allowed("create") < allowed(*COMMANDS)
    assert "ssm:GetParameter" not in allowed("destroy")
    assert allowed("destroy", orchestrator=MANAGED) - allowed("destroy") == {"ssm:GetParameter"}
    assert "iam:PassRole" in allowed("create", orchestrator=MANAGED)


def test_adopting_is_allowed_only_by_name() -> None:
    """With it the policy could take hold of anything."""
    adopting = {"Sid": "Adopting"}.items()
    assert not any(
        adopting <= entry.items()
        for d in policy.documents(DEFAULTS, commands=COMMANDS)
        for entry in d["Statement"]
    )
    wide = policy.documents(DEFAULTS, commands=("nuke --adopt",))
    assert any(adopting <= entry.items() for document in wide for entry in document["Statement"])
    assert allowed("nuke") <= allowed("nuke --adopt")


def test_every_circumstance_is_used() -> None:
    assert {when for row in PERMISSIONS for when in row.conditions} == set(Condition)


GIVEN = RegionSpec("us-east-1", vpc_id="vpc-0123456789abcdef0")


def answers(spec: ClusterSpec, action: str, resource: str, **context: str) -> Answer:
    """What IAM says to an account's own policy about something in the account."""
    documents = policy.documents(spec, commands=("create",), account="111111111111")
    return judge(
        documents,
        Ask(
            action,
            f"arn:aws:ec2:us-east-1:{resource}",
            {key.replace("__", ":"): (v,) for key, v in context.items()},
        ),
    )


@pytest.mark.parametrize(
    ("action", "kinds"),
    [
        ("ec2:CreateSubnet", ("vpc",)),
        ("ec2:CreateSecurityGroup", ("vpc",)),
        ("ec2:CreateFleet", ("subnet", "launch-template")),
        ("ec2:RunInstances", ("subnet", "launch-template", "security-group")),
    ],
)
def test_a_tag_in_the_request_opens_nothing_that_exists(action: str, kinds: tuple[str, ...]) -> None:
    """Not even if AWS showed `aws:RequestTag` on what a call only uses: that it is in the call says nothing about it."""
    key = f"aws__RequestTag/{DEFAULTS.naming.tag_key}"
    for kind in kinds:
        context = {key: DEFAULTS.naming.tag_value}
        assert answers(DEFAULTS, action, f"111111111111:{kind}/theirs", **context) is Answer.NOT_ALLOWED
        cluster_tags = {key.replace("Request", "Resource"): DEFAULTS.naming.tag_value}
        assert answers(DEFAULTS, action, f"111111111111:{kind}/ours", **cluster_tags) is Answer.ALLOWED


def test_a_vpc_that_another_account_shares_can_be_used() -> None:
    """Its ARN and those of its subnets name the owner's account (VPC user guide, "Share your VPC subnets")."""
    theirs = spec(regions=(GIVEN,))
    vpc = f"222222222222:vpc/{GIVEN.vpc_id}"
    assert answers(theirs, "ec2:CreateSecurityGroup", vpc) is Answer.ALLOWED
    assert answers(theirs, "ec2:CreateSecurityGroup", "222222222222:vpc/vpc-1") is Answer.NOT_ALLOWED
    for action in ("ec2:CreateFleet", "ec2:RunInstances"):
        inside = {"ec2__Vpc": f"arn:aws:ec2:us-east-1:{vpc}"}
        assert answers(theirs, action, "222222222222:subnet/subnet-1", **inside) is Answer.ALLOWED
        assert answers(theirs, action, "222222222222:subnet/subnet-1") is Answer.NOT_ALLOWED


def test_what_is_asked_of_the_simulator_is_what_aws_takes() -> None:
    """A question is about one concrete thing or about `*`, never a pattern; and the printed policy answers it with yes."""
    everything = spec(
        orchestrator=MANAGED,
        bacalhau=replace(DEFAULTS.bacalhau, secrets=Secrets.SSM),
        regions=(GIVEN, RegionSpec("us-west-2")),
        image="ssm:/own/image",
    )
    named = {"account": "111111111111", "partition": "aws"}
    documents = policy.documents(everything, commands=COMMANDS, **named)
    queries = policy.simulation_queries(everything, commands=COMMANDS, **named)
    assert {action for query in queries for action in query.actions} == set(policy.actions_of(documents))
    for query in queries:
        assert query.resource == "*" or (query.resource.startswith("arn:aws:") and "*" not in query.resource)
        assert not any("*" in value for _, value in query.context)
        context: Context = {key: (value,) for key, value in query.context}
        for action in query.actions:
            assert judge(documents, Ask(action, query.resource, context)) is Answer.ALLOWED, (action, query)
