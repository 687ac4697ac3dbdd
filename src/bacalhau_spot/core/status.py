"""The whole cluster's health, from the verdicts on its nodes: is it what the configuration asks for?

Rules:
1. Present is what runs or starts. Missing and too many are counted as `create` counts them: with `spread: failover` a node
   is not missing where another region has it.
2. The cluster is as asked when nothing is missing or too many and every node is good. Where no orchestrator's API is
   configured, a node of which nothing can be known does not count against it.
3. What certainly is wrong decides the exit code before what could not be looked at.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING

from bacalhau_spot.core.evidence import Asked, Checks, Evidence
from bacalhau_spot.core.health import Kind, Severity, Verdict, diagnose
from bacalhau_spot.core.members import Capacity
from bacalhau_spot.core.plan import demand
from bacalhau_spot.core.pools import PoolShares, pool_shares
from bacalhau_spot.core.prune import belongs, region_of
from bacalhau_spot.core.verdict import Fault, judge, worst
from bacalhau_spot.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from bacalhau_spot.core.console import Boot
    from bacalhau_spot.core.evidence import SpotStatus
    from bacalhau_spot.core.members import Member
    from bacalhau_spot.core.model import ClusterSpec, Instance, Timeouts
    from bacalhau_spot.core.receipt import Problem

_NOT_CHECKED = Checks()


@dataclass(frozen=True, slots=True)
class Sight:
    """What one look saw. `unseen`: regions, and `blurred`: parts of regions, that could not be looked at.

    `refusal`: why the orchestrator did not answer; `address`: whom we asked, empty without an API.
    """

    at: datetime
    instances: tuple[Instance, ...] = ()
    checks: Mapping[str, Checks] | None = None  # by instance
    spots: tuple[SpotStatus, ...] = ()
    boots: Mapping[str, Boot] | None = None  # by instance, of those whose console was read
    members: tuple[Member, ...] = ()
    asked: Asked = Asked.NO_API
    address: str = ""
    refusal: Problem | None = None
    looked_into: tuple[str, ...] = ()
    unseen: tuple[Problem, ...] = ()
    blurred: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class Node:
    """One node: what is known, and what that means."""

    known: Evidence
    verdict: Verdict

    @property
    def id(self) -> str:
        return self.known.id

    @property
    def region(self) -> str:
        if self.known.instance is not None:
            return self.known.instance.region
        return region_of(self.known.member) if self.known.member else ""

    @property
    def zone(self) -> str:
        if self.known.instance is not None:
            return self.known.instance.zone
        return self.known.member.labels.get("zone", "") if self.known.member else ""

    @property
    def good(self) -> bool:
        return self.verdict.severity is Severity.GOOD

    @property
    def dead(self) -> bool:
        """An instance that has ended, or is ending, and that AWS still shows."""
        return self.known.instance is not None and self.verdict.severity is Severity.GONE

    @property
    def ended_at(self) -> datetime | None:
        return self.known.ended_at

    @property
    def settled(self) -> bool:
        """As good as can be known."""
        unknowable = self.known.asked is Asked.NO_API and self.verdict.severity is Severity.UNKNOWN
        return self.good or unknowable

    @property
    def load(self) -> Load | None:
        """None where the orchestrator does not say."""
        it = self.known.member
        if it is None or not it.connected or not self.known.alive:
            return None
        return Load(used=_less(it.total, it.free), total=it.total, running=it.running)


@dataclass(frozen=True, slots=True)
class Load:
    """What jobs have taken of what nodes have. `running` is of the nodes' last handshake and may be old."""

    used: Capacity
    total: Capacity
    running: int = 0


@dataclass(frozen=True, slots=True)
class Part:
    """A region, or all of them. `wanted` None: the configuration does not say."""

    name: str
    wanted: int | None
    nodes: tuple[Node, ...] = ()

    @property
    def present(self) -> int:
        return sum(node.known.alive for node in self.nodes)

    def count(self, *severities: Severity) -> int:
        return sum(node.verdict.severity in severities for node in self.nodes)

    @property
    def load(self) -> Load | None:
        loads = [node.load for node in self.nodes if node.load is not None]
        if not loads:
            return None
        return Load(
            used=_sum(load.used for load in loads),
            total=_sum(load.total for load in loads),
            running=sum(load.running for load in loads),
        )


