"""The printed policy, enforced: with it every command works, without any one of its actions one fails and names it."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from bacalhau_spot.cli.app import COMMANDS
from bacalhau_spot.core.iam.policy import Document, actions_of
from sandbox.middleware.errors import refusal
from support.cli_runner import CliRunner
from support.long_tests import sample
from support.one_of_each import ResourceFixture
from support.orchestrator import cluster_node, stand_in

REGION = "us-west-1"  # it has two zones: few subnets
SETTINGS = "  token: 7f3a9c5e1b\n  secrets: ssm\n"
KEY = "bacalhau-cluster"
OURS = {KEY: "bacalhau-aws-spot", "CreatedBy": "bacalhau-aws-spot-script", "Name": "beast"}


@pytest.fixture
def user(program: CliRunner) -> CliRunner:
    """A small cluster that uses every feature that needs permissions of its own."""
    configure(program)
    return program


def configure(program: CliRunner) -> None:
    program.configure(nodes=1, regions=f"[{REGION}]", more=SETTINGS)
    path = program.folder / "config.yaml"
    path.write_text(path.read_text().replace("nats://192.0.2.1:4222", "nats://127.0.0.1:9"))


def policy(program: CliRunner, *commands: str) -> list[Document]:
    """As the program prints it: for these commands, or for all."""
    only = [word for name in commands for word in ("--command", name)]
    printed = program("iam-policy", "-o", "json", "--account", "000000000000", *only).data
    return [document["document"] for document in printed["documents"]]


def without(documents: list[Document], *actions: str) -> list[Document]:
    """The policy less these actions, wherever they are allowed."""
    less = copy.deepcopy(documents)
    for document in less:
        for statement in document["Statement"]:
            statement["Action"] = [action for action in statement["Action"] if action not in actions]
    return less


def beasts(sandbox: Any) -> ResourceFixture:
    """One of every kind of ours, where the policy can reach all of them: instances and the default group carry the tag."""
    resources = ResourceFixture(sandbox.client, "us-west-2", OURS, "bacalhau-beast").everything()
    resources.identities()
    ec2 = sandbox.client("ec2", "us-west-2")
    instances = ec2.describe_instances(Filters=[{"Name": "vpc-id", "Values": [resources.vpc]}])[
        "Reservations"
    ]
    default = ec2.describe_security_groups(
        Filters=[{"Name": "vpc-id", "Values": [resources.vpc]}, {"Name": "group-name", "Values": ["default"]}]
    )["SecurityGroups"][0]["GroupId"]
    ids = [instance["InstanceId"] for group in instances for instance in group["Instances"]]
    ec2.create_tags(Resources=[*ids, default], Tags=resources.list)
    sandbox.clock.advance(10)
    return resources


def test_the_policy_suffices(sandbox: Any, user: CliRunner) -> None:
    """Every command with its work to do, under the policy that is printed for it, which is never refused anything."""
    beasts(sandbox)
    lines: tuple[list[str], ...] = (
        ["create", "--yes", "--wait", "running"],
        ["create", "--yes", "--wait", "running"],
        ["list"],
        ["extend", "4h", "--yes"],
        ["status"],
        ["reconcile"],
        ["console", REGION],
        ["logs", "--console"],
        ["ssh", REGION, "--print", "--accept-new-key"],
        ["prune", "--yes"],
        ["doctor"],
        ["offers", "--region", REGION],
        ["cost"],
        ["prices"],
        ["history"],
        ["report"],
        ["clusters"],
        ["nuke", "--force", "--disable-protection", "--region", f"us-west-2,{REGION}"],
        ["create", "--yes", "--wait", "running"],
        ["image", "bake", "--region", REGION, "--region", "us-west-2", "--yes"],
        ["image", "list"],
        ["image", "delete", "--all", "--yes"],
        ["scale", "2", "--yes", "--grace", "0"],
        ["replace", "--region", REGION, "--yes", "--grace", "0", "--no-smoke-test"],
        ["remove", REGION, "--yes", "--grace", "0"],
        ["destroy", "--yes"],
    )
    assert {line[0] for line in lines} == {"image"} | set(COMMANDS) - {
        "completion",
        "configure",
        "explain",
        "help",
        "version",
        "iam-policy",
        "notify-test",
    } - {"env", "smoke-test"}, "without a managed orchestrator, none of these asks AWS anything"
    with stand_in() as server:
        server.nodes = [cluster_node("i-0aaaaaaaaaaaaaaa1", region=REGION, cluster="bacalhau-aws-spot")]
        path = user.folder / "config.yaml"
        path.write_text(path.read_text() + f'  api: {{host: "{server.url}"}}\n')
        run(sandbox, user, lines)
        assert server.removals[0] == "bacalhau-i-0aaaaaaaaaaaaaaa1"
    actions = {action for _, _, action in sandbox.world.evaluated}
    assert actions - set(actions_of(policy(user))) == set()
    assert len(actions) > 120


def test_the_policy_of_a_self_healing_cluster_suffices(sandbox: Any, user: CliRunner) -> None:
    """Also to make one of a plain cluster, to change its number, and to make it plain again, in a new account."""
    path = user.folder / "config.yaml"
    plain = path.read_text()
    healed = f"{plain}self_heal: true\n"
    path.write_text(healed)
    documents = policy(user)
    sandbox.settings.service_roles, sandbox.settings.policies = [], documents
    for text in (plain, healed, healed.replace("nodes: 1", "nodes: 2"), healed, plain, healed):
        path.write_text(text)
        result = user("create", "--yes", "--allow-removal", "--wait", "running")
        assert (result.code, refusals(sandbox)) == (0, []), result.stderr[-2000:]
        for command in ("list", "status", "doctor"):
            user(command)
    run(
        sandbox,
        user,
        (
            ["create", "--yes", "--ttl", "8h", "--wait", "running"],
            ["scale", "2", "--yes", "--grace", "0"],
            ["clusters"],
            ["extend", "20h"],
            ["extend", "1h", "--yes"],
            ["extend", "20h"],
            ["replace", REGION, "--at-once", "2", "--yes", "--grace", "0"],
            ["reconcile"],
            ["extend", "--never"],
            ["remove", REGION, "--yes", "--grace", "0"],
            ["destroy", "--yes"],
        ),
    )
    actions = {action for _, _, action in sandbox.world.evaluated}
    assert actions - set(actions_of(documents)) == set()
    assert {"autoscaling:DetachInstances", "autoscaling:SuspendProcesses", "ec2:RunInstances"} <= actions
    assert {
        "autoscaling:DeleteScheduledAction",
        "autoscaling:DescribeScheduledActions",
        "autoscaling:PutScheduledUpdateGroupAction",
    } <= actions
    assert "autoscaling.amazonaws.com" in sandbox.settings.service_roles


def refusals(sandbox: Any) -> list[Any]:
    """The calls that were refused for want of a permission."""
    return [call for call in sandbox.world.calls if call[2] in {"UnauthorizedOperation", "AccessDenied"}]


# Their exit code depends on nodes that join.
HEALTH = frozenset({"status", "doctor", "reconcile", "scale", "replace"})


def run(sandbox: Any, user: CliRunner, lines: tuple[list[str], ...]) -> None:
    """Each does its work under the policy for it alone, and is refused nothing. Health is no question of permission."""
    for line in lines:
        # The checkup asks what all the others would be allowed.
        sandbox.settings.policies = policy(user) if line == ["doctor"] else policy(user, line[0])
        result = user(*line)
        assert refusals(sandbox) == [], line
        assert result.code in {0, 1} if line[0] in HEALTH else result.code == 0, (
            line,
            result.stderr[-2000:],
        )


def another_cluster(user: CliRunner, name: str) -> list[Document]:
    """A cluster that has nothing yet, and the policy for it."""
    configure(user)
    path = user.folder / "config.yaml"
    path.write_text(path.read_text() + f"cluster: {{tag_value: {name}}}\n")
    return policy(user)


# Needed only where the account has no such role yet; AWS's words for it name no action, ours name the command.
FIRST_USE = "iam:CreateServiceLinkedRole"
WORDS = {FIRST_USE: "create-service-linked-role"}
# A create does without, and says what it then does not know; without the account's alias it shows the account's number.
SPARED = {"iam:ListAccountAliases", "pricing:GetProducts", "ec2:DescribeVpcBlockPublicAccessOptions"}


def create_names(sandbox: Any, user: CliRunner) -> set[str]:
    """Of each action that a first create asks for: without it, a create ends with exit code 4 and names it."""
    sandbox.settings.quotas = {"vpcs": 1000, "internet_gateways": 1000}
    sandbox.settings.policies = another_cluster(user, "whole")
    sandbox.world.evaluated.clear()
    assert user("create", "--yes").code == 0
    actions = {FIRST_USE, *(action for _, _, action in sandbox.world.evaluated)} - SPARED
    for number, action in enumerate(sample(sorted(actions), every=14)):
        sandbox.settings.policies = without(another_cluster(user, f"c{number}"), action)
        sandbox.settings.service_roles = [] if action == FIRST_USE else ["spot.amazonaws.com"]
        result = user("create", "--yes")
        operation = WORDS.get(action, action)
        assert (result.code, operation in result.stderr) == (4, True), (action, result.code, result.stderr)
    return actions


# Without it nothing can be asked about the others: it is taken away alone.
ASKING = "iam:SimulatePrincipalPolicy"
# Each answer is about one action, whatever the others are: a run may ask about some together, and saves the time of the rest.
AT_ONCE = 6


def test_without_any_one_action_a_command_fails(sandbox: Any, user: CliRunner) -> None:
    """A create names what it lacks; of what it does not ask for, the checkup names each, before it is missed."""
    named = create_names(sandbox, user)
    assert len(named) > 30
    complete = policy(user)
    rest = sorted(set(actions_of(complete)) - named - {ASKING})
    for start in range(0, len(rest), AT_ONCE):
        some = rest[start : start + AT_ONCE]
        sandbox.settings.policies = without(complete, *some)
        result = user("doctor", "-o", "json")
        lines = next(
            finding["details"] for finding in result.data["findings"] if finding["check"] == "permissions"
        )
        assert (result.code, lines) == (4, some)
    sandbox.settings.policies = without(complete, ASKING)
    result = user("doctor")
    assert (result.code, ASKING in result.stdout) == (4, True)


# Of what a choice of regions asks for: it does without, and the plan says what was not known.
UNKNOWN = {"ec2:GetSpotPlacementScores", "servicequotas:GetServiceQuota"}


def test_a_choice_of_regions_names_what_it_lacks(sandbox: Any, user: CliRunner) -> None:
    """`regions: auto` and requirements ask for more than a named region does; without any of it, a create or doctor says so."""
    path = user.folder / "config.yaml"
    text = path.read_text().replace(f"[{REGION}]", "{auto: {count: 1}}")
    types = "requirements: {vcpus: 2..2, memory_gib: 4..4, arch: x86_64}"
    path.write_text(text.replace("instance_types: [t3.medium, t3a.medium]", types))
    for line in (["doctor"], ["create", "--dry-run"]):
        sandbox.settings.policies = policy(user, line[0]) if line[0] == "create" else policy(user)
        user.environ["XDG_STATE_HOME"] = str(user.folder / line[0])  # nothing is remembered
        sandbox.world.evaluated.clear()
        assert user(*line).code == 0
        assert refusals(sandbox) == [], line
    actions = {action for _, _, action in sandbox.world.evaluated}
    assert {"ec2:GetInstanceTypesFromInstanceRequirements", *UNKNOWN} < actions
    for action in sorted(actions - SPARED):
        sandbox.settings.policies = without(policy(user), action)
        user.environ["XDG_STATE_HOME"] = str(user.folder / action)
        result = user("create", "--dry-run")
        if action in UNKNOWN:
            denied = f"AWS refused {action.partition(':')[2]} (" in result.stdout
            assert (result.code, denied) == (0, True), (action, result.stdout)
            result = user("doctor")
        assert (result.code, action in result.stdout + result.stderr) == (4, True), (action, result.stderr)


def test_what_is_not_ours_cannot_be_touched_even_directly(sandbox: Any, user: CliRunner) -> None:
    """Somebody with this policy who calls AWS without this program ends nothing that does not carry the tag."""
    theirs = ResourceFixture(sandbox.client, "us-west-2", {"bacalhau-cluster": "somebody-else"}, "bacalhau-x")
    theirs.network()
    theirs.launchers()
    ec2, iam = sandbox.client("ec2", "us-west-2"), sandbox.client("iam")
    instance = theirs.resource_ids["instance"][0]  # type: ignore[index]  # a kind is a text
    iam.create_role(RoleName="theirs", AssumeRolePolicyDocument="{}", Path="/bacalhau-spot/theirs/")
    sandbox.client("sqs", "us-west-2").create_queue(QueueName="bacalhau-theirs")
    image = theirs.image_id()
    sandbox.settings.policies = policy(user)
    no = ("UnauthorizedOperation", 403)
    assert refusal(ec2.terminate_instances, InstanceIds=[instance]) == no
    assert refusal(ec2.delete_vpc, VpcId=theirs.vpc) == no
    assert refusal(ec2.delete_subnet, SubnetId=theirs.subnet) == no
    assert refusal(ec2.delete_security_group, GroupId=theirs.group) == no
    tags = [{"Key": "bacalhau-cluster", "Value": "bacalhau-aws-spot"}]
    assert refusal(ec2.create_tags, Resources=[instance], Tags=tags) == no
    run = {"ImageId": image, "InstanceType": "t3.medium", "MinCount": 1, "MaxCount": 1}
    assert refusal(ec2.run_instances, SubnetId=theirs.subnet, **run) == no
    assert refusal(ec2.describe_instance_attribute, InstanceId=instance, Attribute="userData") == no
    s3 = sandbox.client("s3", "us-west-2")
    assert refusal(s3.list_object_versions, Bucket="theirs") == ("AccessDenied", 403)
    assert refusal(iam.delete_role, RoleName="theirs") == ("AccessDenied", 403)
    sqs = sandbox.client("sqs", "us-west-2")
    url = sqs.get_queue_url(QueueName="bacalhau-theirs")["QueueUrl"]
    assert refusal(sqs.delete_queue, QueueUrl=url)[0] == "AccessDeniedException"


def test_what_a_launcher_of_ours_launched_without_our_tag_is_named_and_stays(
    sandbox: Any, user: CliRunner
) -> None:
    """Neither its protections may be known nor may it be ended: that is told, and stops no look at anything else."""
    resource_fixture = ResourceFixture(sandbox.client, "us-west-2", OURS, "bacalhau-beast")
    resource_fixture.network()
    resource_fixture.launchers()
    sandbox.clock.advance(10)
    left = resource_fixture.resource_ids["instance"][0]  # type: ignore[index]  # a kind is a text
    sandbox.settings.policies = policy(user, "nuke")
    result = user("nuke", "--force", "--regions", "us-west-2")
    assert (result.code, "TerminateInstances: UnauthorizedOperation" in result.stderr) == (4, True), (
        result.stderr
    )
    assert "DescribeInstanceAttribute" not in result.stderr
    assert left in result.stderr
    sandbox.settings.policies = []
    rows = sandbox.client("ec2", "us-west-2").describe_instances(InstanceIds=[left])["Reservations"]
    assert rows[0]["Instances"][0]["State"]["Name"] == "running"


def test_in_a_vpc_of_the_users_the_policy_suffices_too(sandbox: Any, user: CliRunner) -> None:
    """It and its subnets carry no tag of ours: it is named in the policy, and nothing of another VPC is enough."""
    ec2 = sandbox.client("ec2", REGION)
    vpcs = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
    user.configure(nodes=1, regions=f"{{{REGION}: {{vpc_id: {vpcs[0]['VpcId']}}}}}")
    path = user.folder / "config.yaml"
    text = path.read_text()
    for vpc_id, code in (("vpc-0123456789abcdef0", 4), (vpcs[0]["VpcId"], 0)):
        path.write_text(text.replace(vpcs[0]["VpcId"], vpc_id))
        sandbox.settings.policies = policy(user, "create", "destroy")
        path.write_text(text)
        result = user("create", "--yes")
        assert result.code == code, result.stderr
    assert user("destroy", "--yes").code == 0
