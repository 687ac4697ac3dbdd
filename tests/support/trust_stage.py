"""The commands that change something, each on a stage of its own: six nodes in two regions, and what must be there afterwards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from aws_spot_sandbox.ec2 import regions
from aws_spot_sandbox_bacalhau.pulse import Pulse
from bacalhau_spot.cli.runtime import cluster_lock
from cli.test_managed_life import SandboxClock
from support.cli_runner import CliResult, CliRunner
from support.direct_calls import CALL, answer_directly
from support.direct_orchestrators import answer_managed_directly
from support.faults import FAULTS, Fault
from support.storms import ask_sandbox_orchestrator, living, machines, region_of
from support.wire import Wire

REGIONS = ("us-east-1", "eu-west-1")
_MANAGED = """\
nodes: {nodes}
regions: [{regions}]
instance_types: [t3.medium, t3a.medium]
orchestrator: managed
ssh_cidrs: [52.94.76.1/32]  # the address of the sandbox's operator
"""
_PLAN_IS_OLD = "another command has changed the cluster since this plan was made; nothing was changed"
MISTAKES = (
    "Traceback (most recent call last)",
    "InternalMistake",
    "internal error:",
    '"internal error"',
    "error: internal error",
)


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """`words`: the command; `chosen` takes the ids of the stage's chosen nodes. `prepare` is the same for several scenarios,
    `arrange` the scenario's own. `nodes`: at the end; `most`: at any time. `end`: the command that deletes everything.
    `sampled`: the ordinary suite kills it once, at one of so many changes; 0: only the full one does.
    """

    name: str
    words: tuple[str, ...]
    prepare: Callable[[Stage], None]
    arrange: Callable[[Stage], None] = lambda _: None
    chosen: bool = False
    nodes: int = 6
    most: int = 6
    check: Callable[[Stage], None] = lambda _: None
    managed: bool = False  # with an orchestrator of its own
    sampled: int = 0
    end: tuple[str, ...] = ("destroy", "--yes")

    def command(self, stage: Stage) -> tuple[str, ...]:
        return (self.words[0], *stage.names, *self.words[1:]) if self.chosen else self.words


@dataclass
class Stage:
    """One account, one operator, and the other one's machine."""

    sandbox: Any
    user: CliRunner
    wire: Wire
    most: int = 0  # nodes at once, so far
    log: list[str] = field(default_factory=list)
    names: tuple[str, ...] = ()  # nodes that the scenario has chosen
    before: list[str] = field(default_factory=list)  # the account's resources before the scenario
    faults: tuple[Fault, ...] = FAULTS
    whole_call: Any = None  # botocore's, with all of its checks

    @classmethod
    def begin(
        cls, sandbox: Any, user: CliRunner, monkeypatch: pytest.MonkeyPatch, *, managed: bool = False
    ) -> Stage:
        if not managed:
            ask_sandbox_orchestrator(sandbox, monkeypatch)
        monkeypatch.setattr(regions, "ENABLED_BY_DEFAULT", REGIONS)
        answer_directly(sandbox, monkeypatch)
        if managed:
            answer_managed_directly(monkeypatch)
        user.clock = SandboxClock(sandbox)
        wire = Wire(sandbox, sleep=user.clock.sleep)
        wire.install(monkeypatch)
        # The process that was killed is gone, although its copy goes on under another id.
        monkeypatch.setattr(cluster_lock, "_runs", lambda _pid: False)
        # A thread that held a lock when the process was copied holds it in the copy for ever. The test moves the clock.
        monkeypatch.setattr(Pulse, "start", lambda _pulse: None)
        return cls(sandbox, user, wire, whole_call=CALL)

    def prepare(self, scenario: Scenario) -> None:
        self.before = self.left()
        scenario.prepare(self)

    def configure(self, nodes: int = 6, more: str = "") -> None:
        self.user.configure(nodes=nodes, regions=f"[{', '.join(REGIONS)}]", more=more)

    def configure_managed(self, nodes: int = 6) -> None:
        (self.user.folder / "config.yaml").write_text(
            _MANAGED.format(nodes=nodes, regions=", ".join(REGIONS))
        )

    def run(self, *words: str) -> CliResult:
        """One command; never with words of a mistake of ours."""
        result = self.user(*words)
        self.log.append(f"{' '.join(words)} -> {result.code}, {dict(living(self.sandbox))} nodes")
        said = result.stdout + result.stderr
        for mistake in MISTAKES:
            assert mistake not in said, said
        return result

    def must(self, *words: str) -> CliResult:
        result = self.run(*words)
        self._check(result, words)
        return result

    def _check(self, result: CliResult, words: tuple[str, ...]) -> None:
        said = f"{result.stdout}{result.stderr}"
        assert result.code == 0, "\n".join((f"{' '.join(words)} ended with {result.code}", said, *self.log))

    def finish(self, *words: str) -> None:
        """The command does it; or says that the cluster has changed meanwhile, and does it then."""
        result = self.run(*words)
        if result.code == 1 and _PLAN_IS_OLD in result.stderr + result.stdout:
            result = self.run(*words)
        self._check(result, words)

    def pass_time(self, seconds: float) -> None:
        self.sandbox.clock.advance(seconds)
        self.sandbox.server.settle()

    def elsewhere(self) -> None:
        """From now on another operator: another machine, with an empty state folder."""
        home = self.user.folder / "elsewhere"
        home.mkdir(exist_ok=True)
        text = (self.user.folder / "config.yaml").read_text()
        self.user = replace(self.user, folder=home, host="there", runs=1000)
        (home / "config.yaml").write_text(text)

    def nodes(self) -> list[str]:
        """The ids of the living nodes."""
        return [machine.id for machine in machines(self.sandbox) if machine.spot]

    def watch(self) -> None:
        """Count the nodes after every change from now on."""
        self.most = len(self.nodes())
        aws = self.sandbox.server._aws

        def counted(call: Any) -> Any:
            try:
                return aws(call)
            finally:
                if call.mutates:
                    self.most = max(self.most, len(self.nodes()))

        self.sandbox.server._aws = counted

    def left(self) -> list[str]:
        """All resources of the account, those besides EC2's, too."""
        return [*self.sandbox.leftovers(), *self._beyond_ec2()]

    def _beyond_ec2(self) -> list[str]:
        client = self.sandbox.client
        iam = client("iam", "us-east-1")
        found = [f"role {row['RoleName']}" for row in iam.list_roles()["Roles"]]
        found += [
            f"profile {row['InstanceProfileName']}"
            for row in iam.list_instance_profiles()["InstanceProfiles"]
        ]
        found += [f"bucket {row['Name']}" for row in client("s3", "us-east-1").list_buckets()["Buckets"]]
        for region in REGIONS:
            parameters = client("ssm", region).describe_parameters()["Parameters"]
            found += [f"{region} parameter {row['Name']}" for row in parameters]
            images = client("ec2", region).describe_images(Owners=["self"])["Images"]
            found += [f"{region} image {row['ImageId']}" for row in images]
        return sorted(found)


