"""What AWS refused, under the name by which an administrator allows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bacalhau_spot.core.permissions import PERMISSIONS
from bacalhau_spot.core.verdict import denied_action

if TYPE_CHECKING:
    from bacalhau_spot.core.receipt import ApiFailure

_ACTIONS = {row.action for row in PERMISSIONS}


def action_of(problem: ApiFailure) -> str:
    """`ec2:CreateVpc`: as AWS says it, else by the call; the call alone where several services have one of that name."""
    named = denied_action(problem.message)
    known = [action for action in _ACTIONS if action.partition(":")[2] == problem.operation]
    return named or (known[0] if len(known) == 1 else problem.operation)
