"""The resources that IAM authorizes and their condition keys. AWS: Service Authorization Reference, Amazon EC2."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from sandbox.ec2.clusters import TAGS, build_fleet, build_network, build_template, codes, image, spec
from sandbox.middleware.errors import refusal

NO = ("UnauthorizedOperation", 403)
KEY = "bacalhau-cluster"
BORN = {"StringEquals": {f"aws:RequestTag/{KEY}": "one"}}
OURS = {"StringEquals": {f"aws:ResourceTag/{KEY}": "one"}}
MADE = ("fleet", "instance", "volume", "network-interface", "spot-instances-request")


def allow(*actions: str, on: tuple[str, ...] = (), when: dict[str, Any] | None = None) -> dict[str, Any]:
    where = [f"arn:aws:ec2:*:*:{kind}/*" for kind in on] or "*"
    return {"Effect": "Allow", "Action": list(actions), "Resource": where, "Condition": when or {}}


def policy(*statements: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"Version": "2012-10-17", "Statement": list(statements)}]


LAUNCH = ("ec2:CreateFleet", "ec2:RunInstances")
FLEET = policy(
    allow(*LAUNCH, on=MADE, when=BORN),
    allow(*LAUNCH, on=("launch-template", "security-group", "subnet"), when=OURS),
    allow(*LAUNCH, on=("image",)),
    allow("ec2:CreateTags", "ec2:DescribeImages"),
)


def without(action: str, kind: str) -> list[dict[str, Any]]:
    """The policy above, without one resource type for one action."""
    less = copy.deepcopy(FLEET)
    statements = less[0]["Statement"]
    for denied_statement in [
        statement for statement in statements if any(f":{kind}/" in where for where in statement["Resource"])
    ]:
        others = [where for where in denied_statement["Resource"] if f":{kind}/" not in where]
        statements.append(
            {**denied_statement, "Action": [name for name in denied_statement["Action"] if name != action]}
        )
        denied_statement["Resource"] = others
        statements += [{**denied_statement, "Resource": others}] if others else []
    less[0]["Statement"] = [statement for statement in statements if statement["Resource"]]
    return less


def test_a_fleet_is_asked_about_with_all_that_it_uses_and_makes(sandbox: Any) -> None:
    """CreateFleet: fleet and instance, volume, template, subnet, image; RunInstances: also all that an instance
    creates.

    For CreateFleet the call's own tags of instances count; those of the template count only for RunInstances.
    """
    ec2 = sandbox.client()
    network = build_network(ec2, ("us-east-1a",))
    template = build_template(ec2, network["group"])
    pools = [
        {"InstanceType": "t3.medium", "SubnetId": network["subnets"]["us-east-1a"], "ImageId": image(ec2)}
    ]
    tagged: dict[str, Any] = {"TagSpecifications": spec("fleet", "instance", "volume")}
    row: dict[str, Any] = {"template": template, "pools": pools, "count": 1}

    sandbox.settings.policies = FLEET
    assert codes(build_fleet(ec2, **row, **tagged)) == set()
    assert refusal(build_fleet, ec2=ec2, **row, TagSpecifications=spec("fleet")) == NO
    for kind in ("fleet", "instance", "volume", "launch-template", "subnet"):
        sandbox.settings.policies = without("ec2:CreateFleet", kind)
        assert refusal(build_fleet, ec2=ec2, **row, **tagged) == NO, kind
    for kind in (*MADE[1:], "launch-template", "security-group", "subnet"):
        sandbox.settings.policies = without("ec2:RunInstances", kind)
        assert codes(build_fleet(ec2, **row, **tagged)) == {"UnauthorizedOperation"}, kind
    sandbox.settings.policies = FLEET
    run = {"ImageId": pools[0]["ImageId"], "InstanceType": "t3.medium", "MinCount": 1, "MaxCount": 1}
    tag_specifications = spec("instance", "volume", "network-interface")
    subnet = pools[0]["SubnetId"]
    assert (
        refusal(ec2.run_instances, SubnetId=subnet, TagSpecifications=tag_specifications, **run) == NO
    )  # the default group


def test_the_keys_that_each_thing_shows(sandbox: Any) -> None:
    """The tags also under the service's own prefix, the VPC of resources in one, the region of the call."""
    ec2 = sandbox.client()
    network = build_network(ec2, ("us-east-1a",))
    vpc = {"ArnEquals": {"ec2:Vpc": f"arn:aws:ec2:us-east-1:000000000000:vpc/{network['vpc']}"}}
    own = {"StringEquals": {f"ec2:ResourceTag/{KEY}": "one"}}
    here = {"StringEquals": {"aws:RequestedRegion": "us-east-1", "ec2:Region": "us-east-1"}}
    elsewhere = {"StringNotEquals": {"aws:RequestedRegion": "us-east-1"}}
    rule = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "192.0.2.1/32"}]}
    for when in (vpc, own, here):
        sandbox.settings.policies = policy(
            allow("ec2:AuthorizeSecurityGroupIngress", "ec2:RevokeSecurityGroupIngress", when=when)
        )
        ec2.authorize_security_group_ingress(GroupId=network["group"], IpPermissions=[rule])
        ec2.revoke_security_group_ingress(GroupId=network["group"], IpPermissions=[rule])
    sandbox.settings.policies = policy(
        allow("ec2:DescribeVpcs"), {**allow("*", when=elsewhere), "Effect": "Deny"}
    )
    ec2.describe_vpcs()
    assert refusal(sandbox.client("ec2", "us-west-2").describe_vpcs) == NO
    topic = sandbox.client("sns").create_topic
    sandbox.settings.policies = []
    arn = topic(Name="t", Tags=TAGS)["TopicArn"]
    sandbox.settings.policies = policy(
        allow("sns:*", when={"StringEquals": {f"sns:ResourceTag/{KEY}": "one"}})
    )
    assert refusal(sandbox.client("sns").delete_topic, TopicArn=arn)[1] == 403  # SNS has no key of its own


