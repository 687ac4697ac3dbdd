"""Drains: which nodes can drain, until when, and how each has ended.

Rules:
1. A node drains by the tag DRAIN_KEY of its instance, which it reads through the metadata service.
2. A node whose metadata service does not return its tags cannot drain: its instance is terminated at once.
3. The tag of a draining node is only changed to an earlier time. A second run of a command continues the first.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from bacalhau_spot.core.error_catalog.classifier import Category, classify, most_severe
from bacalhau_spot.core.model import State
from bacalhau_spot.core.tags import DRAIN_KEY, time_in_tag
from bacalhau_spot.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from bacalhau_spot.core.model import Instance
    from bacalhau_spot.core.problem import ApiFailure

# For running jobs, unless the command names another time. An idle node does not wait.
GRACE_S: Final = 600
# From the end of the grace until the machine shuts down: the watcher's interval, and the stop of Bacalhau and of containers.
MARGIN_S: Final = 60


class DrainEnd(StrEnum):
    """How the drain of a node ended."""

    SHUT_DOWN = "shut down"  # by itself: its jobs had ended, or the time was over
    OVERDUE = "terminated"  # it did not shut down by itself in time
    AT_ONCE = "terminated at once"  # it cannot drain
    UNUSED = "never joined"  # terminated at once: it cannot have jobs
    ALREADY_ENDED = "already ended"  # before the drain
    DRAINING = "draining"  # the command was interrupted; the node goes on by itself
    ENDING = "ending"  # EC2 had not terminated it at the deadline
    FAILED = "failed"  # AWS refused
    UNCHANGED = "unchanged"  # the command was interrupted before its drain
    KEPT = "kept"  # a new node is missing, so the node stays


_OVER: Final = frozenset(
    {DrainEnd.SHUT_DOWN, DrainEnd.OVERDUE, DrainEnd.AT_ONCE, DrainEnd.UNUSED, DrainEnd.ALREADY_ENDED}
)


_NOT_BEGUN: Final = frozenset({DrainEnd.ALREADY_ENDED, DrainEnd.FAILED, DrainEnd.UNCHANGED, DrainEnd.KEPT})


@dataclass(frozen=True, slots=True)
class DrainedNode:
    """`seconds`: from the begin of the drain until the node had left; of one that has not, until the end of the command."""

    instance: Instance
    end: DrainEnd
    seconds: float = 0.0

    @property
    def over(self) -> bool:
        return self.end in _OVER

    @property
    def begun(self) -> bool:
        """Whether this command has drained the node; otherwise it took no time."""
        return self.end not in _NOT_BEGUN

    @property
    def leaving(self) -> bool:
        """Whether the node has left, or will by itself."""
        return self.over or self.end in {DrainEnd.DRAINING, DrainEnd.ENDING}


@dataclass(frozen=True, slots=True)
class DrainResult:
    """`failures`: AWS's refusals, one per region. `interrupted`: by Ctrl-C."""

    nodes: tuple[DrainedNode, ...] = ()
    failures: tuple[ApiFailure, ...] = ()
    interrupted: bool = False

    @property
    def complete(self) -> bool:
        """Whether every node has ended."""
        return all(node.over for node in self.nodes)

    @property
    def exit_code(self) -> ExitCode:
        if self.interrupted:
            return ExitCode.INTERRUPTED
        code = most_severe(failure.code for failure in self.failures)
        if code is not None and classify(code).category in {Category.CREDENTIALS, Category.PERMISSION}:
            return ExitCode.DENIED
        return ExitCode.DONE if self.complete else ExitCode.FAILED


def can_drain(instance: Instance) -> bool:
    """Whether the instance runs and sees the tag. A pending one has no jobs."""
    return instance.state is State.RUNNING and instance.metadata_tags


def drain_until(instance: Instance) -> datetime | None:
    """The end of the grace of a draining node; None for any other."""
    return time_in_tag(instance.tags.get(DRAIN_KEY, ""))


def is_draining(instance: Instance) -> bool:
    """Whether the node is about to leave by a drain."""
    return instance.alive and instance.metadata_tags and drain_until(instance) is not None


def without_draining(instances: Iterable[Instance]) -> tuple[Instance, ...]:
    return tuple(instance for instance in instances if not is_draining(instance))


def needs_tag(instance: Instance, until: datetime) -> bool:
    """Whether the tag is to be written: a drain is not postponed."""
    existing = drain_until(instance)
    return existing is None or existing > until
