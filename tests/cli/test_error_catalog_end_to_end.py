"""Every row of the verdict table, provoked through the real command line: exit code, both streams, what is left behind.

Each code is answered to the cheapest call of all; each verdict that is about making or deleting something also where it
really happens. What has no scenario fails.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import botocore.exceptions
import botocore.httpsession
import botocore.session
import pytest
import urllib3.exceptions

from aws_spot_sandbox.ec2 import regions as places
from aws_spot_sandbox.regions import ENABLED_BY_DEFAULT
from bacalhau_spot.cloud.aws_errors import REFUSED_TOKENS
from bacalhau_spot.cloud.exception_codes import code_of_class
from bacalhau_spot.core.error_catalog.classifier import (
    CATALOG,
    FAMILIES,
    MESSAGE_RULES,
    Category,
    ErrorInfo,
    classify,
)
from bacalhau_spot.errors import UserError
from bacalhau_spot.ui.pages import topic_of
from cli.test_credentials import ABOUT_THE_ACCOUNT
from cli.test_destroy_orchestrator import HOME, configure
from cloud.test_error_golden import exceptions, instance_of
from support.certificates import self_signed
from support.cli_runner import CliResult, CliRunner
from support.orchestrator import stand_in

TESTS = Path(__file__).parent.parent
# Answered by no call: refused by ourselves, in tests of their own.
ELSEWHERE = {
    "PoolShareReached": (
        "cli/test_pool_share.py",
        "test_what_only_the_limit_forbids_is_said_to_be_the_limit",
    ),
    "ZoneTakesNoSubnet": (
        "cli/test_prerequisites.py",
        "test_nodes_of_a_region_without_a_zone_that_takes_subnets_move",
    ),
    "InternalMistake": ("cli/test_internal_errors.py", "test_a_mistake_in_one_region_stops_no_other"),
    "Configuration": (
        "cli/test_error_catalog_end_to_end.py",
        "test_what_a_region_shows_does_not_go_with_the_configuration",
    ),
    "ForeignRouteTable": (
        "trust/test_foreign_names.py",
        "test_the_main_route_table_of_others_gets_no_route",
    ),
    "GroupDeleted": ("cli/test_group_replacement.py", "test_a_group_that_somebody_deletes_meanwhile"),
    "ImageNotAvailable": ("cli/test_images.py", "test_an_image_that_aws_does_not_complete"),
    "ScalingGroupLimitExceeded": ("cli/test_self_healing.py", "test_a_full_account_is_told_which_quota"),
    "OrchestratorJobRejected": ("orchestrator/test_jobs.py", "test_a_rejected_job_says_why"),
    "Protected": ("cli/test_error_catalog_end_to_end.py", "test_a_protected_instance"),
    "HeldByAnother": ("cli/test_error_catalog_end_to_end.py", "test_a_launcher_that_stays"),
    "LauncherLives": ("cli/test_error_catalog_end_to_end.py", "test_a_launcher_that_stays"),
    **dict.fromkeys(
        REFUSED_TOKENS.values(), ("cli/test_identity.py", "test_a_token_that_is_not_valid_in_one_region")
    ),
}
# Not AWS's code: what botocore raises before there is an answer, or lets through from below.
BEFORE_AWS: dict[str, Exception] = {
    "CredentialFileError": FileNotFoundError(2, "No such file or directory"),
    "InvalidSetting": ValueError("invalid literal for int()"),
    "MfaRequired": EOFError(),
    "CredentialProcessTimeout": __import__("subprocess").TimeoutExpired("vault", 30.0),
    "CredentialProcessOutput": __import__("json").JSONDecodeError("no", "x", 0),
}
ON_THE_WAY = {
    "NameResolutionError": urllib3.exceptions.NameResolutionError(
        "sts.invalid", urllib3.connection.HTTPConnection("sts.invalid"), __import__("socket").gaierror(-2, "unknown")
    )
}  # fmt: skip


class Api(NamedTuple):
    """What the orchestrator's API answers, or how it is addressed, and what then happens."""

    code: str
    answer: tuple[int, dict[str, str], bytes] | None = None
    host: str = ""  # {port}: of the one that answers


