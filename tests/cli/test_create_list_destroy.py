"""A cluster's life from the command line, in the sandbox: the main job, and everything that can go wrong with it."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from aws_spot_sandbox.state import World
from support.cli_runner import CliResult, CliRunner

MUTATING = (
    "Create",
    "Attach",
    "Associate",
    "Authorize",
    "Run",
    "Terminate",
    "Delete",
    "Modify",
    "Cancel",
    "Request",
)
POLLS = ("ec2:DescribeInstances",)
REGIONS = ("us-east-1", "us-west-2", "eu-west-1", "ap-southeast-1")


def running(result: CliResult) -> list[dict[str, Any]]:
    return [instance for instance in result.data["instances"] if instance["state"] == "running"]


def per_region(result: CliResult) -> Counter[str]:
    return Counter(row["region"] for row in running(result))


def calls_since(world: World, start: int) -> Counter[tuple[str, str]]:
    return Counter((region, action) for region, action, _ in world.calls[start:])


def test_instances_that_take_minutes_to_end(sandbox: Any, program: CliRunner) -> None:
    """While something is on its way out, destroy waits, however little moves meanwhile."""
    program.configure(nodes=2, regions="[us-west-1]")
    before = sandbox.leftovers()
    assert program("create", "--yes").code == 0
    sandbox.world.settings.terminate_s = 240
    assert program("destroy", "--yes").code == 0
    assert sandbox.leftovers() == before


def test_the_main_job(sandbox: Any, program: CliRunner) -> None:
    """Twelve nodes over four regions; the same twelve listed; again changes nothing; destroyed, nothing is left."""
    before = sandbox.leftovers()
    created = program("create", "--yes", "-o", "json")
    assert created.code == 0, created.stdout
    assert created.envelope["status"] == "ok"

    listed = program("list", "-o", "json")
    assert per_region(listed) == dict.fromkeys(REGIONS, 3)
    assert all(row["public_ip"] and row["lifecycle"] == "spot" for row in running(listed))
    launched = {
        instance_id for region in created.data["receipt"]["regions"] for instance_id in region["launched"]
    }
    assert {row["id"] for row in running(listed)} == launched

    start = len(sandbox.world.calls)
    again = program("create", "--yes", "-o", "json")
    assert again.code == 0
    resource_ids = [
        action for _, action in calls_since(sandbox.world, start) if action.split(":")[1].startswith(MUTATING)
    ]
    assert resource_ids == []

    destroyed = program("destroy", "--yes", "-o", "json")
    assert destroyed.code == 0, destroyed.stdout
    assert sandbox.leftovers() == before

    # AWS lists the ended spot requests for hours; they are nothing that could be removed. If it does not tell, they are told.
    assert [other["kind"] for other in listed.data["others"]].count("spot-instances-request") == 12
    assert program("list", "-o", "json").data["others"] == []
    sandbox.world.settings.deny = ["ec2:DescribeSpotInstanceRequests"]
    unreadable = program("list", "-o", "json")
    assert unreadable.code == 0 and {other["kind"] for other in unreadable.data["others"]} == {
        "spot-instances-request"
    }


def test_few_calls(sandbox: Any, program: CliRunner) -> None:
    """At most seventeen AWS calls a region with three zones, none per node, polls not counted; one launch call a region."""
    program.configure(nodes=12, regions="[us-west-1, us-east-2, eu-west-1, ap-southeast-1]")
    assert program("create", "--yes").code == 0
    few = Counter[str]()
    for (region, action), count in calls_since(sandbox.world, 0).items():
        if action not in POLLS:
            few[region] += count
    assert all(count <= 20 for count in few.values()), few
    # One region describes the types for all and has the lock.
    assert sum(count > 17 for count in few.values()) <= 1, few
    many_start = len(sandbox.world.calls)
    program.configure(nodes=40, regions="[us-west-1, us-east-2, eu-west-1, ap-southeast-1]")
    assert program("create", "--yes").code == 0
    more = calls_since(sandbox.world, many_start)
    assert all(count <= 1 for (_, action), count in more.items() if action == "ec2:CreateFleet")
    assert sum(count for (_, action), count in more.items() if action not in POLLS) <= sum(few.values())


def test_every_pool_is_offered_to_aws(sandbox: Any, program: CliRunner) -> None:
    """The fleet has an override for every zone and type that the region offers; AWS chooses among them."""
    assert program("create", "--yes").code == 0
    ec2 = sandbox.client("ec2", "us-east-1")
    offered = {
        (row["InstanceType"], row["Location"])
        for row in ec2.describe_instance_type_offerings(
            LocationType="availability-zone",
            Filters=[{"Name": "instance-type", "Values": ["t3.medium", "t3a.medium"]}],
        )["InstanceTypeOfferings"]
    }
    tags = ec2.describe_tags(Filters=[{"Name": "resource-type", "Values": ["fleet"]}])["Tags"]
    fleet_id = tags[0]["ResourceId"]
    fleet = ec2.describe_fleets(FleetIds=[fleet_id])["Fleets"][0]
    zones = {row["SubnetId"]: row["AvailabilityZone"] for row in ec2.describe_subnets()["Subnets"]}
    overrides = {
        (row["InstanceType"], zones[row["SubnetId"]])
        for config in fleet["LaunchTemplateConfigs"]
        for row in config["Overrides"]
    }
    assert overrides == offered


def test_everything_is_born_tagged(sandbox: Any, program: CliRunner) -> None:
    """No second call tags anything, and everything that the create made carries the tag."""
    before = set(sandbox.leftovers())
    assert program("create", "--yes").code == 0
    assert not any(action == "ec2:CreateTags" for _, action, _ in sandbox.world.calls)
    for region in REGIONS:
        ec2 = sandbox.client("ec2", region)
        pages = ec2.get_paginator("describe_tags").paginate(
            Filters=[{"Name": "tag:bacalhau-cluster", "Values": ["bacalhau-aws-spot"]}]
        )
        tagged = {row["ResourceId"] for page in pages for row in page["Tags"]}
        created_ids = {
            line.split()[2] for line in set(sandbox.leftovers()) - before if line.startswith(f"{region} ")
        }
        # The VPC brings its main route table and default group along; they die with it.
        untagged = created_ids - tagged
        assert {resource_id.split("-")[0] for resource_id in untagged} <= {"rtb", "sg", "acl"}, untagged
        assert len(untagged) <= 3


def test_a_bigger_number_adds_only_what_is_missing(program: CliRunner) -> None:
    """And a smaller one is shown and not acted upon, unless it is allowed."""
    program.configure(nodes=4)
    assert program("create", "--yes").code == 0
    program.configure(nodes=6)
    grown = program("create", "--yes", "-o", "json")
    assert grown.code == 0
    assert grown.data["plan"]["launch"] == 2
    assert len(running(program("list", "-o", "json"))) == 6

    program.configure(nodes=4)
    result = program("create", "--yes")
    assert result.code == 0
    assert "--allow-removal" in result.stdout + result.stderr
    assert len(running(program("list", "-o", "json"))) == 6

    assert program("create", "--yes", "--allow-removal").code == 0
    assert len(running(program("list", "-o", "json"))) == 4


def test_a_region_without_capacity(sandbox: Any, program: CliRunner) -> None:
    """Its nodes move to the others, the receipt says so, and the cluster is complete: exit 0."""
    sandbox.world.settings.capacity = {"us-west-2": 0}
    result = program("create", "--yes")
    assert result.code == 0, result.stdout + result.stderr
    assert "InsufficientInstanceCapacity" in result.stdout
    assert "moved" in result.stdout
    counts = per_region(program("list", "-o", "json"))
    assert counts["us-west-2"] == 0
    assert sum(counts.values()) == 12
    again = program("create", "--yes", "-o", "json")
    assert again.data["plan"]["launch"] == 0, "nodes that moved are not missing"


def test_a_region_without_capacity_when_nodes_may_not_move(sandbox: Any, program: CliRunner) -> None:
    """With `spread: strict` they stay missing: exit 1, and the receipt says why."""
    sandbox.world.settings.capacity = {"us-west-2": 0}
    program.configure(more="spread: strict\n")
    result = program("create", "--yes")
    assert result.code == 1
    assert "InsufficientInstanceCapacity" in result.stdout + result.stderr
    assert per_region(program("list", "-o", "json")) == {"us-east-1": 3, "eu-west-1": 3, "ap-southeast-1": 3}


def test_no_capacity_anywhere(sandbox: Any, program: CliRunner) -> None:
    """Nothing waits for ever: exit 1, told once for all regions, and destroy removes what was made."""
    before = sandbox.leftovers()
    sandbox.world.settings.capacity = dict.fromkeys(REGIONS, 0)
    result = program("create", "--yes", "-o", "json")
    assert result.code == 1
    assert result.envelope["status"] in {"error", "partial"}
    assert program("destroy", "--yes").code == 0
    assert sandbox.leftovers() == before


def test_a_zone_without_capacity(sandbox: Any, program: CliRunner) -> None:
    """AWS takes another zone of the same region; nothing moves, nothing is missing."""
    sandbox.world.settings.capacity = {f"{region}a": 0 for region in REGIONS}
    result = program("create", "--yes", "-o", "json")
    assert result.code == 0, result.stdout
    listed = program("list", "-o", "json")
    assert per_region(listed) == dict.fromkeys(REGIONS, 3)
    assert not any(row["zone"].endswith("a") for row in running(listed))


def test_a_quota(sandbox: Any, program: CliRunner) -> None:
    """Quota is told as quota, with the link to raise it, and never as capacity; other regions take the nodes."""
    sandbox.world.settings.spot_vcpu_quota = {"eu-west-1": 0}
    result = program("create", "--yes")
    assert result.code == 0, result.stdout + result.stderr
    assert "MaxSpotInstanceCountExceeded" in result.stdout
    assert "quota" in result.stdout
    assert per_region(program("list", "-o", "json"))["eu-west-1"] == 0

    sandbox.world.settings.spot_vcpu_quota = {"*": 24}
    program.configure(nodes=60)
    short = program("create", "--yes")
    assert short.code == 1
    assert "servicequotas" in short.stdout + short.stderr


def test_no_room_for_a_vpc(sandbox: Any, program: CliRunner) -> None:
    """Another quota that nobody handles: the region's nodes move, and its words name the way out."""
    sandbox.world.settings.quotas = {"vpcs": 1}
    result = program("create", "--yes")
    assert result.code == 1
    assert "VpcLimitExceeded" in result.stderr + result.stdout
    assert "vpc_id" in result.stderr + result.stdout


