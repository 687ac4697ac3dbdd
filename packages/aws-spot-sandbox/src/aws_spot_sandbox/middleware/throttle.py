"""AWS's request and resource token buckets, per region and action.

AWS: EC2 Developer Guide, "Request throttling for the Amazon EC2 API". Each action has its own buckets; their size and
refill rate depend on its category. The table lists the exceptions that this project can encounter.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from aws_spot_sandbox.http_types import AwsError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aws_spot_sandbox.http_types import Call, Handler, Reply
    from aws_spot_sandbox.state import World


class Limit(NamedTuple):
    size: float
    per_s: float


NON_MUTATING = Limit(100, 20)
UNFILTERED = Limit(50, 10)  # neither filtered nor paginated
MUTATING = Limit(50, 5)
# Auto Scaling throttles per account and region, too; AWS does not publish its numbers.
SCALING_READS, SCALING_CHANGES = Limit(100, 10), Limit(50, 5)
EXCEPTIONS: Mapping[str, Limit] = {
    "CreateTags": Limit(100, 10),
    "DeleteTags": Limit(100, 10),
    "RunInstances": Limit(5, 2),
    "StartInstances": Limit(5, 2),
    "TerminateInstances": Limit(100, 5),
}
# The limit on instances that such calls may name or create
RESOURCES: Mapping[str, Limit] = {
    "RunInstances": Limit(1000, 2),
    "StartInstances": Limit(1000, 2),
    "StopInstances": Limit(1000, 20),
    "TerminateInstances": Limit(1000, 20),
}


@dataclass
class _Bucket:
    limit: Limit
    tokens: float
    filled_at: float

    def fill(self, now: float) -> None:
        self.tokens = min(self.limit.size, self.tokens + max(0.0, now - self.filled_at) * self.limit.per_s)
        self.filled_at = now


class Throttle:
    def __init__(self, world: World, inner: Handler) -> None:
        self._world = world
        self._inner = inner
        self._lock = threading.Lock()
        self._buckets: dict[tuple[str, str, str], _Bucket] = {}

    def __call__(self, call: Call) -> Reply:
        if self._world.settings.throttle and call.service in ("autoscaling", "ec2") and not self._take(call):
            if call.service == "autoscaling":  # Auto Scaling API reference, "Common Errors"
                raise AwsError("Throttling", "Rate exceeded")
            raise AwsError("RequestLimitExceeded", "Request limit exceeded.", status=503)
        return self._inner(call)

    def _take(self, call: Call) -> bool:
        """Take all tokens that the call costs, or none."""
        with self._lock:
            wanted = [(self._bucket(call, "requests", _limit(call)), 1)]
            if call.service == "ec2" and call.action in RESOURCES:
                wanted.append((self._bucket(call, "resources", RESOURCES[call.action]), _resources(call)))
            if any(bucket.tokens < cost for bucket, cost in wanted):
                return False
            for bucket, cost in wanted:
                bucket.tokens -= cost
            return True

    def _bucket(self, call: Call, kind: str, limit: Limit) -> _Bucket:
        now = self._world.now()
        key = (call.region, call.name, f"{kind} {limit.size}")
        bucket = self._buckets.setdefault(key, _Bucket(limit, limit.size, now))
        bucket.fill(now)
        return bucket


def _limit(call: Call) -> Limit:
    if call.service == "autoscaling":
        return SCALING_CHANGES if call.mutates else SCALING_READS
    if call.action in EXCEPTIONS:
        return EXCEPTIONS[call.action]
    if call.mutates:
        return MUTATING
    narrowed = set(call.params) - {"Version", "DryRun"}
    return NON_MUTATING if narrowed else UNFILTERED


def _resources(call: Call) -> int:
    if call.action == "RunInstances":
        return int(call.params.get("MaxCount", "1"))
    return sum(name.startswith("InstanceId.") for name in call.params)
