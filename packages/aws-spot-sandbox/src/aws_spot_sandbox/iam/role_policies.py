"""The permissions of an instance's role: the policies attached to the role of its instance profile.

AWS: IAM User Guide, "IAM roles for Amazon EC2": programs on the instance act as the one role in its profile.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from moto.backends import get_backend

from aws_spot_sandbox.iam.policy_evaluator import Answer, Ask, judge
from aws_spot_sandbox.state import ACCOUNT_ID

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aws_spot_sandbox.ec2.machine import Machine


def role_of(machine: Machine) -> Any:
    """The role of the instance's profile; None without a profile or without a role in it."""
    name = machine.profile.get("Arn", "").rpartition("/")[2]
    profile = _backend().instance_profiles.get(name)
    return next(iter(profile.roles), None) if profile is not None else None


def allows(machine: Machine, ask: Ask) -> bool:
    """Whether the instance's role allows the action. A policy that the evaluator does not support allows nothing."""
    role = role_of(machine)
    if role is None:
        return False
    try:
        return judge(list(_documents(role)), ask) is Answer.ALLOWED
    except ValueError:
        return False


def _backend() -> Any:
    return get_backend("iam")[ACCOUNT_ID]["aws"]


def _documents(role: Any) -> Iterator[dict[str, Any]]:
    for text in role.policies.values():
        yield _document(text)
    for policy in role.managed_policies.values():
        yield _document(policy.document)


def _document(policy: Any) -> dict[str, Any]:
    document = json.loads(policy) if isinstance(policy, str) else policy
    return dict(document)
