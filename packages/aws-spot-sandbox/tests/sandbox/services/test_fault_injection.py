"""AWS Fault Injection Service. Source: FIS API Reference; FIS User Guide, "AWS FIS actions reference" and "IAM roles"."""

from __future__ import annotations

import json
from typing import Any

import pytest

from aws_spot_sandbox.state import ACCOUNT_ID
from sandbox.ec2.clusters import image
from sandbox.services.test_assumed_roles import code

ACTION = "aws:ec2:send-spot-instance-interruptions"
MAY = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "ec2:SendSpotInstanceInterruptions", "Resource": "*"}],
}


def role(sandbox: Any, *, service: str = "fis.amazonaws.com", policy: dict[str, Any] | None = MAY) -> str:
    statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": service}}
    trust = {"Version": "2012-10-17", "Statement": [statement]}
    iam = sandbox.client("iam")
    made = iam.create_role(RoleName="fis", AssumeRolePolicyDocument=json.dumps(trust))
    if policy:
        iam.put_role_policy(RoleName="fis", PolicyName="p", PolicyDocument=json.dumps(policy))
    return str(made["Role"]["Arn"])


def instance(sandbox: Any, *, spot: bool = True) -> str:
    ec2 = sandbox.client()
    market = {"InstanceMarketOptions": {"MarketType": "spot"}} if spot else {}
    made = ec2.run_instances(ImageId=image(ec2), InstanceType="t3.micro", MinCount=1, MaxCount=1, **market)
    sandbox.clock.advance(5)
    return str(made["Instances"][0]["InstanceId"])


def template(role_arn: str, instance_id: str, *, minutes: int = 2, **changes: Any) -> dict[str, Any]:
    return {
        "clientToken": "t",
        "description": "one interruption",
        "roleArn": role_arn,
        "stopConditions": [{"source": "none"}],
        "targets": {
            "one": {
                "resourceType": "aws:ec2:spot-instance",
                "resourceArns": [f"arn:aws:ec2:us-east-1:{ACCOUNT_ID}:instance/{instance_id}"],
                "selectionMode": "ALL",
            }
        },
        "actions": {
            "interrupt": {
                "actionId": ACTION,
                "parameters": {"durationBeforeInterruption": f"PT{minutes}M"},
                "targets": {"SpotInstances": "one"},
            }
        },
        **changes,
    }


def start(fis: Any, request: dict[str, Any]) -> dict[str, Any]:
    made = fis.create_experiment_template(**request)["experimentTemplate"]
    begun: dict[str, Any] = fis.start_experiment(clientToken="s", experimentTemplateId=made["id"])[
        "experiment"
    ]
    return begun


def status(sandbox: Any, instance_id: str) -> str:
    filters = [{"Name": "instance-id", "Values": [instance_id]}]
    (row,) = sandbox.client().describe_spot_instance_requests(Filters=filters)["SpotInstanceRequests"]
    return str(row["Status"]["Code"])


@pytest.mark.parametrize(("minutes", "marked"), [(2, "marked-for-termination"), (5, "fulfilled")])
def test_an_experiment_interrupts_an_instance_with_two_minutes_notice(
    sandbox: Any, minutes: int, marked: str
) -> None:
    """Both of its client tokens make a repeated call harmless."""
    fis, victim = sandbox.client("fis"), instance(sandbox)
    request = template(role(sandbox), victim, minutes=minutes)
    begun = start(fis, request)
    assert start(fis, request)["id"] == begun["id"]
    assert begun["state"]["status"] == "running"
    sandbox.clock.advance(1)
    assert status(sandbox, victim) == marked
    sandbox.clock.advance(60 * minutes)
    assert status(sandbox, victim) == "instance-terminated-no-capacity"
    ended = fis.get_experiment(id=begun["id"])["experiment"]
    assert ended["state"]["status"] == "completed"
    fis.delete_experiment_template(id=begun["experimentTemplateId"])
    assert fis.list_experiment_templates()["experimentTemplates"] == []


@pytest.mark.parametrize(
    ("settings", "spot", "reason"),
    [
        ({"service": "ec2.amazonaws.com"}, True, "Unable to assume role"),
        ({"policy": None}, True, "may not perform ec2:SendSpotInstanceInterruptions"),
        ({}, False, "empty set"),
    ],
)
def test_an_experiment_that_cannot_run_fails(
    sandbox: Any, settings: dict[str, Any], spot: bool, reason: str
) -> None:
    begun = start(sandbox.client("fis"), template(role(sandbox, **settings), instance(sandbox, spot=spot)))
    assert begun["state"]["status"] == "failed"
    assert reason in begun["state"]["reason"]


def test_an_invalid_template_is_rejected(sandbox: Any) -> None:
    fis, arn, victim = sandbox.client("fis"), role(sandbox), instance(sandbox)
    create = fis.create_experiment_template
    assert code(create, **template(arn, victim, minutes=1)) == "ValidationException"
    assert code(create, **template("not-an-arn-of-a-role", victim)) == "ValidationException"
    assert code(create, **template(arn, victim, targets={})) == "ValidationException"
    other = {"stop": {"actionId": "aws:ec2:stop-instances"}}
    assert code(create, **template(arn, victim, actions=other)) == "NotImplemented"
    assert (
        code(fis.start_experiment, clientToken="s", experimentTemplateId="EXT1")
        == "ResourceNotFoundException"
    )
    assert code(fis.get_experiment, id="EXP1") == "ResourceNotFoundException"
    assert code(fis.list_actions) == "NotImplemented"
