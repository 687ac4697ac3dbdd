"""Reads that lag behind writes (AWS: EC2 API Reference, "Eventual consistency"), by `settings.read_lag_s`.

`settings.list_lag_s` sets the lag of single lists: AWS does not define an order in which lists are updated.

- Resources created within the lag are missing from lists, and not found by their id. Mutating calls find them after
  half the lag, because AWS's write path is the faster one.
- Resources deleted within the lag are still in the replies to queries that were first made before the deletion.
"""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING

from aws_spot_sandbox.http_types import AwsError, Reply
from aws_spot_sandbox.middleware import listing, resource_ids

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aws_spot_sandbox.http_types import Call, Handler
    from aws_spot_sandbox.state import World

_OK = 200
_NEVER = float("-inf")
# Values of these parameters are filters, plain text, or stored unread (a launch template's data), not references
_NO_REFERENCE = re.compile(
    r"Filter\.|ClientToken|Tag\.|TagSpecification|UserData|Description|LaunchTemplateData\."
)
_REFUSED_BY_POOL = ("subnet-", "sg-")
_TEMPLATE_NAME = re.compile(r"(.*\.)?LaunchTemplateName(\.\d+)?")
Question = tuple[str, str, frozenset[tuple[str, str]]]


class ReadLag:
    def __init__(self, world: World, inner: Handler) -> None:
        self._world = world
        self._inner = inner
        self._lock = threading.Lock()
        self._made: dict[tuple[str, str], float] = {}  # (region, id or template name) -> creation time
        self._deleted: dict[tuple[str, str], float] = {}
        self._answers: dict[Question, bytes] = {}  # the last reply to each query

    def __call__(self, call: Call) -> Reply:
        settings = self._world.settings
        if (settings.read_lag_s <= 0 and not settings.list_lag_s) or call.service != "ec2":
            return self._inner(call)
        self._check_references(call)
        if call.action == "CreateFleet":
            self._hide_from_fleet(call)
        reply = self._inner(call)
        if reply.status != _OK:
            return reply
        with self._lock:
            if call.mutates:
                self._remember(call, reply)
            elif call.action in resource_ids.OWN_ID:
                return self._lagging(call, reply)
        return reply

    def _check_references(self, call: Call) -> None:
        within_s = self._world.settings.read_lag_s / 2 if call.mutates else self._lag_s(call)
        with self._lock:
            fresh = [
                reference
                for reference in _references(call)
                if self._age(self._made, call.region, reference) < within_s
            ]
        if call.action == "CreateFleet":  # it reports these as errors per pool, in a successful reply
            fresh = [resource_id for resource_id in fresh if not resource_id.startswith(_REFUSED_BY_POOL)]
        if fresh:
            code, message = resource_ids.not_found(fresh)
            raise AwsError(code, message)

    def _hide_from_fleet(self, call: Call) -> None:
        within_s = self._world.settings.read_lag_s / 2
        with self._lock:
            self._world.unseen_by_fleets[call.region] = frozenset(
                name
                for region, name in self._made
                if region == call.region
                and name.startswith(_REFUSED_BY_POOL)
                and self._age(self._made, region, name) < within_s
            )

    def _remember(self, call: Call, reply: Reply) -> None:
        now = self._world.now()
        for resource_id in resource_ids.made_by(call.action, reply.body):
            self._made[call.region, resource_id] = now
        if call.action == "CreateLaunchTemplate":
            self._made[call.region, call.params["LaunchTemplateName"]] = now
        if call.action.startswith(("Delete", "Release")):
            for value in _references(call):
                self._deleted[call.region, value] = now

    def _lagging(self, call: Call, reply: Reply) -> Reply:
        lag_s = self._lag_s(call)
        question = (call.region, call.action, frozenset(call.params.items()))
        own_id = resource_ids.OWN_ID[call.action]
        fresh = {name for region, name in self._made if self._age(self._made, region, name) < lag_s}
        body = listing.without(reply.body, own_id, fresh) if fresh else reply.body
        deleted = {name for region, name in self._deleted if self._age(self._deleted, region, name) < lag_s}
        if deleted and question in self._answers:
            body = listing.with_old(body, self._answers[question], own_id, deleted)
        self._answers[question] = body
        return Reply(body, reply.status, reply.content_type)

    def _lag_s(self, call: Call) -> float:
        settings = self._world.settings
        return settings.list_lag_s.get(call.action, settings.read_lag_s)

    def _age(self, moments: dict[tuple[str, str], float], region: str, name: str) -> float:
        return self._world.now() - moments.get((region, name), _NEVER)


def _references(call: Call) -> Iterator[str]:
    """The ids and launch template names in a call. Only template parameters are names: other values may coincide."""
    for name, value in call.params.items():
        if _NO_REFERENCE.search(name):
            continue
        if resource_ids.is_id(value) or (
            _TEMPLATE_NAME.fullmatch(name) and call.action != "CreateLaunchTemplate"
        ):
            yield value
