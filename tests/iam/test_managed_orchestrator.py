"""The policy for a managed orchestrator: exactly the calls that create and repair it, and a refusal names the missing one."""

from __future__ import annotations

from typing import Any

import pytest

from bacalhau_spot.core.iam.policy import Document, actions_of
from bacalhau_spot.core.model import ORCHESTRATOR_ROLE, ROLE_KEY
from cli.test_managed_life import SandboxClock
from iam.test_enforced import REGION, policy, refusals, without
from support.cli_runner import CliResult, CliRunner
from support.long_tests import sample

CREATE = ("create", "--yes", "--wait", "none")
IS_ORCHESTRATOR = [{"Name": f"tag:{ROLE_KEY}", "Values": [ORCHESTRATOR_ROLE]}]
HOURS_S = 5000


def configured(program: CliRunner, more: str = "") -> CliRunner:
    path = program.configure(nodes=1, regions=f"[{REGION}]")
    nodes, _, _ = path.read_text().partition("bacalhau:")
    path.write_text(f"{nodes}orchestrator: managed\n{more}")
    return program


def under(sandbox: Any, program: CliRunner, *line: str) -> CliResult:
    """One command line, under the policy for its command alone. `doctor` asks for the permissions of all commands."""
    documents = policy(program) if line[0] == "doctor" else policy(program, line[0])
    sandbox.settings.policies = documents
    result = program(*line)
    sandbox.settings.policies = []
    return result


def orchestrator_id(sandbox: Any) -> str:
    found = sandbox.client("ec2", REGION).describe_instances(
        Filters=[*IS_ORCHESTRATOR, {"Name": "instance-state-name", "Values": ["running"]}]
    )
    (instance,) = [one for group in found["Reservations"] for one in group["Instances"]]
    return str(instance["InstanceId"])


def stop(sandbox: Any) -> None:
    sandbox.client("ec2", REGION).stop_instances(InstanceIds=[orchestrator_id(sandbox)])


def terminate(sandbox: Any) -> None:
    sandbox.client("ec2", REGION).terminate_instances(InstanceIds=[orchestrator_id(sandbox)])


def release_address(sandbox: Any) -> None:
    ec2 = sandbox.client("ec2", REGION)
    (address,) = ec2.describe_addresses(Filters=IS_ORCHESTRATOR)["Addresses"]
    ec2.disassociate_address(AssociationId=address["AssociationId"])
    ec2.release_address(AllocationId=address["AllocationId"])


def test_the_policy_has_exactly_the_calls_of_creation_and_repair(sandbox: Any, program: CliRunner) -> None:
    configured(program)
    for damage in (None, stop, terminate, release_address):
        if damage is not None:
            damage(sandbox)
            sandbox.clock.advance(HOURS_S)
        result = under(sandbox, program, *CREATE)
        assert (result.code, refusals(sandbox)) == (0, []), (damage, result.stderr[-2000:])
        sandbox.clock.advance(HOURS_S)
    silent = under(sandbox, program, "create", "--yes")
    assert (silent.code, refusals(sandbox)) == (0, []), "a complete cluster needs nothing"
    terminate(sandbox)
    sandbox.clock.advance(HOURS_S)
    silent = under(sandbox, program, "create", "--yes")
    assert (silent.code, refusals(sandbox)) == (1, []), silent.stderr[-2000:]
    assert "no node was launched" in silent.stderr
    checked = {action for _, _, action in sandbox.world.evaluated}
    own = set(actions_of(policy(program, "create"))) - set(actions_of(without_orchestrator(program)))
    assert own - checked == set()
    assert {"ec2:RebootInstances", "ec2:StartInstances", "s3:TagResource", "iam:PassRole"} < own
    result = under(sandbox, program, "doctor")
    assert refusals(sandbox) == []
    assert "managed: i-" in result.stdout
    result = under(sandbox, program, "destroy", "--yes")
    assert (result.code, refusals(sandbox)) == (0, []), result.stderr[-2000:]


def without_orchestrator(program: CliRunner) -> list[Document]:
    path = program.folder / "config.yaml"
    text = path.read_text()
    path.write_text(text.replace("orchestrator: managed", "orchestrator: none"))
    documents = policy(program, "create")
    path.write_text(text)
    return documents


