"""Sentences about the lock that keeps two commands on one cluster apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bacalhau_spot.errors import UserError
from bacalhau_spot.ui.formatting import age

if TYPE_CHECKING:
    from datetime import datetime

    from bacalhau_spot.core.lifecycle.operator_lock import LockHolder


def waiting_text(holder: LockHolder, *, now: datetime) -> str:
    """`waiting for `create` of arn:… on host (since 12:03:10Z, 2 min ago): …`"""
    return f"waiting for {_holder_text(holder, now=now)}; Ctrl-C stops the wait, and changes nothing"


def still_held(holder: LockHolder, *, now: datetime) -> UserError:
    """The refusal after the wait."""
    return UserError(
        "another command is changing this cluster; nothing was changed",
        why=_holder_text(holder, now=now),
        hint=f"run this command again when it has ended; a command that was killed holds the lock until {_time(holder.until)}",
        docs="docs/operators.md",
    )


def changing_text(holder: LockHolder, *, now: datetime) -> str:
    """To a command that changes nothing, about another one that does."""
    return f"{_holder_text(holder, now=now)} is changing the cluster, and may terminate nodes itself"


def not_locked(reason: str) -> str:
    """A warning: the command went on without the lock."""
    return f"the cluster could not be locked ({reason}): nothing prevents a second command from changing it meanwhile"


def not_released(reason: str) -> str:
    """A warning: the next command on another machine has to wait."""
    return f"the lock of the cluster could not be released ({reason}); it expires within 9 minutes"


def changed_meanwhile() -> str:
    """Before a new plan."""
    return "another command has changed the cluster meanwhile: this is the plan now"


def outdated_plan(command: str) -> UserError:
    """The refusal of a plan that was shown before another command's changes. `command`: with its arguments."""
    return UserError(
        "another command has changed the cluster since this plan was made; nothing was changed",
        hint=f"run `bacalhau-spot {command}` again",
        docs="docs/operators.md",
    )


def _holder_text(holder: LockHolder, *, now: datetime) -> str:
    return (
        f"`{holder.command}` of {holder.by} on {holder.host} "
        f"(since {_time(holder.since)}, {age(now - holder.since)} ago)"
    )


def _time(moment: datetime) -> str:
    return f"{moment:%H:%M:%S} UTC"