ORCHESTRATOR = [
    Api("OrchestratorUnauthorized", (401, {}, b'{"Message": "Request Unauthorized"}')),
    Api("OrchestratorForbidden", (403, {}, b'{"Message": "Request Forbidden"}')),
    Api("OrchestratorBusy", (429, {}, b"")),
    Api("OrchestratorTimeout", (504, {}, b"")),
    Api("OrchestratorFailed", (500, {}, b"")),
    Api("OrchestratorAnswer", (200, {}, b"<html>hello</html>")),
    Api("OrchestratorRedirect", (307, {"Location": "http://127.0.0.1:9/"}, b"")),
    Api("OrchestratorScheme", host="https://127.0.0.1:{port}"),
    Api("OrchestratorUnreachable", host="http://127.0.0.1:9"),
    Api("OrchestratorTls", host="tls"),
]
ORCHESTRATORS = frozenset(row.code for row in ORCHESTRATOR)


def errors_topic(name: str) -> str:
    return topic_of(f"docs/errors.md#{name}")


def assert_reported(result: CliResult, info: ErrorInfo, code: str, *, message: str, exit_code: int) -> None:
    """What happened, AWS's code once and its words, the hint if there is one, the place in the documentation."""
    assert result.code == exit_code, (code, result.stdout, result.stderr)
    text = " ".join((result.stdout + result.stderr).split())
    assert info.message("") in text or info.message("us-east-1") in text, (code, text)
    assert message in text, (code, text)
    assert text.count(f" {code}: ") <= 1, (code, text)
    assert code in text
    assert f"explain {errors_topic(info.name)}" in text
    assert ("hint: " in text) == bool(info.hint), (code, text)
    assert "Traceback" not in text


def by_verdict(codes: Iterator[str]) -> list[Any]:
    """The codes in groups, one a verdict: each group is one test."""
    groups: dict[str, list[str]] = {}
    for code in codes:
        groups.setdefault(CATALOG[CODES.get(code, code)].name, []).append(code)
    return [pytest.param(group, id=name) for name, group in groups.items()]


# Each exception of botocore that is not an error of this program: the code that it is told under.
CODES = {name: code for name, kind in exceptions().items() if (code := code_of_class(kind))}


def answered() -> Iterator[str]:
    """Codes that AWS answers."""
    planted = {*BEFORE_AWS, *ON_THE_WAY, *ELSEWHERE, *ORCHESTRATORS, *CODES.values()}
    return (code for code in CATALOG if code not in planted)


@pytest.mark.parametrize("codes", by_verdict(answered()))
def test_an_answer_of_aws(sandbox: Any, program: CliRunner, codes: list[str]) -> None:
    """To the call for the identity, which every command begins with: nothing on stdout, and nothing is made, found or changed."""
    for code in codes:
        before = len(sandbox.world.calls)
        sandbox.world.settings.faults = [
            {"match": "GetCallerIdentity", "code": code, "message": "These are AWS's words", "status": 400}
        ]
        result = program("list", "--region", "us-east-1")
        assert result.stdout == ""
        assert_reported(
            result,
            classify(code),
            code,
            message="These are AWS's words",
            exit_code=int(classify(code).exit_code),
        )
        actions = {action for _, action, _ in sandbox.world.calls[before:]}
        assert {"sts:GetCallerIdentity"} <= actions <= ABOUT_THE_ACCOUNT
    json = program("list", "--region", "us-east-1", "-o", "json")
    assert json.envelope["errors"][0]["code"] == codes[-1]
    assert json.code == result.code
    assert json.stderr == ""


def test_a_code_without_a_row(sandbox: Any, program: CliRunner) -> None:
    """AWS's own word, once, and not asked again."""
    sandbox.world.settings.faults = [
        {"match": "GetCallerIdentity", "code": "Whatever", "message": "New words"}
    ]
    result = program("list", "--region", "us-east-1")
    assert_reported(result, classify("Whatever"), "Whatever", message="New words", exit_code=1)
    actions = [action for _, action, _ in sandbox.world.calls]
    assert actions.count("sts:GetCallerIdentity") == 1
    assert set(actions) <= ABOUT_THE_ACCOUNT


