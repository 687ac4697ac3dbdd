"""What the user says to nuke, and what it says back: the dialog, the flags, the plan, the audit log."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support import busy_account
from support.one_of_each import ResourceFixture

if TYPE_CHECKING:
    from support.cli_runner import CliResult, CliRunner

ACCOUNT = "000000000000"
HERE = ["eu-west-1", "us-west-2"]


@pytest.fixture
def nodes(program: CliRunner) -> int:
    """A cluster of two in two regions, made by somebody else: its create is not in the log here."""
    busy_account.cluster(program, nodes=2, regions=HERE)
    shutil.rmtree(program.folder / ".local")
    return 2


def listed(program: CliRunner) -> int:
    return len(program("list", "-o", "json").data["instances"])


def node_ids(program: CliRunner) -> set[str]:
    rows = program("list", "-o", "json").data["instances"]
    return {row["id"] for row in rows if row["state"] in {"pending", "running"}}


def nuke(program: CliRunner, *flags: str, answers: str | None = None) -> CliResult:
    """In these two regions only: most claims are none about regions, and seventeen take their time."""
    return program("nuke", "--region", ",".join(HERE), *flags, answers=answers)


def preview_rows(program: CliRunner, *flags: str) -> list[dict[str, Any]]:
    result: list[dict[str, Any]] = nuke(program, "--dry-run", "-o", "json", *flags).data["to_delete"]
    return result


# --- The dialog


@pytest.mark.usefixtures("nodes")
def test_the_accounts_id_is_to_be_typed(program: CliRunner) -> None:
    """Everything that matters stands above the question; anything but the id changes nothing."""
    for answer in ("yes\n", "\n", "00000000000\n", ""):
        result = nuke(program, answers=answer)
        assert result.code == 3, answer
        assert "nothing was changed" in result.stderr
    shown = program("nuke", answers="no\n").stderr
    assert f"account {ACCOUNT} as arn:aws:iam::{ACCOUNT}:user/sandbox" in shown
    assert re.search(r"scanned all \d+ enabled regions", shown), shown
    assert "saves about $" in shown
    assert f"Type {ACCOUNT} to go on" in shown
    for word in ("instance", "VPC", "eu-west-1", "us-west-2"):
        assert word in shown
    assert listed(program) == 2
    result = program("nuke", answers=f"{ACCOUNT}\n")
    assert result.code == 0, result.stderr
    assert "verified: nothing with bacalhau-cluster is left" in result.stdout
    assert listed(program) == 0


@pytest.mark.usefixtures("nodes")
def test_nobody_there_to_answer(program: CliRunner) -> None:
    result = nuke(program)
    assert result.code == 3
    assert "--force" in result.stderr
    assert listed(program) == 2
    as_json = nuke(program, "-o", "json")
    assert as_json.code == 3
    assert as_json.envelope["status"] == "declined"
    assert as_json.stderr == ""


def test_the_alias_is_shown(sandbox: Any, program: CliRunner, nodes: int) -> None:
    assert nodes
    sandbox.client("iam").create_account_alias(AccountAlias="acme-data")
    assert f"account {ACCOUNT} (acme-data)" in nuke(program, "--dry-run").stdout
    sandbox.settings.deny = ["iam:ListAccountAliases"]
    result = nuke(program, "--dry-run")
    assert result.code == 0, "the alias is only a help"
    assert "acme-data" not in result.stdout


@pytest.mark.usefixtures("nodes")
def test_what_was_just_made_is_pointed_out(sandbox: Any, program: CliRunner) -> None:
    """Somebody may be creating at this moment."""
    assert "wait for a running create first" in nuke(program, "--dry-run").stdout
    sandbox.clock.advance(600)
    assert "wait for a running create" not in nuke(program, "--dry-run").stdout


@pytest.mark.usefixtures("nodes")
def test_dry_run_changes_nothing(sandbox: Any, program: CliRunner) -> None:
    """Not a tag, not a file."""
    before = len(sandbox.world.calls)
    result = nuke(program, "--dry-run", "--force")
    assert result.code == 0
    calls = {call for _, call, outcome in sandbox.world.calls[before:] if outcome == "ok"}
    assert not [call for call in calls if not call.split(":")[1].startswith(("Describe", "Get", "List"))]
    assert not list(program.folder.rglob("audit.jsonl"))
    assert listed(program) == 2


def test_nothing_of_ours(program: CliRunner) -> None:
    program.configure()
    for flags in (("--dry-run",), (), ("--force",)):
        result = nuke(program, *flags)
        assert result.code == 0, result.stderr
        assert "nothing" in result.stdout


# --- The flags


@pytest.mark.usefixtures("nodes")
def test_some_regions_only(program: CliRunner) -> None:
    result = program("nuke", "--force", "--region", "eu-west-1", "-o", "json")
    assert result.code == 0
    assert result.data["regions_scanned"] == ["eu-west-1"]
    assert listed(program) == 1
    looked = program("nuke", "--dry-run", "--region", "eu-west-1")
    assert "excluded by your options: ap-northeast-1" in looked.stdout


NONSENSE = (
    (["--region", "eu-west-9"], ["--region", "eu-west-9 is no region"]),
    (["--region", ""], ["--region", "a value is empty"]),
    (["--region", "ap-east-1"], ["ap-east-1 is not enabled"]),
    (["--min-age", "soon"], ["--min-age", "soon"]),
    (["--adopt", "i-00000000000000000"], ["--adopt", "i-00000000000000000"]),
    (["--plan", "nowhere.json"], ["nowhere.json", "cannot be read"]),
    (["--plan-out", "plan.json"], ["--plan-out", "add --dry-run"]),
    (
        ["--dry-run", "--plan-out", "no/such/folder/plan.json"],
        ["no/such/folder/plan.json", "cannot be written"],
    ),
    (["--max", "many"], ["--max", "many"]),
    (["--timeout", "-5"], ["--timeout"]),
)


@pytest.mark.usefixtures("nodes")
def test_a_flag_that_says_nonsense(program: CliRunner) -> None:
    """Exit code 2, the flag and the value, and nothing is touched."""
    for flags, words in NONSENSE:
        result = program("nuke", "--force", *flags)
        assert result.code == 2, (flags, result.stderr)
        for word in words:
            assert word in result.stderr
    assert listed(program) == 2


@pytest.mark.usefixtures("nodes")
def test_more_than_expected(program: CliRunner) -> None:
    """With --force it refuses; a person is asked for the number first."""
    count = len(preview_rows(program))
    refused = nuke(program, "--force", "--max", str(count - 1))
    assert refused.code == 3
    assert f"{count} resources were found, and --max allows {count - 1}" in refused.stderr
    assert nuke(program, "--max", "3", answers=f"{ACCOUNT}\n{ACCOUNT}\n").code == 3
    assert listed(program) == 2
    assert nuke(program, "--max", "3", answers=f"{count}\n{ACCOUNT}\n").code == 0
    assert listed(program) == 0
    assert nuke(program, "--force", "--max", "0").code == 0, "nothing is not more than nothing"


def test_what_is_younger_stays_and_what_it_needs(sandbox: Any, program: CliRunner) -> None:
    """The older cluster goes; the network of the younger, which has no date of its own, stays with it."""
    busy_account.cluster(program, busy_account.SECOND, nodes=1, regions=["eu-west-1"])
    sandbox.clock.advance(7200)
    busy_account.cluster(program, nodes=1, regions=["eu-west-1"])
    result = nuke(program, "--force", "--min-age", "1h", "-o", "json")
    assert result.code == 0, result.stdout
    fates = {(outcome["kind"], outcome["status"]) for outcome in result.data["outcomes"]}
    assert ("vpc", "deleted") in fates
    assert ("vpc", "skipped") in fates
    assert {outcome["reason"] for outcome in result.data["outcomes"] if outcome["status"] == "skipped"} == {
        "it, or what needs it, is younger than --min-age"
    }
    assert listed(program) == 1
    assert "younger than --min-age" in nuke(program, "--dry-run", "--min-age", "1h").stdout


def test_what_stays_is_told_with_the_result(sandbox: Any, program: CliRunner) -> None:
    """It was said that nothing is left, while the younger cluster's nodes ran on."""
    busy_account.cluster(program, busy_account.SECOND, nodes=1, regions=["eu-west-1"])
    sandbox.clock.advance(7200)
    busy_account.cluster(program, nodes=1, regions=["eu-west-1"])
    shown = nuke(program, "--force", "--min-age", "1h")
    assert shown.code == 0
    assert "nothing with bacalhau-cluster is left" not in shown.stdout
    assert re.search(
        r"verified: nothing else with bacalhau-cluster is left in 2 regions; \d+ resources stay", shown.stdout
    )