def _config(more: str = "") -> Callable[[Stage], None]:
    return lambda stage: stage.configure(6, more)


def _cluster(nodes: int, more: str = "") -> Callable[[Stage], None]:
    """A cluster that runs for a minute."""

    def prepare(stage: Stage) -> None:
        stage.configure(nodes, more)
        stage.must("create", "--yes")
        stage.pass_time(60)

    return prepare


def _managed(stage: Stage) -> None:
    stage.configure_managed()


def _managed_cluster(stage: Stage) -> None:
    stage.configure_managed()
    stage.must("create", "--yes")
    stage.pass_time(60)


def _end_orchestrator(stage: Stage) -> None:
    """Its machine ends, as an on-demand instance does whose hardware fails."""
    (host,) = stage.sandbox.server.plugins.status()["orchestrators"]
    stage.sandbox.client("ec2", host["region"]).terminate_instances(InstanceIds=[host["instance"]])
    stage.pass_time(60)


def _choose(stage: Stage) -> None:
    """One node in each region."""
    by_region = {region_of(machine): machine.id for machine in machines(stage.sandbox) if machine.spot}
    stage.names = tuple(by_region[region] for region in REGIONS)


def _interrupt(stage: Stage) -> None:
    _choose(stage)
    for region, name in zip(REGIONS, stage.names, strict=True):
        stage.sandbox.server.interrupt(region, name, notice_s=1)
    stage.pass_time(300)


def _bake(stage: Stage) -> None:
    stage.must("image", "bake", "--yes")
    stage.pass_time(60)


def _chosen_are_gone(stage: Stage) -> None:
    assert not set(stage.names) & set(stage.nodes()), "a node that was to go is there"


def _one_end(stage: Stage) -> None:
    rows = stage.must("list", "-o", "json").data["instances"]
    ends = {row.get("expires_at") for row in rows if row["state"] in {"pending", "running"}}
    assert len(ends) == 1, f"several ends of the lifetime: {ends}"
    assert ends != {None}, "no end of the lifetime"


def _an_image_in_each_region(stage: Stage) -> None:
    images = [line.split()[0] for line in stage.left() if " image " in line]
    assert sorted(images) == sorted(REGIONS), images


