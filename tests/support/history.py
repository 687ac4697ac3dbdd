"""A history of one cluster: commands of two operators, events of AWS, and a model of the nodes that may exist.

Each step is the name of a method and plain values, so that a history can be kept as JSON and be run again.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from aws_spot_sandbox.ec2.machine import Machine
from bacalhau_spot.core.lifecycle.operator_lock import LOCK_ROLE
from bacalhau_spot.core.tags import DRAIN_KEY
from support.cli_runner import CliRunner
from support.processes import Process, Turns, users
from support.resource_rows import changed_rows, resource_rows
from support.storms import BESIDE_USD, PRICES, fixed_prices, machines, region_of

Json = Mapping[str, Any]

REGIONS = ("us-east-1", "eu-west-1", "us-west-2")
TYPES = ("[t3.medium, t3a.medium]", "[t3.medium]", "[m6a.large, t3a.medium]")
VERSIONS = ("", "v1.9.2")
LABELS = ("", "{team: data}", "{team: research}")
TTLS = ("", "1h", "8h")
NAME, OTHER = "bacalhau-aws-spot", "other"
# Most that a command may print of another kind than a result: a fault of this program, which no history may show.
_MISTAKE = re.compile(r"internal error|Traceback|mistake in this program|SandboxFailure")
# Refusals that no weather causes: the configuration itself forbids the launch.
_REFUSALS = re.compile(
    r"budget|ends (in|within|at)|lifetime|expire|has ended|has no node|no instance of cluster|is not a region of|"
    r"another command has changed the cluster since this plan"  # a killed one, for whose lock it has waited
)
# Reading everything takes as long as a command: after so many commands, and after each deletion.
_ROWS_EVERY = 5
# The lease of a lock, and the pauses after a change in which AWS's lists settle.
_LEASE_S = 700


@dataclass
class Asked:
    """The configuration of an operator."""

    nodes: int = 3
    regions: tuple[int, ...] = (0, 1)
    types: int = 0
    version: int = 0
    labels: int = 0
    ttl: int = 0
    strict: bool = False
    budget: int | None = None  # of so many nodes in the dearest of its regions; None: no limit

    @property
    def names(self) -> list[str]:
        return [REGIONS[index] for index in self.regions]

    @property
    def lock_region(self) -> str:
        return self.names[0]

    @property
    def budget_usd(self) -> Decimal | None:
        if self.budget is None:
            return None
        return self.budget * (max(Decimal(PRICES[name]) for name in self.names) + BESIDE_USD)

    def wanted(self) -> dict[str, int]:
        """An even share for each region; the first ones get one more."""
        each, extra = divmod(self.nodes, len(self.names))
        return {name: each + (index < extra) for index, name in enumerate(self.names)}

    def write(self, user: CliRunner, *, name: str = NAME) -> None:
        lines = [f"  version: {VERSIONS[self.version]}"] if VERSIONS[self.version] else []
        lines += [f"  labels: {LABELS[self.labels]}"] if LABELS[self.labels] else []
        lines += [f"cluster: {{tag_value: {name}}}"] if name != NAME else []
        lines += [f"ttl: {TTLS[self.ttl]}"] if TTLS[self.ttl] else []
        lines += ["spread: strict"] if self.strict else []
        lines += [f"budget_usd_per_hour: {self.budget_usd}"] if self.budget is not None else []
        path = user.configure(
            nodes=self.nodes,
            regions=f"[{', '.join(self.names)}]",
            more="".join(f"{line}\n" for line in lines),
        )
        text = path.read_text().replace("[t3.medium, t3a.medium]", TYPES[self.types])
        path.write_text(text)


@dataclass
class Limit:
    """The most nodes that a command may bring the cluster to, and those of one batch of a replacement in addition."""

    nodes: int
    batch: int = 0
    budget_usd: Decimal | None = None


def _sum(limits: Sequence[Limit], before: int) -> Limit:
    new = sum(limit.nodes - before for limit in limits)
    return Limit(before + new, batch=sum(limit.batch for limit in limits))


class BrokenPromiseError(AssertionError):
    """A promise that a history shows to be broken: `kind` is the figure that counts it."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