def test_a_group_stays_with_its_younger_node(sandbox: Any, program: CliRunner) -> None:
    """Its deletion ends all of its nodes, and a node that ends alone is replaced: so all of it stays."""
    busy_account.cluster(program, "self_heal: true\n", nodes=2, regions=["eu-west-1"])
    sandbox.clock.advance(7200)
    old = node_ids(program)
    sandbox.server.interrupt("eu-west-1", min(old), notice_s=1.0)
    sandbox.clock.advance(600)
    (young,) = node_ids(program) - old
    result = nuke(program, "--force", "--min-age", "1h", "-o", "json")
    sandbox.clock.advance(600)
    assert node_ids(program) == {young, max(old)}
    reasons = {outcome["kind"]: outcome["reason"] for outcome in result.data["outcomes"]}
    assert f"{young}, which stays, belongs to it" in reasons["auto-scaling-group"]
    assert {reasons[kind] for kind in ("launch-template", "subnet", "vpc", "security-group")} != {""}
    assert result.code == 0, "all of it stays by choice"
    shown = nuke(program, "--force", "--min-age", "1h").stdout
    assert f"{young}, which stays, belongs to it" in " ".join(shown.split()), "also without a question"


@pytest.mark.usefixtures("nodes")
def test_what_is_protected_is_left_or_lifted(sandbox: Any, program: CliRunner) -> None:
    """Of a protected instance the rest of its batch goes all the same; what it holds is named with the reason."""
    ec2 = sandbox.client("ec2", "eu-west-1")
    image = ResourceFixture(sandbox.client, "eu-west-1", {}, "x").image_id()
    subnet = next(
        row for row in preview_rows(program) if row["kind"] == "subnet" and row["region"] == "eu-west-1"
    )
    tags = [{"Key": key, "Value": value} for key, value in busy_account.OURS.items()]
    instance_id = ec2.run_instances(
        ImageId=image,
        InstanceType="t3.small",
        MinCount=1,
        MaxCount=1,
        NetworkInterfaces=[{"DeviceIndex": 0, "SubnetId": subnet["id"]}],
        TagSpecifications=[{"ResourceType": "instance", "Tags": tags}],
        DisableApiTermination=True,
    )["Instances"][0]["InstanceId"]
    looked = nuke(program, "--dry-run")
    assert "termination protection: add --disable-protection" in looked.stdout
    result = nuke(program, "--force")
    assert result.code == 1
    assert f"left: instance {instance_id} in eu-west-1 (termination protection is on)" in result.stdout
    assert "managed: termination protection is on" in " ".join(result.stdout.split())
    assert "to go on: bacalhau-spot nuke" in result.stdout
    assert listed(program) == 1
    assert "will be lifted" in nuke(program, "--dry-run", "--disable-protection").stdout
    assert nuke(program, "--force", "--disable-protection").code == 0
    assert listed(program) == 0


