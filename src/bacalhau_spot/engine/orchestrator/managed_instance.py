"""The instance of a managed orchestrator: launched once, followed until it runs, joined with its volume and address."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

from bacalhau_spot.cloud.cloud_error import CloudError
from bacalhau_spot.core.error_catalog.classifier import Category, classify
from bacalhau_spot.core.kinds import ResourceKind
from bacalhau_spot.core.launch import events
from bacalhau_spot.core.model import State
from bacalhau_spot.core.orchestrator.managed_state import DATA_DEVICE
from bacalhau_spot.engine.aws_calls.caller import UNCERTAIN
from bacalhau_spot.engine.aws_calls.consistency import LAG_S
from bacalhau_spot.engine.lifecycle.expiry_tags import write_expiry
from bacalhau_spot.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Collection

    from bacalhau_spot.cloud.port import InstanceRequest, RequestedInstance
    from bacalhau_spot.core.model import Instance, Naming
    from bacalhau_spot.core.orchestrator.managed_state import DataVolume
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls

_POLL_S: Final = 2.0
_PAUSE_S: Final = 5.0
# EC2 learns of a new role some seconds later (IAM user guide, "Troubleshoot IAM roles").
_PROFILE_ATTEMPTS: Final = 20
# Client tokens are remembered for longer than AWS lists a terminated instance (EC2 API reference, "Ensuring idempotency").
_REMEMBERED: Final = 5
# Older than a repeated call of this run, and than any lag of AWS's lists.
_EARLIER: Final = timedelta(minutes=5)
_OVER: Final = frozenset({State.SHUTTING_DOWN, State.TERMINATED})


@dataclass(frozen=True, slots=True)
class InstanceFollower:
    """Calls about one instance. Each method raises CloudError, Cancelled, and UserError for a failure of the instance."""

    calls: AwsCalls
    region: str
    naming: Naming
    running_within_s: float
    detached_within_s: float
    expiry: str = ""  # for a launched or started instance; empty for none

    async def launch(self, request: InstanceRequest, *, ended: Collection[str]) -> Instance:
        """A running instance. The client token depends on the request and the ended instances, so repetition is safe."""
        gone = set(ended)
        for _ in range(_REMEMBERED):
            asked = await self._request(replace(request, client_token=_token(request, gone)))
            if asked.age > _EARLIER and await self._is_over(asked.id):
                gone.add(asked.id)
                continue
            self.calls.emit(
                events.ResourceCreated(region=self.region, kind=ResourceKind.INSTANCE, id=asked.id)
            )
            # Not with the launch: its request would differ from that of a create that repeats it.
            await self._set_expiry(asked.id)
            return await self.running(asked.id)
        raise UserError(
            f"AWS repeats the launches of terminated instances in {self.region}",
            hint="run the same command again in an hour",
        )

    async def _is_over(self, instance_id: str) -> bool:
        """Whether AWS repeats the launch of an instance that is terminated or not listed any more."""
        instance = await self._listed(instance_id)
        return instance is None or instance.state in _OVER

    async def _listed(self, instance_id: str) -> Instance | None:
        listed = await self.calls.read(
            self.region, partial(self.calls.cloud.instances_by_id, self.region, [instance_id])
        )
        return next(iter(listed), None)

    async def _request(self, request: InstanceRequest) -> RequestedInstance:
        for attempt in range(1, _PROFILE_ATTEMPTS + 1):
            try:
                return await self.calls.write(
                    self.region, partial(self.calls.cloud.run_instance, self.region, request)
                )
            except CloudError as error:
                category = classify(error.code, error.message).category
                if category is Category.CAPACITY:
                    raise self._no_capacity(request, error) from error
                if category is not Category.LAG or attempt == _PROFILE_ATTEMPTS:
                    raise
                await self._wait(error.operation, error.code, attempt)
        raise AssertionError("the last attempt raises")

    def _no_capacity(self, request: InstanceRequest, error: CloudError) -> UserError:
        return UserError(
            f"AWS has no capacity for an on-demand {request.type} for the orchestrator in {self.region}",
            why=f"{error.operation}: {error.code}: {error.message}",
            hint="run the same command again later, or with another type: `bacalhau-spot configure --set "
            "orchestrator.instance_type=t3a.small`",
            docs="docs/orchestrator.md",
        )

    async def _wait(self, operation: str, code: str, attempt: int) -> None:
        self.calls.emit(
            events.Retrying(
                region=self.region, operation=operation, code=code, attempt=attempt, wait_s=_PAUSE_S
            )
        )
        await self.calls.pause(_PAUSE_S)

    async def running(self, instance_id: str) -> Instance:
        """The instance once it runs."""
        deadline_s = self.calls.clock.monotonic_s() + self.running_within_s
        while True:
            instance = await self._listed(instance_id)
            if instance is not None and instance.state is State.RUNNING:
                return instance
            if instance is not None and instance.state in _OVER:
                raise self._terminated(instance)
            if self.calls.clock.monotonic_s() >= deadline_s:
                raise self._not_running(instance_id, instance)
            await self.calls.pause(_POLL_S)

    def _terminated(self, instance: Instance) -> UserError:
        return UserError(
            f"AWS terminated the orchestrator's instance {instance.id} in {self.region}",
            why=instance.termination_reason or "",
            hint="run `bacalhau-spot create` again: it launches another one on the same data volume",
            docs="docs/orchestrator.md",
        )

    def _not_running(self, instance_id: str, instance: Instance | None) -> UserError:
        state = instance.state if instance else "not listed"
        return UserError(
            f"the orchestrator's instance {instance_id} in {self.region} is {state} after {self.running_within_s:.0f} seconds",
            hint="run `bacalhau-spot create` again: it continues with this instance",
            docs="docs/orchestrator.md",
        )

    async def _set_expiry(self, instance_id: str) -> None:
        if self.expiry:
            await write_expiry(self.calls, self.region, [instance_id], self.expiry)

    async def start(self, instance_id: str) -> None:
        """The expiry first: with a past one, the machine would stop again."""
        await self._set_expiry(instance_id)
        await self.calls.write(
            self.region, partial(self.calls.cloud.start_instance, self.region, instance_id)
        )

    async def reboot(self, instance_id: str) -> None:
        await self.calls.write(
            self.region, partial(self.calls.cloud.reboot_instance, self.region, instance_id)
        )

    async def attach(self, volume_id: str, *, instance_id: str) -> None:
        """A terminated instance may hold the volume for some minutes. AWS may not know a new one for some seconds."""
        began_s = self.calls.clock.monotonic_s()
        attach = partial(
            self.calls.cloud.attach_volume,
            self.region,
            volume_id,
            instance_id=instance_id,
            device=DATA_DEVICE,
        )
        attempt = 0
        while True:
            try:
                await self.calls.write(self.region, attach, non_idempotent=True, retry_dependencies=False)
            except CloudError as error:
                attempt += 1
                volume = await self.volume(volume_id)
                if volume is not None and volume.instance_id == instance_id:
                    return
                within_s = self.detached_within_s if volume is not None else LAG_S
                if not _passes(error) or self.calls.clock.monotonic_s() - began_s >= within_s:
                    raise
                await self._wait(error.operation, error.code, attempt)
            else:
                return

    async def volume(self, volume_id: str) -> DataVolume | None:
        """None if it is deleted, or AWS does not list it yet."""
        key, value = self.naming.tag_key, self.naming.tag_value
        found = await self.calls.read(
            self.region, partial(self.calls.cloud.volumes, self.region, key=key, value=value)
        )
        return next((volume for volume in found if volume.id == volume_id), None)


def _passes(error: CloudError) -> bool:
    """Whether the volume is still in use, being created, or the answer was lost."""
    return classify(error.code).category in UNCERTAIN | {Category.BUSY, Category.LAG}


def _token(request: InstanceRequest, ended: Collection[str]) -> str:
    """At most 64 characters (EC2 API reference, "Ensuring idempotency")."""
    return hashlib.sha256("\x1f".join((repr(request), *sorted(ended))).encode()).hexdigest()
