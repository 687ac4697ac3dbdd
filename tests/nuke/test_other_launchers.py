"""What else launches: others' groups and hands on our template, and spot requests of ours that launch again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from support import aws_cli

if TYPE_CHECKING:
    from support.cli_runner import CliResult, CliRunner

REGION = "us-east-1"
COMMANDS = pytest.mark.parametrize(
    "command", [("destroy", "--yes"), ("nuke", "--force", "--region", REGION)], ids=lambda row: row[0]
)


@pytest.fixture
def cluster(sandbox: Any, program: CliRunner) -> CliRunner:
    program.configure(nodes=1, regions=f"[{REGION}]")
    assert program("create", "--yes").code == 0
    return program


class Ours:
    """The ids of what `create` made."""

    def __init__(self, sandbox: Any) -> None:
        self.ec2 = sandbox.client()
        tagged = [{"Name": "tag-key", "Values": ["bacalhau-cluster"]}]
        self.subnet = self.ec2.describe_subnets(Filters=tagged)["Subnets"][0]["SubnetId"]
        self.group = self.ec2.describe_security_groups(Filters=tagged)["SecurityGroups"][0]["GroupId"]
        (template,) = self.ec2.describe_launch_templates(Filters=tagged)["LaunchTemplates"]
        self.template = template["LaunchTemplateId"]
        (row,) = self.ec2.describe_instances(Filters=tagged)["Reservations"]
        self.image = row["Instances"][0]["ImageId"]
        self.node = row["Instances"][0]["InstanceId"]

    def by_hand(self) -> str:
        """From our template, as the console does it: the card is given whole, because it names the subnet.

        As spot: on demand AWS refuses the template's tags for a spot request (RunInstances).
        """
        reply = self.ec2.run_instances(
            LaunchTemplate={"LaunchTemplateId": self.template, "Version": "$Latest"},
            ImageId=self.image,
            InstanceType="t3.small",
            MinCount=1,
            MaxCount=1,
            InstanceMarketOptions={"MarketType": "spot"},
            NetworkInterfaces=[{"DeviceIndex": 0, "SubnetId": self.subnet, "Groups": [self.group]}],
        )
        return str(reply["Instances"][0]["InstanceId"])

    def persistent(self, tags: list[dict[str, str]]) -> tuple[str, str]:
        """A spot request that launches again, and its instance, which carries no tag of the request."""
        reply = self.ec2.request_spot_instances(
            Type="persistent",
            InstanceCount=1,
            LaunchSpecification={"ImageId": self.image, "InstanceType": "t3.small", "SubnetId": self.subnet},
            TagSpecifications=[{"ResourceType": "spot-instances-request", "Tags": tags}],
        )
        (row,) = reply["SpotInstanceRequests"]
        return str(row["SpotInstanceRequestId"]), str(row["InstanceId"])


def living(sandbox: Any) -> set[str]:
    rows = sandbox.client().describe_instances()["Reservations"]
    states = {
        instance["InstanceId"]: instance["State"]["Name"] for row in rows for instance in row["Instances"]
    }
    return {instance for instance, state in states.items() if state in ("pending", "running")}


def blockers(result: CliResult) -> list[Any]:
    return [blocker for outcome in result.data["outcomes"] for blocker in outcome["dependencies"]]


OUR_TAGS = [
    {"Key": "bacalhau-cluster", "Value": "bacalhau-aws-spot"},
    {"Key": "CreatedBy", "Value": "bacalhau-aws-spot-script"},
]


@COMMANDS
def test_an_instance_by_hand_from_our_template_goes(
    sandbox: Any, cluster: CliRunner, command: tuple[str, ...]
) -> None:
    """trust.md §8: the template gives its spot request our tags, so both are the cluster's."""
    assert Ours(sandbox).by_hand() in living(sandbox)
    result = cluster(*command)
    assert result.code == 0, result.stdout + result.stderr
    assert living(sandbox) == set()
    assert not sandbox.leftovers()


