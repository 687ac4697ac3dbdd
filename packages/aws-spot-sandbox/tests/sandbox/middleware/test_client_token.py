"""AWS: EC2 API Reference, "Ensuring idempotency in Amazon EC2 API requests"."""

from __future__ import annotations

from typing import Any

from sandbox.middleware.errors import refusal

MISMATCH = ("IdempotentParameterMismatch", 400)
DATA = {"InstanceType": "t3.micro"}


def test_a_repeat_gets_the_first_answer(sandbox: Any) -> None:
    """Same token, same parameters: the same result, and nothing is created twice."""
    ec2 = sandbox.client()
    request = {"LaunchTemplateName": "one", "LaunchTemplateData": DATA, "ClientToken": "t-1"}
    first, second = ec2.create_launch_template(**request), ec2.create_launch_template(**request)
    assert first["LaunchTemplate"] == second["LaunchTemplate"]
    assert len(ec2.describe_launch_templates()["LaunchTemplates"]) == 1


def test_other_parameters_are_a_mismatch(sandbox: Any) -> None:
    """A token belongs to its parameters."""
    ec2 = sandbox.client()
    ec2.create_launch_template(LaunchTemplateName="one", LaunchTemplateData=DATA, ClientToken="t-1")
    request = {"LaunchTemplateName": "two", "LaunchTemplateData": DATA, "ClientToken": "t-1"}
    assert refusal(ec2.create_launch_template, **request) == MISMATCH


def test_a_token_is_of_one_region_and_action(sandbox: Any) -> None:
    """Tokens are per region: the same one can be used in every region of a cluster."""
    request = {"LaunchTemplateName": "one", "LaunchTemplateData": DATA, "ClientToken": "t-1"}
    first = sandbox.client().create_launch_template(**request)
    second = sandbox.client("ec2", "eu-west-1").create_launch_template(**request)
    assert first["LaunchTemplate"]["LaunchTemplateId"] != second["LaunchTemplate"]["LaunchTemplateId"]
    sandbox.client().create_volume(AvailabilityZone="us-east-1a", Size=1, ClientToken="t-1")


def test_a_refusal_is_not_remembered(sandbox: Any) -> None:
    """A failed call can be repeated with the same token."""
    ec2 = sandbox.client()
    request = {"LaunchTemplateName": "one", "LaunchTemplateData": DATA, "ClientToken": "t-1"}
    sandbox.settings.faults = [
        {"match": "CreateLaunchTemplate", "code": "InternalError", "status": 500, "count": 1}
    ]
    assert refusal(ec2.create_launch_template, **request) == ("InternalError", 500)
    ec2.create_launch_template(**request)


def test_a_lost_answer_and_a_token(sandbox: Any) -> None:
    """Repeating a call after a lost reply returns the existing resource, the purpose of client tokens."""
    ec2 = sandbox.client()
    request = {"LaunchTemplateName": "one", "LaunchTemplateData": DATA, "ClientToken": "t-1"}
    sandbox.settings.faults = [
        {"match": "CreateLaunchTemplate", "code": "InternalError", "status": 500, "when": "after", "count": 1}
    ]
    assert refusal(ec2.create_launch_template, **request) == ("InternalError", 500)
    launch_template = ec2.create_launch_template(**request)["LaunchTemplate"]
    assert (
        ec2.describe_launch_templates()["LaunchTemplates"][0]["LaunchTemplateId"]
        == launch_template["LaunchTemplateId"]
    )
