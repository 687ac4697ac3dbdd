"""Others' resources: whatever the account holds, no command that changes something changes anything of others.

Every description of every resource is the same before and after each command: in accounts of random resources with tags
and names almost like ours, with a shared VPC and a default VPC that carry our tag, with an Auto Scaling group of others on
our launch template, and with others' resources inside our network.

TRUST=1 runs accounts of thousands of resources.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from aws_spot_sandbox.ec2 import regions
from support import busy_account, foreign_dependencies
from support.account_snapshot import account_snapshot
from support.cli_runner import CliResult, CliRunner
from support.foreign_account import NAME, ForeignAccount
from support.foreign_dependencies import IN_OUR_NETWORK, ForeignScene
from support.one_of_each import ResourceFixture
from support.processes import run_as_processes, users
from support.storms import ask_sandbox_orchestrator, machines, region_of
from support.trust_figures import FULL, SEED, SHARE, record

REGIONS = ("us-east-1", foreign_dependencies.REGION)
CONFIGS = {
    "plain": "",
    "ssm": "  token: planted-token-71\n  secrets: ssm\n",
    "self_heal": "self_heal: true\n",
    "lifetime": "ttl: 8h\nmax_share_per_pool: 50%\n",
}


@dataclass(frozen=True)
class Scene:
    """`tagged`: whose VPC carries our tag. `hooks`: others' resources in our network, so that it cannot be deleted.

    `neighbour`: the nodes of another cluster, by another creator: more than EC2 takes as values of one filter.
    """

    name: str
    config: str = "plain"
    tagged: str = ""
    hooks: int = 0
    neighbour: int = 0
    managed: bool = False


OWN, MANAGED = 'bacalhau:\n  orchestrators: ["nats://192.0.2.1:4222"]\n', "orchestrator: managed\n"
OPERATOR = "52.94.76.1/32"  # the address that the sandbox sees
# They make a subnet in the address range of their own network.
OF_FIXED_ADDRESSES = {
    foreign_dependencies.a_subnet_in_our_vpc,
    foreign_dependencies.a_subnet_that_has_our_acl,
}
SCENES = (
    Scene("plain", tagged="default"),
    Scene("ssm", config="ssm"),
    Scene("self_heal", config="self_heal"),
    Scene("in our network", config="lifetime", hooks=4),
    Scene("shared VPC with our tag", tagged="shared"),
    Scene("managed orchestrator", managed=True),
    Scene("another cluster of many nodes", neighbour=210),
)
IN_CI = SCENES[:1]
SIZE, ROUNDS = (1500, max(1, round(3 * SHARE))) if FULL else (12, 1)
# What changes once stays so: the sample reads everything after these alone, and runs these and a few others.
READ_IN_CI = ("reconcile", "nuke")
RUN_IN_CI = ("create", "replace", "destroy", *READ_IN_CI)


class Others:
    """What all descriptions of others' resources read."""

    def __init__(self, sandbox: Any) -> None:
        self.sandbox = sandbox
        self.before = self.now()
        self.after = self.before
        self.commands = self.changed = 0

    def now(self) -> dict[str, str]:
        self.sandbox.server.settle()
        return account_snapshot(self.sandbox.client, REGIONS)

    def come(self, shown: Mapping[str, str]) -> None:
        """Others have made more: what is there now, and was not in `shown`, is theirs, too."""
        self.before = {key: row for key, row in self.now().items() if key in self.before or key not in shown}

    def check(self, result: CliResult, *command: str) -> None:
        self.commands += 1
        assert "internal error" not in result.stdout + result.stderr, result.stdout + result.stderr
        if not FULL and command[0] not in READ_IN_CI:
            return
        after = self.after = self.now()
        changed = sorted(key for key, row in self.before.items() if after.get(key) != row)
        self.changed += len(changed)
        differences = [f"{key}: {_difference(self.before[key], after.get(key))}" for key in changed]
        assert not changed, "\n".join([" ".join(command), *differences, result.stdout, result.stderr])


def _difference(before: str, after: str | None) -> str:
    if after is None:
        return "gone"
    old, new = json.loads(before), json.loads(after)
    if not isinstance(old, dict) or not isinstance(new, dict):
        return f"{before} -> {after}"
    return ", ".join(
        f"{key} {old.get(key)} -> {new.get(key)}" for key in old | new if old.get(key) != new.get(key)
    )


