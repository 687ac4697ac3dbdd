"""Others' resources with exactly the names of ours, and without the cluster's tag: a name proves nothing.

One case for each kind that bacalhau-spot finds by its name. `create` says so and fails; neither it nor `destroy` changes them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from bacalhau_spot.core.lifecycle.operator_lock import LOCK_ROLE, lock_name
from bacalhau_spot.core.model import ROLE_KEY, Naming
from bacalhau_spot.core.orchestrator.published_configuration import SWITCHED_OFF
from bacalhau_spot.core.tags import (
    group_name,
    orchestrator_name,
    orchestrator_parameter,
    orchestrator_role_name,
    reconcile_parameter,
    results_bucket,
    role_name,
    template_name,
    token_parameter,
)
from bacalhau_spot.orchestrator.certificates import new_credentials
from support.account_snapshot import account_snapshot
from support.cli_runner import CliRunner
from support.foreign_account import NOBODY
from support.storms import ask_sandbox_orchestrator

REGION = "us-east-1"
NAMING = Naming()
BUCKET = results_bucket(NAMING, account_id="000000000000", region=REGION)
TAG = f"{NAMING.tag_key}={NAMING.tag_value}"
OURS = {"Key": NAMING.tag_key, "Value": NAMING.tag_value}
LOCK = {"Key": ROLE_KEY, "Value": LOCK_ROLE}
THEIRS = [{"Key": "team", "Value": "payroll"}]
OWN, MANAGED = 'bacalhau:\n  orchestrators: ["nats://192.0.2.1:4222"]\n', "orchestrator: managed\n"
OPERATOR = "52.94.76.1/32"  # the address that the sandbox sees
SECRETS = "  token: planted-token-71\n  secrets: ssm\n"


def template(sandbox: Any, name: str, tags: Any = THEIRS) -> None:
    ec2 = sandbox.client("ec2", REGION)
    ec2.create_launch_template(
        LaunchTemplateName=name,
        LaunchTemplateData={
            "ImageId": ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"],
            "InstanceType": "t3.small",
        },
        TagSpecifications=[{"ResourceType": "launch-template", "Tags": tags}],
    )


def scaling_group(sandbox: Any, name: str = template_name(NAMING)) -> None:
    """With a running instance."""
    template(sandbox, "theirs")
    sandbox.client("autoscaling", REGION).create_auto_scaling_group(
        AutoScalingGroupName=name,
        LaunchTemplate={"LaunchTemplateName": "theirs", "Version": "$Latest"},
        MinSize=0,
        MaxSize=2,
        DesiredCapacity=1,
        AvailabilityZones=[f"{REGION}a"],
        Tags=[{**tag, "PropagateAtLaunch": True} for tag in THEIRS],
    )


def parameter(sandbox: Any, name: str, value: str = "theirs") -> None:
    sandbox.client("ssm", REGION).put_parameter(Name=name, Value=value, Type="SecureString", Tags=THEIRS)


def role(sandbox: Any, name: str) -> None:
    sandbox.client("iam", REGION).create_role(RoleName=name, AssumeRolePolicyDocument=NOBODY, Tags=THEIRS)


def profile(sandbox: Any, name: str) -> None:
    sandbox.client("iam", REGION).create_instance_profile(InstanceProfileName=name, Tags=THEIRS)


def bucket(sandbox: Any) -> None:
    s3 = sandbox.client("s3", REGION)
    s3.create_bucket(Bucket=BUCKET)
    s3.put_bucket_tagging(Bucket=BUCKET, Tagging={"TagSet": THEIRS})


@dataclass(frozen=True)
class Named:
    """`noun`: of the refusal, with the name. `orchestrator`: a managed one. `lacks`: the tag that the refusal names."""

    noun: str
    make: Callable[[Any], None]
    config: str = ""
    orchestrator: str = ""
    lacks: str = TAG


KINDS = {
    "Auto Scaling group": Named(
        f"the Auto Scaling group {template_name(NAMING)} in {REGION}", scaling_group, "self_heal: true\n"
    ),
    "lock": Named(
        f"the launch template {lock_name(NAMING)} in {REGION}",
        lambda sandbox: template(sandbox, lock_name(NAMING)),
    ),
    "lock of another cluster": Named(
        f"the launch template {lock_name(NAMING)} in {REGION}",
        lambda sandbox: template(
            sandbox, lock_name(NAMING), [{"Key": NAMING.tag_key, "Value": "third"}, LOCK]
        ),
    ),
    "launch template": Named(
        f"the launch template {template_name(NAMING)} in {REGION}",
        lambda sandbox: template(sandbox, template_name(NAMING)),
    ),
    "parameter of the token": Named(
        f"the parameter {token_parameter(NAMING)} in {REGION}",
        lambda sandbox: parameter(sandbox, token_parameter(NAMING)),
        SECRETS,
    ),
    "role": Named(
        f"the IAM role {role_name(NAMING)}", lambda sandbox: role(sandbox, role_name(NAMING)), SECRETS
    ),
    "instance profile": Named(
        f"the IAM instance profile {role_name(NAMING)}",
        lambda sandbox: profile(sandbox, role_name(NAMING)),
        SECRETS,
    ),
    "claim on the orchestrator": Named(
        f"the launch template {orchestrator_name(NAMING)} in {REGION}",
        lambda sandbox: template(sandbox, orchestrator_name(NAMING)),
        orchestrator=MANAGED,
    ),
    "role of the orchestrator": Named(
        f"the IAM role {orchestrator_role_name(NAMING)}",
        lambda sandbox: role(sandbox, orchestrator_role_name(NAMING)),
        orchestrator=MANAGED,
    ),
    "instance profile of the orchestrator": Named(
        f"the IAM instance profile {orchestrator_role_name(NAMING)}",
        lambda sandbox: profile(sandbox, orchestrator_role_name(NAMING)),
        orchestrator=MANAGED,
    ),
    "parameter of the orchestrator": Named(
        f"the parameter {orchestrator_parameter(NAMING)} in {REGION}",
        lambda sandbox: parameter(
            sandbox, orchestrator_parameter(NAMING), new_credentials("192.0.2.1").to_json().reveal()
        ),
        orchestrator=MANAGED,
    ),
    "parameter of reconcile": Named(
        f"the parameter {reconcile_parameter(NAMING)} in {REGION}",
        lambda sandbox: parameter(sandbox, reconcile_parameter(NAMING), SWITCHED_OFF.to_parameter().reveal()),
        orchestrator="orchestrator: {reconcile: {every: 60s, package: bacalhau-spot==1.0.0}}\n",
    ),
    "bucket": Named(f"the bucket {BUCKET}", bucket, orchestrator=MANAGED),
    "template that is not a lock": Named(
        f"the launch template {lock_name(NAMING)} in {REGION}",
        lambda sandbox: template(sandbox, lock_name(NAMING), [OURS]),
        lacks=f"{ROLE_KEY}={LOCK_ROLE}",
    ),
}


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_a_name_of_ours_without_our_tag_is_never_changed(
    sandbox: Any, program: CliRunner, kind: Named
) -> None:
    path = program.configure(nodes=1, regions=f"[{REGION}]", more=kind.config)
    if kind.orchestrator:
        path.write_text(path.read_text().replace(OWN, kind.orchestrator).replace("192.0.2.0/24", OPERATOR))
    kind.make(sandbox)
    sandbox.clock.advance(300)
    theirs = shown(sandbox)
    created = program("create", "--yes", "-o", "json")
    assert created.code not in (0, 130), created.stdout
    assert f"{kind.noun} exists and does not have the tag {kind.lacks}" in created.stdout
    assert changed(sandbox, theirs) == {}
    program("destroy", "--yes")
    assert changed(sandbox, theirs) == {}


# Of these the cluster has none, so that others can have the names; its commands go on.
FREE_NAMES = [
    name for name in KINDS if name not in {"launch template", *(key for key in KINDS if "lock" in key)}
]


def test_a_living_cluster_changes_nothing_that_has_a_name_of_ours(
    sandbox: Any, program: CliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask_sandbox_orchestrator(sandbox, monkeypatch)
    program.configure(nodes=1, regions=f"[{REGION}]")
    assert program("create", "--yes").code == 0
    for name in FREE_NAMES:
        KINDS[name].make(sandbox)
    sandbox.clock.advance(300)
    theirs = {key: row for key, row in shown(sandbox).items() if "payroll" in row}
    assert len(theirs) > len(FREE_NAMES), "the group has an instance"
    for command in (
        ("scale", "2", "--yes", "--grace", "0"),
        ("extend", "4h", "--yes"),
        ("reconcile",),
        ("destroy", "--yes"),
    ):
        result = program(*command)
        assert result.code == 0, result.stdout + result.stderr
        assert changed(sandbox, theirs) == {}, command


@pytest.mark.parametrize(
    ("name", "orchestrator"), [(group_name(NAMING), OWN), (orchestrator_name(NAMING), MANAGED)]
)
def test_a_security_group_of_others_in_the_users_vpc_stays(
    sandbox: Any, program: CliRunner, name: str, orchestrator: str
) -> None:
    """Its name is unique in the VPC."""
    ec2 = sandbox.client("ec2", REGION)
    (vpc,) = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
    ec2.create_security_group(GroupName=name, Description="theirs", VpcId=vpc["VpcId"])
    path = program.configure(nodes=1, regions=f"{{{REGION}: {{vpc_id: {vpc['VpcId']}}}}}")
    path.write_text(path.read_text().replace(OWN, orchestrator).replace("192.0.2.0/24", OPERATOR))
    theirs = shown(sandbox)
    created = program("create", "--yes")
    said = " ".join((created.stdout + created.stderr).split())
    assert (created.code, name in said) == (1, True), said
    assert changed(sandbox, theirs) == {}
    assert program("destroy", "--yes").code == 0
    assert changed(sandbox, theirs) == {}


def main_table(ec2: Any) -> tuple[str, dict[str, Any]]:
    """The cluster's VPC and its main route table."""
    (vpc,) = ec2.describe_vpcs(Filters=[{"Name": f"tag:{OURS['Key']}", "Values": [OURS["Value"]]}])["Vpcs"]
    of_vpc = [{"Name": "vpc-id", "Values": [vpc["VpcId"]]}, {"Name": "association.main", "Values": ["true"]}]
    (table,) = ec2.describe_route_tables(Filters=of_vpc)["RouteTables"]
    return vpc["VpcId"], table


