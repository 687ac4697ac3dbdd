"""`image bake`, `image list` and `image delete`, and nodes from such an image."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from aws_spot_sandbox_bacalhau.node_settings import NodeSettings
from bacalhau_spot.cloud.aws import Aws
from bacalhau_spot.errors import ExitCode
from support.cli_runner import CliResult, CliRunner
from support.killed_process import Killed, is_read
from support.schemas import contract

REGIONS = ("us-west-1", "eu-west-1")


@pytest.fixture
def user(program: CliRunner) -> CliRunner:
    """Somebody with two nodes in two regions, from baked images."""
    program.configure(nodes=2, regions=f"[{', '.join(REGIONS)}]", more="image: baked\n")
    return program


def bake(user: CliRunner, *options: str) -> CliResult:
    return user("image", "bake", "--yes", "-o", "json", *options)


def images(sandbox: Any, region: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = sandbox.client("ec2", region).describe_images(Owners=["self"])["Images"]
    return found


def snapshots(sandbox: Any, region: str) -> int:
    return len(sandbox.client("ec2", region).describe_snapshots(OwnerIds=["self"])["Snapshots"])


def machines(sandbox: Any) -> list[dict[str, Any]]:
    """Instances that cost money: all that are not terminated."""
    return [
        instance
        for region in REGIONS
        for reservation in sandbox.client("ec2", region).describe_instances()["Reservations"]
        for instance in reservation["Instances"]
        if instance["State"]["Name"] not in {"shutting-down", "terminated"}
    ]


def test_nodes_from_an_image_in_every_region(sandbox: Any, user: CliRunner) -> None:
    """One machine in the first region, and a copy in the other; nodes start from the images and have nothing to download."""
    refused = user("create", "--yes")
    assert refused.code == ExitCode.USAGE and "no baked image with Bacalhau v1.9.3" in refused.stderr
    assert "bacalhau-spot image bake" in refused.stderr
    result = bake(user)
    contract(str(result.envelope["command"]), result.data)
    (made,) = result.data["architectures"]
    assert (result.code, made["region"], made["copies"]) == (0, "us-west-1", ["eu-west-1"])
    assert sorted(image["region"] for image in made["images"]) == sorted(REGIONS)
    assert machines(sandbox) == [], "the machine is terminated"
    for region in REGIONS:
        (image,) = images(sandbox, region)
        tags = {tag["Key"]: tag["Value"] for tag in image["Tags"]}
        assert (tags["bacalhau-cluster"], tags["BacalhauImage"]) == ("baked-images", "v1.9.3")
    assert user("create", "--yes", "--wait", "running").code == 0
    assert {machine["ImageId"] for machine in machines(sandbox)} == {image["id"] for image in made["images"]}
    listed = user("list", "-o", "json").data
    assert [node["lifecycle"] for node in listed["instances"]] == ["spot", "spot"]


def test_images_have_the_key_of_aws_and_need_no_grant(sandbox: Any, user: CliRunner) -> None:
    """Also the copies, in an account whose default key the spot role cannot use: nodes start, and nothing warns of a key."""
    sandbox.settings.default_key_without_spot = True
    assert bake(user).code == 0
    created = user("create", "--yes", "--wait", "running", "-o", "json")
    assert (created.code, created.data["receipt"]["running"]) == (0, 2), created.stdout
    assert "is encrypted" not in created.stdout + created.stderr
    for region in REGIONS:
        (image,) = images(sandbox, region)
        (mapping,) = image["BlockDeviceMappings"]
        assert mapping["Ebs"]["Encrypted"]


def test_a_second_bake_makes_nothing_and_a_fresh_one_does(sandbox: Any, user: CliRunner) -> None:
    bake(user)
    again = user("image", "bake", "-o", "json")
    assert (again.code, again.data["architectures"][0]["existing"]) == (0, sorted(REGIONS))
    fresh = bake(user, "--fresh")
    assert len(fresh.data["architectures"][0]["made"]) == len(REGIONS)
    assert [len(images(sandbox, region)) for region in REGIONS] == [2, 2]


def test_a_region_that_is_added_later_gets_a_copy(sandbox: Any, user: CliRunner) -> None:
    bake(user, "--region", "us-west-1")
    plan = user("image", "bake", "--dry-run")
    assert "copy ami-" in plan.stdout and "launch one" not in plan.stdout
    (result,) = bake(user).data["architectures"]
    assert (result["instance_type"], result["copies"]) == (None, ["eu-west-1"])
    assert images(sandbox, "eu-west-1")[0]["SourceImageId"] == result["source"]


def test_both_architectures_of_the_configured_types(sandbox: Any, user: CliRunner) -> None:
    path = user.configure(nodes=2, regions="[us-west-1]", more="image: baked\n")
    path.write_text(path.read_text().replace("t3a.medium", "t4g.medium"))
    assert bake(user).code == 0
    assert {image["Architecture"] for image in images(sandbox, "us-west-1")} == {"x86_64", "arm64"}
    assert user("create", "--yes", "--wait", "running").code == 0


@pytest.mark.sockets
def test_a_machine_that_fails_is_told_and_terminated(sandbox: Any, user: CliRunner) -> None:
    sandbox.world.settings_of(NodeSettings).stuck = {"*": "download"}
    result = bake(user)
    assert result.code == ExitCode.FAILED
    assert "urlopen error timed out" in result.envelope["errors"][0]["why"]
    assert machines(sandbox) == [] and images(sandbox, "us-west-1") == []


def test_an_image_that_aws_does_not_complete(sandbox: Any, user: CliRunner) -> None:
    """It is told after an hour, and the machine is not kept for it."""
    sandbox.settings.image_s = 10_000.0
    result = user("image", "bake", "--yes")
    assert result.code == ExitCode.FAILED
    assert "AWS did not complete an image in us-west-1" in result.stderr
    assert machines(sandbox) == []
    assert "pending" in user("image", "list").stdout


def test_a_region_without_capacity(sandbox: Any, user: CliRunner) -> None:
    sandbox.settings.capacity = {"us-west-1": 0}
    result = bake(user)
    assert result.code == ExitCode.FAILED
    assert (
        "no t3.small in us-west-1" in result.envelope["errors"][0]["what"]
        and "--region" in result.envelope["errors"][0]["hint"]
    )


def test_a_copy_that_aws_refuses_leaves_the_others(sandbox: Any, user: CliRunner) -> None:
    sandbox.settings.faults = [{"match": "CopyImage", "code": "ResourceLimitExceeded", "count": 1}]
    result = bake(user)
    assert result.code == ExitCode.FAILED
    (failed,) = result.data["architectures"][0]["failed"]
    assert (failed["code"], failed["region"]) == ("ResourceLimitExceeded", "eu-west-1")
    assert (len(images(sandbox, "us-west-1")), machines(sandbox)) == (1, [])
    assert bake(user).code == 0
    assert [len(images(sandbox, region)) for region in REGIONS] == [1, 1]


@pytest.mark.parametrize("code", ["ConnectionReset", "InternalError", "Unavailable"])
def test_a_passing_fault_of_the_image_is_waited_out(sandbox: Any, user: CliRunner, code: str) -> None:
    """AWS accepts a name once, so that the call can be repeated."""
    sandbox.settings.faults = [{"match": "CreateImage", "code": code, "count": 1, "status": 503}]
    result = bake(user)
    assert result.code == 0, result.stdout
    assert [len(images(sandbox, region)) for region in REGIONS] == [1, 1]


@pytest.mark.parametrize("also", [(), ("ec2:CreateImage",)], ids=["image", "no image"])
def test_a_machine_that_cannot_be_terminated_is_an_error_with_a_next_step(
    sandbox: Any, user: CliRunner, also: tuple[str, ...]
) -> None:
    sandbox.settings.deny = ["ec2:TerminateInstances", *also]
    result = bake(user)
    (machine,) = machines(sandbox)
    assert result.data["architectures"][0]["leftover"] == machine["InstanceId"]
    assert {error["code"] for error in result.envelope["errors"]} == {"UnauthorizedOperation"}
    assert result.code == 1 and all(error["hint"] for error in result.envelope["errors"])
    assert f"{machine['InstanceId']} in us-west-1 is not terminated" in user("image", "bake", "--yes").stdout
    sandbox.settings.deny = []
    assert bake(user).code == 0
    assert machines(sandbox) == []


def left_behind(sandbox: Any, user: CliRunner, *options: str) -> str:
    """The id of the machine of a bake that made no image and could not terminate it."""
    sandbox.settings.deny = ["ec2:TerminateInstances", "ec2:CreateImage"]
    assert bake(user, *options).code == ExitCode.FAILED
    sandbox.settings.deny = []
    (machine,) = machines(sandbox)
    return str(machine["InstanceId"])


def older_base(sandbox: Any) -> str:
    """The id of the Ubuntu image before the current one."""
    name = "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-20260628"
    ec2 = sandbox.client("ec2", "us-west-1")
    (found,) = ec2.describe_images(Filters=[{"Name": "name", "Values": [name]}])["Images"]
    return str(found["ImageId"])


@pytest.mark.parametrize("before", ["another base", "another version"])
def test_a_machine_with_other_contents_is_not_completed(sandbox: Any, user: CliRunner, before: str) -> None:
    """Neither a machine of `--base`, nor one with the version of Bacalhau before a change of the configuration."""
    options = ["--base", older_base(sandbox)] if before == "another base" else []
    old = left_behind(sandbox, user, *options)
    if before == "another version":
        change = user("configure", "--set", "bacalhau.version=v1.9.2")
        assert change.code == 0, change.stderr
    plan = user("image", "bake", "--dry-run").stdout
    assert f"terminate {old} in us-west-1" in plan and "launch one on-demand t3.small in us-west-1" in plan
    assert bake(user).code == 0
    (image,) = images(sandbox, "us-west-1")
    assert old not in image["Name"]
    assert machines(sandbox) == []


def test_a_machine_with_the_same_contents_is_completed(sandbox: Any, user: CliRunner) -> None:
    base = ["--base", older_base(sandbox)]
    old = left_behind(sandbox, user, *base)
    assert f"complete {old} in us-west-1" in user("image", "bake", "--dry-run", *base).stdout
    assert bake(user, *base).code == 0
    (image,) = images(sandbox, "us-west-1")
    assert old in image["Name"]
    assert machines(sandbox) == []


def test_no_second_machine_beside_one_that_cannot_be_terminated(sandbox: Any, user: CliRunner) -> None:
    """Its region is not that of the new one."""
    old = left_behind(sandbox, user, "--base", older_base(sandbox))
    sandbox.settings.deny = ["ec2:TerminateInstances"]
    other_way = ["--region", "eu-west-1", "--region", "us-west-1"]
    refused = bake(user, *other_way)
    assert (refused.code, refused.data["architectures"][0]["leftover"]) == (ExitCode.FAILED, old)
    assert all(error["hint"] for error in refused.envelope["errors"])
    assert [machine["InstanceId"] for machine in machines(sandbox)] == [old]
    sandbox.settings.deny = []
    result = bake(user, *other_way)
    assert (result.code, result.data["architectures"][0]["region"]) == (0, "eu-west-1")
    assert machines(sandbox) == []


@pytest.mark.parametrize("operation", ["RunInstances", "CreateImage", "CopyImage", "TerminateInstances"])
def test_a_lost_answer_makes_nothing_twice(sandbox: Any, user: CliRunner, operation: str) -> None:
    """AWS has carried the call out, and lists lag."""
    sandbox.settings.read_lag_s = 4.0
    sandbox.settings.faults = [{"match": operation, "code": "ConnectionReset", "count": 1, "when": "after"}]
    assert bake(user).code == 0
    sandbox.clock.advance(60)
    assert [len(images(sandbox, region)) for region in REGIONS] == [1, 1]
    assert machines(sandbox) == []


def test_a_deleted_copy_is_made_again(sandbox: Any, user: CliRunner) -> None:
    """AWS answers a repeated client token with the deleted copy, however often."""
    bake(user)
    for _ in range(3):
        (copy,) = images(sandbox, "eu-west-1")
        assert user("image", "delete", copy["ImageId"], "--yes").code == 0
        sandbox.clock.advance(60)
        begun = sandbox.clock.now()
        result = bake(user)
        assert result.code == 0, result.stdout
        assert sandbox.clock.now() - begun < 20 * 60
        (made,) = images(sandbox, "eu-west-1")
        assert made["ImageId"] != copy["ImageId"]
        assert result.data["architectures"][0]["made"] == [made["ImageId"]]


def test_a_deleted_copy_is_made_again_with_other_tags(sandbox: Any, user: CliRunner) -> None:
    """AWS refuses a repeated client token for another request."""
    bake(user)
    assert user("image", "delete", images(sandbox, "eu-west-1")[0]["ImageId"], "--yes").code == 0
    path = user.configure(nodes=2, regions=f"[{', '.join(REGIONS)}]", more="image: baked\n")
    path.write_text(path.read_text() + "cluster:\n  tags:\n    team: payroll\n")
    result = bake(user)
    assert result.code == 0, result.stdout
    assert len(images(sandbox, "eu-west-1")) == 1


def test_a_copy_that_aws_lists_late_is_made_once(sandbox: Any, user: CliRunner) -> None:
    bake(user, "--region", "us-west-1")
    sandbox.settings.list_lag_s = {"DescribeImages": 400.0}
    sandbox.clock.advance(600)
    result = bake(user)
    assert result.code == 0, result.stdout
    sandbox.clock.advance(600)
    (copy,) = images(sandbox, "eu-west-1")
    assert result.data["architectures"][0]["made"] == [copy["ImageId"]]


def killing(monkeypatch: pytest.MonkeyPatch, at: int) -> list[str]:
    """The program dies before its n-th change. Returns the changes that it began, and those that a dead one would have made."""
    made: list[str] = []
    whole = Aws.__init__

    def fragile(self: Aws, connection: Any) -> None:
        whole(self, connection)
        call = self._session.call

        async def dying(service: str, region: str | None, operation: str, **kwargs: Any) -> Any:
            if not is_read(operation):
                made.append(operation)
                if len(made) >= at:
                    raise Killed
            return await call(service, region, operation, **kwargs)

        self._session.call = dying  # type: ignore[method-assign]  # the one way in and out

    monkeypatch.setattr(Aws, "__init__", fragile)
    return made


def test_killed_before_any_change_the_same_command_goes_on(
    sandbox: Any, user: CliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the end one image in each region, and no machine. The lock of the dead run is that of this process."""
    at = 0
    while True:
        at += 1
        with monkeypatch.context() as patch:
            made = killing(patch, at)
            try:
                bake(user, "--fresh")
            except Killed:
                pass
            else:
                break
        assert len(made) >= at
        assert bake(user).code == 0, made
        sandbox.clock.advance(60)
        assert machines(sandbox) == [], made
        assert min(len(images(sandbox, region)) for region in REGIONS) >= 1, made
        assert user("image", "delete", "--all", "--yes").code == 0
        assert [len(images(sandbox, region)) + snapshots(sandbox, region) for region in REGIONS] == [0, 0]
    assert at > 7


