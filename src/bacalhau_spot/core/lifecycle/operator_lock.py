"""The lock that keeps two commands from changing a cluster at the same time.

It is a launch template without content: EC2 accepts its name once in a region, so only one of two commands creates it. Its tags
say who holds it. A command deletes it at its end; after a command that was killed it expires.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import TYPE_CHECKING, Final

from bacalhau_spot.core.model import ROLE_KEY
from bacalhau_spot.core.tags import (
    CREATOR_KEY,
    MAX_VALUE,
    NAME_KEY,
    slug,
    tag_time,
    time_in_tag,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from bacalhau_spot.core.model import Naming

LOCK_ROLE: Final = "operator-lock"
# A holder renews it three times as often.
LEASE: Final = timedelta(minutes=9)
# Between the clocks of two machines: AWS accepts none that is more than five minutes off.
MAX_SKEW: Final = timedelta(minutes=10)

_COMMAND, _BY, _ON, _RUN = "LockedFor", "LockedBy", "LockedOn", "LockedByRun"
_SINCE, _UNTIL = "LockedSince", "LockedUntil"
# A process has none above it (a signed integer of C), and none below 1.
_MAX_PID = 2**31 - 1
_MACHINE = re.compile(r"[0-9a-f]{16}")
_FOREIGN = re.compile(r"[^\w +\-=.:/@]", re.ASCII)


@dataclass(frozen=True, slots=True)
class LockHolder:
    """The command that holds the lock.

    `by`: its identity's ARN; `host`, `pid`: its process, 0 if the tag has a number that no process has; `run`: distinct for
    each run; `machine`: where the pid counts, distinct for hosts of the same name; empty if unknown.
    """

    command: str
    by: str
    host: str
    pid: int
    run: str
    since: datetime
    until: datetime
    machine: str = ""

    def is_on(self, machine: str) -> bool:
        """Whether the pid is one of this machine. Never if either is unknown: the lease then decides."""
        return bool(machine) and self.machine == machine and self.pid > 0


class LockDecision(Enum):
    """What a command that finds the lock held does."""

    WAIT = "wait"
    TAKE_OVER = "take over"  # the holder does not exist any more


def lock_name(naming: Naming) -> str:
    """The name of the template, unique in a region."""
    return f"{naming.resource_prefix}{slug(naming)}-lock"


def lock_tags(naming: Naming, holder: LockHolder) -> dict[str, str]:
    """The tags of the template. The user's own are left out: with these a resource may have too many."""
    return {
        naming.tag_key: naming.tag_value,
        CREATOR_KEY: naming.creator,
        NAME_KEY: lock_name(naming),
        ROLE_KEY: LOCK_ROLE,
        _COMMAND: _text(holder.command),
        _BY: _text(holder.by),
        _ON: _process_text(holder),
        _RUN: _text(holder.run),
        _SINCE: tag_time(holder.since),
        **renewal_tags(holder.until),
    }


def renewal_tags(until: datetime) -> dict[str, str]:
    """The tag that a renewal writes."""
    return {_UNTIL: tag_time(until)}


def holder_of(tags: Mapping[str, str]) -> LockHolder | None:
    """The holder by the tags; None if they are not complete."""
    place, _, pid = tags.get(_ON, "").rpartition(":")
    since, until = time_in_tag(tags.get(_SINCE, "")), time_in_tag(tags.get(_UNTIL, ""))
    if since is None or until is None or not pid.isdecimal():
        return None
    host, machine = _host_and_machine(place)
    return LockHolder(
        command=tags.get(_COMMAND, ""),
        by=tags.get(_BY, ""),
        host=host,
        pid=_number(pid),
        run=tags.get(_RUN, ""),
        since=since,
        until=until,
        machine=machine,
    )


def lock_decision(
    holder: LockHolder | None, *, now: datetime, ended: Callable[[LockHolder], bool]
) -> LockDecision:
    """Whether to wait. `ended`: whether it was a process of this machine, and does not run any more; asked last.

    No command writes a lease that ends later than LEASE and MAX_SKEW from now: such a value would lock the cluster for ever.
    """
    if holder is None or not now < holder.until <= now + LEASE + MAX_SKEW or ended(holder):
        return LockDecision.TAKE_OVER
    return LockDecision.WAIT


def _process_text(holder: LockHolder) -> str:
    """`host:machine:pid`. A long host name is cut, and not what follows it."""
    place = ":".join(filter(None, (holder.machine, str(holder.pid))))
    return f"{_text(holder.host)[: MAX_VALUE - len(place) - 1]}:{place}"


def _host_and_machine(place: str) -> tuple[str, str]:
    """Without a machine from a program of an earlier version: then the whole is the host."""
    host, _, machine = place.rpartition(":")
    return (host, machine) if _MACHINE.fullmatch(machine) else (place, "")


def _number(digits: str) -> int:
    """0 for a number that no process has."""
    pid = int(digits)
    return pid if pid <= _MAX_PID else 0


def _text(value: str) -> str:
    return _FOREIGN.sub("-", value)[:MAX_VALUE]