def another_main_table(sandbox: Any, tags: list[dict[str, str]]) -> tuple[str, str]:
    """Somebody makes their own route table the main one of the cluster's VPC; its id, and that of the former one."""
    ec2 = sandbox.client("ec2", REGION)
    vpc, former = main_table(ec2)
    theirs = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    if tags:
        ec2.create_tags(Resources=[theirs], Tags=tags)
    (association,) = former["Associations"]
    ec2.replace_route_table_association(
        AssociationId=association["RouteTableAssociationId"], RouteTableId=theirs
    )
    sandbox.clock.advance(300)
    return theirs, former["RouteTableId"]


@pytest.mark.parametrize("command", ["create-route", "replace-route-table-association"])
@pytest.mark.parametrize("tags", [[], THEIRS], ids=["untagged", "tagged"])
def test_the_main_route_table_of_others_gets_no_route(
    sandbox: Any, program: CliRunner, tags: list[dict[str, str]], command: str
) -> None:
    """AWS creates the main table without a tag. The error has both commands, and after either one the cluster grows."""
    ec2 = sandbox.client("ec2", REGION)
    program.configure(nodes=1, regions=f"[{REGION}]")
    assert program("create", "--yes").code == 0
    theirs, former = another_main_table(sandbox, tags)
    program.configure(nodes=3, regions=f"[{REGION}]")
    before = shown(sandbox)
    created = program("create", "--yes")
    said = " ".join((created.stdout + created.stderr).split())
    assert created.code == 1 and f"{theirs} is the main route table of" in said, said
    assert changed(sandbox, before) == {}
    commands = {words.split()[2]: words.split() for words in said.split("`") if words.startswith("aws ec2 ")}
    assert commands[command][-2:] == ["--region", REGION]
    options = dict(zip(commands[command][3:-2:2], commands[command][4:-2:2], strict=True))
    if command == "create-route":
        ec2.create_route(
            RouteTableId=options["--route-table-id"],
            DestinationCidrBlock=options["--destination-cidr-block"],
            GatewayId=options["--gateway-id"],
        )
    else:
        assert options["--route-table-id"] == former
        ec2.replace_route_table_association(
            AssociationId=options["--association-id"], RouteTableId=options["--route-table-id"]
        )
    assert program("create", "--yes").code == 0