def test_a_region_that_is_not_enabled(sandbox: Any, program: CliRunner) -> None:
    """Refused before anything is made: exit 2, with the command that enables it."""
    before = sandbox.leftovers()
    program.configure(regions="[us-east-1, af-south-1, eu-wets-1]")
    result = program("create", "--yes")
    assert result.code == 2
    assert "aws account enable-region --region-name af-south-1" in result.stderr
    assert "eu-wets-1: no such region" in result.stderr
    assert sandbox.leftovers() == before


def test_reads_that_lag(sandbox: Any, program: CliRunner) -> None:
    """Two seconds behind: everything is still made once, found, and removed."""
    before = sandbox.leftovers()
    sandbox.world.settings.read_lag_s = 2.0
    result = program("create", "--yes", "-o", "json")
    assert result.code == 0, result.stdout
    assert len(running(program("list", "-o", "json"))) == 12
    vpcs = [line for line in sandbox.leftovers() if " vpc " in line and line not in before]
    assert len(vpcs) == 4
    assert program("destroy", "--yes").code == 0
    assert sandbox.leftovers() == before


@pytest.mark.parametrize("calls", [1, 12, 25, 45, 60, 80])
def test_credentials_that_expire_in_the_middle(sandbox: Any, program: CliRunner, calls: int) -> None:
    """Exit 4, words that say what to do; after renewing them destroy removes whatever there is."""
    before = sandbox.leftovers()
    sandbox.world.settings.credentials_expire_after_calls = calls
    result = program("create", "--yes")
    assert result.code == 4, result.stdout + result.stderr
    assert "expired" in result.stderr
    assert "aws sso login" in result.stderr
    sandbox.world.settings.credentials_expire_after_calls = None
    assert program("destroy", "--yes").code == 0
    assert sandbox.leftovers() == before