def test_adopting_what_lacks_the_tag(sandbox: Any, program: CliRunner) -> None:
    """It is shown before; dry run tags nothing; then it goes, and what is not named stays."""
    program.configure()
    ec2 = sandbox.client("ec2", "eu-west-1")
    own_volume, theirs = (
        ec2.create_volume(AvailabilityZone="eu-west-1a", Size=1)["VolumeId"] for _ in range(2)
    )
    looked = nuke(program, "--dry-run", "--adopt", own_volume)
    assert f"{own_volume} in eu-west-1 is adopted" in looked.stdout
    assert "Tags" not in ec2.describe_volumes(VolumeIds=[own_volume])["Volumes"][0]
    result = nuke(program, "--force", "--adopt", own_volume)
    assert result.code == 0, result.stderr
    left = [volume["VolumeId"] for volume in ec2.describe_volumes()["Volumes"]]
    assert own_volume not in left
    assert theirs in left


@pytest.mark.usefixtures("nodes")
def test_no_more_time(sandbox: Any, program: CliRunner) -> None:
    """It says what is left, and the next run finishes."""
    sandbox.settings.terminate_s = 300.0
    result = nuke(program, "--force", "--timeout", "60")
    assert result.code == 1
    assert "to go on: bacalhau-spot nuke" in result.stdout
    assert nuke(program, "--force").code == 0


