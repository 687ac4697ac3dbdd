"""Who may assume a role: its trust policy.

AWS: IAM User Guide, "AWS JSON policy elements: Principal". A trust policy with conditions is rejected.
"""

from __future__ import annotations

import json
from typing import Any

from moto.backends import get_backend

from aws_spot_sandbox.http_types import AwsError
from aws_spot_sandbox.state import ACCOUNT_ID

_KEYS = frozenset({"Sid", "Effect", "Action", "Principal"})
_NOT_MODELLED = 501


def role_of_arn(arn: str) -> Any:
    """Moto's role; None if there is none."""
    roles = get_backend("iam")[ACCOUNT_ID]["aws"].roles.values()
    return next((role for role in roles if role.arn == arn), None)


def trusts(role: Any, kind: str, principals: set[str]) -> bool:
    """Whether the role's trust policy allows one of these to assume it. `kind`: AWS or Service."""
    document = role.assume_role_policy_document
    statements = (json.loads(document) if isinstance(document, str) else document)["Statement"]
    for statement in statements if isinstance(statements, list) else [statements]:
        if set(statement) - _KEYS:
            message = f"the sandbox does not implement {', '.join(sorted(set(statement) - _KEYS))} in a trust policy"
            raise AwsError("NotImplemented", message, status=_NOT_MODELLED)
        given = statement.get("Principal", {})
        named = given.get(kind, []) if isinstance(given, dict) else [given]
        names = {named} if isinstance(named, str) else set(named)
        if statement["Effect"] == "Allow" and (names & principals or "*" in names):
            return True
    return False
