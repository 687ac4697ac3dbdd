"""Faults that a test or a user has ordered: refusals, and answers that get lost after the deed is done."""

from __future__ import annotations

import contextlib
import threading
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from aws_spot_sandbox.http_types import AwsError, ConnectionLost, Reply

if TYPE_CHECKING:
    from aws_spot_sandbox.http_types import Call, Handler
    from aws_spot_sandbox.state import World

LOST = "ConnectionReset"
FOREIGN = "NotAws"
Fault = dict[str, Any]


class Faults:
    def __init__(self, world: World, inner: Handler) -> None:
        self._world = world
        self._inner = inner
        self._lock = threading.Lock()

    def __call__(self, call: Call) -> Reply:
        fault = self._due(call) if self._world.settings.faults else None
        if fault is None:
            return self._inner(call)
        if fault.get("when") == "after":
            # Done or refused, and nobody hears of it: a lost answer is how duplicates are born
            with contextlib.suppress(AwsError):
                self._inner(call)
        if fault["code"] == FOREIGN:
            return _foreign(fault)
        raise _refusal(fault)

    def _due(self, call: Call) -> Fault | None:
        """The first fault whose turn it is; those that are waited for or used up are counted on the way."""
        with self._lock:
            for fault in self._world.settings.faults:
                if not _matches(fault, call) or fault.get("count", 1) <= 0:
                    continue
                if fault.get("after", 0) > 0:
                    fault["after"] -= 1
                    continue
                if "count" in fault:
                    fault["count"] -= 1
                return fault
        return None


def _matches(fault: Fault, call: Call) -> bool:
    pattern = str(fault["match"])
    if call.service == "orchestrator" and not pattern.startswith("orchestrator:"):
        return False  # `*` means AWS, of which it is no part
    name = call.name if ":" in pattern else call.action
    return fault.get("region") in {None, call.region} and fnmatchcase(name, pattern)


def _foreign(fault: Fault) -> Reply:
    """What a proxy or a sign-in page answers in AWS's place: a success, and not one of AWS's."""
    return Reply(
        str(fault.get("message", "")).encode(), int(fault.get("status", 200)), "text/html", numbered=False
    )


def _refusal(fault: Fault) -> Exception:
    code = str(fault["code"])
    if code == LOST:
        return ConnectionLost()
    return AwsError(
        code, str(fault.get("message", "An error ordered from the sandbox")), status=fault.get("status", 400)
    )