_HEAL = "self_heal: true\n"
_SSM = "  token: planted-token-71\n  secrets: ssm\n"
_NONE, _THREE, _SIX = _config(), _cluster(3), _cluster(6)
_NONE_HEALED, _THREE_HEALED, _SIX_HEALED = _config(_HEAL), _cluster(3, _HEAL), _cluster(6, _HEAL)
_CREATE = ("create", "--yes")
_SCALE_UP, _SCALE_DOWN = ("scale", "6", "--yes"), ("scale", "3", "--grace", "0", "--yes")
_REPLACE = ("replace", "--grace", "0", "--no-smoke-test", "--yes")
_NUKE = ("nuke", "--force")
_DESTROY_ALL = ("destroy", "--yes", "--delete-results")
_NUKE_ALL = ("nuke", "--force", "--delete-results")

SCENARIOS = (
    Scenario(name="create", words=_CREATE, sampled=20, prepare=_NONE),
    Scenario(name="create, max_share_per_pool", words=_CREATE, prepare=_config("max_share_per_pool: 50%\n")),
    Scenario(name="create, secrets: ssm", words=_CREATE, prepare=_config(_SSM)),
    Scenario(name="create, self_heal", words=_CREATE, prepare=_NONE_HEALED),
    Scenario(
        name="create that grows", words=_CREATE, prepare=_THREE, arrange=lambda stage: stage.configure(6)
    ),
    Scenario(
        name="create --allow-removal",
        words=(*_CREATE, "--allow-removal", "--grace", "0"),
        prepare=_SIX,
        arrange=lambda stage: stage.configure(3),
        nodes=3,
    ),
    Scenario(name="scale up", words=_SCALE_UP, prepare=_THREE),
    Scenario(name="scale down", words=_SCALE_DOWN, sampled=4, prepare=_SIX, nodes=3),
    Scenario(name="scale up, self_heal", words=_SCALE_UP, prepare=_THREE_HEALED),
    Scenario(name="scale down, self_heal", words=_SCALE_DOWN, prepare=_SIX_HEALED, nodes=3),
    Scenario(
        name="replace",
        words=_REPLACE,
        sampled=6,
        prepare=_SIX,
        arrange=_choose,
        chosen=True,
        most=7,
        check=_chosen_are_gone,
    ),
    Scenario(
        name="replace --old-first",
        words=(*_REPLACE, "--old-first"),
        prepare=_SIX,
        arrange=_choose,
        chosen=True,
        check=_chosen_are_gone,
    ),
    Scenario(
        name="replace, self_heal",
        words=_REPLACE,
        prepare=_SIX_HEALED,
        arrange=_choose,
        chosen=True,
        most=8,
        check=_chosen_are_gone,
    ),
    Scenario(
        name="remove",
        words=("remove", "--grace", "0", "--yes"),
        prepare=_SIX,
        arrange=_choose,
        chosen=True,
        nodes=4,
        check=_chosen_are_gone,
    ),
    Scenario(name="extend", words=("extend", "4h", "--yes"), prepare=_SIX, check=_one_end),
    Scenario(name="extend, self_heal", words=("extend", "4h", "--yes"), prepare=_SIX_HEALED, check=_one_end),
    Scenario(
        name="reconcile",
        words=("reconcile", "--every", "10m", "--passes", "2", "-o", "ndjson"),
        sampled=5,
        prepare=_SIX,
        arrange=_interrupt,
    ),
    Scenario(name="prune", words=("prune", "--yes"), prepare=_SIX, arrange=_interrupt, nodes=4),
    Scenario(name="destroy", words=("destroy", "--yes"), sampled=15, prepare=_SIX, nodes=0),
    Scenario(name="destroy, secrets: ssm", words=("destroy", "--yes"), prepare=_cluster(6, _SSM), nodes=0),
    Scenario(name="destroy, self_heal", words=("destroy", "--yes"), prepare=_SIX_HEALED, nodes=0),
    Scenario(name="nuke", words=_NUKE, prepare=_SIX, nodes=0, end=_NUKE),
    Scenario(
        name="image bake",
        words=("image", "bake", "--yes"),
        prepare=_NONE,
        nodes=0,
        check=_an_image_in_each_region,
        end=_NUKE,
    ),
    Scenario(
        name="image delete",
        words=("image", "delete", "--all", "--yes"),
        prepare=_NONE,
        arrange=_bake,
        nodes=0,
        end=_NUKE,
    ),
    Scenario(name="create, orchestrator", words=_CREATE, prepare=_managed, managed=True, end=_DESTROY_ALL),
    Scenario(
        name="create, orchestrator lost",
        words=_CREATE,
        prepare=_managed_cluster,
        arrange=_end_orchestrator,
        managed=True,
        end=_DESTROY_ALL,
    ),
    Scenario(
        name="destroy, orchestrator",
        words=_DESTROY_ALL,
        prepare=_managed_cluster,
        nodes=0,
        managed=True,
        end=_DESTROY_ALL,
    ),
    Scenario(
        name="nuke, orchestrator",
        words=_NUKE_ALL,
        prepare=_managed_cluster,
        nodes=0,
        managed=True,
        end=_NUKE_ALL,
    ),
)
