"""Temporary credentials of instances, and what their roles' policies allow.

AWS: EC2 User Guide, "Retrieve security credentials" (the instance metadata service gives out those of the profile's role);
IAM User Guide, "Roles terms and concepts": a session has the permissions of its role.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from moto.backends import get_backend

from aws_spot_sandbox.iam import non_ec2_arns
from aws_spot_sandbox.state import ACCOUNT_ID

if TYPE_CHECKING:
    from aws_spot_sandbox.ec2.machine import Machine
    from aws_spot_sandbox.iam.policy_evaluator import Document
    from aws_spot_sandbox.state import World

LIFETIME_S = 6 * 3600.0
_RENEWED_BEFORE_S = 300.0


@dataclass(frozen=True)
class Session:
    """The credentials of one instance."""

    access_key_id: str
    secret_access_key: str
    token: str
    role: str
    name: str  # of the session: the instance's id
    expires_at: float

    @property
    def arn(self) -> str:
        return f"arn:aws:sts::{ACCOUNT_ID}:assumed-role/{self.role}/{self.name}"


def of_machine(world: World, machine: Machine) -> Session | None:
    """The instance's credentials, new ones five minutes before they expire. None without a profile or role."""
    role = role_of(machine)
    if not role:
        return None
    for session in world.sessions.values():
        lasts_s = session.expires_at - world.now()
        if (session.name, session.role) == (machine.id, role) and lasts_s > _RENEWED_BEFORE_S:
            return session
    seed = hashlib.sha512(f"{world.seed}/{machine.id}/{role}/{len(world.sessions)}".encode())
    text = base64.b32encode(seed.digest()).decode()
    session = Session(
        access_key_id=f"ASIA{text[:16]}",
        secret_access_key=base64.b64encode(seed.digest()[:30]).decode(),
        token=f"sandbox-session-{text[20:84]}",
        role=role,
        name=machine.id,
        expires_at=world.now() + LIFETIME_S,
    )
    world.sessions[session.access_key_id] = session
    return session


def role_of(machine: Machine) -> str:
    """The name of the role in the instance's profile; empty without one."""
    profile = str(machine.profile.get("Arn", "")).rpartition("/")[2]
    roles = non_ec2_arns.roles_in(profile) if profile else []
    return roles[0] if roles else ""


def documents(role_name: str) -> list[Document]:
    """The policies of a role, inline and attached. A deleted role has none."""
    backend: Any = get_backend("iam")[ACCOUNT_ID]["aws"]
    role = next((role for role in backend.roles.values() if role.name == role_name), None)
    if role is None:
        return []
    texts = [*role.policies.values(), *(policy.document for policy in role.managed_policies.values())]
    return [json.loads(text) if isinstance(text, str) else text for text in texts]