def promise(kept: object, kind: str, text: str) -> None:
    """Raises BrokenPromiseError, unless `kept`."""
    if not kept:
        raise BrokenPromiseError(kind, text)


class History:
    """Raises BrokenPromiseError, with the steps so far, at the first one after which the model does not hold."""

    def __init__(self, sandbox: Any, program: CliRunner) -> None:
        self.sandbox = sandbox
        fixed_prices(sandbox)
        self.users = users(sandbox, program, "anna", "ben")
        self.asked = [Asked(), Asked()]
        self.steps: list[tuple[str, Json]] = []
        self.told: list[str] = []
        self.commands = 0
        self.most = 0
        self.dearest_usd = Decimal(0)
        self.authorised = 0
        _strangers(sandbox)
        self.strangers = resource_rows(sandbox, REGIONS)
        self.neighbour: dict[str, str] = {}  # what must not change
        self.apart: set[str] = set()  # what belongs to it, changed or not
        for user, asked in zip(self.users, self.asked, strict=True):
            asked.write(user)
        self._new_neighbour()

    def step(self, name: str, **arguments: Any) -> None:
        self.steps.append((name, arguments))
        try:
            getattr(self, name)(**arguments)
        except AssertionError as error:
            story = json.dumps(self.steps)
            kind = error.kind if isinstance(error, BrokenPromiseError) else "wrong"
            raise BrokenPromiseError(kind, "\n".join([str(error), *self.told, story])) from error

    # What people do with their configuration

    def edit(self, op: int, **changes: Any) -> None:
        asked = self.asked[op]
        for key, value in changes.items():
            setattr(asked, key, tuple(value) if key == "regions" else value)
        asked.write(self.users[op])

    def share(self, op: int) -> None:
        """The other operator gets this one's file."""
        self.asked[1 - op] = Asked(**vars(self.asked[op]))
        self.asked[1 - op].write(self.users[1 - op])

    # Commands

    def create(
        self, op: int, *, removal: bool = False, wait: str = "", ttl: str = "", kill: Json | None = None
    ) -> None:
        self._one("create", op=op, kill=kill, removal=removal, wait=wait, ttl=ttl)

    def scale(
        self, op: int, *, nodes: int, region: int | None = None, write: bool = False, kill: Json | None = None
    ) -> None:
        """`write`: the number of all regions; this operator's file has it afterwards."""
        self._one("scale", op=op, kill=kill, nodes=nodes, region=region, write=write and region is None)
        text = (self.users[op].folder / "config.yaml").read_text()
        found = re.search(r"^nodes: (\d+)", text, re.MULTILINE)
        assert found is not None, text
        self.edit(op, nodes=int(found[1]))

    def replace(
        self,
        op: int,
        *,
        nodes: Sequence[int] = (),
        at_once: int = 1,
        old_first: bool = False,
        kill: Json | None = None,
    ) -> None:
        """`nodes`: by the order of their launch; none: the drifted ones."""
        self._one("replace", op=op, kill=kill, nodes=nodes, at_once=at_once, old_first=old_first)

    def remove(self, op: int, *, nodes: Sequence[int], kill: Json | None = None) -> None:
        self._one("remove", op=op, kill=kill, nodes=nodes)

    def extend(self, op: int, *, to: str, kill: Json | None = None) -> None:
        self._one("extend", op=op, kill=kill, to=to)

    def reconcile(self, op: int, *, passes: int = 1, kill: Json | None = None) -> None:
        self._one("reconcile", op=op, kill=kill, passes=passes)

    def prune(self, op: int, *, kill: Json | None = None) -> None:
        self._one("prune", op=op, kill=kill)

    def destroy(self, op: int, *, kill: Json | None = None) -> None:
        self._one("destroy", op=op, kill=kill)

    def nuke(self, op: int, *, kill: Json | None = None) -> None:
        self._one("nuke", op=op, kill=kill)
        self._renew_neighbour()

    def race(self, *, commands: Sequence[tuple[str, Json]], seed: int) -> None:
        """Two or more at once: the seed has the order of their calls."""
        self._run(commands, seed=seed)
        if any(name == "nuke" for name, _ in commands):
            self._renew_neighbour()

    # What AWS does

    def interrupt(self, *, count: int, notice_s: int) -> None:
        for machine in self._machines()[:count]:
            self.sandbox.server.interrupt(region_of(machine), machine.id, notice_s=notice_s)

    def terminate_by_hand(self, *, count: int) -> None:
        # An ordered fault is for the commands: whoever terminates by hand tries until it is done.
        settings = self.sandbox.settings
        faults, settings.faults = settings.faults, []
        for machine in self._machines()[-count:]:
            self.sandbox.client("ec2", region_of(machine)).terminate_instances(InstanceIds=[machine.id])
        settings.faults = faults

    def capacity(self, *, region: int, nodes: int | None) -> None:
        capacity = {**self.sandbox.settings.capacity}
        capacity.pop(REGIONS[region], None)
        self.sandbox.settings.capacity = capacity if nodes is None else {**capacity, REGIONS[region]: nodes}

    def fault(self, *, match: str, code: str, count: int, after: bool = False) -> None:
        fault: dict[str, Any] = {"match": match, "code": code, "count": count, "status": 503}
        self.sandbox.settings.faults.append(fault | ({"when": "after"} if after else {}))

    def lag(self, *, seconds: float) -> None:
        self.sandbox.settings.read_lag_s = seconds

    def time(self, *, seconds: int) -> None:
        self.sandbox.clock.advance(seconds)
        self.sandbox.server.settle()

    def calm(self) -> None:
        """Good weather, and the time after which a killed command counts as dead on every machine."""
        settings = self.sandbox.settings
        settings.capacity, settings.faults, settings.read_lag_s = {}, [], 0.0
        self.time(seconds=_LEASE_S)

    def check_one_network(self) -> None:
        """Of the cluster, in each region."""
        apart = self.strangers.keys() | self.apart
        rows = self._rows()
        ours = [
            key for key, row in rows.items() if " vpc " in key and key not in apart and f">{NAME}<" in row
        ]
        counts = Counter(key.split()[0] for key in ours)
        promise(max(counts.values(), default=0) <= 1, "wrong", f"VPCs by region: {dict(counts)}")

    # The end

    def finish(self, op: int) -> None:
        """From whatever there is: one `create` makes the cluster whole, and the other operator deletes it."""
        self.calm()
        self.edit(op, budget=None)
        self._one("create", op=op, removal=True, ttl="none")
        self._check_whole(op)
        self._one("destroy" if self.neighbour else "nuke", op=1 - op)
        left = sorted(self._check_others().keys() - self.strangers.keys() - self.apart)
        promise(not left, "leaks", f"at the end there is {left}")

    # Running and checking

    def _one(self, name: str, *, kill: Json | None = None, **arguments: Any) -> None:
        self._run([(name, {**arguments, "kill": kill})])

    def _run(self, commands: Sequence[tuple[str, Json]], *, seed: int | None = None) -> None:
        before = self._nodes()
        calm = self.is_calm()
        limit = self._limit(commands, before)
        self.most, self.dearest_usd = sum(before.values()), self._usd()
        budget = limit.budget_usd
        dearest = None if budget is None else max(budget, self.dearest_usd)
        processes = [self._process(name, arguments) for name, arguments in commands]
        self.commands += len(processes)
        if seed is None:
            processes[0].run()
        else:
            Turns(self.sandbox.clock, seed).run(processes)
        for process in processes:
            self._tell(process)
        self._check(commands, processes, calm=calm, alone=seed is None)
        promise(
            self.most <= limit.nodes + limit.batch,
            "double_launches",
            f"{self.most} nodes at once, {limit} allowed",
        )
        promise(
            dearest is None or self.dearest_usd <= dearest,
            "wrong",
            f"{self.dearest_usd} of {dearest} USD an hour",
        )
        if all(process.result is not None and process.result.code == 0 for process in processes):
            self.authorised = sum(self._nodes().values())
        else:
            self.authorised = max(limit.nodes, sum(self._nodes().values()))

    def _process(self, name: str, arguments: Json) -> Process:
        kill = arguments.get("kill") or {}
        return Process(
            self.users[arguments["op"]],
            self._argv(name, arguments),
            kill_at=kill.get("at"),
            answered=bool(kill.get("answered")),
            after_call=self._watch,
        )

    def _argv(self, name: str, arguments: Json) -> tuple[str, ...]:
        argv: Callable[[Json], Sequence[str]] = getattr(self, f"_argv_{name}")
        return (name, *argv(arguments))

    @staticmethod
    def _argv_create(arguments: Json) -> Sequence[str]:
        argv = ["--yes"]
        argv += ["--allow-removal", "--grace", "0"] if arguments.get("removal") else []
        argv += ["--wait", arguments["wait"]] if arguments.get("wait") else []
        return argv + (["--ttl", arguments["ttl"]] if arguments.get("ttl") else [])

    @staticmethod
    def _argv_scale(arguments: Json) -> Sequence[str]:
        argv = [str(arguments["nodes"]), "--grace", "0", "--yes"]
        argv += [] if arguments.get("region") is None else ["--region", REGIONS[arguments["region"]]]
        return argv + (["--write"] if arguments.get("write") else [])

    def _argv_replace(self, arguments: Json) -> Sequence[str]:
        chosen = self._chosen(arguments["nodes"]) if arguments.get("nodes") else ["--drifted"]
        argv = [*chosen, "--at-once", str(arguments.get("at_once", 1)), "--grace", "0", "--no-smoke-test"]
        return [*argv, "--yes", *(["--old-first"] if arguments.get("old_first") else [])]

    def _argv_remove(self, arguments: Json) -> Sequence[str]:
        return [*self._chosen(arguments["nodes"]), "--grace", "0", "--yes"]

    @staticmethod
    def _argv_extend(arguments: Json) -> Sequence[str]:
        return ["--never"] if arguments["to"] == "never" else [arguments["to"], "--yes"]

    @staticmethod
    def _argv_reconcile(arguments: Json) -> Sequence[str]:
        return ["--every", "60s", "--passes", str(arguments.get("passes", 1)), "-o", "ndjson"]

    @staticmethod
    def _argv_prune(_: Json) -> Sequence[str]:
        return ["--yes"]

    @staticmethod
    def _argv_destroy(_: Json) -> Sequence[str]:
        return ["--yes"]

    @staticmethod
    def _argv_nuke(_: Json) -> Sequence[str]:
        return ["--force"]

    def _chosen(self, nodes: Sequence[int]) -> list[str]:
        """Ids of nodes; without any node a region, which has none."""
        there = [machine.id for machine in self._machines()]
        return sorted({there[index % len(there)] for index in nodes}) if there else [REGIONS[0]]

    def _limit(self, commands: Sequence[tuple[str, Json]], before: Counter[str]) -> Limit:
        """Of commands at once: the largest number that one of them asks for, and the batches of all.

        With different locks (docs/operators.md, "Limits"), the new nodes of each.
        """
        if len({self.asked[arguments["op"]].lock_region for _, arguments in commands}) > 1:
            return _sum([self._limit([command], before) for command in commands], sum(before.values()))
        limit = Limit(max(self.authorised, sum(before.values())))
        budgets: list[Decimal | None] = []
        for name, arguments in commands:
            asked = self.asked[arguments["op"]]
            if name in {"create", "reconcile"}:
                limit.nodes = max(limit.nodes, _with_missing(asked.wanted(), before, strict=asked.strict))
            if name == "scale":
                region = arguments.get("region")
                among = sum(before.values()) if region is not None else _outside(asked.names, before)
                strict = sum(before.values()) if asked.strict else 0
                limit.nodes = max(limit.nodes, among + strict + arguments["nodes"])
            if name == "replace":
                limit.batch += arguments.get("at_once", 1)
            budgets.append(asked.budget_usd)
        known = [budget for budget in budgets if budget is not None]
        limit.budget_usd = max(known) if len(known) == len(budgets) else None
        return limit

    def _check(
        self,
        commands: Sequence[tuple[str, Json]],
        processes: Sequence[Process],
        *,
        calm: bool,
        alone: bool,
    ) -> None:
        rows: Mapping[str, str] = {}
        names = {name for name, _ in commands}
        if names & {"destroy", "nuke"} or self.commands % _ROWS_EVERY == 0:
            rows = self._check_others(nuked="nuke" in names)
        for (name, arguments), process in zip(commands, processes, strict=True):
            result = process.result
            if result is None:
                continue
            text = result.stdout + result.stderr
            assert not _MISTAKE.search(text), text
            if calm and alone:
                assert result.code == 0 or self._may_be_refused(name, text), f"{process.argv}: {text}"
            if alone and result.code == 0:
                check: Callable[..., None] | None = getattr(self, f"_check_{name}", None)
                if check is not None:
                    check(arguments, rows=rows, calm=calm)

    def _check_others(self, *, nuked: bool = False) -> dict[str, str]:
        """Returns everything that is there. What is changed once stays so: not every command has to be followed by it."""
        rows = self._rows()
        changed = changed_rows(self.strangers, rows)
        promise(not changed, "foreign_changes", f"of others {changed} changed")
        changed = [] if nuked else changed_rows(self.neighbour, rows)
        promise(not changed, "foreign_changes", f"of the other cluster {changed} changed")
        return rows

    def _check_create(self, arguments: Json, *, rows: Json, calm: bool) -> None:
        asked = self.asked[arguments["op"]]
        here = sum(count for region, count in self._nodes().items() if region in asked.names)
        if calm:
            assert here >= asked.nodes, f"exit code 0 with {here} of {asked.nodes} nodes"

    def _check_destroy(self, arguments: Json, *, rows: Json, calm: bool) -> None:
        left = sorted(rows.keys() - self.strangers.keys() - self.apart - self._other_locks(arguments, rows))
        promise(not left, "leaks", f"verified, and there is {left}")

    def _check_nuke(self, arguments: Json, *, rows: Json, calm: bool) -> None:
        left = sorted(rows.keys() - self.strangers.keys() - self._other_locks(arguments, rows))
        promise(not left, "leaks", f"verified, and there is {left}")

    def _other_locks(self, arguments: Json, rows: Mapping[str, str]) -> set[str]:
        """Locks in another region, of a command that was killed a moment ago: no list shows them yet, and they cost nothing.

        docs/cleanup.md, "The second look": of another lock, a look at the lists is the only sign.
        """
        own = self.asked[arguments["op"]].lock_region
        return {key for key, row in rows.items() if LOCK_ROLE in row and not key.startswith(f"{own} ")}

    @staticmethod
    def _may_be_refused(name: str, text: str) -> bool:
        return name not in {"destroy", "nuke"} and bool(_REFUSALS.search(text))

    def _check_whole(self, op: int) -> None:
        asked = self.asked[op]
        counts = self._nodes()
        shares = {region: count for region, count in asked.wanted().items() if count}
        assert sum(counts.values()) == asked.nodes, f"{dict(counts)} instead of {shares}"
        result = self.users[op]("list", "-o", "json")
        listed = Counter(
            row["region"] for row in result.data["instances"] if row["state"] in {"pending", "running"}
        )
        assert listed == counts, f"`list` shows {dict(listed)} of {dict(counts)}"

    def is_calm(self) -> bool:
        """Whether AWS has capacity, makes no mistakes, and shows at once what there is."""
        settings = self.sandbox.settings
        faults = [fault for fault in settings.faults if fault.get("count", 1)]
        return not (settings.capacity or faults or settings.read_lag_s)

    def _tell(self, process: Process) -> None:
        result = process.result
        said = "killed" if result is None else f"{result.code}: {_last_line(result.stdout, result.stderr)}"
        self.told.append(
            f"{self.sandbox.clock.now():.0f} {process.user.host}: {' '.join(process.argv)} "
            f"({process.calls} calls) -> {dict(self._nodes())}, {said}"
        )

    def _watch(self) -> None:
        self.most = max(self.most, sum(self._nodes().values()))
        self.dearest_usd = max(self.dearest_usd, self._usd())

    def _machines(self) -> list[Machine]:
        return [machine for machine in machines(self.sandbox) if self._tags(machine).get(_KEY) == NAME]

    def _nodes(self) -> Counter[str]:
        """By region, without draining ones: those are about to leave, and count nowhere."""
        return Counter(
            region_of(machine) for machine in self._machines() if DRAIN_KEY not in self._tags(machine)
        )

    def _usd(self) -> Decimal:
        return sum((Decimal(PRICES[region_of(machine)]) for machine in self._machines()), Decimal(0))

    def _tags(self, machine: Machine) -> Mapping[str, str]:
        tags: Mapping[str, str] = self.sandbox.server._ec2._regions[region_of(machine)].tags(machine.id)
        return tags

    def _rows(self) -> dict[str, str]:
        return resource_rows(self.sandbox, REGIONS)

    # The other cluster

    def _renew_neighbour(self) -> None:
        """`nuke` takes it, too. A killed or refused one may leave a part of it: the next complete one takes that."""
        if self._rows().keys() - self.strangers.keys():
            self.neighbour = {}
        else:
            self._new_neighbour()

    def _new_neighbour(self) -> None:
        """Two nodes in the regions of the cluster, by anna. It is never touched but by `nuke`."""
        settings = self.sandbox.settings
        weather = settings.capacity, settings.faults, settings.read_lag_s
        settings.capacity, settings.faults, settings.read_lag_s = {}, [], 0.0
        before = self._rows()
        user, asked = self.users[0], self.asked[0]
        Asked(nodes=2).write(user, name=OTHER)
        result = user("create", "--yes")
        assert result.code == 0, result.stdout + result.stderr
        asked.write(user)
        self.time(seconds=60)
        self.neighbour = {key: row for key, row in self._rows().items() if key not in before}
        self.apart = set(self.neighbour)
        settings.capacity, settings.faults, settings.read_lag_s = weather