# --- The plan


@pytest.mark.usefixtures("nodes")
def test_only_what_the_plan_names(sandbox: Any, program: CliRunner) -> None:
    """And only what is still ours now: neither is enough."""
    plan = program.folder / "plan.json"
    assert nuke(program, "--dry-run", "--plan-out", str(plan)).code == 0
    ec2 = sandbox.client("ec2", "us-west-2")
    tags = [{"Key": key, "Value": value} for key, value in busy_account.OURS.items()]
    spec = [{"ResourceType": "volume", "Tags": tags}]
    later = ec2.create_volume(AvailabilityZone="us-west-2a", Size=1, TagSpecifications=spec)["VolumeId"]
    templates = sandbox.client("ec2", "eu-west-1")
    disowned = templates.describe_launch_templates()["LaunchTemplates"][0]["LaunchTemplateId"]
    templates.delete_tags(Resources=[disowned], Tags=[{"Key": "bacalhau-cluster"}])
    result = nuke(program, "--force", "--plan", str(plan), "-o", "json")
    assert result.code == 0, result.stdout
    skipped = {
        outcome["id"]: outcome["reason"]
        for outcome in result.data["outcomes"]
        if outcome["status"] == "skipped"
    }
    assert skipped == {later: "it is not in the plan"}
    assert len(ec2.describe_volumes(VolumeIds=[later])["Volumes"]) == 1
    assert templates.describe_launch_templates()["LaunchTemplates"][0]["LaunchTemplateId"] == disowned
    assert listed(program) == 0


@pytest.mark.usefixtures("nodes")
def test_a_node_that_the_plan_does_not_name_keeps_its_fleet(program: CliRunner) -> None:
    """AWS terminates the instances of a fleet with it."""
    plan = program.folder / "plan.json"
    assert nuke(program, "--dry-run", "--plan-out", str(plan)).code == 0
    rows = json.loads(plan.read_text())
    kept = min(node_ids(program))
    rows["resources"] = [row for row in rows["resources"] if row["id"] != kept]
    plan.write_text(json.dumps(rows))
    result = nuke(program, "--force", "--plan", str(plan), "-o", "json")
    assert node_ids(program) == {kept}
    assert {
        outcome["kind"]
        for outcome in result.data["outcomes"]
        if f"{kept}, which stays, belongs to it" in outcome["reason"]
    } >= {"fleet"}
    assert result.code == 0, result.stdout
    assert {
        outcome["kind"]
        for outcome in result.data["outcomes"]
        if outcome["reason"] == f"{kept}, which stays, may need it"
    } >= {"vpc", "subnet", "security-group", "internet-gateway", "network-interface"}
    assert program("create", "--yes").code == 0, "it has all that it needs"


PLAN = {"plan_version": 1, "account_id": ACCOUNT, "resources": []}
SCOPE = {"key": "bacalhau-cluster", "value": "bacalhau-aws-spot", "creator": "bacalhau-aws-spot-script"}