def raiser(error: Exception) -> Callable[..., Any]:
    def plant(*_args: object, **_kwargs: object) -> None:
        raise error

    return plant


NETWORK = [name for name, code in CODES.items() if CATALOG[code].category in {Category.NETWORK, Category.AWS}]


@pytest.mark.parametrize("codes", by_verdict(iter([*NETWORK, *ON_THE_WAY])))
def test_what_keeps_a_call_from_aws(
    program: CliRunner, monkeypatch: pytest.MonkeyPatch, codes: list[str]
) -> None:
    """Repeated for ten seconds, then told; the same from whatever layer it comes. Real ones: test_network.py."""
    for code in codes:
        if code in ON_THE_WAY:
            error = botocore.exceptions.EndpointConnectionError(endpoint_url="x", error=ON_THE_WAY[code])
        else:
            error = instance_of(exceptions()[code])
        with monkeypatch.context() as planting:
            planting.setattr(botocore.httpsession.URLLib3Session, "send", raiser(error))
            result = program("list", "--region", "us-east-1")
        assert result.stdout == ""
        assert_reported(
            result, classify(CODES.get(code, code)), CODES.get(code, code), message=code, exit_code=1
        )


CHAIN = [name for name in CODES if name not in NETWORK]


@pytest.mark.parametrize("codes", by_verdict(iter([*CHAIN, *BEFORE_AWS])))
def test_what_keeps_credentials_away(
    sandbox: Any, program: CliRunner, monkeypatch: pytest.MonkeyPatch, codes: list[str]
) -> None:
    """AWS is not asked at all. Real ones: test_credentials.py."""
    for code in codes:
        error = BEFORE_AWS.get(code) or instance_of(exceptions()[code])
        with monkeypatch.context() as planting:
            planting.setattr(botocore.session.Session, "get_credentials", raiser(error))
            result = program("list", "--region", "us-east-1")
        assert result.stdout == ""
        info = classify(CODES.get(code, code))
        assert_reported(result, info, CODES.get(code, code), message=code, exit_code=int(info.exit_code))
    assert sandbox.world.calls == []


@pytest.mark.parametrize("rule", MESSAGE_RULES, ids=lambda rule: rule.info.name)
def test_a_nuance(sandbox: Any, program: CliRunner, monkeypatch: pytest.MonkeyPatch, rule: Any) -> None:
    """The words that go with the code decide what is read."""
    words = rule.words.partition("|")[0].replace("(the )?", "the ").replace(r"\d{8}", "20261125")
    for code in sorted(rule.codes):
        if code in CODES:
            blank = {"error_msg": words, "error": words, "provider": words, "endpoint_url": "x"}
            error = getattr(botocore.exceptions, code)(**blank)
            target = "send" if code == "SSLError" else "get_credentials"
            holder: Any = (
                botocore.httpsession.URLLib3Session if code == "SSLError" else botocore.session.Session
            )
            monkeypatch.setattr(holder, target, raiser(error))
        else:
            sandbox.world.settings.faults = [
                {"match": "GetCallerIdentity", "code": code, "message": f"AWS says: {words}."}
            ]
        result = program("list", "--region", "us-east-1")
        assert_reported(result, rule.info, code, message=words, exit_code=int(rule.info.exit_code))


class Making(NamedTuple):
    """A refusal while something is made: the call, and the exit code when other regions are refused for other reasons."""

    code: str
    at: str
    exit_code: int = 1
    words: str = ""