@pytest.fixture
def user(sandbox: Any, program: CliRunner, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.setattr(regions, "ENABLED_BY_DEFAULT", (*REGIONS, "us-west-2"))
    run_as_processes(sandbox, monkeypatch)
    return users(sandbox, program, "anna")[0]


# No resource of the random account has this value: `create` would take its VPC for the cluster's.
NEIGHBOUR = busy_account.STRANGERS.replace("third", "neighbour")


@pytest.mark.parametrize("number", range(SEED, SEED + ROUNDS))
@pytest.mark.parametrize("scene", SCENES if FULL else IN_CI, ids=lambda scene: scene.name)
def test_nothing_of_others_changes(
    sandbox: Any, user: CliRunner, monkeypatch: pytest.MonkeyPatch, scene: Scene, number: int
) -> None:
    begun = time.process_time()
    if not scene.managed:
        ask_sandbox_orchestrator(sandbox, monkeypatch)
    account = ForeignAccount(sandbox, REGIONS, number)
    account.fill(SIZE)
    if scene.tagged == "default":
        account.tag_default_vpc(REGIONS[0])
    if scene.tagged == "shared":
        account.tag_shared_vpc(REGIONS[1])
    if scene.neighbour:
        user.configure(nodes=scene.neighbour, regions=f"[{REGIONS[0]}]", more=NEIGHBOUR)
        made = user("create", "--yes", "--wait", "running")
        assert made.code == 0, made.stdout + made.stderr
        sandbox.clock.advance(300)
    others = Others(sandbox)
    try:
        life = Life(user, scene, account, others)
        life.begin()
        if FULL:
            life.others_come()
        life.change()
        life.end()
    finally:
        record(
            "foreign",
            cases=others.commands,
            foreign_changes=others.changed,
            seed=number,
            cpu_s=round(time.process_time() - begun, 1),
            groups={"resources": len(others.before), scene.name: others.commands},
        )


class Life:
    """A cluster from `create` to `nuke`, by every command that changes something."""

    def __init__(self, user: CliRunner, scene: Scene, account: ForeignAccount, others: Others) -> None:
        self.user, self.scene, self.account, self.others = user, scene, account, others
        self.sandbox = account.sandbox
        path = user.configure(nodes=4, regions=f"[{', '.join(REGIONS)}]", more=CONFIGS[scene.config])
        if scene.managed:
            path.write_text(path.read_text().replace(OWN, MANAGED).replace("192.0.2.0/24", OPERATOR))

    def run(self, *command: str, code: int | None = 0) -> None:
        if not FULL and not " ".join(command).startswith(RUN_IN_CI):
            return
        result = self.user(*command)
        self.others.check(result, *command)
        assert code is None or result.code == code, f"{command}: {result.stdout}{result.stderr}"

    def begin(self) -> None:
        self.run("image", "bake", "--yes", "--region", REGIONS[0])
        self.run("create", "--yes")

    def others_come(self) -> None:
        """They use our launch template and our values, and what is in our network."""
        shown = self.others.now()
        self.account.scaling_group_on_our_template(REGIONS[0])
        self.account.instance_from_our_values(REGIONS[1])
        if self.scene.hooks:
            hang(self.sandbox, self.account, self.scene.hooks)
        self.sandbox.clock.advance(300)
        self.others.come(shown)

    def change(self) -> None:
        self.run("replace", ours(self.sandbox)[0].id, "--grace", "0", "--no-smoke-test", "--yes")
        self.run("scale", "5", "--yes")
        self.run("remove", ours(self.sandbox)[0].id, "--grace", "0", "--yes")
        self.run("extend", "4h", "--yes")
        machine = ours(self.sandbox)[0]
        self.sandbox.server.interrupt(region_of(machine), machine.id, notice_s=1)
        self.sandbox.clock.advance(300)
        self.run("reconcile", "--every", "60s", "--passes", "2", "-o", "ndjson")
        self.run("prune", "--yes")

    def end(self) -> None:
        # AWS refuses to let a participant delete a shared VPC; others' resources block the deletion of ours.
        blocked = 4 if self.scene.tagged == "shared" else min(1, self.scene.hooks)
        if FULL:
            self.run("create", "--yes", "--allow-removal", "--grace", "0")
        self.run("image", "delete", "--all", "--yes")
        self.run("destroy", "--yes", code=blocked)
        if FULL:
            self.run("create", "--yes", code=None if blocked else 0)
        self.run("nuke", "--force", code=blocked)
        assert not ours(self.sandbox)
        if not blocked:
            assert sorted(self.others.after.keys() - self.others.before.keys()) == []


def ours(sandbox: Any) -> list[Any]:
    """The nodes of the cluster."""
    return [
        machine
        for machine in machines(sandbox)
        if machine.spot
        and sandbox.server._ec2._regions[region_of(machine)].tags(machine.id).get("bacalhau-cluster") == NAME
    ]


def hang(sandbox: Any, account: ForeignAccount, hooks: int) -> None:
    """So many ways in which others' resources hang in the network of the cluster."""
    fixture = ResourceFixture(sandbox.client, foreign_dependencies.REGION, busy_account.OURS, "ours")
    tagged = [{"Name": "tag:bacalhau-cluster", "Values": [NAME]}]
    exact = {"Key": "bacalhau-cluster", "Value": NAME}

    def first(rows: list[Any]) -> Any:
        return next(row for row in rows if exact in row["Tags"])

    ec2 = fixture.ec2
    fixture.vpc = first(ec2.describe_vpcs(Filters=tagged)["Vpcs"])["VpcId"]
    inside = [*tagged, {"Name": "vpc-id", "Values": [fixture.vpc]}]
    fixture.subnet = first(ec2.describe_subnets(Filters=inside)["Subnets"])["SubnetId"]
    fixture.group = first(ec2.describe_security_groups(Filters=inside)["SecurityGroups"])["GroupId"]
    scene = ForeignScene(sandbox, fixture)
    ways = [way for way in IN_OUR_NETWORK if way not in OF_FIXED_ADDRESSES]
    for way in account.random.sample(ways, hooks):
        way(scene)