@pytest.mark.sockets
def test_every_command_works_under_its_own_policy(sandbox: Any, program: CliRunner) -> None:
    """With an orchestrator that answers, from the first create to the last destroy."""
    program.clock = SandboxClock(sandbox)
    path = configured(program).folder / "config.yaml"
    path.write_text(path.read_text().replace("192.0.2.0/24", "52.94.76.1/32"))  # the sandbox's operator
    lines = (
        ("create", "--yes"),
        ("list",),
        ("status",),
        ("prune", "--yes"),
        ("cost",),
        ("prices",),
        ("env",),
        ("console", REGION),
        ("ssh", REGION, "--print"),
        ("smoke-test",),
        ("doctor",),
        ("destroy", "--yes"),
    )
    for line in lines:
        result = under(sandbox, program, *line)
        assert refusals(sandbox) == [], line
        assert result.code == 0 or line[0] == "doctor", (line, result.stderr[-2000:])


def test_the_policy_suffices_for_a_home_region_without_nodes(sandbox: Any, program: CliRunner) -> None:
    """Where all regions of the nodes have a VPC of the user's, the orchestrator's region still gets its own."""
    ec2 = sandbox.client("ec2", REGION)
    (vpc,) = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
    configured(program)
    path = program.folder / "config.yaml"
    text = path.read_text().replace(f"[{REGION}]", f"{{{REGION}: {{vpc_id: {vpc['VpcId']}}}}}")
    path.write_text(text.replace("orchestrator: managed", "orchestrator: {region: us-west-2}"))
    result = under(sandbox, program, *CREATE)
    assert (result.code, refusals(sandbox)) == (0, []), result.stderr[-2000:]


def test_the_policy_creates_no_other_bucket_and_no_other_parameter(sandbox: Any, program: CliRunner) -> None:
    configured(program)
    sandbox.settings.policies = policy(program, "create")
    s3, ssm = sandbox.client("s3", "us-east-1"), sandbox.client("ssm", REGION)
    for name in ("bacalhau-results-00000000-000000000000-us-east-1", "somebody-else"):
        with pytest.raises(s3.exceptions.ClientError, match="AccessDenied"):
            s3.create_bucket(Bucket=name)
    with pytest.raises(ssm.exceptions.ClientError, match="AccessDenied"):
        ssm.put_parameter(Name="/bacalhau-spot/other/orchestrator", Value="x", Type="SecureString")


# Without one of these, a create goes on and says what it does not know.
SPARED = {
    "pricing:GetProducts",
    "ec2:DescribeVpcBlockPublicAccessOptions",
    "servicequotas:GetServiceQuota",
    "ssm:ListTagsForResource",
}


def test_without_any_one_action_create_names_it_and_what_exists(sandbox: Any, program: CliRunner) -> None:
    """Exit code 4; and once it is allowed, the next create finishes what exists."""
    configured(program)
    sandbox.settings.quotas = {"vpcs": 1000, "internet_gateways": 1000, "elastic_ips": 1000}
    own = set(actions_of(policy(program, "create"))) - set(actions_of(without_orchestrator(program)))
    never_first = {"ec2:GetConsoleOutput", "ec2:RebootInstances", "ec2:StartInstances"}
    for number, action in enumerate(sample(sorted(own - never_first - SPARED), every=18)):
        configured(program, f"cluster: {{tag_value: c{number}}}\n")
        sandbox.settings.policies = without(policy(program, "create"), action)
        result = program(*CREATE)
        assert (result.code, action in result.stderr) == (4, True), (action, result.code, result.stderr)
        if "orchestrator: preparing" in result.stderr:
            said = " ".join(result.stderr.split())
            assert "no node was launched" in said, said
            assert "created launch template" in said, said
            assert (
                "`bacalhau-spot create" in said
                and "` again: it continues" in said
                and "`bacalhau-spot destroy`" in said
            ), said
        sandbox.world.calls.clear()
        result = under(sandbox, program, *CREATE)
        assert (result.code, refusals(sandbox)) == (0, []), (action, result.stderr[-2000:])