# By verdict: where it really comes from.
MAKING = {
    "not-allowed": Making("UnauthorizedOperation", "CreateVpc", 4),
    "spot-role": Making("AuthFailure.ServiceLinkedRoleCreationNotPermitted", "CreateFleet", 4),
    "tag-policy": Making("TagPolicyViolation", "CreateVpc", 4),
    "image": Making("InvalidAMIID.NotFound", "CreateFleet"),
    "instance-type": Making("InvalidInstanceType", "CreateFleet"),
    "zone": Making("InvalidAvailabilityZone", "CreateSubnet"),
    "vpc": Making("InvalidSubnet.Range", "CreateSubnet"),
    "addresses": Making("InvalidPermission.Malformed", "AuthorizeSecurityGroupIngress"),
    "user-data": Making("InvalidUserData.Malformed", "CreateLaunchTemplateVersion"),
    "tags": Making("TagLimitExceeded", "CreateVpc"),
    "disk": Making("InvalidBlockDeviceMapping", "CreateLaunchTemplateVersion"),
    "encryption-key": Making("KMSKeyNotAccessible", "CreateFleet"),
    "unsupported": Making("UnsupportedOperation", "CreateFleet"),
    "bad-value": Making("InvalidParameterCombination", "CreateFleet"),
    "other-create": Making("InvalidLaunchTemplateName.AlreadyExistsException", "CreateLaunchTemplate"),
    "our-call": Making("UnknownParameter", "CreateVpc"),
    "spot-quota": Making("MaxSpotInstanceCountExceeded", "CreateFleet"),
    "instance-quota": Making("InstanceLimitExceeded", "CreateFleet"),
    "vpc-quota": Making("VpcLimitExceeded", "CreateVpc"),
    "group-quota": Making("SecurityGroupLimitExceeded", "CreateSecurityGroup"),
    "rule-quota": Making("RulesPerSecurityGroupLimitExceeded", "AuthorizeSecurityGroupIngress"),
    "subnet-quota": Making("SubnetLimitExceeded", "CreateSubnet"),
    "route-quota": Making("RouteLimitExceeded", "CreateRoute"),
    "interface-quota": Making("NetworkInterfaceLimitExceeded", "CreateFleet"),
    "disk-quota": Making("VolumeLimitExceeded", "CreateFleet"),
    "fleet-quota": Making("MaxFleetCountExceeded", "CreateFleet"),
    "template-quota": Making("LaunchTemplateLimitExceeded", "CreateLaunchTemplate"),
    "quota": Making("SomethingNewLimitExceeded", "CreateVpc"),
    "verification": Making("PendingVerification", "CreateFleet"),
    "price": Making("SpotMaxPriceTooLow", "CreateFleet"),
    "capacity": Making("InsufficientInstanceCapacity", "CreateFleet"),
    "type-not-in-zone": Making("Unsupported", "CreateFleet"),
    "full-subnet": Making("InsufficientFreeAddressesInSubnet", "CreateFleet"),
    "throttled": Making("RequestLimitExceeded", "CreateVpc"),
    "aws-trouble": Making("InternalError", "CreateVpc"),
    "lag": Making("InvalidVpcID.NotFound", "CreateSubnet"),
}  # fmt: skip


# Refusals of an orchestrator's own parts.
MAKING_ORCHESTRATOR = {
    "bucket-name": Making("BucketAlreadyExists", "s3:CreateBucket", 2),
    "on-demand-quota": Making("VcpuLimitExceeded", "RunInstances"),
}


@pytest.mark.parametrize("name", MAKING_ORCHESTRATOR)
def test_a_refusal_while_making_the_orchestrator(sandbox: Any, program: CliRunner, name: str) -> None:
    """No node is launched, and the error lists the parts that exist."""
    row = MAKING_ORCHESTRATOR[name]
    configure(program)
    path = program.folder / "config.yaml"
    path.write_text(path.read_text().replace(HOME, "us-east-1"))
    sandbox.world.settings.faults = [{"match": row.at, "code": row.code, "message": "These are AWS's words"}]
    result = program("create", "--yes")
    assert_reported(
        result, classify(row.code), row.code, message="These are AWS's words", exit_code=row.exit_code
    )
    assert "CreateFleet" not in {action for _, action, _ in sandbox.world.calls}
    assert "created" in result.stderr


# Each by itself; the others at once, a region each.
ALONE = (
    *("not-allowed", "spot-role", "spot-quota", "vpc-quota", "capacity"),
    *("price", "image", "other-create", "throttled", "lag"),
)
DERIVED = {"acl", "rtb", "sg"}  # born and gone with their VPC, which is tagged