def test_the_only_route_table_of_the_vpc_gets_a_route_unless_it_has_tags_of_others(
    sandbox: Any, program: CliRunner
) -> None:
    """The one that AWS created, after an interrupted create; others may have put theirs in its place, and deleted it."""
    ec2 = sandbox.client("ec2", REGION)
    program.configure(nodes=1, regions=f"[{REGION}]")
    assert program("create", "--yes").code == 0
    _, own = main_table(ec2)
    ec2.delete_route(RouteTableId=own["RouteTableId"], DestinationCidrBlock="0.0.0.0/0")
    program.configure(nodes=2, regions=f"[{REGION}]")
    assert program("create", "--yes").code == 0
    assert len(main_table(ec2)[1]["Routes"]) == 2
    theirs, former = another_main_table(sandbox, THEIRS)
    ec2.delete_route_table(RouteTableId=former)
    program.configure(nodes=3, regions=f"[{REGION}]")
    assert program("create", "--yes").code == 1
    assert len(main_table(ec2)[1]["Routes"]) == 1
    ec2.create_tags(Resources=[theirs], Tags=[OURS])
    assert program("create", "--yes").code == 0
    assert len(main_table(ec2)[1]["Routes"]) == 2


@pytest.mark.parametrize("name", ["payroll", template_name(NAMING)])
@pytest.mark.parametrize(
    "command",
    [("remove", "{id}", "--yes"), ("replace", "{id}", "--yes"), ("scale", "1", "--yes")],
    ids=" ".join,
)
def test_a_group_of_others_keeps_its_number_though_its_instance_has_our_tag(
    sandbox: Any, program: CliRunner, command: tuple[str, ...], name: str
) -> None:
    """The instance is a node of the cluster by its tag; the group is not the cluster's."""
    program.configure(nodes=1, regions=f"[{REGION}]")
    assert program("create", "--yes").code == 0
    scaling_group(sandbox, name)
    sandbox.clock.advance(300)
    scaling = sandbox.client("autoscaling", REGION)
    (group,) = scaling.describe_auto_scaling_groups()["AutoScalingGroups"]
    (member,) = (row["InstanceId"] for row in group["Instances"])
    sandbox.client("ec2", REGION).create_tags(Resources=[member], Tags=[OURS])
    sandbox.server.settle()
    program(*(part.format(id=member) for part in command), "--grace", "0")
    (after,) = scaling.describe_auto_scaling_groups()["AutoScalingGroups"]
    numbers = ("MinSize", "MaxSize", "DesiredCapacity", "Tags", "SuspendedProcesses")
    assert {key: after[key] for key in numbers} == {key: group[key] for key in numbers}


def shown(sandbox: Any) -> dict[str, str]:
    sandbox.server.settle()
    return account_snapshot(sandbox.client, (REGION,))


def changed(sandbox: Any, theirs: dict[str, str]) -> dict[str, Any]:
    after = shown(sandbox)
    return {key: after.get(key) for key, row in theirs.items() if after.get(key) != row}
