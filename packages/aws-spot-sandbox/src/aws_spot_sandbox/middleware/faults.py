"""Injected faults: errors, and replies that are lost after the call was executed."""

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
            # The call is executed but its outcome is lost, which is how clients create duplicates
            with contextlib.suppress(AwsError):
                self._inner(call)
        if fault["code"] == FOREIGN:
            return _foreign(fault)
        raise _refusal(fault)

    def _due(self, call: Call) -> Fault | None:
        """The first fault that is due. Counts down the `after` of matching faults on the way, and its `count`."""
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
        return False  # `*` matches AWS's calls only
    name = call.name if ":" in pattern else call.operation
    return fault.get("region") in {None, call.region} and fnmatchcase(name, pattern)


def _foreign(fault: Fault) -> Reply:
    """The reply of a proxy or sign-in page in AWS's place: HTTP 200, without AWS's content."""
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
