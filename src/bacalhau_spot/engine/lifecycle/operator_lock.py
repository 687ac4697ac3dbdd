"""Takes, renews and releases the lock of a cluster (core.lifecycle.operator_lock)."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from bacalhau_spot.cloud.cloud_error import CloudError
from bacalhau_spot.core.lifecycle.operator_lock import (
    LEASE,
    LOCK_ROLE,
    LockDecision,
    holder_of,
    lock_decision,
    lock_name,
    lock_tags,
    renewal_tags,
)
from bacalhau_spot.core.model import ROLE_KEY
from bacalhau_spot.engine.aws_calls.consistency import LAG_S
from bacalhau_spot.engine.iam.ownership import untagged_resource

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bacalhau_spot.core.lifecycle.operator_lock import LockHolder
    from bacalhau_spot.core.model import Naming
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls

LOOK_PAUSE_S = 5.0
UNLISTED_S = 60.0
_NAME_TAKEN = "InvalidLaunchTemplateName.AlreadyExistsException"
_GONE = "InvalidLaunchTemplateId"


@dataclass(frozen=True, slots=True)
class LockPlace:
    """Where the lock of a cluster is: every command of the cluster must use the same region."""

    region: str
    naming: Naming

    @property
    def name(self) -> str:
        return lock_name(self.naming)


class OperatorLock:
    """The lock of one command. `ended`: whether a holder was a process of this machine that does not run any more."""

    def __init__(
        self, calls: AwsCalls, place: LockPlace, holder: LockHolder, *, ended: Callable[[LockHolder], bool]
    ) -> None:
        self._calls = calls
        self._place = place
        self._holder = holder
        self._ended = ended
        self._tries = 0
        self._renewed_at = holder.since
        self.id: str | None = None  # while this command holds it
        self._changes_before = 0  # up to the lock's own creation

    async def take(self, *, wait_s: float, told: Callable[[LockHolder], None]) -> LockHolder | None:
        """Wait for the lock. Returns None with the lock, or the other holder after `wait_s`.

        `told` is called once for each holder that this command waits for. Raises CloudError, also for a taken name that AWS
        does not list for longer than its lists lag; Cancelled; UserError for a template of others with the lock's name.
        """
        begun_s = self._calls.clock.monotonic_s()
        known: str | None = None
        while (taken := await self._create()) is not None:
            found = await self._calls.read(
                self._place.region, partial(self._calls.cloud.template, self._place.region, self._place.name)
            )
            if found is not None:
                self._check_owner(found.tags)
            waited_s = self._calls.clock.monotonic_s() - begun_s
            holder = holder_of(found.tags) if found else None
            if found is not None and self._may_take_over(holder):
                await self._delete(found.id)
                continue
            if holder is None:
                if waited_s >= min(UNLISTED_S, wait_s):
                    raise taken
            elif waited_s >= wait_s:
                return holder
            elif holder.run != known:
                known = holder.run
                told(holder)
            await self._calls.pause(LOOK_PAUSE_S)
        return None

    async def take_if_free(self) -> bool:
        """Whether this command has taken it now: it does not wait, and takes over no other command's lock.

        Raises CloudError, Cancelled.
        """
        return await self._create() is None

    async def other(self) -> LockHolder | None:
        """The command that holds the lock at present; None if none does. Read-only. Raises CloudError, Cancelled."""
        region, name = self._place.region, self._place.name
        found = await self._calls.read(region, partial(self._calls.cloud.template, region, name))
        holder = holder_of(found.tags) if found and self._missing_tag(found.tags) is None else None
        return None if self._may_take_over(holder) else holder

    @property
    def is_first_try(self) -> bool:
        """Whether no other command had the lock, dead or alive, when this one took it."""
        return self.id is not None and self._tries == 1

    @property
    def is_valid(self) -> bool:
        """Whether this command still holds it: no other one may take it over before it expires."""
        return self.id is not None and self._calls.clock.now() < self._renewed_at + LEASE

    @property
    def lag_left_s(self) -> float:
        """For how long AWS's lists may omit a change of this command; 0 without a change."""
        if self._calls.changes == self._changes_before:
            return 0.0
        return max(0.0, self._calls.changed_at_s + LAG_S - self._calls.clock.monotonic_s())

    async def release(self, *, in_order: bool = True) -> None:
        """Delete the lock. Raises CloudError if AWS refuses; it then expires.

        `in_order`: False if the command may have created resources that it has not seen listed. If AWS's lists may still
        omit them, the lock stays and expires when they no longer do: the next command can then tell.
        """
        if self.id is None:
            return
        lock_id, self.id = self.id, None
        self._calls.before_call = None
        lag_left_s = 0.0 if in_order else self.lag_left_s
        if not lag_left_s:
            await self._delete(lock_id)
            return
        until = self._calls.clock.now() + timedelta(seconds=lag_left_s)
        region = self._place.region
        tags = renewal_tags(until)
        await self._calls.write(
            region, partial(self._calls.cloud.tag, region, [lock_id], tags=tags), after_stop=True
        )

    async def _create(self) -> CloudError | None:
        """EC2's refusal of a name that is taken; None if it has accepted it."""
        now = self._calls.clock.now()
        self._tries += 1
        holder = replace(self._holder, since=now, until=now + LEASE)
        region, name = self._place.region, self._place.name
        try:
            self.id = await self._calls.write(
                region,
                partial(
                    self._calls.cloud.create_template,
                    region,
                    name=name,
                    client_token=self._calls.run_token(region, name, str(self._tries), now.isoformat()),
                    tags=lock_tags(self._place.naming, holder),
                ),
            )
        except CloudError as error:
            if error.code != _NAME_TAKEN:
                raise
            return error
        self._renewed_at = now
        self._changes_before = self._calls.changes
        self._calls.before_call = self._renew
        return None

    def _may_take_over(self, holder: LockHolder | None) -> bool:
        now = self._calls.clock.now()
        return lock_decision(holder, now=now, ended=self._ended) is LockDecision.TAKE_OVER

    def _check_owner(self, tags: Mapping[str, str]) -> None:
        """A name proves nothing: every lock has both tags from its creation on."""
        missing = self._missing_tag(tags)
        if missing is not None:
            key, value = missing
            noun = f"the launch template {self._place.name} in {self._place.region}"
            raise untagged_resource(noun, key=key, value=value)

    def _missing_tag(self, tags: Mapping[str, str]) -> tuple[str, str] | None:
        """The first tag of a lock of this cluster that is not there; None with both."""
        naming = self._place.naming
        required = ((naming.tag_key, naming.tag_value), (ROLE_KEY, LOCK_ROLE))
        return next(((key, value) for key, value in required if tags.get(key) != value), None)

    async def _delete(self, lock_id: str) -> None:
        """By its id: a lock that another command has created since has another one."""
        region = self._place.region
        try:
            await self._calls.write(
                region, partial(self._calls.cloud.delete_template, region, lock_id), after_stop=True
            )
        except CloudError as error:
            if not error.code.startswith(_GONE):
                raise

    async def _renew(self) -> None:
        """A failure is not reported: the lock may expire early, and the next renewal may succeed."""
        now = self._calls.clock.now()
        if self.id is None or now < self._renewed_at + LEASE / 3:
            return
        self._renewed_at = now
        with suppress(CloudError):
            await self._calls.cloud.tag(self._place.region, [self.id], tags=renewal_tags(now + LEASE))
