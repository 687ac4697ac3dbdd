"""What is not ours and in the way: never touched, named with the command that frees us of it; and the command works."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from bacalhau_spot.core.kinds import ResourceKind
from support import aws_cli, busy_account
from support.account_snapshot import account_snapshot
from support.foreign_dependencies import (
    ATTACHED_TO_OURS,
    IN_OUR_NETWORK,
    OF_OUR_IDENTITIES,
    REGION,
    ForeignScene,
)
from support.one_of_each import ResourceFixture

if TYPE_CHECKING:
    from support.cli_runner import CliResult, CliRunner

# What each hook of a scene keeps, and nothing else.
SCENES = {
    "in our network": (
        IN_OUR_NETWORK,
        {
            *(
                ResourceKind.SUBNET,
                ResourceKind.GROUP,
                ResourceKind.ROUTE_TABLE,
                ResourceKind.ACL,
                ResourceKind.GATEWAY,
                ResourceKind.VPC,
                ResourceKind.DHCP_OPTIONS,
            ),
        },
    ),
    "attached to ours": (
        ATTACHED_TO_OURS,
        {
            *(
                ResourceKind.VOLUME,
                ResourceKind.ADDRESS,
                ResourceKind.INTERFACE,
                ResourceKind.GATEWAY,
                ResourceKind.DHCP_OPTIONS,
            ),
            *(ResourceKind.SNAPSHOT, ResourceKind.PLACEMENT_GROUP),
        },
    ),
    "of our identities": (OF_OUR_IDENTITIES, {ResourceKind.ROLE, ResourceKind.POLICY}),
}


def named(result: CliResult) -> set[str]:
    """Everything that is told to be in the way, or what it hangs on."""
    blockers = [blocker for outcome in result.data["outcomes"] for blocker in outcome["dependencies"]]
    return {blocker[key] for blocker in blockers for key in ("id", "parent_id") if blocker[key]}


def commands(result: CliResult) -> list[str]:
    dependencies = [
        blocker["fix_command"]
        for outcome in result.data["outcomes"]
        for blocker in outcome["dependencies"]
        if blocker["fix_command"]
    ]
    return list(dict.fromkeys(dependencies))


def nuked(program: CliRunner) -> CliResult:
    return program("nuke", "--force", "-o", "json")


def run(command: str, sandbox: Any) -> None:
    """As somebody types it. A NAT gateway takes a while to go, and its address can be released after that."""
    try:
        aws_cli.run(command, sandbox.client)
    except aws_cli.NotYet:
        sandbox.clock.advance(120)
        aws_cli.run(command, sandbox.client)


@pytest.mark.parametrize("scene", SCENES)
def test_it_is_named_and_not_touched(sandbox: Any, program: CliRunner, scene: str) -> None:
    """What is left is exactly what it keeps; when the user has typed what the report says, the next run finishes."""
    program.configure()
    hooks, remaining_kinds = SCENES[scene]
    stage = ForeignScene(sandbox)
    theirs = {hook.__name__: hook(stage) for hook in hooks}
    before = account_snapshot(sandbox.client, [REGION])
    result = nuked(program)
    assert result.code == 1, result.stdout[-2000:]
    assert {
        hook: resource_id for hook, resource_id in theirs.items() if resource_id not in named(result)
    } == {}
    assert {row["kind"] for row in result.data["remaining"]} == remaining_kinds
    left = {row["id"] for row in result.data["remaining"]}
    after = account_snapshot(sandbox.client, [REGION])
    deleted_ids = {outcome["id"] for outcome in result.data["outcomes"] if outcome["status"] == "deleted"}
    for key, row in before.items():
        if "bacalhau-cluster" not in row and not any(
            resource_id in row for resource_id in left | deleted_ids
        ):
            assert after.get(key) == row, key
    assert not [their for their in theirs.values() if not any(their in key for key in after)], (
        "they are still there"
    )
    for _ in range(4):
        if result.code == 0:
            break
        for command in commands(result):
            with contextlib.suppress(aws_cli.Gone):
                run(command, sandbox)
        sandbox.clock.advance(60)
        result = nuked(program)
    assert result.code == 0, [
        (outcome["kind"], outcome["id"], outcome["status"], outcome["problem"], outcome["dependencies"])
        for outcome in result.data["outcomes"]
        if outcome["status"] not in {"deleted", "already gone"}
    ]


def test_it_is_told_in_words(sandbox: Any, program: CliRunner) -> None:
    """Whose it is, and the command, on a line of its own."""
    program.configure()
    scene = ForeignScene(sandbox)
    machine = scene.instance(
        SubnetId=scene.fixture.subnet,
        TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": "corp-db"}]}],
    )
    result = program("nuke", "--force", "--region", REGION)
    assert result.code == 1
    assert f"instance {machine} named corp-db" in " ".join(result.stdout.split())
    command = f"to unblock: aws ec2 terminate-instances --instance-ids {machine} --region {REGION}\n"
    assert result.stdout.count(command) == 1, "it keeps the subnet and its VPC, and is ended once"


def test_a_tagged_default_vpc_stays(sandbox: Any, program: CliRunner) -> None:
    """With its subnets and its gateway; what we made in it goes."""
    program.configure()
    ec2 = sandbox.client("ec2", REGION)
    vpc = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"][0]["VpcId"]
    by_vpc = [{"Name": "vpc-id", "Values": [vpc]}]
    subnets = [subnet["SubnetId"] for subnet in ec2.describe_subnets(Filters=by_vpc)["Subnets"]]
    gateway = ec2.describe_internet_gateways(Filters=[{"Name": "attachment.vpc-id", "Values": [vpc]}])[
        "InternetGateways"
    ][0]["InternetGatewayId"]
    tags = [{"Key": key, "Value": value} for key, value in busy_account.OURS.items()]
    ec2.create_tags(Resources=[vpc, gateway, *subnets], Tags=tags)
    group = ec2.create_security_group(
        GroupName="ours",
        Description="ours",
        VpcId=vpc,
        TagSpecifications=[{"ResourceType": "security-group", "Tags": tags}],
    )["GroupId"]
    before = account_snapshot(sandbox.client, [REGION])
    looked = program("nuke", "--dry-run", "--region", REGION)
    assert "it came with the account" in looked.stdout
    result = nuked(program)
    assert result.code == 0, result.stdout
    skipped = {outcome["id"] for outcome in result.data["outcomes"] if outcome["status"] == "skipped"}
    assert skipped == {vpc, gateway, *subnets}
    group_line = f"{REGION} SecurityGroups {group}"
    assert account_snapshot(sandbox.client, [REGION]) == {
        key: row for key, row in before.items() if key != group_line
    }


def test_a_reservation_with_a_commitment_stays(sandbox: Any, program: CliRunner) -> None:
    """Cancelling it costs money; that is nobody's default."""
    program.configure()
    ec2 = sandbox.client("ec2", REGION)
    capacity_reservation_id = ec2.create_capacity_reservation(
        InstanceType="t3.medium",
        InstancePlatform="Linux/UNIX",
        AvailabilityZone=f"{REGION}a",
        InstanceCount=4,
        StartDate="2027-01-01T00:00:00Z",
        CommitmentDuration=86400 * 14,
        TagSpecifications=ResourceFixture(sandbox.client, REGION, busy_account.OURS, "x").spec(
            "capacity-reservation"
        ),
    )["CapacityReservation"]["CapacityReservationId"]
    result = nuked(program)
    assert result.code == 0
    assert [(outcome["id"], outcome["status"], outcome["reason"]) for outcome in result.data["outcomes"]] == [
        (capacity_reservation_id, "skipped", "it has a commitment that AWS bills until its end")
    ]


