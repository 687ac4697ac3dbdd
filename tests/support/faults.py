"""Faults of AWS and of the way to it, each at one call, or at every call of the same name from then on."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from botocore.client import BaseClient
from botocore.exceptions import ReadTimeoutError

from aws_spot_sandbox.http_types import AwsError, Call, ConnectionLost, Reply
from aws_spot_sandbox.middleware import resource_ids
from bacalhau_spot.cloud.session import READ_S, SLOW_OPERATIONS, WHO_AM_I_S
from support.wire import Wire

Aws = Callable[[Call], Reply]

SLOW_S = 60.0
NOT_FOUND_S = 3.0
# In EC2's words, those of services with the same protocol, and those of JSON's.
_THROTTLED = ("RequestLimitExceeded", "Throttling", "ThrottlingException")
_DENIED = ("UnauthorizedOperation", "AccessDenied", "AccessDeniedException")
_EXPIRED = ("RequestExpired", "ExpiredToken", "ExpiredTokenException")
_INTERNAL = ("InternalError", "InternalFailure", "InternalServerError")
_UNAVAILABLE = ("Unavailable", "ServiceUnavailable", "ServiceUnavailableException")
_QUERY = frozenset({"sts", "iam", "autoscaling", "s3"})


@dataclass(frozen=True)
class Fault:
    """`passes`: the same call succeeds a moment later. `lasts`: it is also tried at every further call of the same name; the
    others end as one of these do. `whole`: the answer goes through all of botocore.
    """

    name: str
    answer: Callable[[Wire, Call, Aws], Reply]
    passes: bool = True
    lasts: bool = False
    whole: bool = False
    for_reads: bool = True


@dataclass
class Injection:
    """A fault from now on: at the first call that comes, and with `always` at each further one of its name."""

    fault: Fault
    always: bool
    met: Call | None = None
    times: int = 0

    def __call__(self, wire: Wire, call: Call, aws: Aws) -> Reply:
        if self.met is None:
            self.met = call
        lasts = self.always or (self.fault is NOT_FOUND and call.params == self.met.params)
        if call is not self.met and not (lasts and call.name == self.met.name):
            return aws(call)
        try:
            reply = self.fault.answer(wire, call, aws)
        except Exception:
            self.times += 1
            raise
        self.times += self.fault is not NOT_FOUND  # which is no fault of a call without ids
        return reply


def whole_calls(wire: Wire, original: Any) -> None:
    """From now on, without the short way of `direct_calls` past botocore's checks. For a copy, which ends soon."""
    del wire
    BaseClient._make_api_call = original


def _code(codes: tuple[str, str, str], call: Call) -> str:
    return codes[0] if call.service == "ec2" else codes[1] if call.service in _QUERY else codes[2]


def _refuse(codes: tuple[str, str, str], status: int) -> Callable[[Wire, Call, Aws], Reply]:
    def answer(_wire: Wire, call: Call, _aws: Aws) -> Reply:
        raise AwsError(_code(codes, call), "A fault of the test", status=status)

    return answer


def _lost_before(_wire: Wire, _call: Call, _aws: Aws) -> Reply:
    raise ConnectionLost


def _lost_after(_wire: Wire, call: Call, aws: Aws) -> Reply:
    with suppress(AwsError):
        aws(call)
    raise ConnectionLost


def _not_found(wire: Wire, call: Call, aws: Aws) -> Reply:
    """For some seconds, a resource that the call names is unknown, as after its creation."""
    names = [value for value in call.params.values() if resource_ids.is_id(value)]
    now = wire.sandbox.clock.now()
    if wire.not_found_until is None:
        wire.not_found_until = now + NOT_FOUND_S
    if not names or call.service != "ec2" or now >= wire.not_found_until:
        return aws(call)
    code, message = resource_ids.not_found(names)
    raise AwsError(code, message)


def _spoil(body: Callable[[bytes], bytes]) -> Callable[[Wire, Call, Aws], Reply]:
    def answer(_wire: Wire, call: Call, aws: Aws) -> Reply:
        reply = aws(call)
        return replace(reply, body=body(reply.body))

    return answer


def _slow(wire: Wire, call: Call, aws: Aws) -> Reply:
    """The call takes effect; the program waits for the answer as long as its connection allows."""
    limit_s = WHO_AM_I_S if call.service == "sts" else SLOW_OPERATIONS.get(call.action, READ_S)
    try:
        reply = aws(call)
    except AwsError:
        if limit_s >= SLOW_S:
            raise
    wire.slow_s = min(SLOW_S, limit_s)
    if limit_s < SLOW_S:
        raise ReadTimeoutError(endpoint_url=wire.sandbox.url)
    return reply


NOT_FOUND = Fault("not found for 3 s", _not_found)
FAULTS = (
    Fault("throttled", _refuse(_THROTTLED, 503), lasts=True),
    Fault("lost before its effect", _lost_before),
    Fault("lost after its effect", _lost_after, for_reads=False, lasts=True),
    Fault("500", _refuse(_INTERNAL, 500)),
    Fault("503", _refuse(_UNAVAILABLE, 503)),
    Fault("denied", _refuse(_DENIED, 403), passes=False, lasts=True),
    Fault("expired", _refuse(_EXPIRED, 400), passes=False),
    NOT_FOUND,
    Fault("malformed", _spoil(lambda body: body[: len(body) * 2 // 3]), whole=True, lasts=True),
    Fault("empty", _spoil(lambda _: b""), whole=True),
    Fault("60 s slow", _slow, lasts=True),
)
