"""A log of every call with its outcome: tests and call budgets count the calls."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_spot_sandbox.http_types import AwsError, ConnectionLost

if TYPE_CHECKING:
    from aws_spot_sandbox.http_types import Call, Handler, Reply
    from aws_spot_sandbox.state import World

_FAILURE = 400


class Record:
    def __init__(self, world: World, inner: Handler) -> None:
        self._world = world
        self._inner = inner

    def __call__(self, call: Call) -> Reply:
        outcome = "SandboxFailure"  # the outcome of an unexpected exception
        try:
            reply = self._inner(call)
            outcome = "ok" if reply.status < _FAILURE else _code(reply)
        except AwsError as refusal:
            outcome = refusal.code
            raise
        except ConnectionLost:
            outcome = "ConnectionReset"
            raise
        finally:
            self._world.calls.append((call.region, call.name, outcome))
        return reply


def _code(reply: Reply) -> str:
    """The error code in moto's reply."""
    text = reply.body.decode(errors="replace")
    for before, after in (("<Code>", "</Code>"), ('"__type": "', '"'), ('"__type":"', '"')):
        if before in text:
            return text.partition(before)[2].partition(after)[0].rpartition("#")[2]
    return str(reply.status)