@pytest.mark.parametrize("name", ALONE)
def test_a_refusal_while_making(sandbox: Any, program: CliRunner, name: str) -> None:
    """The receipt first, then the error; nothing runs, and all that is left carries the cluster's tag."""
    row = MAKING[name]
    program.configure(nodes=1, regions="[us-east-1]")
    before = set(sandbox.leftovers())
    lock = row.at == "CreateLaunchTemplate"  # the first one is the operators' lock
    sandbox.world.settings.faults = [
        {"match": row.at, "code": row.code, "message": "These are AWS's words", "after": int(lock)}
    ]
    result = program("create", "--yes")
    code = 2 if classify(row.code).category is Category.CONFIG else row.exit_code
    assert_reported(result, classify(row.code), row.code, message=row.code, exit_code=code)
    assert "0 of 1 node running" in result.stdout
    # B5: what another create makes is not ours to remove.
    assert ("to remove everything: bacalhau-spot destroy" in result.stdout) == (name != "other-create")
    created_kinds = {line.split()[2]: line.split()[1] for line in set(sandbox.leftovers()) - before}
    assert "instance" not in created_kinds.values()
    tags = sandbox.client("ec2", "us-east-1").describe_tags(
        Filters=[{"Name": "key", "Values": ["bacalhau-cluster"]}]
    )["Tags"]
    assert {
        kind
        for resource_id, kind in created_kinds.items()
        if resource_id not in {tag["ResourceId"] for tag in tags}
    } <= DERIVED


TOGETHER = [name for name in MAKING if name not in ALONE]
HALF = len(TOGETHER) // 2


@pytest.mark.parametrize("names", [TOGETHER[:HALF], TOGETHER[HALF:]], ids=["some", "others"])
def test_many_refusals_at_once(
    sandbox: Any, program: CliRunner, monkeypatch: pytest.MonkeyPatch, names: list[str]
) -> None:
    """Each region is refused for a reason of its own: each is told once, with its region, the worst first; nothing runs."""
    monkeypatch.setattr(places, "ENABLED_BY_DEFAULT", ENABLED_BY_DEFAULT)  # all of them, for once
    regions = sorted(ENABLED_BY_DEFAULT)[: len(names)]
    assert len(regions) == len(names)
    program.configure(nodes=len(names), regions=f"[{', '.join(regions)}]", more="spread: strict\n")
    sandbox.world.settings.faults = [
        {"match": MAKING[name].at, "code": MAKING[name].code, "message": f"words {number}", "region": region}
        for number, (name, region) in enumerate(zip(names, regions, strict=True))
    ]
    result = program("create", "--yes")
    text = " ".join((result.stdout + result.stderr).split())
    for name, region in zip(names, regions, strict=True):
        info = classify(MAKING[name].code)
        assert info.name == name
        assert info.message(region) in text
        assert MAKING[name].code in text
    worst = min(classify(MAKING[name].code).category for name in names)
    first = result.stderr.rpartition("docs: bacalhau-spot explain ")[2].split()[0]
    assert classify(MAKING[first].code).category is worst
    assert result.code == max(MAKING[name].exit_code for name in names)
    assert f"0 of {len(names)} nodes running" in result.stdout
    assert not any(" instance " in line for line in sandbox.leftovers())


# Verdicts about what is already there, or goes away: by the call that meets them.
DELETING = {
    "busy": ("DependencyViolation", "DeleteVpc", 1),
    "not-permitted": ("OperationNotPermitted", "DeleteVpc", 4),
    "not-yours": ("AuthFailure", "DeleteVpc", 4),
}


