"""IAM's policy simulator, which moto lacks: what the caller may do, without doing it.

AWS: IAM API Reference, SimulatePrincipalPolicy: every action on every resource, in the one context that is given.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4
from xml.sax.saxutils import escape

from bacalhau_spot.sandbox.iam.language import Answer, Ask, Context, judge
from bacalhau_spot.sandbox.layer.deny import denied
from bacalhau_spot.sandbox.layer.identity import USER_ARN
from bacalhau_spot.sandbox.wire import AwsError, Reply

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bacalhau_spot.sandbox.wire import Call, Handler
    from bacalhau_spot.sandbox.world import World

SIMULATE = "iam:SimulatePrincipalPolicy"
_DECISIONS = {
    Answer.ALLOWED: "allowed",
    Answer.NOT_ALLOWED: "implicitDeny",
    Answer.DENIED: "explicitDeny",
}
_REPLY = (
    '<SimulatePrincipalPolicyResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><SimulatePrincipalPolicyResult>'
    "<IsTruncated>false</IsTruncated><EvaluationResults>{rows}</EvaluationResults></SimulatePrincipalPolicyResult>"
    "<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></SimulatePrincipalPolicyResponse>"
)
_ROW = (
    "<member><EvalActionName>{action}</EvalActionName><EvalResourceName>{resource}</EvalResourceName>"
    "<EvalDecision>{decision}</EvalDecision></member>"
)


class Simulator:
    def __init__(self, world: World, inner: Handler) -> None:
        self._world = world
        self._inner = inner

    def __call__(self, call: Call) -> Reply:
        if call.name != SIMULATE:
            return self._inner(call)
        who = call.params.get("PolicySourceArn", "")
        if who != USER_ARN:
            raise AwsError("NoSuchEntity", f"The entity {who} cannot be found.", status=404)
        context = _context(call.params)
        rows = [
            _ROW.format(
                action=escape(action),
                resource=escape(resource),
                decision=_DECISIONS[self._answer(Ask(action, resource, context))],
            )
            for action in _members(call.params, "ActionNames")
            for resource in _members(call.params, "ResourceArns") or ["*"]
        ]
        return Reply(_REPLY.format(rows="".join(rows), request_id=uuid4()).encode())

    def _answer(self, ask: Ask) -> Answer:
        if denied(self._world, ask.action):
            return Answer.NOT_ALLOWED
        policies = self._world.settings.policies
        return judge(policies, ask) if policies else Answer.ALLOWED


def _members(params: Mapping[str, str], name: str) -> list[str]:
    """AWS's query protocol: Name.member.1, Name.member.2 …"""
    found: list[str] = []
    while f"{name}.member.{len(found) + 1}" in params:
        found.append(params[f"{name}.member.{len(found) + 1}"])
    return found


def _context(params: Mapping[str, str]) -> Context:
    found: Context = {}
    number = 1
    while (key := f"ContextEntries.member.{number}") + ".ContextKeyName" in params:
        found[params[f"{key}.ContextKeyName"]] = tuple(_members(params, f"{key}.ContextKeyValues"))
        number += 1
    return found