def test_it_is_told_before_anybody_agrees(sandbox: Any, program: CliRunner) -> None:
    """What is not ours in a VPC of ours; not what AWS or a launcher of ours put there, and not what is adopted."""
    program.configure()
    scene = ForeignScene(sandbox)
    scene.fixture.attachments()
    scene.fixture.launchers()
    theirs = scene.interface()
    for flags, expected in (((), {theirs}), (("--adopt", theirs), set())):
        looked = program("nuke", "--dry-run", "--region", REGION, "-o", "json", *flags)
        assert {row["dependency"]["id"] for row in looked.data["foreign"]} == expected
    shown = " ".join(program("nuke", "--dry-run", "--region", REGION).stdout.split())
    assert (
        f"unmanaged resources block VPC {scene.fixture.vpc}, which will be retained: network interface {theirs}"
        in shown
    )
    assert "not scanned (not enabled in this account): af-south-1" in shown


def test_what_may_not_be_read_is_not_taken_for_nothing(sandbox: Any, program: CliRunner) -> None:
    """Before: that it is not known. After: with the refusal of what stays."""
    program.configure()
    scene = ForeignScene(sandbox)
    scene.interface()
    sandbox.settings.deny = ["ec2:DescribeNatGateways"]
    result = program("nuke", "--dry-run", "--region", REGION, "-o", "json")
    assert {failure["operation"] for failure in result.data["partial_failures"]} == {"DescribeNatGateways"}
    result = nuked(program)
    assert result.code == 1
    left = {outcome["problem"]["message"] for outcome in result.data["outcomes"] if outcome["problem"]}
    assert any(
        "could not be read completely: DescribeNatGateways (UnauthorizedOperation)" in message
        for message in left
    )
