"""`reconcile` on the managed orchestrator's machine, in the sandbox: nobody types anything, and the cluster keeps itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bacalhau_spot.core.iam.permissions import ON_ORCHESTRATOR
from bacalhau_spot.core.model import Naming
from bacalhau_spot.core.tags import template_name
from cli.test_managed_life import SandboxClock
from iam.test_enforced import policy, refusals
from support.cli_runner import CliRunner
from support.orchestrator_passes import MachinePasses
from support.storms import Watch, machines, region_of

CONFIG = """\
nodes: {nodes}
regions: [us-east-1, us-west-2]
instance_types: [t3.medium, t3a.medium]
orchestrator: {{reconcile: {{every: 60s, package: bacalhau-spot==1.0.0}}}}
ssh_cidrs: [52.94.76.1/32]
{more}"""
OFF = CONFIG.replace("{{reconcile: {{every: 60s, package: bacalhau-spot==1.0.0}}}}", "managed")


@pytest.fixture
def user(program: CliRunner, sandbox: Any) -> CliRunner:
    program.clock = SandboxClock(sandbox)
    return program


@pytest.fixture
def machine(sandbox: Any, tmp_path: Path) -> MachinePasses:
    return MachinePasses(sandbox, tmp_path / "machine")


def configure(user: CliRunner, nodes: int, *, config: str = CONFIG, more: str = "") -> None:
    (user.folder / "config.yaml").write_text(config.format(nodes=nodes, more=more))


def created(user: CliRunner, nodes: int = 2, *, config: str = CONFIG, more: str = "") -> dict[str, Any]:
    configure(user, nodes, config=config, more=more)
    result = user("create", "--yes", "-o", "json")
    assert result.code == 0, result.stdout + result.stderr
    return result.data


def nodes(sandbox: Any) -> list[Any]:
    return [found for found in machines(sandbox) if found.spot]


def interrupt(sandbox: Any) -> str:
    gone = nodes(sandbox)[0]
    sandbox.server.interrupt(region_of(gone), gone.id, notice_s=1)
    return str(gone.id)


@pytest.mark.sockets
def test_an_interrupted_node_is_replaced_and_nobody_types_anything(
    user: CliRunner, sandbox: Any, machine: MachinePasses
) -> None:
    """With the role of the machine alone, whose refusals would be in the output; then its passes change nothing."""
    created(user)
    assert [found.code for found in machine.advance(120)] == [0, 0], machine.results[-1].stdout
    gone = interrupt(sandbox)
    passes = machine.advance(240)
    assert gone not in {found.id for found in nodes(sandbox)}
    assert len(nodes(sandbox)) == 2
    (changed,) = [found.data for found in passes if found.data["changed"]]
    assert len(changed["done"]["launched"]) == 1
    last = passes[-1].data
    assert (last["found"]["joined"], last["remaining"], last["problems"]) == (2, False, []), last
    assert "reconcile on its machine: every 60 s" in " ".join(user("doctor").stdout.split())
    console = user("console", "orchestrator").stdout
    assert "reconcile: every 60 s, with bacalhau-spot==1.0.0" in console


def test_a_dry_run_tells_of_another_configuration(user: CliRunner) -> None:
    """As the pass without --dry-run does; with the configuration of the machine it shows its plan."""
    created(user, 1)
    configure(user, 3)
    planned = user("reconcile", "--dry-run")
    assert (planned.code, "would launch" in planned.stdout) == (1, False), planned.stdout
    assert (
        "keeps the cluster with another configuration" in planned.stdout
        and "nodes: 1, here 3" in planned.stdout
    )
    data = user("reconcile", "--dry-run", "-o", "json").data
    assert (data["hindrance"], data["reason"], data["dry_run"]) == (
        "other-configuration",
        "nodes: 1, here 3",
        True,
    )


@pytest.mark.sockets
def test_machine_and_user_never_work_against_each_other(
    user: CliRunner, sandbox: Any, machine: MachinePasses
) -> None:
    """An edited file is told and changes nothing; create and scale --write give it to the machine before they change nodes."""
    created(user, 1)
    machine.advance(60)
    configure(user, 3)
    told = user("reconcile", "-o", "json")
    assert (told.code, told.data["hindrance"], told.data["reason"]) == (
        1,
        "other-configuration",
        "nodes: 1, here 3",
    )
    (service,) = machine.services
    assert [found.data["changed"] for found in machine.advance(60)] == [False]
    early = user("scale", "2", "--write", "--yes")
    assert (early.code, "run `bacalhau-spot create` first" in " ".join(early.stderr.split())) == (1, True)
    shown = user("create", "--dry-run").stdout
    assert "gets this configuration (nodes: 1, here 3)" in " ".join(shown.split())
    sandbox.settings.policies = policy(user, "create")
    # With --wait none, the lock would stay until AWS lists the nodes.
    assert user("create", "--yes", "--wait", "running").code == 0
    assert refusals(sandbox) == []
    service.due_at = sandbox.clock.now()  # with the configuration that it read before
    (stale,) = machine.advance(1, step_s=1)
    assert (stale.data["hindrance"], len(nodes(sandbox))) == ("other-configuration", 3)
    assert stale.data["reason"] == "nodes: 3, here 1"
    assert [found.data["changed"] for found in machine.advance(120)][-1] is False
    assert "launches another node for each removed one" in user("remove", "us-west-2", "--dry-run").stderr
    refused = user("scale", "2", "--yes")
    assert (refused.code, "would undo this change" in refused.stderr) == (2, True)
    sandbox.settings.policies = policy(user, "scale")
    assert user("scale", "2", "--write", "--yes", "--grace", "0").code == 0
    assert refusals(sandbox) == []
    sandbox.settings.policies = []
    assert "nodes: 2" in (user.folder / "config.yaml").read_text()
    passes = machine.advance(240)
    assert (len(nodes(sandbox)), passes[-1].data["found"]["wanted"]) == (2, 2)
    assert [found.data["done"]["launched"] for found in passes] == [[]] * len(passes)
    configure(user, 2, config=OFF)
    assert "on the orchestrator's machine ends" in " ".join(user("create", "--dry-run").stdout.split())
    assert user("create", "--yes").code == 0
    machine.advance(60)
    interrupt(sandbox)
    assert machine.advance(180) == []
    assert "reconcile: stopped" in user("console", "orchestrator").stdout


def test_passes_in_the_middle_of_destroy_launch_nothing(
    user: CliRunner, sandbox: Any, machine: MachinePasses
) -> None:
    """The orchestrator goes last, so its machine runs on while the nodes are terminated."""
    created(user)
    machine.advance(60)
    assert user("destroy", "--dry-run").code == 0
    watch = Watch(sandbox)
    during = []

    def one_pass() -> None:
        for service in machine.services:
            service.due_at = sandbox.clock.now()
        during.extend(machine.advance(1, step_s=1))

    watch.during = {watch.calls + number: one_pass for number in range(30, 230, 25)}
    with watch.watching():
        result = user("destroy", "--yes", "-o", "json")
    assert result.code == 0, result.stdout
    assert len(during) > 2
    assert [found.data["done"]["launched"] for found in during if found.data] == [[]] * len(during)
    assert sandbox.leftovers() == []
    assert machine.advance(120) == []


def test_an_idle_cluster_loses_its_nodes_and_keeps_its_orchestrator(
    user: CliRunner, sandbox: Any, machine: MachinePasses
) -> None:
    """A machine cannot delete what it runs on. A template of others with the name of the cluster's stays, too."""
    created(user, 1, config=CONFIG.replace("every: 60s", "every: 5m"), more="idle_ttl: 10m\n")
    (region,) = {"us-east-1", "us-west-2"} - {region_of(node) for node in nodes(sandbox)}
    ec2, name = sandbox.client("ec2", region), template_name(Naming())
    ec2.create_launch_template(LaunchTemplateName=name, LaunchTemplateData={"InstanceType": "t3.small"})
    machine.advance(1500, step_s=60)
    assert nodes(sandbox) == []
    (ended,) = [found.data for found in machine.results if found.data["changed"]]
    assert (ended["hindrance"], ended["found"]["ended"]["reason"]) == ("orchestrator-left", "idle")
    assert machine.results[-1].data["hindrance"] == "no-cluster"
    ec2.delete_launch_template(LaunchTemplateName=name)  # refused if it is not there
    assert user("create", "--yes", "--wait", "none").code == 0
    assert len(nodes(sandbox)) == 1, "a person begins it again"
    assert user("destroy", "--yes").code == 0
    assert sandbox.leftovers() == []


