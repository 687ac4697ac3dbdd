"""Temporary credentials of instances and of assumed roles, and what the roles' policies allow.

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
    """The credentials of one instance, or of one who has assumed the role."""

    access_key_id: str
    secret_access_key: str
    token: str
    role: str
    name: str  # of the session: an instance's id, or the one that its caller chose
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
    return begin(world, role=role, name=machine.id, lasts_s=LIFETIME_S)


def begin(world: World, *, role: str, name: str, lasts_s: float) -> Session:
    """New credentials."""
    seed = hashlib.sha512(f"{world.seed}/{name}/{role}/{len(world.sessions)}".encode())
    text = base64.b32encode(seed.digest()).decode()
    session = Session(
        access_key_id=f"ASIA{text[:16]}",
        secret_access_key=base64.b64encode(seed.digest()[:30]).decode(),
        token=f"sandbox-session-{text[20:84]}",
        role=role,
        name=name,
        expires_at=world.now() + lasts_s,
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
    versions = (version for policy in role.managed_policies.values() for version in policy.versions)
    attached = (version.document for version in versions if version.is_default)
    texts = [*role.policies.values(), *attached]
    return [json.loads(text) if isinstance(text, str) else text for text in texts]
