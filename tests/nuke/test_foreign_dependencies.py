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


def named(done: CliResult) -> set[str]:
    """Everything that is told to be in the way, or what it hangs on."""
    blockers = [blocker for one in done.data["outcomes"] for blocker in one["dependencies"]]
    return {blocker[key] for blocker in blockers for key in ("id", "parent_id") if blocker[key]}


def commands(done: CliResult) -> list[str]:
    found = [
        blocker["fix_command"]
        for one in done.data["outcomes"]
        for blocker in one["dependencies"]
        if blocker["fix_command"]
    ]
    return list(dict.fromkeys(found))


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
    hooks, kept = SCENES[scene]
    stage = ForeignScene(sandbox)
    theirs = {hook.__name__: hook(stage) for hook in hooks}
    before = account_snapshot(sandbox.client, [REGION])
    done = nuked(program)
    assert done.code == 1, done.stdout[-2000:]
    assert {hook: one for hook, one in theirs.items() if one not in named(done)} == {}
    assert {one["kind"] for one in done.data["remaining"]} == kept
    left = {one["id"] for one in done.data["remaining"]}
    after = account_snapshot(sandbox.client, [REGION])
    gone = {one["id"] for one in done.data["outcomes"] if one["status"] == "deleted"}
    for key, row in before.items():
        if "bacalhau-cluster" not in row and not any(one in row for one in left | gone):
            assert after.get(key) == row, key
    assert not [their for their in theirs.values() if not any(their in key for key in after)], (
        "they are still there"
    )
    for _ in range(4):
        if done.code == 0:
            break
        for command in commands(done):
            with contextlib.suppress(aws_cli.Gone):
                run(command, sandbox)
        sandbox.clock.advance(60)
        done = nuked(program)
    assert done.code == 0, [
        (one["kind"], one["id"], one["status"], one["problem"], one["dependencies"])
        for one in done.data["outcomes"]
        if one["status"] not in {"deleted", "already gone"}
    ]


def test_it_is_told_in_words(sandbox: Any, program: CliRunner) -> None:
    """Whose it is, and the command, on a line of its own."""
    program.configure()
    scene = ForeignScene(sandbox)
    machine = scene.instance(
        SubnetId=scene.ours.subnet,
        TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": "corp-db"}]}],
    )
    done = program("nuke", "--force", "--regions", REGION)
    assert done.code == 1
    assert f"instance {machine} named corp-db" in " ".join(done.stdout.split())
    command = f"to unblock: aws ec2 terminate-instances --instance-ids {machine} --region {REGION}\n"
    assert done.stdout.count(command) == 1, "it keeps the subnet and its VPC, and is ended once"


def test_a_tagged_default_vpc_stays(sandbox: Any, program: CliRunner) -> None:
    """With its subnets and its gateway; what we made in it goes."""
    program.configure()
    ec2 = sandbox.client("ec2", REGION)
    vpc = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"][0]["VpcId"]
    by_vpc = [{"Name": "vpc-id", "Values": [vpc]}]
    subnets = [one["SubnetId"] for one in ec2.describe_subnets(Filters=by_vpc)["Subnets"]]
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
    looked = program("nuke", "--dry-run", "--regions", REGION)
    assert "it came with the account" in looked.stdout
    done = nuked(program)
    assert done.code == 0, done.stdout
    skipped = {one["id"] for one in done.data["outcomes"] if one["status"] == "skipped"}
    assert skipped == {vpc, gateway, *subnets}
    gone = f"{REGION} SecurityGroups {group}"
    assert account_snapshot(sandbox.client, [REGION]) == {
        key: row for key, row in before.items() if key != gone
    }


def test_a_reservation_with_a_commitment_stays(sandbox: Any, program: CliRunner) -> None:
    """Cancelling it costs money; that is nobody's default."""
    program.configure()
    ec2 = sandbox.client("ec2", REGION)
    made = ec2.create_capacity_reservation(
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
    done = nuked(program)
    assert done.code == 0
    assert [(one["id"], one["status"], one["reason"]) for one in done.data["outcomes"]] == [
        (made, "skipped", "it has a commitment that AWS bills until its end")
    ]


def test_it_is_told_before_anybody_agrees(sandbox: Any, program: CliRunner) -> None:
    """What is not ours in a VPC of ours; not what AWS or a launcher of ours put there, and not what is adopted."""
    program.configure()
    scene = ForeignScene(sandbox)
    scene.ours.attachments()
    scene.ours.launchers()
    theirs = scene.interface()
    for flags, expected in (((), {theirs}), (("--adopt", theirs), set())):
        looked = program("nuke", "--dry-run", "--regions", REGION, "-o", "json", *flags)
        assert {one["dependency"]["id"] for one in looked.data["foreign"]} == expected
    shown = " ".join(program("nuke", "--dry-run", "--regions", REGION).stdout.split())
    assert (
        f"unmanaged resources block VPC {scene.ours.vpc}, which will be retained: network interface {theirs}"
        in shown
    )
    assert "not scanned (not enabled in this account): af-south-1" in shown


def test_what_may_not_be_read_is_not_taken_for_nothing(sandbox: Any, program: CliRunner) -> None:
    """Before: that it is not known. After: with the refusal of what stays."""
    program.configure()
    scene = ForeignScene(sandbox)
    scene.interface()
    sandbox.settings.deny = ["ec2:DescribeNatGateways"]
    blind = program("nuke", "--dry-run", "--regions", REGION, "-o", "json")
    assert {one["operation"] for one in blind.data["partial_failures"]} == {"DescribeNatGateways"}
    done = nuked(program)
    assert done.code == 1
    left = {one["problem"]["message"] for one in done.data["outcomes"] if one["problem"]}
    assert any(
        "could not be read completely: DescribeNatGateways (UnauthorizedOperation)" in one for one in left
    )
