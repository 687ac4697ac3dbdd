"""Makes an image: a machine installs everything, removes what identifies it, and powers off; its disk becomes the image.

A machine of an earlier run with the same contents is used again. It belongs to the cluster, so that `destroy` deletes it if
nobody completes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from bacalhau_spot.cloud.cloud_error import CloudError
from bacalhau_spot.cloud.port import InstanceRequest
from bacalhau_spot.core.error_catalog.classifier import Category, classify
from bacalhau_spot.core.health.boot_console import console_lines
from bacalhau_spot.core.kinds import ResourceKind
from bacalhau_spot.core.launch import events
from bacalhau_spot.core.model import Network, State
from bacalhau_spot.core.tags import image_builder_tags
from bacalhau_spot.engine.aws_calls.caller import UNCERTAIN
from bacalhau_spot.engine.network.network_builder import NetworkBuilder, known
from bacalhau_spot.engine.network.network_egress import check_network
from bacalhau_spot.engine.placement.market import images_of
from bacalhau_spot.errors import UserError
from bacalhau_spot.instance.image_data import render_image

if TYPE_CHECKING:
    from bacalhau_spot.core.images.bake_plan import BakePlan
    from bacalhau_spot.core.model import Arch, ClusterSpec, Image, Instance
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls

_POLL_S: Final = 5.0
# Installation takes minutes; a machine that is still on after this has failed without a word.
_READY_S: Final = 1800.0
_FAILED: Final = "failed"
# AWS's codes for an image that a region does not have: …NotFound, …Malformed, …Unavailable.
_NO_IMAGE: Final = "InvalidAMIID."
_OVER: Final = frozenset({State.SHUTTING_DOWN, State.TERMINATED})
# Of the machine's root volume, unless its image is larger. Nodes have at least 8 GiB, and must hold the image's.
_VOLUME_GIB: Final = 8


async def base_image(
    calls: AwsCalls, spec: ClusterSpec, region: str, *, base: str, arch: Arch
) -> Image | None:
    """The image to start from; None if the region has none of this architecture. Raises CloudError."""
    try:
        images = await images_of(calls, spec, region, base, [arch])
    except CloudError as error:
        if not error.code.startswith(_NO_IMAGE):
            raise
        return None
    return next((image for image in images if image.arch == arch and image.root_device), None)


@dataclass
class ImageBuilder:
    """Each method raises CloudError, Cancelled, and UserError for a failure of the machine. `base`: the image to start from."""

    calls: AwsCalls
    spec: ClusterSpec
    plan: BakePlan
    base: str
    machine: str = ""  # its id, from its launch on

    async def complete(self) -> str:
        """The id of a machine that has everything installed and is off."""
        self.machine = self.plan.builder.id if self.plan.builder else await self._launch()
        await self._finish(self.machine)
        return self.machine

    async def _launch(self) -> str:
        # Before anything is created: the base may not exist.
        region, base, zones = self.plan.home, await self._base_image(), await self._zones()
        network = await self._network(zones)
        zone = next((zone for zone in zones if zone in network.subnets), None)
        if zone is None:
            raise self._no_machine(f"no subnet of {network.vpc_id} has a way to the internet")
        request = self._request(base, known(network.group_id), network.subnets[zone])
        try:
            asked = await self.calls.write(region, partial(self.calls.cloud.run_instance, region, request))
        except CloudError as error:
            if classify(error.code, error.message).category is not Category.CAPACITY:
                raise
            raise self._no_machine(f"{error.operation}: {error.code}: {error.message}") from error
        self.calls.emit(events.ResourceCreated(region=region, kind=ResourceKind.INSTANCE, id=asked.id))
        return asked.id

    async def _zones(self) -> tuple[str, ...]:
        region = self.plan.home
        pools = await self.calls.read(
            region, partial(self.calls.cloud.pools, region, [self.plan.instance_type])
        )
        if not pools:
            raise self._no_machine(f"{region} does not offer {self.plan.instance_type}")
        return tuple(sorted({zone for _, zone in pools}))

    async def _network(self, zones: tuple[str, ...]) -> Network:
        """The cluster's, completed by a subnet, or that of the user's VPC."""
        region, vpc_id = self.plan.home, self.spec.vpc_of(self.plan.home)
        check = await check_network(
            self.calls, region, vpc_id=vpc_id, public_ip=self.spec.instance.public_ip, zones=zones
        )
        if check.problem is not None:
            raise self._no_machine(check.problem.what)
        builder = NetworkBuilder(self.calls, region, self.spec.naming, cidrs=(), own=vpc_id is None)
        present = await self._present_network(vpc_id)
        if vpc_id is None:
            ready = [zone for zone in zones if zone in present.subnets]
            return await builder.complete(present, zones=ready[:1] or zones[:1])
        completed = await builder.complete(present, zones=zones)
        return Network(vpc_id=vpc_id, subnets=check.subnets, group_id=completed.group_id)

    async def _present_network(self, vpc_id: str | None) -> Network:
        region, cloud = self.plan.home, self.calls.cloud
        tag = {"key": self.spec.naming.tag_key, "value": self.spec.naming.tag_value}
        look = (
            partial(cloud.network, region, **tag)
            if vpc_id is None
            else partial(cloud.foreign_group, region, vpc_id, **tag)
        )
        return await self.calls.read(region, look)

    async def _base_image(self) -> Image:
        found = await base_image(self.calls, self.spec, self.plan.home, base=self.base, arch=self.plan.arch)
        if found is None:
            raise UserError(
                f"there is no image {self.base} for {self.plan.arch} in {self.plan.home}",
                hint="`--base` takes `auto`, an image's id in that region, or ssm:/ and a parameter's name",
                docs="docs/images.md",
            )
        return found

    def _request(self, image: Image, group_id: str, subnet_id: str) -> InstanceRequest:
        return InstanceRequest(
            type=self.plan.instance_type,
            image_id=image.id,
            subnet_id=subnet_id,
            group_id=group_id,
            profile="",
            user_data=render_image(self.spec),
            root_device=image.root_device,
            root_volume_gib=max(_VOLUME_GIB, image.volume_gib),
            tags=image_builder_tags(self.spec.naming, version=self.plan.version),
            client_token=self.calls.run_token("image", self.plan.home, self.plan.arch, self.plan.version),
            public_ip=self.spec.instance.public_ip,
        )

    async def _finish(self, instance_id: str) -> None:
        """Wait until the machine is off. A failure is on its console."""
        deadline_s = self.calls.clock.monotonic_s() + _READY_S
        while True:
            state = await self._state(instance_id)
            if state is State.STOPPED:
                return
            if state in _OVER:
                raise self._failed(instance_id, "AWS has terminated it")
            reason = await self._failure(instance_id) if state is State.RUNNING else ""
            if reason:
                raise self._failed(instance_id, reason)
            if self.calls.clock.monotonic_s() >= deadline_s:
                raise self._failed(instance_id, f"it is not ready after {_READY_S / 60:.0f} minutes")
            self.calls.emit(
                events.Waiting(region=self.plan.home, message="installing Docker and Bacalhau", remaining=1)
            )
            await self.calls.pause(_POLL_S)

    async def _state(self, instance_id: str) -> State | None:
        region = self.plan.home
        listed: tuple[Instance, ...] = await self.calls.read(
            region, partial(self.calls.cloud.instances_by_id, region, [instance_id])
        )
        return listed[0].state if listed else None

    async def _failure(self, instance_id: str) -> str:
        """Its own words; empty while there are none. The console is a help, not a condition."""
        region = self.plan.home
        try:
            text = await self.calls.read(region, partial(self.calls.cloud.console, region, instance_id))
        except CloudError as error:
            if classify(error.code).category in UNCERTAIN | {Category.PERMISSION, Category.LAG}:
                return ""
            raise
        return next((line.text for line in console_lines(text) if line.phase == _FAILED), "")

    def _failed(self, instance_id: str, reason: str) -> UserError:
        return UserError(
            f"the machine {instance_id} in {self.plan.home} did not become an image",
            why=reason,
            hint="run the same command again: it begins with a new machine",
            docs="docs/images.md",
        )

    def _no_machine(self, why: str) -> UserError:
        return UserError(
            f"no {self.plan.instance_type} in {self.plan.home} for the image",
            why=why,
            hint="name another region first, such as `bacalhau-spot image bake --region eu-west-1`, or another "
            "`--instance-type`",
            docs="docs/images.md",
        )
