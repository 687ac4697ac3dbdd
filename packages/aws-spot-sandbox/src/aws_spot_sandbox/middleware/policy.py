"""The caller's IAM policies. Without any, every action is allowed; otherwise those that are allowed and not denied. An
instance may do only what the policies of its role allow.

AWS: IAM User Guide, "Policy evaluation logic". A fleet launches with its caller's permissions, and reports missing
permissions as it reports missing capacity: with an error per override.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from aws_spot_sandbox.http_types import AwsError, Reply
from aws_spot_sandbox.iam.authorization_requests import SERVICE_ROLE, Asker, action_of, service_role
from aws_spot_sandbox.iam.policy_evaluator import Answer, Ask, Context, judge
from aws_spot_sandbox.iam.sessions import documents
from aws_spot_sandbox.middleware import error_responses
from aws_spot_sandbox.middleware.identity import USER_ARN, WHO_AM_I
from aws_spot_sandbox.middleware.service_role import AUTO_SCALING, NEED_ROLE, SPOT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aws_spot_sandbox.http_types import Call, Handler
    from aws_spot_sandbox.state import World


class Policy:
    """`last`: the services without any stage, to query resources."""

    def __init__(self, world: World, inner: Handler) -> None:
        self._world = world
        self._inner = inner
        self.last = inner
        self._asker: Asker | None = None

    def __call__(self, call: Call) -> Reply:
        session = self._world.sessions.get(call.access_key_id)
        if (self._world.settings.policies or session) and call.name != WHO_AM_I:
            if self._asker is None:  # created on demand, because it loads EC2's model
                self._asker = Asker(self.last)
            self._decide(call, self._asker.direct(call))
            if call.service == "autoscaling" and call.mutates:
                self._scale(call, self._asker)
            elif call.name == "ec2:CreateFleet" and call.params.get("DryRun", "").lower() != "true":
                return self._fleet(call, self._asker)
        return self._inner(call)

    def _fleet(self, call: Call, asker: Asker) -> Reply:
        behind = asker.behind(call)
        if SPOT not in self._world.settings.service_roles:
            behind.append(service_role(SPOT))
        try:
            self._decide(call, behind)
        except AwsError as refusal:
            return Reply(asker.refused_fleet(call, code=refusal.code, message=refusal.message))
        return self._inner(call)

    def _scale(self, call: Call, asker: Asker) -> None:
        """AWS: "You are not authorized to use launch template" if the caller may not launch with it."""
        roles = self._world.settings.service_roles
        if call.action in NEED_ROLE and AUTO_SCALING not in roles:
            self._decide(call, [service_role(AUTO_SCALING)])
        try:
            self._decide(call, asker.behind(call))
        except AwsError as refusal:
            message = f"You are not authorized to use launch template. {refusal.message}"
            raise AwsError("AccessDenied", message, status=403) from refusal

    def _decide(self, call: Call, asks: Iterable[Ask]) -> None:
        session = self._world.sessions.get(call.access_key_id)
        policies = documents(session.role) if session else self._world.settings.policies
        for request in asks:
            ask = _where(call, request)
            if session is None:
                self._world.evaluated.append((call.region, action_of(call), ask.action))
            answer = judge(policies, ask)
            if answer is Answer.ALLOWED:
                continue
            if ask.action == SERVICE_ROLE and call.service in ("autoscaling", "ec2"):
                raise error_responses.no_service_role(call.service)
            raise error_responses.denied(
                call,
                user_arn=session.arn if session else USER_ARN,
                resource=ask.resource,
                action=ask.action,
                explicit=answer is Answer.DENIED,
            )


def _where(call: Call, ask: Ask) -> Ask:
    """Add the condition keys of the region (IAM user guide, "AWS global condition context keys")."""
    keys: Context = {"aws:RequestedRegion": (call.region,)}
    if call.service == "ec2":
        keys["ec2:Region"] = (call.region,)
    return replace(ask, context={**keys, **ask.context})
