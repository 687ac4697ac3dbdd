"""Calls to AWS: rate-limited, retried by the error catalog until a deadline, and not started after a stop."""

from __future__ import annotations

import asyncio
import hashlib
import math
from typing import TYPE_CHECKING, Protocol, TypeVar

from bacalhau_spot.cloud.cloud_error import CloudError
from bacalhau_spot.core.backoff import Bucket, backoff_s
from bacalhau_spot.core.error_catalog.classifier import (
    INTERNAL_ERROR,
    Category,
    Recovery,
    classify,
    most_severe,
)
from bacalhau_spot.core.problem import ApiFailure
from bacalhau_spot.engine.aws_calls.open_reads import OpenReads

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from bacalhau_spot.cloud.port import Cloud
    from bacalhau_spot.core.launch.events import Event, ResourceCreated
    from bacalhau_spot.core.model import Identity
    from bacalhau_spot.engine.aws_calls.clock import Clock

T = TypeVar("T")

# Below AWS's request-token buckets per account and region (EC2 API throttling: reads 100 and 20/s, writes 50 and 5/s),
# so that some tokens remain for other programs in the account.
_READS = Bucket.full(burst=80, per_s=16)
_WRITES = Bucket.full(burst=40, per_s=4)

# It is unknown whether AWS carried out the call. Without a client token, the resource must be looked up before the call
# is repeated.
UNCERTAIN = frozenset({Category.NETWORK, Category.AWS})


class Cancelled(Exception):  # noqa: N818 - not an error: the user or a fatal refusal ended the work
    """No further work may start."""


class CancelSignal:
    """No further work may start: the user pressed Ctrl-C, or AWS returned an error that applies to every call."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self.by_user = False

    @property
    def is_set(self) -> bool:
        return self._event.is_set()

    def set(self, *, by_user: bool) -> None:
        self.by_user = self.by_user or by_user
        self._event.set()

    async def wait(self) -> None:
        await self._event.wait()


class AccountDisplay(Protocol):
    """Shows the account in use, as soon as it is known."""

    def wants_alias(self) -> bool:
        """Whether the alias has to be asked, as far as that is known before the account is. Raises nothing."""

    async def show(self, identity: Identity, *, ask_alias: Callable[[], Awaitable[str]]) -> None:
        """`ask_alias`: the account's alias from AWS, which may be empty. Raises nothing."""