MISFITS = (
    ("{\n  nonsense", ["plan.json:2:3"]),
    ("[]", ["plan.json", "no plan_version 1"]),
    (json.dumps({**PLAN, "scope": SCOPE, "account_id": "123456789012"}), ["123456789012", ACCOUNT]),
    (json.dumps({**PLAN, "scope": {**SCOPE, "value": "other"}}), ["another tag"]),
    (json.dumps({**PLAN, "scope": SCOPE, "resources": [{"id": "i-1"}]}), ["region, kind and id"]),
    (json.dumps({**PLAN, "scope": SCOPE, "resources": 7}), ["region, kind and id"]),
    # T6: nesting ended in RecursionError; the account's id came onto the terminal as it stood there (T4).
    ("[" * 100_000, ["not a plan", "nested too deeply"]),
    ('{"plan_version": ' + "9" * 5000 + "}", ["not a plan"]),
    (json.dumps({**PLAN, "plan_version": True, "scope": SCOPE}), ["no plan_version 1"]),
    (json.dumps({**PLAN, "scope": SCOPE, "resorces": []}), ["'resorces' is not a key of a plan"]),
    (
        json.dumps({**PLAN, "scope": SCOPE, "resources": [{"region": 1, "kind": [], "id": None}]}),
        ["each as text"],
    ),
    (json.dumps({**PLAN, "scope": SCOPE, "resources": {"a": 1}}), ["region, kind and id"]),
    (
        json.dumps({**PLAN, "scope": SCOPE, "account_id": "\x1b]52;c;x\x07" + "9" * 1000}),
        [r"\x1b]52;c;x\x07999"],
    ),
)


@pytest.mark.usefixtures("nodes")
def test_a_plan_that_does_not_fit(program: CliRunner) -> None:
    """No JSON, no plan, another account's, another tag's, incomplete: exit code 2, and nothing is touched."""
    for text, words in MISFITS:
        (program.folder / "plan.json").write_text(text)
        result = nuke(program, "--force", "--plan", str(program.folder / "plan.json"))
        assert result.code == 2, (text, result.stderr)
        for word in words:
            assert word in result.stderr
    assert listed(program) == 2


# --- What it is told by AWS


@pytest.mark.usefixtures("nodes")
def test_what_we_may_not_delete_is_known_beforehand(sandbox: Any, program: CliRunner) -> None:
    """And leaves what it leaves, with exit code 4; the rest goes."""
    sandbox.settings.deny = ["ec2:DeleteVpc"]
    looked = nuke(program, "--dry-run")
    assert (
        "missing permission DeleteVpc in eu-west-1 and us-west-2: affected resources will remain"
        in looked.stdout
    )
    result = nuke(program, "--force", "-o", "json")
    assert result.code == 4
    assert {row["kind"] for row in result.data["remaining"]} == {"vpc"}
    assert {outcome["problem"]["code"] for outcome in result.data["outcomes"] if outcome["problem"]} == {
        "UnauthorizedOperation"
    }
    assert all(outcome["problem"]["request_id"] for outcome in result.data["outcomes"] if outcome["problem"])
    sandbox.settings.deny = []
    assert nuke(program, "--force").code == 0


def test_a_service_that_will_not_say(sandbox: Any, program: CliRunner, nodes: int) -> None:
    """What could not be scanned may hold something: exit code 5, and it is named. Destroy does not need it."""
    assert nodes
    sandbox.settings.deny = ["tagging:GetResources", "tag:GetResources"]
    result = nuke(program, "--force")
    assert result.code == 5, result.stdout + result.stderr
    assert "GetResources" in result.stdout + result.stderr
    busy_account.cluster(program, nodes=1, regions=["eu-west-1"])
    assert program("destroy", "--yes").code == 0


