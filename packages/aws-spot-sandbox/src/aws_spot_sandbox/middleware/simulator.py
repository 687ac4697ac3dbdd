"""IAM's policy simulator, which moto lacks: the caller's permissions, without making the call.

AWS: IAM API Reference, SimulatePrincipalPolicy: each action on each resource, in one given context; and
EvaluationResult: a row per action, whose resource is a pattern and never the requested one; the decisions on named
resources are nested in it. Not documented: a `*` together with ARNs, and actions with resource-level permissions
together with actions without, return InvalidInput.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4
from xml.sax.saxutils import escape

from aws_spot_sandbox.http_types import AwsError, Reply
from aws_spot_sandbox.iam.authorization_requests import names_things
from aws_spot_sandbox.iam.policy_evaluator import Answer, Ask, Context, absent_keys, judge
from aws_spot_sandbox.middleware.deny import denied
from aws_spot_sandbox.middleware.identity import USER_ARN

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aws_spot_sandbox.http_types import Call, Handler
    from aws_spot_sandbox.state import World

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
    "<member><EvalActionName>{action}</EvalActionName><EvalResourceName>*</EvalResourceName>"
    "<EvalDecision>{decision}</EvalDecision><MissingContextValues>{missing}</MissingContextValues>"
    "<ResourceSpecificResults>{beneath}</ResourceSpecificResults></member>"
)
_BENEATH = (
    "<member><EvalResourceName>{resource}</EvalResourceName><EvalResourceDecision>{decision}</EvalResourceDecision>"
    "<MissingContextValues>{missing}</MissingContextValues></member>"
)
_STRICTEST = (Answer.DENIED, Answer.NOT_ALLOWED, Answer.ALLOWED)


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
        actions, resources = _members(call.params, "ActionNames"), _members(call.params, "ResourceArns")
        _check(actions, resources)
        context = _context(call.params)
        rows = [self._row(action, resources or ["*"], context) for action in actions]
        return Reply(_REPLY.format(rows="".join(rows), request_id=uuid4()).encode())

    def _row(self, action: str, resources: list[str], context: Context) -> str:
        asks = [Ask(action, resource, context) for resource in resources]
        answers = [self._answer(ask) for ask in asks]
        missing = [self._missing(ask, answer) for ask, answer in zip(asks, answers, strict=True)]
        beneath = [
            _BENEATH.format(resource=escape(ask.resource), decision=_DECISIONS[answer], missing=keys)
            for ask, answer, keys in zip(asks, answers, missing, strict=True)
        ]
        return _ROW.format(
            action=escape(action),
            decision=_DECISIONS[min(answers, key=_STRICTEST.index)],
            missing=missing[0] if resources == ["*"] else "",
            beneath="" if resources == ["*"] else "".join(beneath),
        )

    def _missing(self, ask: Ask, answer: Answer) -> str:
        """Condition keys missing in the request that the decision may depend on."""
        if answer is not Answer.NOT_ALLOWED:
            return ""
        keys = absent_keys(self._world.settings.policies, ask)
        return "".join(f"<member>{escape(key)}</member>" for key in keys)

    def _answer(self, ask: Ask) -> Answer:
        if denied(self._world, ask.action):
            return Answer.NOT_ALLOWED
        policies = self._world.settings.policies
        return judge(policies, ask) if policies else Answer.ALLOWED


def _check(actions: list[str], resources: list[str]) -> None:
    """Raise InvalidInput for combinations that AWS refuses."""
    if resources in ([], ["*"]):
        return
    for resource in resources:
        if not resource.startswith("arn:"):
            raise AwsError("InvalidInput", f"ResourceNames are not in a valid ARN format: {resource}.")
    known = [action for action in actions if names_things(action)]
    others = [action for action in actions if not names_things(action)]
    if known and others:
        groups = f"[{','.join(known)}] and [{','.join(others)}]"
        text = f"Invalid Input Actions: {groups} require different authorization information."
        raise AwsError("InvalidInput", text)


def _members(params: Mapping[str, str], name: str) -> list[str]:
    """A list in AWS's query protocol: Name.member.1, Name.member.2 …"""
    values: list[str] = []
    while f"{name}.member.{len(values) + 1}" in params:
        values.append(params[f"{name}.member.{len(values) + 1}"])
    return values


def _context(params: Mapping[str, str]) -> Context:
    context: Context = {}
    number = 1
    while (key := f"ContextEntries.member.{number}") + ".ContextKeyName" in params:
        context[params[f"{key}.ContextKeyName"]] = tuple(_members(params, f"{key}.ContextKeyValues"))
        number += 1
    return context