class AwsCalls:
    """Shared by the whole engine: the cloud, the clock, the event listener, the cancel signal, the rate limits."""

    def __init__(
        self,
        cloud: Cloud,
        *,
        clock: Clock,
        emit: Callable[[Event], None],
        api_s: float,
        jitter: Callable[[], float],
        run_id: str,
        hide: Callable[[str], str] = str,
        profile: str = "",
    ) -> None:
        self.cloud = cloud
        self.profile = profile  # the AWS profile in use, for suggested `aws` commands
        self.clock = clock
        self._listener = emit
        self.sent = 0  # requests, retries included; a list of several pages counts once
        self.changes = 0  # that were asked for
        self.changed_at_s = 0.0  # the last of them (monotonic)
        self.made: list[ResourceCreated] = []
        self.mistakes: list[Exception] = []
        self.stop = CancelSignal()
        self.open_reads = OpenReads()
        self.before_call: Callable[[], Awaitable[None]] | None = None  # renews a lock that this run holds
        self.before_change: Callable[[], None] | None = None  # at every attempt to change something
        self.account_display: AccountDisplay | None = None
        self._api_s = api_s
        self._jitter = jitter
        self._run_id = run_id
        self._hide = hide
        self._reads: dict[str, Bucket] = {}
        self._writes: dict[str, Bucket] = {}

    def emit(self, event: Event) -> None:
        """Pass the event to the listener; created resources are also recorded for the result."""
        from bacalhau_spot.core.launch.events import ResourceCreated  # noqa: PLC0415 - a look has no event

        if isinstance(event, ResourceCreated):
            self.made.append(event)
        self._listener(event)

    def report_retry(self, region: str, operation: str, code: str, *, attempt: int, wait_s: float) -> None:
        """Tell the listener that a call is repeated after `wait_s` seconds. `code` is AWS's."""
        from bacalhau_spot.core.launch.events import Retrying  # noqa: PLC0415 - see `emit`

        self.emit(Retrying(region=region, operation=operation, code=code, attempt=attempt, wait_s=wait_s))

    def internal_error(self, error: Exception, *, region: str) -> ApiFailure:
        """An unexpected exception in one region: stored with its traceback, and reported like an AWS failure."""
        self.mistakes.append(error)
        # The message may quote arguments, including a token.
        message = self._hide(f"{type(error).__name__}: {error}")
        return ApiFailure(code=INTERNAL_ERROR, message=message, operation="", region=region)

    async def find_credentials(self, *, within_s: float) -> None:
        """Before concurrent calls would look for them at once. Raises CloudError, after `within_s`."""
        sent = self.sent
        try:
            await self.read("", self.cloud.credentials_origin, within_s=within_s)
        finally:
            self.sent = sent  # botocore may ask for keys: no request of this program

    async def read(
        self, region: str, call: Callable[[], Awaitable[T]], *, within_s: float | None = None
    ) -> T:
        """A read-only call. Raises CloudError when the deadline has passed or a retry would not help.

        `within_s`: a shorter deadline than that of other calls.
        """
        with self.open_reads.reading(region):
            await self._await_token(region, self._reads, _READS)
            return await self._attempt(
                region, call, non_idempotent=False, retry_dependencies=True, brake=False, within_s=within_s
            )

    async def write(
        self,
        region: str,
        call: Callable[[], Awaitable[T]],
        *,
        non_idempotent: bool = False,
        retry_dependencies: bool = True,
        after_stop: bool = False,
    ) -> T:
        """A call that changes something. Raises Cancelled after a stop.

        `non_idempotent`: a repeated call would create a second resource. A lost answer then raises at once, and the
        caller looks the resource up. `retry_dependencies`: also retry while another resource depends on this one.
        Teardown does not: it deletes other resources meanwhile. `after_stop`: the call ends something, also after a stop.
        """
        if self.stop.is_set and not after_stop:
            raise Cancelled

        async def change() -> T:
            if self.before_change is not None:
                self.before_change()
            return await call()

        await self._await_token(region, self._writes, _WRITES)
        try:
            return await self._attempt(
                region,
                change,
                non_idempotent=non_idempotent,
                retry_dependencies=retry_dependencies,
                brake=not after_stop,
            )
        finally:
            self.changes += 1
            self.changed_at_s = self.clock.monotonic_s()

    def run_token(self, *parts: str) -> str:
        """A client token unique to this run: AWS recognizes a repeated call of this run, but not one of another run."""
        return hashlib.sha256("\x1f".join((self._run_id, *parts)).encode()).hexdigest()

    async def pause(self, seconds: float) -> None:
        """Sleep; on a stop, wake up and raise Cancelled."""
        sleeping = asyncio.ensure_future(self.clock.sleep(seconds))
        stopping = asyncio.ensure_future(self.stop.wait())
        try:
            await asyncio.wait({sleeping, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
            stopping.cancel()
        if self.stop.is_set:
            raise Cancelled

    async def settle(self, until_s: float) -> None:
        """Pause until this time (monotonic), so that AWS's lists show everything. Raises Cancelled on a stop."""
        left_s = until_s - self.clock.monotonic_s()
        if left_s > 0:
            with self.open_reads.settling(until_s):
                await self.pause(left_s)

    async def _attempt(
        self,
        region: str,
        call: Callable[[], Awaitable[T]],
        *,
        non_idempotent: bool,
        retry_dependencies: bool,
        brake: bool,
        within_s: float | None = None,
    ) -> T:
        deadline_s = self.clock.monotonic_s() + min(self._api_s, within_s or self._api_s)
        attempt = 0
        while True:
            self.sent += 1
            try:
                return await call()
            except CloudError as error:
                attempt += 1
                deadline_s = min(deadline_s, self._last_s(error))
                wait_s = backoff_s(attempt, jitter=self._jitter())
                if not self._is_retryable(
                    error,
                    non_idempotent=non_idempotent,
                    retry_dependencies=retry_dependencies,
                    by_s=deadline_s - wait_s,
                ):
                    raise
                self.report_retry(region, error.operation, error.code, attempt=attempt, wait_s=wait_s)
            await (self.pause(wait_s) if brake else self.clock.sleep(wait_s))

    def _last_s(self, error: CloudError) -> float:
        """The monotonic time until which the call may be repeated after this error, besides its own deadline."""
        retry_s = classify(error.code).retry_s
        return math.inf if retry_s is None else self.clock.monotonic_s() + retry_s

    def _is_retryable(
        self, error: CloudError, *, non_idempotent: bool, retry_dependencies: bool, by_s: float
    ) -> bool:
        info = classify(error.code)
        if info.recovery is not Recovery.RETRY or (non_idempotent and info.category in UNCERTAIN):
            return False
        if info.category is Category.BUSY and not retry_dependencies:
            return False
        return self.clock.monotonic_s() < by_s

    async def _await_token(self, region: str, buckets: dict[str, Bucket], fresh: Bucket) -> None:
        if self.before_call is not None:
            await self.before_call()
        bucket, wait_s = buckets.get(region, fresh).take(self.clock.monotonic_s())
        buckets[region] = bucket
        if wait_s > 0:
            await self.clock.sleep(wait_s)


async def gather_all(*parts: Awaitable[T]) -> list[T]:
    """Run all to completion, even if one fails; then raise the first failure, if any.

    Nothing is cancelled: a call with a discarded answer may have created a resource.
    """
    results = await asyncio.gather(*parts, return_exceptions=True)
    failures = [result for result in results if isinstance(result, BaseException)]
    for failure in failures:
        if not isinstance(failure, Cancelled):
            raise failure
    if failures:
        raise failures[0]
    return [result for result in results if not isinstance(result, BaseException)]


def most_severe_error(failures: Sequence[ApiFailure]) -> CloudError:
    """The most severe of several failures, as an exception. `failures` must not be empty."""
    code = most_severe(failure.code for failure in failures)
    first = next(failure for failure in failures if failure.code == code)
    return CloudError(
        first.code,
        first.message,
        operation=first.operation,
        region=first.region,
        request_id=first.request_id,
    )


def api_failure(error: CloudError) -> ApiFailure:
    return ApiFailure(
        code=error.code,
        message=error.message,
        operation=error.operation,
        region=error.region,
        request_id=error.request_id,
    )