@pytest.mark.parametrize("name", DELETING)
def test_a_refusal_while_deleting(sandbox: Any, program: CliRunner, name: str) -> None:
    """What AWS keeps is named; it is still there, and the exit code says so."""
    code, at, exit_code = DELETING[name]
    program.configure(nodes=1, regions="[us-east-1]")
    ec2 = sandbox.client("ec2", "us-east-1")
    tags = [
        {"Key": "bacalhau-cluster", "Value": "bacalhau-aws-spot"},
        {"Key": "CreatedBy", "Value": "bacalhau-aws-spot-script"},
    ]
    vpc_id = ec2.create_vpc(
        CidrBlock="10.0.0.0/16", TagSpecifications=[{"ResourceType": "vpc", "Tags": tags}]
    )["Vpc"]["VpcId"]
    words = "You do not have permission to access the specified resource."
    sandbox.world.settings.faults = [{"match": at, "code": code, "message": words}]
    result = program("destroy", "--yes")
    assert result.code == exit_code, result.stdout + result.stderr
    text = " ".join((result.stdout + result.stderr).split())
    info = next(entry for entry in CATALOG.values() if entry.name == name)
    assert info.message("us-east-1") in text
    assert f"explain {name}" in text
    assert vpc_id in result.stdout
    assert any(vpc_id in line for line in sandbox.leftovers())


def test_what_is_already_so_is_no_error(sandbox: Any, program: CliRunner) -> None:
    """`exists`: another create, or an earlier one, was quicker."""
    program.configure(nodes=1, regions="[us-east-1]")
    sandbox.world.settings.faults = [
        {"match": "AttachInternetGateway", "code": "Resource.AlreadyAssociated", "when": "after", "count": 1},
        {"match": "AuthorizeSecurityGroupIngress", "code": "InvalidPermission.Duplicate", "when": "after", "count": 1},
    ]  # fmt: skip
    result = program("create", "--yes")
    assert result.code == 0, result.stdout + result.stderr
    assert "error" not in result.stderr


def test_a_vpc_without_a_subnet(sandbox: Any, program: CliRunner) -> None:
    """Complaint 4: said before anything is made (parallelcluster#3604)."""
    vpc_id = sandbox.client("ec2", "us-east-1").create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    program.configure(nodes=1, regions=f"{{us-east-1: {{vpc_id: {vpc_id}}}}}")
    before = sandbox.leftovers()
    result = program("create", "--yes")
    assert result.code == 2
    assert vpc_id in result.stderr
    assert sandbox.leftovers() == before