_KEY = "bacalhau-cluster"


def _last_line(stdout: str, stderr: str) -> str:
    lines = (stdout.strip() or stderr.strip()).splitlines()
    return lines[-1][:300] if lines else ""


def _outside(regions: Sequence[str], before: Counter[str]) -> int:
    return sum(count for region, count in before.items() if region not in regions)


def _with_missing(wanted: Mapping[str, int], before: Counter[str], *, strict: bool) -> int:
    """The nodes after a launch of the missing ones; those of other regions stay."""
    inside = {region: before[region] for region in wanted}
    if strict:
        whole = sum(max(wanted[region], inside[region]) for region in wanted)
    else:
        whole = max(sum(wanted.values()), sum(inside.values()))
    return whole + _outside(list(wanted), before)


def _strangers(sandbox: Any) -> None:
    """Resources of others, some with tags that almost are ours."""
    near = [
        [
            {"Key": "Bacalhau-Cluster", "Value": NAME},
            {"Key": "CreatedBy", "Value": "bacalhau-aws-spot-script"},
        ],
        [{"Key": _KEY, "Value": NAME.upper()}, {"Key": "Name", "Value": "bacalhau-vpc"}],
    ]
    for region, tags in zip(REGIONS[:2], near, strict=True):
        ec2 = sandbox.client("ec2", region)
        vpc = ec2.create_vpc(
            CidrBlock="10.200.0.0/16", TagSpecifications=[{"ResourceType": "vpc", "Tags": tags}]
        )["Vpc"]["VpcId"]
        ec2.create_subnet(VpcId=vpc, CidrBlock="10.200.1.0/24", AvailabilityZone=f"{region}a")
        ec2.create_security_group(GroupName="bacalhau-nodes", Description="theirs", VpcId=vpc)
        ec2.create_volume(
            AvailabilityZone=f"{region}a",
            Size=1,
            TagSpecifications=[{"ResourceType": "volume", "Tags": tags}],
        )
    # In the third region nothing but AWS's default VPC, which comes with the first call.
    sandbox.client("ec2", REGIONS[2]).describe_vpcs()
    sandbox.clock.advance(30)