@COMMANDS
def test_an_instance_by_hand_in_our_subnet_is_named(
    sandbox: Any, cluster: CliRunner, command: tuple[str, ...]
) -> None:
    """trust.md §8: from our template's values and not by it: nothing of it carries our tag."""
    fixture = Ours(sandbox)
    card = {"DeviceIndex": 0, "SubnetId": fixture.subnet, "Groups": [fixture.group]}
    reply = fixture.ec2.run_instances(
        ImageId=fixture.image, InstanceType="t3.small", MinCount=1, MaxCount=1, NetworkInterfaces=[card]
    )
    theirs = reply["Instances"][0]["InstanceId"]
    result = cluster(*command, "-o", "json")
    assert result.code == 1, result.stdout
    assert living(sandbox) == {theirs}
    assert theirs in {blocker[key] for blocker in blockers(result) for key in ("id", "parent_id")}


@COMMANDS
def test_a_group_on_our_template_is_named_and_not_its_instance_alone(
    sandbox: Any, cluster: CliRunner, command: tuple[str, ...]
) -> None:
    """trust.md §8: ending its instance does not help, the group replaces it (Auto Scaling user guide, "Health checks")."""
    fixture = Ours(sandbox)
    scaling = sandbox.client("autoscaling", REGION)
    fixture.ec2.create_launch_template_version(
        LaunchTemplateId=fixture.template,
        LaunchTemplateData={
            "ImageId": fixture.image,
            "InstanceType": "t3.small",
            "SecurityGroupIds": [fixture.group],
        },
    )
    scaling.create_auto_scaling_group(
        AutoScalingGroupName="theirs",
        LaunchTemplate={"LaunchTemplateId": fixture.template, "Version": "$Latest"},
        MinSize=1,
        MaxSize=1,
        VPCZoneIdentifier=fixture.subnet,
    )
    theirs = living(sandbox) - {fixture.node}
    result = cluster(*command, "-o", "json")
    assert result.code == 1, result.stdout
    assert living(sandbox) == theirs
    assert len(scaling.describe_auto_scaling_groups()["AutoScalingGroups"]) == 1
    named = [blocker for blocker in blockers(result) if theirs & {blocker["id"], blocker["parent_id"]}]
    assert named and all("Auto Scaling group theirs" in row["owner"] for row in named)
    (free,) = {row["fix_command"] for row in named}
    assert "autoscaling update-auto-scaling-group" in free
    aws_cli.run(free, sandbox.client)


@COMMANDS
def test_a_persistent_request_is_cancelled_before_its_instance_ends(
    sandbox: Any, cluster: CliRunner, command: tuple[str, ...]
) -> None:
    """trust.md §8: "Spot Instance request types" (EC2 user guide): it launches again until it is cancelled."""
    request, _ = Ours(sandbox).persistent(OUR_TAGS)
    result = cluster(*command)
    assert result.code == 0, result.stdout + result.stderr
    sandbox.clock.sleep(600)
    assert living(sandbox) == set()
    rows = sandbox.client().describe_spot_instance_requests(SpotInstanceRequestIds=[request])
    assert rows["SpotInstanceRequests"][0]["State"] == "cancelled"


def test_an_instance_that_a_request_would_launch_again_is_named(sandbox: Any, cluster: CliRunner) -> None:
    """trust.md §8, F3: without CancelSpotInstanceRequests its instance stays, and the rest goes as far as it can."""
    request, instance = Ours(sandbox).persistent(OUR_TAGS)
    sandbox.settings.deny = ["ec2:CancelSpotInstanceRequests"]
    result = cluster("destroy", "--yes", "-o", "json")
    assert result.code != 0
    assert living(sandbox) == {instance}
    messages = {
        outcome["id"]: (outcome["problem"] or {}).get("message", "") for outcome in result.data["outcomes"]
    }
    assert "would start another" in messages[instance]
    assert request in messages


@COMMANDS
def test_anothers_persistent_request_in_our_subnet_is_left(
    sandbox: Any, cluster: CliRunner, command: tuple[str, ...]
) -> None:
    """trust.md §8: neither the request nor its instance is ours."""
    request, instance = Ours(sandbox).persistent([{"Key": "team", "Value": "theirs"}])
    result = cluster(*command, "-o", "json")
    assert result.code == 1, result.stdout
    assert living(sandbox) == {instance}
    rows = sandbox.client().describe_spot_instance_requests(SpotInstanceRequestIds=[request])
    assert rows["SpotInstanceRequests"][0]["State"] == "active"
    assert instance in {blocker[key] for blocker in blockers(result) for key in ("id", "parent_id")}