def test_destroy_leaves_images_and_nuke_takes_them(sandbox: Any, user: CliRunner) -> None:
    bake(user)
    user("create", "--yes", "--wait", "running")
    assert user("destroy", "--yes").code == 0
    assert [len(images(sandbox, region)) for region in REGIONS] == [1, 1]
    assert user("nuke", "--force").code == 0
    assert [len(images(sandbox, region)) + snapshots(sandbox, region) for region in REGIONS] == [0, 0]


def test_the_list_and_the_deletion(sandbox: Any, user: CliRunner) -> None:
    """By id, by age, all; the list names old images, and those of another version."""
    empty = user("image", "list")
    assert "no image" in empty.stdout and "image bake" in empty.stdout
    bake(user)
    sandbox.clock.advance(timedelta(days=91).total_seconds())
    listed = user("image", "list")
    assert "older than 90 days" in listed.stdout and "image bake --fresh" in listed.stdout
    first = images(sandbox, "us-west-1")[0]["ImageId"]
    assert user("image", "delete", "ami-0123456789abcdef0", "--yes").code == ExitCode.USAGE
    assert user("image", "delete", "--yes").code == ExitCode.USAGE
    assert user("image", "delete", first, "--dry-run").code == 0
    assert user("image", "delete", first).code == ExitCode.DECLINED, (
        "without a terminal, nothing is deleted unasked"
    )
    result = user("image", "delete", first, "--yes", "-o", "json")
    contract(str(result.envelope["command"]), result.data)
    assert result.data["deleted"] == [first]
    assert user("image", "delete", "--older-than", "100d", "--yes").code == 0
    assert [len(images(sandbox, region)) for region in REGIONS] == [0, 1]
    assert user("image", "delete", "--older-than", "90d", "--yes").code == 0
    assert [len(images(sandbox, region)) + snapshots(sandbox, region) for region in REGIONS] == [0, 0]
    contract("image list", user("image", "list", "-o", "json").data)