def test_a_table_is_freed_from_a_subnet_only_by_who_may_both(sandbox: Any) -> None:
    """DisassociateRouteTable: requires permission for the table and its subnet."""
    ec2 = sandbox.client()
    network = build_network(ec2, ("us-east-1a",))
    table = ec2.describe_route_tables(RouteTableIds=[network["table"]])["RouteTables"][0]
    association = table["Associations"][0]["RouteTableAssociationId"]
    free = "ec2:DisassociateRouteTable"
    sandbox.settings.policies = policy(allow(free, on=("route-table",)))
    assert refusal(ec2.disassociate_route_table, AssociationId=association) == NO
    sandbox.settings.policies = policy(allow(free, on=("route-table", "subnet"), when=OURS))
    ec2.disassociate_route_table(AssociationId=association)


def test_looks_beside_ec2_are_about_things(sandbox: Any) -> None:
    """A policy for the named resource suffices, and no other. AWS: Service Authorization Reference."""
    sqs, sns, logs = (sandbox.client(name) for name in ("sqs", "sns", "logs"))
    sqs.create_queue(QueueName="ours")
    arn = sns.create_topic(Name="ours", Tags=TAGS)["TopicArn"]
    logs.create_log_group(logGroupName="ours", tags={KEY: "one"})
    group = "arn:aws:logs:us-east-1:000000000000:log-group:ours"
    asks: dict[str, tuple[str, Callable[[], Any]]] = {
        "sqs:GetQueueUrl": ("arn:aws:sqs:*:*:ours", lambda: sqs.get_queue_url(QueueName="ours")),
        "sns:ListTagsForResource": (arn, lambda: sns.list_tags_for_resource(ResourceArn=arn)),
        "logs:ListTagsForResource": (group, lambda: logs.list_tags_for_resource(resourceArn=group)),
        "cloudwatch:DescribeAlarms": (
            "arn:aws:cloudwatch:*:*:alarm:ours*",
            lambda: sandbox.client("cloudwatch").describe_alarms(AlarmNames=["ours"]),
        ),
        "iam:SimulatePrincipalPolicy": (
            "arn:aws:iam::000000000000:user/sandbox",
            lambda: sandbox.client("iam").simulate_principal_policy(
                PolicySourceArn="arn:aws:iam::000000000000:user/sandbox", ActionNames=["ec2:CreateVpc"]
            ),
        ),
    }
    for action, (where, ask) in asks.items():
        sandbox.settings.policies = policy({**allow(action), "Resource": where})
        ask()
        sandbox.settings.policies = policy({**allow(action), "Resource": f"{where}-another"})
        assert refusal(ask)[0].startswith("AccessDenied"), action