def test_wrong_credentials(program: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    """Checked before anything else, in every command: exit 4."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAWRONG")
    for command in (["create", "--yes"], ["list"], ["destroy", "--yes"]):
        result = program(*command)
        assert result.code == 4, command
        assert "AWS does not accept these credentials" in result.stderr


def test_no_credentials(program: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody to ask as: exit 4, and how to get some."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    result = program("list")
    assert result.code == 4
    assert "no AWS credentials" in result.stderr
    assert "hint:" in result.stderr


def test_a_denied_action(sandbox: Any, program: CliRunner) -> None:
    """Permission is not capacity: exit 4, AWS's words name the action, and nothing moves."""
    before = sandbox.leftovers()
    sandbox.world.settings.deny = ["ec2:CreateFleet"]
    result = program("create", "--yes")
    assert result.code == 4
    assert "ec2:CreateFleet" in result.stderr + result.stdout
    sandbox.world.settings.deny = []
    assert program("destroy", "--yes").code == 0
    assert sandbox.leftovers() == before


def test_a_region_that_is_forbidden(sandbox: Any, program: CliRunner) -> None:
    """A policy denies one region: the others are launched, exit 4 names the action, and nothing moves behind its back."""
    sandbox.world.settings.faults = [
        {"match": "CreateVpc", "region": "eu-west-1", "code": "UnauthorizedOperation", "status": 403}
    ]
    result = program("create", "--yes")
    assert result.code == 4
    assert "CreateVpc" in result.stderr
    assert per_region(program("list", "-o", "json")) == {"us-east-1": 3, "us-west-2": 3, "ap-southeast-1": 3}


@pytest.mark.parametrize(
    "action",
    [
        "CreateVpc",
        "CreateSubnet",
        "CreateLaunchTemplate",
        "CreateSecurityGroup",
        "CreateFleet",
        "CreateRoute",
    ],
)
def test_a_lost_answer_makes_nothing_twice(sandbox: Any, program: CliRunner, action: str) -> None:
    """The call was carried out and its answer lost: the region is looked at, or the token repeated, and one is made."""
    sandbox.world.settings.faults = [
        {"match": action, "region": "us-east-1", "code": "ConnectionReset", "when": "after", "count": 1}
    ]
    before = sandbox.leftovers()
    result = program("create", "--yes", "-o", "json")
    assert result.code == 0, result.stdout
    kinds = Counter(
        line.split()[1] for line in set(sandbox.leftovers()) - set(before) if line.startswith("us-east-1 ")
    )
    assert kinds["vpc"] == 1
    assert kinds["instance"] == 3
    assert program("destroy", "--yes").code == 0
    assert sandbox.leftovers() == before


def test_throttling_is_waited_out(sandbox: Any, program: CliRunner) -> None:
    """AWS says slow down, the engine does, and says so."""
    sandbox.world.settings.faults = [
        {"match": "CreateVpc", "code": "RequestLimitExceeded", "count": 6, "status": 503}
    ]
    result = program("create", "--yes")
    assert result.code == 0
    assert "RequestLimitExceeded; retrying in" in result.stderr


def test_a_price_above_the_limit(program: CliRunner) -> None:
    """Said in the plan, and AWS's refusal is told as price."""
    program.configure(more="max_price_usd_per_hour: 0.0011\n")
    result = program("create", "--yes")
    assert result.code == 1
    assert "max_price_usd_per_hour" in result.stderr
    assert "SpotMaxPriceTooLow" in result.stderr + result.stdout


def test_an_image_of_the_wrong_architecture(sandbox: Any, program: CliRunner) -> None:
    """An arm64 type with an x86_64 image: refused before anything is made."""
    before = sandbox.leftovers()
    ec2 = sandbox.client("ec2", "us-east-1")
    images = ec2.describe_images(Owners=["099720109477"])["Images"]
    image = next(image["ImageId"] for image in images if image["Architecture"] == "x86_64")
    program.configure(nodes=1, regions="[us-east-1]", more=f"image: {image}\n")
    path = program.folder / "config.yaml"
    path.write_text(path.read_text().replace("[t3.medium, t3a.medium]", "[t4g.medium]"))
    result = program("create", "--yes")
    assert result.code == 2, result.stderr
    assert "t4g.medium is arm64" in result.stderr
    assert sandbox.leftovers() == before


def test_both_architectures_at_once(program: CliRunner) -> None:
    """`image: auto` brings the image of each type's architecture."""
    program.configure(nodes=2, regions="[us-east-1]")
    path = program.folder / "config.yaml"
    path.write_text(path.read_text().replace("[t3.medium, t3a.medium]", "[t4g.medium, t3.medium]"))
    assert program("create", "--yes").code == 0


def test_a_vpc_of_the_users(sandbox: Any, program: CliRunner) -> None:
    """Named in the configuration: nothing is made in it but a security group, and it stays when the cluster goes."""
    before = sandbox.leftovers()
    ec2 = sandbox.client("ec2", "us-east-1")
    vpc_id = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"][0]["VpcId"]
    program.configure(nodes=2, regions=f"{{us-east-1: {{vpc_id: {vpc_id}}}}}")
    assert program("create", "--yes").code == 0
    resource_ids = {line.split()[1] for line in set(sandbox.leftovers()) - set(before)}
    assert "vpc" not in resource_ids
    assert "subnet" not in resource_ids
    assert program("destroy", "--yes").code == 0
    assert sandbox.leftovers() == before


@pytest.mark.parametrize("action", ["CreateSecurityGroup", "AuthorizeSecurityGroupIngress"])
@pytest.mark.parametrize("command", ["create", "image bake"])
def test_a_lost_answer_in_a_vpc_of_the_users(
    sandbox: Any, program: CliRunner, action: str, command: str
) -> None:
    """The security group is looked for in that VPC."""
    ec2 = sandbox.client("ec2", "us-east-1")
    vpc_id = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"][0]["VpcId"]
    program.configure(nodes=2, regions=f"{{us-east-1: {{vpc_id: {vpc_id}}}}}")
    sandbox.world.settings.faults = [
        {"match": action, "code": "ConnectionReset", "when": "after", "count": 1}
    ]
    result = program(*command.split(), "--yes")
    assert result.code == 0, result.stdout + result.stderr
    groups = ec2.describe_security_groups(Filters=[{"Name": "vpc-id", "Values": [vpc_id]}])["SecurityGroups"]
    assert len(groups) == 1 + ("default" in {group["GroupName"] for group in groups})
    assert program("destroy", "--yes").code == 0


def test_another_cluster_is_not_touched(sandbox: Any, program: CliRunner) -> None:
    """Two clusters by two tag values in the same regions: each is listed, grown and destroyed alone."""
    program.configure(nodes=2, regions="[us-east-1]", more="cluster: {tag_value: blue}\n")
    assert program("create", "--yes").code == 0
    with_blue = sandbox.leftovers()
    program.configure(nodes=2, regions="[us-east-1]", more="cluster: {tag_value: green}\n")
    assert program("create", "--yes").code == 0
    assert len(running(program("list", "-o", "json"))) == 2
    assert program("destroy", "--yes").code == 0
    assert sandbox.leftovers() == with_blue
    assert len(running(program("list", "--cluster", "blue", "-o", "json"))) == 2
    assert program("destroy", "--cluster", "blue", "--yes").code == 0


def test_destroy_needs_no_matching_configuration(sandbox: Any, program: CliRunner) -> None:
    """Regions that the configuration no longer names are found by the tag."""
    before = sandbox.leftovers()
    assert program("create", "--yes").code == 0
    program.configure(nodes=1, regions="[eu-central-1]")
    assert program("destroy", "--yes").code == 0
    assert sandbox.leftovers() == before


def test_a_dry_run_changes_nothing(sandbox: Any, program: CliRunner) -> None:
    """The plan with its price, on stdout, and not one call that changes anything."""
    result = program("create", "--dry-run", "-o", "json")
    assert result.code == 0
    assert result.data["plan"]["launch"] == 12
    assert float(result.data["plan"]["usd_per_hour"]["low"]) > 0
    assert not any(action.split(":")[1].startswith(MUTATING) for _, action, _ in sandbox.world.calls)
    assert program("destroy", "--dry-run").code == 0


def test_a_dry_run_names_the_command_that_carries_it_out(program: CliRunner) -> None:
    program.configure(nodes=1, regions="[us-west-2]")
    shown = program("create", "--dry-run", "--budget", "2").stdout.splitlines()
    assert shown[-2:] == ["nothing was changed", "to carry it out: bacalhau-spot create --budget 2"]


def test_nobody_to_confirm(program: CliRunner, sandbox: Any) -> None:
    """Without a terminal and without the flag: refused with exit 3, the flag named, nothing made."""
    result = program("create")
    assert result.code == 3
    assert "add --yes" in result.stderr
    assert not any(action == "ec2:CreateVpc" for _, action, _ in sandbox.world.calls)
    assert program("create", "--yes").code == 0
    refused = program("destroy")
    assert refused.code == 3
    assert len(running(program("list", "-o", "json"))) == 12


def test_no_at_the_question(program: CliRunner) -> None:
    """Somebody is there and says no: exit 3, nothing made; yes: made."""
    assert program("create", answers="n\n").code == 3
    assert running(program("list", "-o", "json")) == []
    assert program("create", answers="y\n").code == 0
    assert len(running(program("list", "-o", "json"))) == 12


def test_a_cluster_that_cannot_be_seen_whole(sandbox: Any, program: CliRunner) -> None:
    """One region answers nothing: the others are listed, and exit 5 says that it was not everywhere."""
    assert program("create", "--yes").code == 0
    sandbox.world.settings.faults = [
        {"match": "DescribeInstances", "region": "eu-west-1", "code": "UnauthorizedOperation", "status": 403}
    ]
    result = program("list", "-o", "json")
    assert result.code == 5
    assert sum(per_region(result).values()) == 9
    assert "eu-west-1" in result.stdout


def test_not_waiting(sandbox: Any, program: CliRunner) -> None:
    """`--wait none`: that AWS has granted every instance is enough; they start while nobody looks."""
    sandbox.world.settings.pending_s = 500
    result = program("create", "--yes", "--wait", "none")
    assert result.code == 0, result.stdout + result.stderr
    assert "12 still starting" in result.stdout
    sandbox.clock.advance(500)
    assert len(running(program("list", "-o", "json"))) == 12


def test_instances_that_do_not_start_in_time(sandbox: Any, program: CliRunner) -> None:
    """Every wait has an end: exit 1, and the receipt says that they are still starting."""
    sandbox.world.settings.pending_s = 500
    program.configure(more="timeouts: {fulfilment_s: 60}\n")
    result = program("create", "--yes")
    assert result.code == 1
    assert "12 still starting" in result.stdout
    assert program("destroy", "--yes").code == 0


def test_regions_chosen_by_price(sandbox: Any, program: CliRunner) -> None:
    """`regions: auto`: the cheapest; and once chosen, the cluster stays, whatever prices do."""
    program.configure(nodes=4, regions="{auto: {count: 2}}")
    assert program("create", "--yes").code == 0
    chosen = per_region(program("list", "-o", "json"))
    assert list(chosen.values()) == [2, 2]
    program.configure(nodes=6, regions="{auto: {count: 2}}")
    sandbox.clock.advance(40 * 86400)
    assert program("create", "--yes").code == 0
    assert per_region(program("list", "-o", "json")) == dict.fromkeys(chosen, 3)
    assert program("destroy", "--yes").code == 0


def test_types_by_what_they_offer(program: CliRunner) -> None:
    """`requirements` instead of names: AWS says which types meet them, and the cheapest are offered to it."""
    program.configure(nodes=2, regions="[us-west-1]")
    path = program.folder / "config.yaml"
    path.write_text(
        path.read_text().replace(
            "instance_types: [t3.medium, t3a.medium]",
            'requirements: {vcpus: "2..2", memory_gib: "4..8", arch: arm64}',
        )
    )
    result = program("create", "--yes", "-o", "json")
    assert result.code == 0, result.stdout
    (region,) = result.data["plan"]["regions"]
    assert {pool["arch"] for pool in region["pools"]} == {"arm64"}
    assert 1 < len({pool["type"] for pool in region["pools"]}) <= 20