def test_what_a_region_shows_does_not_go_with_the_configuration(
    program: CliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`Configuration`: found out after the plan, in one region, because something changed in between."""

    async def refuse(*_args: object, **_kinds: object) -> None:
        raise UserError("the VPC has no subnet in us-east-1 any more")

    monkeypatch.setattr("bacalhau_spot.engine.launch.create.launch_region", refuse)
    program.configure(nodes=1, regions="[us-east-1]")
    result = program("create", "--yes")
    assert_reported(
        result, classify("Configuration"), "Configuration", message="has no subnet in us-east-1", exit_code=2
    )


def test_a_protected_instance(sandbox: Any, program: CliRunner) -> None:
    """`Protected`: it stays, is named with the option that lifts the protection, and goes with it."""
    program.configure(nodes=1, regions="[us-east-1]")
    assert program("create", "--yes").code == 0
    (instance,) = program("list", "-o", "json").data["instances"]
    ec2 = sandbox.client("ec2", "us-east-1")
    image = ec2.describe_instances(InstanceIds=[instance["id"]])["Reservations"][0]["Instances"][0]["ImageId"]
    tags = [
        {"Key": "bacalhau-cluster", "Value": "bacalhau-aws-spot"},
        {"Key": "CreatedBy", "Value": "bacalhau-aws-spot-script"},
    ]
    ec2.run_instances(
        ImageId=image,
        InstanceType="t3.medium",
        MinCount=1,
        MaxCount=1,
        DisableApiTermination=True,
        TagSpecifications=[{"ResourceType": "instance", "Tags": tags}],
    )
    result = program("destroy", "--yes")
    assert result.code == 1
    assert "--disable-protection" in result.stderr
    assert "explain protected" in result.stderr
    assert program("destroy", "--yes", "--disable-protection").code == 0


def test_a_launcher_that_stays(sandbox: Any, program: CliRunner) -> None:
    """`LauncherLives` and `HeldByAnother`: an instance that would be replaced is not ended, and keeps what it uses."""
    program.configure(nodes=1, regions="[us-east-1]")
    assert program("create", "--yes").code == 0
    fleet = maintained(sandbox)
    sandbox.world.settings.faults = [{"match": "DeleteFleets", "code": "OperationNotPermitted"}]
    result = program("destroy", "--yes")
    assert result.code == 4
    assert "remains, and would start a new one (LauncherLives)" in result.stderr
    assert (
        "also: a managed resource is in use by a resource that is retained (HeldByAnother)" in result.stderr
    )
    assert "explain not-permitted" in result.stderr
    assert result.stdout.index("1 launch template") < result.stdout.index("left: ")
    assert [line.split()[2] for line in sandbox.leftovers() if line.split()[1] == "instance"] == fleet


def maintained(sandbox: Any) -> list[str]:
    """The instance of a fleet of ours that keeps its number, launched as the cluster's own instance is."""
    ec2 = sandbox.client()
    template = ec2.describe_launch_templates()["LaunchTemplates"][0]
    model = ec2.describe_instances()["Reservations"][0]["Instances"][0]
    version = {"LaunchTemplateId": template["LaunchTemplateId"], "Version": "$Latest"}
    fleet = ec2.create_fleet(
        Type="maintain",
        LaunchTemplateConfigs=[
            {
                "LaunchTemplateSpecification": version,
                "Overrides": [{key: model[key] for key in ("SubnetId", "InstanceType", "ImageId")}],
            }
        ],
        TargetCapacitySpecification={"TotalTargetCapacity": 1, "DefaultTargetCapacityType": "spot"},
        TagSpecifications=[{"ResourceType": "fleet", "Tags": template["Tags"]}],
    )
    active = ec2.describe_fleet_instances(FleetId=fleet["FleetId"])["ActiveInstances"]
    ids = [row["InstanceId"] for row in active]
    disks = ec2.describe_volumes(Filters=[{"Name": "attachment.instance-id", "Values": ids}])["Volumes"]
    ec2.create_tags(Resources=[*ids, *(disk["VolumeId"] for disk in disks)], Tags=template["Tags"])
    return ids


@pytest.mark.parametrize("row", ORCHESTRATOR, ids=lambda row: row.code)
def test_the_orchestrator_refuses(sandbox: Any, program: CliRunner, tmp_path: Path, row: Api) -> None:
    """Nothing is removed, AWS is not asked to change anything, and the error names its place."""
    secure = tmp_path / "home" if row.host == "tls" else None
    if secure is not None:
        secure.mkdir()
        self_signed(secure)
    with stand_in(secure) as server:
        server.answer = row.answer
        port = server.url.rpartition(":")[2]
        host = row.host.format(port=port) if secure is None and row.host else server.url
        program.configure(more=f'  api: {{host: "{host}"}}\n')
        result = program("prune", "--yes")
        info = classify(row.code)
        assert result.stdout == ""
        assert_reported(result, info, row.code, message=row.code, exit_code=int(info.exit_code))
        assert server.removals == []
    assert sandbox.world.calls == []


def test_every_row_has_a_scenario() -> None:
    """Codes by the parameters above; and every verdict about making is provoked where things are made."""
    codes = {
        *answered(),
        *CODES.values(),
        *ON_THE_WAY,
        *BEFORE_AWS,
        *ELSEWHERE,
        *ORCHESTRATORS,
    }
    assert codes == set(CATALOG)
    making = {
        info.name
        for code, info in (*CATALOG.items(), *(("", family.info) for family in FAMILIES))
        if info.category in {Category.QUOTA, Category.PRICE, Category.CAPACITY, Category.CONFIG}
        and code not in {*ELSEWHERE, *ORCHESTRATORS}
    }
    # Not about making anything that create makes: asked of the sign-in service, of regions, of the ranking, of IAM.
    others = {
        "opt-in",
        "sts-region",
        "score-quota",
        "iam-quota",
        "parameter-quota",
        "address-quota",
        "key-pair",
    }
    rows = {**MAKING, **MAKING_ORCHESTRATOR}
    assert making - others <= set(rows)
    assert {name: classify(row.code).name for name, row in rows.items()} == {name: name for name in rows}
    for file, name in ELSEWHERE.values():
        assert f"def {name}(" in (TESTS / file).read_text()