@pytest.mark.parametrize("how", ["killed", "refused"])
def test_snapshots_of_an_interrupted_deletion_are_found_again(
    sandbox: Any, user: CliRunner, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """AWS charges for them, and no image names them any more."""
    bake(user)
    if how == "killed":
        with monkeypatch.context() as patch:
            killing(patch, 2)
            with pytest.raises(Killed):
                user("image", "delete", "--all", "--yes")
    else:
        sandbox.settings.faults = [{"match": "DeleteSnapshot", "code": "OperationNotPermitted", "count": 1}]
        assert user("image", "delete", "--all", "--yes").code != 0
    assert sum(snapshots(sandbox, region) for region in REGIONS) > sum(
        len(images(sandbox, region)) for region in REGIONS
    )
    listed = user("image", "list")
    assert "of deleted images: 1 snapshot" in listed.stdout
    contract("image list", user("image", "list", "-o", "json").data)
    result = user("image", "delete", "--all", "--yes", "-o", "json")
    contract("image delete", result.data)
    assert (result.code, len(result.data["orphans"])) == (0, 1)
    assert [len(images(sandbox, region)) + snapshots(sandbox, region) for region in REGIONS] == [0, 0]


def test_a_snapshot_of_others_outlives_an_image_with_our_tag(sandbox: Any, user: CliRunner) -> None:
    """Somebody has registered an image from it, and copied the tags of an image of ours."""
    ec2 = sandbox.client("ec2", "us-west-1")
    volume = ec2.create_volume(AvailabilityZone="us-west-1a", Size=8)["VolumeId"]
    sandbox.clock.advance(60)
    theirs = ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
    bake(user)
    (ours,) = images(sandbox, "us-west-1")
    image = ec2.register_image(
        Name="theirs",
        Architecture="x86_64",
        RootDeviceName="/dev/sda1",
        BlockDeviceMappings=[{"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": theirs}}],
        TagSpecifications=[{"ResourceType": "image", "Tags": ours["Tags"]}],
    )["ImageId"]
    plan = user("image", "delete", image, "--dry-run").stdout
    assert "left, because they have no tag of `image bake`: 1 snapshot" in plan and theirs in plan
    result = user("image", "delete", "--all", "--yes", "-o", "json")
    contract("image delete", result.data)
    assert (result.code, result.data["left"]) == (0, [theirs]), result.stdout
    assert {image, ours["ImageId"]} <= set(result.data["deleted"])
    left = ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]
    assert [one["SnapshotId"] for one in left] == [theirs]
    assert images(sandbox, "us-west-1") == []
    bake(user, "--region", "us-west-1")
    assert user("nuke", "--force").code == 0
    assert [one["SnapshotId"] for one in ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]] == [theirs]


def test_a_wrong_base_is_told_before_anything_is_created(sandbox: Any, user: CliRunner) -> None:
    result = user("image", "bake", "--yes", "--base", "ami-00000000000000000")
    assert result.code != 0 and "`--base` takes" in result.stderr
    assert "no instances" in user("list").stdout and "VPC" not in user("list").stdout


def test_a_machine_of_a_killed_run_is_no_node(sandbox: Any, user: CliRunner) -> None:
    """`create` launches every node beside it, `list` names it, and `destroy` deletes it."""
    bake(user)
    sandbox.world.settings_of(NodeSettings).stuck = {"t3.small": "boot"}
    sandbox.settings.faults = [{"match": "TerminateInstances", "code": "UnauthorizedOperation"}]
    assert bake(user, "--fresh").code == ExitCode.FAILED
    sandbox.settings.faults = []
    assert [machine["InstanceType"] for machine in machines(sandbox)] == ["t3.small"]
    assert user("create", "--yes", "--wait", "running").code == 0
    assert len(machines(sandbox)) == 3
    assert "1 instance" in user("list").stdout
    assert user("destroy", "--yes").code == 0
    sandbox.clock.advance(60)
    assert machines(sandbox) == []