def test_a_region_that_will_not_say(sandbox: Any, program: CliRunner, nodes: int) -> None:
    """The others are cleaned all the same."""
    assert nodes
    sandbox.settings.faults = [
        {"match": "DescribeTags", "region": "eu-west-1", "code": "UnauthorizedOperation", "status": 403}
    ]
    result = nuke(program, "--force", "-o", "json")
    assert result.code in {4, 5}
    assert [region["region"] for region in result.data["failed_regions"]] == ["eu-west-1"]
    sandbox.settings.faults = []
    assert listed(program) == 1


def test_a_tagged_thing_of_an_unknown_kind(sandbox: Any, program: CliRunner) -> None:
    """Listed, and the run does not succeed while it is there."""
    program.configure()
    tags = [{"Key": key, "Value": value} for key, value in busy_account.OURS.items()]
    ec2 = sandbox.client("ec2", "eu-west-1")
    spec = [{"ResourceType": "customer-gateway", "Tags": tags}]
    gateway = ec2.create_customer_gateway(
        Type="ipsec.1", PublicIp="192.0.2.7", BgpAsn=65000, TagSpecifications=spec
    )["CustomerGateway"]["CustomerGatewayId"]
    bus = sandbox.client("events", "eu-west-1").create_event_bus(Name="jobs", Tags=tags)["EventBusArn"]
    for flags in (["--dry-run"], ["--force"]):
        result = nuke(program, "-o", "json", *flags)
        assert {row["id"] for row in result.data["unsupported"]} == {gateway, bus}
    assert result.code == 1
    text = nuke(program, "--force")
    assert "cannot delete this kind of resource" in text.stdout


# --- The audit log


def audit(program: CliRunner) -> list[dict[str, Any]]:
    """All of it: every run of every command that changes something adds to it."""
    path = next(Path(program.folder).rglob("audit.jsonl"))
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def last_run(program: CliRunner) -> list[dict[str, Any]]:
    rows = audit(program)
    return [row for row in rows if row["run"] == rows[-1]["run"]]


def test_the_audit_log(program: CliRunner, nodes: int) -> None:
    """Who, what was asked for with AWS's request ids, what was verified, how it ended; runs are added, never replaced."""
    assert nodes
    result: CliResult = program("nuke", "--force", "-o", "json")
    rows = last_run(program)
    assert rows[0]["event"] == "command-started"
    assert rows[0]["argv"] == ["nuke", "--force", "-o", "json"]
    assert {row["account_id"] for row in rows} == {ACCOUNT}
    deleted = {row["id"] for row in rows if row["event"] == "deleted"}
    assert deleted == {outcome["id"] for outcome in result.data["outcomes"] if outcome["status"] == "deleted"}
    deletions = [row for row in rows if row["event"] == "deleting"]
    assert all(row["request_ids"] for row in deletions)
    assert rows[-1]["event"] == "command-ended"
    assert rows[-1]["exit_code"] == 0
    program("nuke", "--force")
    begun = [row["argv"][0] for row in audit(program) if row["event"] == "command-started"]
    assert begun == ["nuke", "nuke"]


def test_the_audit_log_of_a_destroy(program: CliRunner, nodes: int) -> None:
    assert nodes
    program("destroy", "--yes")
    rows = last_run(program)
    assert rows[0]["argv"] == ["destroy", "--yes"]
    assert {"vpc", "fleet"} <= {row["kind"] for row in rows if row["event"] == "deleting"}


def test_an_audit_log_that_cannot_be_written(program: CliRunner, nodes: int) -> None:
    """It is said, and nothing is left for it."""
    assert nodes
    log = program.folder / ".local" / "state" / "bacalhau-spot" / "audit.jsonl"
    log.mkdir(parents=True)  # in the way
    result = nuke(program, "--force")
    assert result.code == 0
    assert "audit log" in result.stderr
    assert listed(program) == 0


def test_the_order_can_be_looked_at_without_aws(program: CliRunner) -> None:
    result = program("nuke", "--explain", "-o", "json")
    assert result.code == 0
    steps = {row["kind"]: row["step"] for row in result.data["kinds"]}
    assert steps["instance"] < steps["subnet"] < steps["vpc"] < steps["role"]
    assert "subnet" in program("nuke", "--explain").stdout
