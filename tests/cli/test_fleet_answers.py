"""What AWS answers to a fleet, and what a create makes of it."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from aws_spot_sandbox.middleware.read_lag import ReadLag
from support.cli_runner import CliRunner

HOUR = 3600


def alive(sandbox: Any, *regions: str) -> int:
    pages = [
        page
        for region in regions
        for page in sandbox.client(region=region).describe_instances()["Reservations"]
    ]
    states = [instance["State"]["Name"] for page in pages for instance in page["Instances"]]
    return sum(state in ("pending", "running") for state in states)


def fleets(sandbox: Any, region: str) -> int:
    return Counter((place, action) for place, action, _ in sandbox.world.calls)[region, "ec2:CreateFleet"]


def test_a_type_that_is_not_sold_as_spot_in_a_zone_moves_its_nodes(sandbox: Any, program: CliRunner) -> None:
    """F5: offered in the zone, InvalidFleetConfiguration as spot (karpenter-provider-aws#2243): not the configuration's fault."""
    program.configure(nodes=4, regions="[us-east-1, eu-west-1]")
    sandbox.settings.capacity = {"us-east-1": 0}
    sandbox.settings.no_spot = ["us-east-1a/t3.medium"]
    result = program("create", "--yes", "-o", "json")
    assert result.code == 0, result.stdout
    assert alive(sandbox, "eu-west-1") == 4


def test_a_type_without_spot_is_left_out_before_the_launch(sandbox: Any, program: CliRunner) -> None:
    """F5: SupportedUsageClasses without `spot`, or no price: the pool is not in the fleet."""
    program.configure(nodes=2, regions="[us-east-1]")
    sandbox.settings.no_spot = ["t3a.medium"]
    assert program("create", "--yes").code == 0
    pages = sandbox.client().describe_instances()["Reservations"]
    assert {instance["InstanceType"] for page in pages for instance in page["Instances"]} == {"t3.medium"}
    fleet_id = next(
        tag["Value"] for tag in pages[0]["Instances"][0]["Tags"] if tag["Key"] == "aws:ec2:fleet-id"
    )
    fleet = sandbox.client().describe_fleets(FleetIds=[fleet_id])["Fleets"][0]
    overrides = fleet["LaunchTemplateConfigs"][0]["Overrides"]
    assert {override["InstanceType"] for override in overrides} == {"t3.medium"}


def test_errors_beside_a_full_success_are_no_failure(sandbox: Any, program: CliRunner) -> None:
    """S4: AWS names the pools that refused although the target was met (osbuild-composer#4507)."""
    program.configure(nodes=3, regions="[us-east-1]")
    sandbox.settings.capacity = {"us-east-1a": 0, "us-east-1b": 0}
    result = program("create", "--yes")
    assert result.code == 0, result.stderr
    assert alive(sandbox, "us-east-1") == 3


def test_an_empty_answer_is_asked_again(sandbox: Any, program: CliRunner) -> None:
    """F1: neither instances nor errors (OpenStack's nodepool has a branch for it) was an IndexError."""
    program.configure(nodes=2, regions="[us-east-1]")
    sandbox.settings.blank_fleets = 1
    result = program("create", "--yes")
    assert result.code == 0, result.stderr
    assert alive(sandbox, "us-east-1") == 2


def test_a_subnet_that_the_fleet_does_not_see_yet_is_waited_for(sandbox: Any, program: CliRunner) -> None:
    """F6: lag refused pool by pool inside a success was taken for the end (gardener-extension-provider-aws#1947)."""
    program.configure(nodes=2, regions="[us-east-1]")
    sandbox.settings.read_lag_s = 10
    result = program("create", "--yes")
    assert result.code == 0, result.stderr
    assert alive(sandbox, "us-east-1") == 2


def test_a_remembered_refusal_is_no_answer_to_this_launch(sandbox: Any, program: CliRunner) -> None:
    """F7: AWS repeats the refusal of a token's first fleet without a try (runs-on#251)."""
    program.configure(nodes=2, regions="[us-east-1]")
    sandbox.settings.capacity = {"us-east-1": 0}
    assert program("create", "--yes").code == 1
    sandbox.settings.capacity = {}
    sandbox.clock.sleep(HOUR)
    forget_fleets(sandbox)
    result = program("create", "--yes")
    assert result.code == 0, result.stderr
    assert alive(sandbox, "us-east-1") == 2


def test_a_remembered_token_with_other_parameters_is_no_other_create(
    sandbox: Any, program: CliRunner
) -> None:
    """F7: IdempotentParameterMismatch of a fleet that launched nothing was told as "another create is at work"."""
    program.configure(nodes=2, regions="[us-east-1]")
    sandbox.settings.capacity = {"us-east-1": 0}
    assert program("create", "--yes").code == 1
    sandbox.settings.capacity = {}
    forget_fleets(sandbox)
    path = program.folder / "config.yaml"
    path.write_text(path.read_text().replace("[t3.medium, t3a.medium]", "[m6a.large, t3a.medium]"))
    result = program("create", "--yes")
    assert result.code == 0, result.stderr
    assert alive(sandbox, "us-east-1") == 2


def forget_fleets(sandbox: Any) -> None:
    """From now on DescribeTags shows no fleet that launched nothing: whether AWS does is not known (F7, O2)."""
    sandbox.settings.hidden_in_tags = ["fleet"]


def test_a_lost_answer_of_a_slow_fleet_counts_what_runs(sandbox: Any, program: CliRunner) -> None:
    """F10: a repeated call may answer without the instances that the first one launched."""
    program.configure(nodes=3, regions="[us-east-1]")
    sandbox.settings.faults = [
        {"match": "CreateFleet", "code": "ConnectionReset", "when": "after", "count": 1}
    ]
    result = program("create", "--yes", "-o", "json")
    assert result.code == 0, result.stdout
    assert alive(sandbox, "us-east-1") == 3
    assert fleets(sandbox, "us-east-1") == 2


def test_a_fleet_that_answers_after_forty_seconds(sandbox: Any, program: CliRunner) -> None:
    """F10, S11: karpenter-provider-aws#3922 saw 41 s: its refusals are this launch's, and are neither lost nor asked again."""
    program.configure(nodes=2, regions="[us-east-1, eu-west-1]")
    sandbox.settings.fleet_s = 40
    sandbox.settings.capacity = {"us-east-1": 0}
    result = program("create", "--yes")
    assert result.code == 0, result.stderr
    assert alive(sandbox, "us-east-1", "eu-west-1") == 2
    assert fleets(sandbox, "us-east-1") == 1


def test_a_fresh_profile_is_waited_for_beside_unfulfillable_capacity(
    sandbox: Any, program: CliRunner
) -> None:
    """F1: AWS mixes the codes (karpenter-provider-aws#3051)."""
    program.configure(nodes=2, regions="[us-east-1]", more="  token: 7f3a9c5e1b\n  secrets: ssm\n")
    sandbox.settings.iam_lag_s = 20
    result = program("create", "--yes")
    assert result.code == 0, result.stderr
    assert alive(sandbox, "us-east-1") == 2
    assert fleets(sandbox, "us-east-1") > 1
    first = next(iter(sandbox.server._ec2._regions["us-east-1"].fleets))
    (fleet,) = sandbox.client().describe_fleets(FleetIds=[first])["Fleets"]
    assert {error["ErrorCode"] for error in fleet["Errors"]} == {
        "InvalidParameterValue",
        "UnfulfillableCapacity",
    }


def test_a_lost_answer_under_lag_with_other_parameters(sandbox: Any, program: CliRunner) -> None:
    """F7: IdempotentParameterMismatch (runs-on#251) of a fleet that did launch, which no list shows yet: nothing runs twice."""
    path = program.configure(nodes=3, regions="[us-east-1]")
    sandbox.settings.faults = [{"match": "CreateFleet", "code": "InvalidParameterValue", "when": "after"}]
    assert program("create", "--yes").code != 0
    assert alive(sandbox, "us-east-1") == 3
    sandbox.settings.faults = []
    sandbox.settings.hidden_in_tags = ["fleet", "instance"]
    path.write_text(path.read_text().replace("[t3.medium, t3a.medium]", "[m6a.large, t3a.medium]"))
    hide_instances(sandbox, for_s=10)
    result = program("create", "--yes")
    assert ("us-east-1", "ec2:CreateFleet", "IdempotentParameterMismatch") in sandbox.world.calls
    assert result.code == 0, result.stderr
    assert alive(sandbox, "us-east-1") == 3


def hide_instances(sandbox: Any, *, for_s: float) -> None:
    """Reads lag from now on, and what runs was launched this moment."""
    sandbox.settings.read_lag_s = for_s
    lag = sandbox.server._layer
    while not isinstance(lag, ReadLag):
        lag = lag._inner
    for place, region in sandbox.server._ec2._regions.items():
        lag._made |= {(place, machine): sandbox.clock.now() for machine in region.machines}


def test_a_fleet_that_aws_has_forgotten(sandbox: Any, program: CliRunner) -> None:
    """S9, F7: runs-on#217: fleets vanish two days after their end, and the first create's token answers with the dead."""
    program.configure(nodes=2, regions="[us-east-1]")
    assert program("create", "--yes").code == 0
    ec2 = sandbox.client()
    ec2.terminate_instances(
        InstanceIds=[
            instance["InstanceId"]
            for row in ec2.describe_instances()["Reservations"]
            for instance in row["Instances"]
        ]
    )
    sandbox.clock.sleep(3 * 24 * HOUR)
    result = program("create", "--yes")
    assert result.code == 0, result.stderr
    assert alive(sandbox, "us-east-1") == 2
    assert program("create", "--yes").code == 0
    assert alive(sandbox, "us-east-1") == 2
    assert program("destroy", "--yes").code == 0
    assert not sandbox.leftovers()


@pytest.mark.parametrize("hidden", [["instance"], ["instance", "spot-instances-request"]], ids=str)
def test_an_index_that_hides_the_instances_launches_nothing_twice(
    sandbox: Any, program: CliRunner, hidden: list[str]
) -> None:
    """T1: 12 alive, 6 asked, exit 0: DescribeTags showed the fleet and not its instances."""
    program.configure(nodes=6, regions="[us-east-1, eu-west-1]")
    assert program("create", "--yes").code == 0
    sandbox.settings.hidden_in_tags = hidden
    result = program("create", "--yes")
    assert result.code == 0, result.stderr
    assert alive(sandbox, "us-east-1", "eu-west-1") == 6


def test_an_index_that_lags_behind_a_killed_create(sandbox: Any, program: CliRunner) -> None:
    """T1: killed after CreateFleet, and created again while the index shows the fleet alone."""
    program.configure(nodes=6, regions="[us-east-1]")
    sandbox.settings.faults = [{"match": "CreateFleet", "code": "ConnectionReset", "when": "after"}]
    program("create", "--yes")
    sandbox.settings.faults = []
    sandbox.settings.hidden_in_tags = ["instance"]
    result = program("create", "--yes")
    assert result.code == 0, result.stderr
    assert alive(sandbox, "us-east-1") == 6


def test_the_loser_of_two_creates_is_not_told_to_destroy(sandbox: Any, program: CliRunner) -> None:
    """B5: it would destroy the winner's cluster."""
    program.configure(nodes=2, regions="[us-east-1]")
    sandbox.settings.faults = [
        {
            "match": "CreateLaunchTemplate",
            "code": "InvalidLaunchTemplateName.AlreadyExistsException",
            "after": 1,  # that of the operators' lock
        }
    ]
    result = program("create", "--yes")
    assert result.code == 1
    assert "another create of this cluster" in result.stderr
    assert "destroy" not in result.stdout + result.stderr


def test_no_fleet_is_larger_than_aws_deletes(
    sandbox: Any, program: CliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S7, F3: DeleteFleets of a fleet with more than 1,000 instances might fail (EC2 API reference)."""
    monkeypatch.setattr("bacalhau_spot.engine.launch.region_launch.MAX_FLEET_SIZE", 2)
    program.configure(nodes=5, regions="[us-east-1]")
    assert program("create", "--yes").code == 0
    assert alive(sandbox, "us-east-1") == 5
    assert fleets(sandbox, "us-east-1") == 3
    assert program("create", "--yes").code == 0
    assert alive(sandbox, "us-east-1") == 5


def test_every_kind_is_tagged_in_one_place(sandbox: Any, program: CliRunner) -> None:
    """O1: whether AWS takes the same tag in the template and in the call of an instant fleet is not documented."""
    program.configure(nodes=1, regions="[us-east-1]")
    assert program("create", "--yes").code == 0
    ec2 = sandbox.client()
    template = ec2.describe_launch_templates()["LaunchTemplates"][0]["LaunchTemplateId"]
    versions = ec2.describe_launch_template_versions(LaunchTemplateId=template)["LaunchTemplateVersions"]
    kinds = {
        tags["ResourceType"]
        for version in versions
        for tags in version["LaunchTemplateData"].get("TagSpecifications", ())
    }
    assert kinds == {"spot-instances-request"}
    rows = ec2.describe_tags(Filters=[{"Name": "key", "Values": ["bacalhau-cluster"]}])["Tags"]
    assert {"instance", "volume", "network-interface", "spot-instances-request", "fleet"} <= {
        row["ResourceType"] for row in rows
    }