@dataclass(frozen=True, slots=True)
class Status:
    """The result of a look. `missing` and `surplus` are None where the configuration is not this cluster's."""

    cluster: str
    sight: Sight
    nodes: tuple[Node, ...]
    wanted: Mapping[str, int] | None = None  # per region
    wanted_in_all: int | None = None
    missing: int | None = None
    surplus: int | None = None

    @property
    def whole(self) -> Part:
        return Part("total", self.wanted_in_all, self.nodes)

    @property
    def regions(self) -> tuple[Part, ...]:
        """Those that have nodes or should have."""
        wanted = self.wanted or {}
        names = {node.region for node in self.nodes if node.region} | {
            name for name in wanted if wanted[name]
        }
        return tuple(
            Part(
                name,
                wanted.get(name, 0) if self.wanted is not None else None,
                tuple(node for node in self.nodes if node.region == name),
            )
            for name in sorted(names)
        )

    @property
    def pools(self) -> PoolShares:
        return pool_shares(self.sight.instances)

    @property
    def ghosts(self) -> tuple[Node, ...]:
        """What the orchestrator still lists, and is no node any more."""
        return tuple(
            node
            for node in self.nodes
            if node.known.member is not None
            and not node.known.member.connected
            and node.verdict.severity is Severity.GONE
        )

    @property
    def unlisted(self) -> tuple[Node, ...]:
        """What has ended and explains nothing that is missing: AWS shows it for an hour more.

        Of a cluster that is over, of a region that has no nodes now, deleted by this program, or more than are missing:
        the newest stay.
        """
        dead = [node for node in self.nodes if node.dead]
        explaining = sorted(filter(self._explains, dead), key=lambda node: node.ended_at or self.sight.at)
        if self.missing is not None:
            explaining = explaining[len(explaining) - min(self.missing, len(explaining)) :]
        return tuple(node for node in dead if node not in explaining)

    def _explains(self, node: Node) -> bool:
        """Whether a node may be missing because this one has ended."""
        launches = [one.launched_at for one in self.sight.instances if one.alive]
        over = bool(launches) and node.ended_at is not None and node.ended_at < min(launches)
        elsewhere = self.wanted is not None and not self.wanted.get(node.region)
        unknown = self.missing is None and node.verdict.kind in {Kind.ENDED, Kind.ENDING}
        return not (over or elsewhere or unknown or node.known.terminated_by)

    @property
    def listed(self) -> Status:
        """Without what is not listed."""
        gone = self.unlisted
        return replace(self, nodes=tuple(node for node in self.nodes if node not in gone))

    @property
    def as_asked(self) -> bool:
        alive = [node for node in self.nodes if node.known.alive]
        bad = any(node.verdict.severity is Severity.BAD for node in self.nodes)
        return not bad and all(node.settled for node in alive) and not self.missing and not self.surplus

    @property
    def dim(self) -> tuple[Problem, ...]:
        """Everything that could not be looked at, the orchestrator included."""
        return (
            *self.sight.unseen,
            *self.sight.blurred,
            *((self.sight.refusal,) if self.sight.refusal else ()),
        )

    @property
    def exit_code(self) -> ExitCode:
        code = worst(problem.code for problem in self.dim)
        if code is None:
            return ExitCode.DONE if self.as_asked else ExitCode.FAILED
        if self._certainly_not_as_asked:
            return ExitCode.FAILED
        return ExitCode.DENIED if judge(code).fault is Fault.CREDENTIALS else ExitCode.BLIND

    @property
    def _certainly_not_as_asked(self) -> bool:
        """Without what could not be looked at: a region that was not seen may have what is missing."""
        wrong = {Severity.BAD, Severity.WAITING}
        short = bool(self.missing) and not self.sight.unseen
        return short or bool(self.surplus) or any(node.verdict.severity in wrong for node in self.nodes)


