"""Which nodes the orchestrator may forget: those of one cluster whose instances are gone.

Rules:
1. A node is the cluster's by its labels: provider, cluster, and the id of an EC2 instance. Any other is not looked at.
2. A connected node stays, whatever AWS says.
3. An instance is gone when AWS shows it ending or ended, or in no region at all; AWS forgets it about an hour after its end.
   A stopped one is not gone: it may start again.
4. What could not be looked into is not gone.

The orchestrator itself never forgets a node, and one that it forgot by mistake registers again (Bacalhau 1.9).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from bacalhau_spot.core.members import CLUSTER_LABEL
from bacalhau_spot.core.model import State
from bacalhau_spot.core.verdict import judge, worst
from bacalhau_spot.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from bacalhau_spot.core.members import Member
    from bacalhau_spot.core.model import Instance
    from bacalhau_spot.core.receipt import Problem

_INSTANCE_ID: Final = re.compile(r"i-[0-9a-f]{8,17}")
_ENDING: Final = frozenset({State.SHUTTING_DOWN, State.TERMINATED})


class Why(StrEnum):
    """Why a node may be forgotten, or stays."""

    ENDED = "instance-ended"
    UNKNOWN = "instance-unknown"
    CONNECTED = "connected"
    ALIVE = "instance-alive"
    UNSEEN = "region-unseen"


@dataclass(frozen=True, slots=True)
class Judged:
    """One node of the cluster, and what is to become of it."""

    member: Member
    why: Why

    @property
    def gone(self) -> bool:
        return self.why in {Why.ENDED, Why.UNKNOWN}

    @property
    def region(self) -> str:
        """By its label; empty when it does not say."""
        return region_of(self.member)


@dataclass(frozen=True, slots=True)
class Pruning:
    """The decision. `others`: nodes of the orchestrator that are not the cluster's. `unseen`: regions, and why."""

    cluster: str
    judged: tuple[Judged, ...] = ()
    others: int = 0
    looked_into: tuple[str, ...] = ()
    unseen: tuple[Problem, ...] = ()

    @property
    def gone(self) -> tuple[Judged, ...]:
        return tuple(one for one in self.judged if one.gone)

    @property
    def in_doubt(self) -> tuple[Judged, ...]:
        """Disconnected, and they stay all the same."""
        return tuple(one for one in self.judged if one.why in {Why.ALIVE, Why.UNSEEN})


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What became of nodes that were to be removed. `left`: not asked for, because it was no use or the user stopped it.

    `problem`: the orchestrator could not be asked which nodes it has.
    """

    address: str
    removed: tuple[str, ...] = ()
    failed: tuple[tuple[str, Problem], ...] = ()
    left: tuple[str, ...] = ()
    problem: Problem | None = None
    interrupted: bool = False

    @property
    def problems(self) -> tuple[Problem, ...]:
        return (*(problem for _, problem in self.failed), *((self.problem,) if self.problem else ()))

    @property
    def remaining(self) -> tuple[str, ...]:
        """Nodes that the orchestrator still lists."""
        return (*(name for name, _ in self.failed), *self.left)


def belongs(member: Member, *, cluster: str) -> bool:
    """Whether the node is of the cluster with this label."""
    ours = member.labels.get("provider") == "aws" and member.labels.get(CLUSTER_LABEL) == cluster
    return ours and _INSTANCE_ID.fullmatch(member.instance_id) is not None


def doubtful(members: Iterable[Member], *, cluster: str) -> tuple[str, ...]:
    """Ids of the instances about which AWS must be asked: those of the cluster's disconnected nodes."""
    return tuple(
        sorted(
            {one.instance_id for one in members if belongs(one, cluster=cluster) and not one.connected},
        )
    )


def decide(
    members: Collection[Member],
    *,
    cluster: str,
    instances: Mapping[str, Instance],
    looked_into: Collection[str],
    unseen: Collection[Problem] = (),
) -> Pruning:
    """Every node of the cluster, judged. `instances`: what AWS shows of `doubtful`, by id, in all of `looked_into`."""
    ours = [one for one in members if belongs(one, cluster=cluster)]
    seen = frozenset(looked_into)
    return Pruning(
        cluster=cluster,
        judged=tuple(
            Judged(one, _why(one, instances.get(one.instance_id), seen=seen, blind=bool(unseen)))
            for one in sorted(ours, key=lambda one: (region_of(one), one.id))
        ),
        others=len(members) - len(ours),
        looked_into=tuple(looked_into),
        unseen=tuple(unseen),
    )


def region_of(member: Member) -> str:
    return member.labels.get("region", "")


def _why(member: Member, instance: Instance | None, *, seen: frozenset[str], blind: bool) -> Why:
    if member.connected:
        return Why.CONNECTED
    if instance is not None:
        return Why.ENDED if instance.state in _ENDING else Why.ALIVE
    region = region_of(member)
    # A node that does not say where it is may be anywhere.
    return Why.UNKNOWN if region in seen or (not region and not blind) else Why.UNSEEN


def exit_code(pruning: Pruning, forgotten: Forgotten | None) -> ExitCode:
    """How a prune ends. None: nothing was to be removed, or it was a dry run."""
    if forgotten is not None:
        if forgotten.interrupted:
            return ExitCode.INTERRUPTED
        code = worst(problem.code for problem in forgotten.problems)
        if code is not None:
            return judge(code).exit_code
        if forgotten.remaining:
            return ExitCode.FAILED
    return ExitCode.BLIND if pruning.unseen else ExitCode.DONE