def test_the_role_of_the_machine_has_the_printed_permissions(user: CliRunner, sandbox: Any) -> None:
    """And no right to change a role, with which the machine could give itself every permission."""
    created(user, 1)
    shown = user("iam-policy", "--command", ON_ORCHESTRATOR, "--account", "000000000000", "-o", "json").data
    printed = json.dumps([document["document"]["Statement"] for document in shown["documents"]])
    iam = sandbox.client("iam")
    (role,) = [found["RoleName"] for found in iam.list_roles(PathPrefix="/bacalhau-spot/")["Roles"]]
    (name,) = iam.list_role_policies(RoleName=role)["PolicyNames"]
    statements = iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]["Statement"]
    for statement in (found for document in json.loads(printed) for found in document):
        assert json.loads(json.dumps(statement).replace("arn:*:", "arn:aws:")) in statements
    actions = {action for found in statements for action in _listed(found["Action"])}
    assert {action for action in actions if action.startswith("iam:")} == {
        "iam:CreateServiceLinkedRole",
        "iam:GetInstanceProfile",
        "iam:GetRole",
        "iam:GetRolePolicy",
        "iam:PassRole",
    }
    assert "ssm:PutParameter" not in actions and "ec2:RunInstances" in actions


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def test_a_parameter_of_somebody_else_is_refused(user: CliRunner, sandbox: Any) -> None:
    """The machine would do what its owner writes."""
    created(user, 1)
    ssm = sandbox.client("ssm", "us-east-1")
    name = next(
        found["Name"]
        for found in ssm.describe_parameters()["Parameters"]
        if found["Name"].endswith("/reconcile")
    )
    tag = "bacalhau-cluster"
    ssm.remove_tags_from_resource(ResourceType="Parameter", ResourceId=name, TagKeys=[tag])
    configure(user, 2)
    refused = user("create", "--yes", "--wait", "none")
    assert (refused.code, name in refused.stderr, len(nodes(sandbox))) == (1, True, 1)


def test_without_a_managed_orchestrator_the_option_is_refused(user: CliRunner) -> None:
    user.configure()
    result = user("reconcile", "--on-orchestrator", "https://127.0.0.1:1234")
    assert (result.code, "the configuration has none" in result.stderr) == (2, True)