def status(
    sight: Sight,
    *,
    cluster: str,
    label: str,
    timeouts: Timeouts,
    spec: ClusterSpec | None,
    only: Sequence[str] = (),
    terminated_by: Mapping[str, str] | None = None,
) -> Status:
    """The verdicts and the counts. `label`: what the cluster's nodes carry; `spec` None: it is not this cluster's.

    `terminated_by`: by instance, the command of this machine that terminated it.
    `only`: the regions that were asked for, when not all were; what is wanted elsewhere is then not missing.
    """
    nodes = tuple(
        Node(known, diagnose(known))
        for known in _evidence(sight, label=label, timeouts=timeouts, terminated_by=terminated_by or {})
    )
    gone = Severity.GONE
    ordered = tuple(
        sorted(nodes, key=lambda node: (node.region, node.verdict.severity is gone, node.zone, node.id))
    )
    if spec is None:
        return Status(cluster, sight, ordered)
    needs = demand(spec, sight.instances)
    if only:
        wanted = {name: count for name, count in needs.wanted.items() if name in only}
        present = {name: needs.present.get(name, 0) for name in only}
        return Status(
            cluster,
            sight,
            ordered,
            wanted=wanted,
            wanted_in_all=sum(wanted.values()),
            missing=sum(max(0, count - present[name]) for name, count in wanted.items()),
            surplus=0,
        )
    alive = sum(one.alive for one in sight.instances)
    if spec.auto_regions is not None and not spec.regions:
        # Which regions it takes was decided when it was made.
        return Status(
            cluster,
            sight,
            ordered,
            wanted_in_all=spec.nodes,
            missing=max(0, spec.nodes - alive),
            surplus=max(0, alive - spec.nodes),
        )
    return Status(
        cluster,
        sight,
        ordered,
        wanted=needs.wanted,
        wanted_in_all=sum(needs.wanted.values()),
        missing=sum(needs.launch.values()),
        surplus=len(needs.removable),
    )


def _evidence(
    sight: Sight, *, label: str, timeouts: Timeouts, terminated_by: Mapping[str, str]
) -> Iterable[Evidence]:
    """One a node: every instance with what belongs to it, and what the orchestrator alone knows."""
    spots = {spot.instance_id: spot for spot in sight.spots}
    members = _by_instance(sight.members)
    for instance in sight.instances:
        yield Evidence(
            now=sight.at,
            instance=instance,
            checks=(sight.checks or {}).get(instance.id, _NOT_CHECKED),
            spot=spots.get(instance.id),
            boot=(sight.boots or {}).get(instance.id),
            member=members.get(instance.id),
            asked=sight.asked,
            timeouts=timeouts,
            terminated_by=terminated_by.get(instance.id, ""),
        )
    known = {instance.id for instance in sight.instances}
    for member in sight.members:
        if member.instance_id not in known and _ours(member, sight, label):
            yield Evidence(now=sight.at, member=member, asked=sight.asked, timeouts=timeouts)


def _by_instance(members: Iterable[Member]) -> dict[str, Member]:
    """Of several that name the same instance the one that is connected."""
    ordered = sorted(members, key=lambda one: one.connected)
    return {one.instance_id: one for one in ordered if one.instance_id}


def _ours(member: Member, sight: Sight, label: str) -> bool:
    """Of this cluster, and its region was looked into: elsewhere its instance may well run."""
    if not belongs(member, cluster=label):
        return False
    region = region_of(member)
    return region in sight.looked_into if region else not sight.unseen


def needs_console(instance: Instance, *, asked: Asked, member: Member | None) -> bool:
    """Only what has not joined, or may not have: a console costs a call a node."""
    return (
        instance.alive and instance.private_ip is not None and (asked is not Asked.ANSWERED or member is None)
    )


def member_of(instance: Instance, members: Iterable[Member]) -> Member | None:
    return _by_instance(members).get(instance.id)


def _less(total: Capacity, free: Capacity) -> Capacity:
    return Capacity(
        cpu=max(Decimal(0), total.cpu - free.cpu),
        memory_bytes=max(0, total.memory_bytes - free.memory_bytes),
        disk_bytes=max(0, total.disk_bytes - free.disk_bytes),
        gpus=max(0, total.gpus - free.gpus),
    )


def _sum(capacities: Iterable[Capacity]) -> Capacity:
    every = list(capacities)
    return Capacity(
        cpu=sum((one.cpu for one in every), Decimal(0)),
        memory_bytes=sum(one.memory_bytes for one in every),
        disk_bytes=sum(one.disk_bytes for one in every),
        gpus=sum(one.gpus for one in every),
    )
