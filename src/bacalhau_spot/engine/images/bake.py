"""Makes the image of an architecture and copies it into the other regions.

Killed at any call, the same command goes on: it finds images and the machine by their tags. Names and client tokens keep
AWS from making a second image for a repeated call.
"""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final

from bacalhau_spot.cloud.cloud_error import CloudError
from bacalhau_spot.core.error_catalog.classifier import Category, classify
from bacalhau_spot.core.error_catalog.internal import IMAGE_NOT_AVAILABLE
from bacalhau_spot.core.images.account_image import AVAILABLE, PENDING
from bacalhau_spot.core.images.bake_plan import BakeResult
from bacalhau_spot.core.kinds import ResourceKind
from bacalhau_spot.core.launch import events
from bacalhau_spot.core.tags import image_tags
from bacalhau_spot.engine.aws_calls.caller import UNCERTAIN, Cancelled, api_failure
from bacalhau_spot.engine.aws_calls.consistency import LAG_S
from bacalhau_spot.engine.images.image_builder import ImageBuilder
from bacalhau_spot.engine.placement.image_list import images_in

if TYPE_CHECKING:
    from collections.abc import Collection

    from bacalhau_spot.core.images.account_image import AccountImage
    from bacalhau_spot.core.images.bake_plan import BakePlan
    from bacalhau_spot.core.model import ClusterSpec
    from bacalhau_spot.core.problem import ApiFailure
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls

_POLL_S: Final = 10.0
# AWS states no limit; a copy to a distant region takes ten minutes and more.
_AVAILABLE_S: Final = 3600.0
# Longer than any lag of AWS's lists: an image that they do not show by then is deleted.
_LISTED_S: Final = 300.0
# Client tokens are remembered for longer than AWS lists a deleted image (EC2 API reference, "Ensuring idempotency").
_REMEMBERED: Final = 5


async def make_images(calls: AwsCalls, spec: ClusterSpec, plan: BakePlan, *, base: str) -> BakeResult:
    """Raises UserError for a machine that does not become an image, CloudError, if there is no image at all."""
    return await _Bake(calls, spec, plan, base).run()


@dataclass
class _Bake:
    calls: AwsCalls
    spec: ClusterSpec
    plan: BakePlan
    base: str
    leftover: str = ""
    leftover_failure: ApiFailure | None = None

    async def run(self) -> BakeResult:
        result = await self._run()
        return replace(result, leftover=self.leftover, leftover_failure=self.leftover_failure)

    async def _run(self) -> BakeResult:
        result = BakeResult(self.plan, images={})
        source = self.plan.source
        for region in self.plan.image_regions:
            self.calls.emit(events.ImageStarted(region=region))
        try:
            if source is None:
                await self._terminate_unwanted()
                if self.leftover:
                    return result  # a second machine would cost more, and hide this one
                source, result = await self._make(result)
            elif self.plan.unwanted:
                source = await self._completed(source)
                await self._terminate_unwanted()
            source = await self._completed(source)
            result = replace(result, images={**result.images, source.region: source})
            return await self._distribute(source, result)
        except Cancelled:
            return replace(result, interrupted=True)
        except CloudError as error:
            if not self.leftover:
                raise
            # The result names the machine, which an error alone would not.
            return replace(result, failures=(_failure(error, self.plan.home),))

    async def _make(self, result: BakeResult) -> tuple[AccountImage, BakeResult]:
        """The image, once it is available."""
        builder = ImageBuilder(self.calls, self.spec, self.plan, self.base)
        image: AccountImage | None = None
        try:
            image = await self._image_of(await builder.complete())
            image = await self._completed(image)
        finally:
            # After Ctrl-C an image that is not complete keeps its machine, which is off; the next run terminates it.
            is_needed = image is not None and image.state == PENDING and self.calls.stop.is_set
            if builder.machine and not is_needed:
                await self._terminate(self.plan.home, builder.machine)
        return image, replace(result, made=(*result.made, image.id))

    async def _terminate_unwanted(self) -> None:
        """Until AWS refuses one: the next run finds the others."""
        for machine in self.plan.unwanted:
            if not self.leftover:
                await self._terminate(machine.region, machine.id)

    async def _terminate(self, region: str, instance_id: str) -> None:
        """Also after Ctrl-C: the machine costs money. If AWS refuses, it is the leftover."""
        try:
            await self.calls.write(
                region, partial(self.calls.cloud.terminate, region, [instance_id]), after_stop=True
            )
        except CloudError as error:
            self.calls.emit(
                events.RegionFailed(
                    region=region, operation=error.operation, code=error.code, message=error.message
                )
            )
            self.leftover, self.leftover_failure = instance_id, _failure(error, region)
            return
        self.calls.emit(events.Deleting(region=region, kind=ResourceKind.INSTANCE, id=instance_id))

    async def _image_of(self, instance_id: str) -> AccountImage:
        name, region = self._name(instance_id), self.plan.home
        create = partial(self.calls.cloud.create_image, region, instance_id, name=name, tags=self._tags(name))
        try:
            image_id = await self.calls.write(region, create)  # AWS accepts a name once
        except CloudError as error:
            if classify(error.code).category not in UNCERTAIN | {Category.EXISTS}:
                raise
            await self.calls.pause(LAG_S)
            begun = [image for image in await self._images(region) if image.name == name]
            if not begun:
                raise
            return begun[0]
        self.calls.emit(events.ResourceCreated(region=region, kind=ResourceKind.IMAGE, id=image_id))
        return await self._listed(region, image_id)

    async def _distribute(self, source: AccountImage, result: BakeResult) -> BakeResult:
        """The copies, and the images that another run has begun, in all regions at once."""
        begun = [image for image in self.plan.present.values() if image.id != source.id]
        answers = await asyncio.gather(
            *(self._completed(image) for image in begun),
            *(self._copy(source, region) for region in self.plan.copies),
            return_exceptions=True,
        )
        regions = [*(image.region for image in begun), *self.plan.copies]
        for region, answer in zip(regions, answers, strict=True):
            result = self._with_answer(result, region, answer)
        return result

    def _with_answer(
        self, result: BakeResult, region: str, answer: AccountImage | BaseException
    ) -> BakeResult:
        """Raises an answer that is a mistake of the program."""
        if isinstance(answer, Cancelled):
            return replace(result, interrupted=True)
        if isinstance(answer, CloudError):
            return replace(result, failures=(*result.failures, _failure(answer, region)))
        if isinstance(answer, BaseException):
            raise answer
        made = (answer.id,) if region in self.plan.copies else ()
        return replace(result, images={**result.images, region: answer}, made=(*result.made, *made))

    async def _copy(self, source: AccountImage, region: str) -> AccountImage:
        """AWS repeats the copy with the same client token, although somebody has deleted it since."""
        deleted: set[str] = set()
        for _ in range(_REMEMBERED):
            try:
                image_id = await self._request_copy(source, region, deleted)
            except CloudError as error:
                if classify(error.code).category is not Category.EXISTS:
                    raise
                # Not deleted: AWS lists it late, or another `image bake` has begun it.
                image = await self._found(region, name=source.name)
                if image is None:
                    raise
                return await self._completed(image)
            image = await self._begun_copy(region, image_id)
            if image is not None:
                return await self._completed(image)
            deleted.add(image_id)
        raise _never(region, "AWS repeats copies that were deleted")

    async def _request_copy(self, source: AccountImage, region: str, deleted: Collection[str]) -> str:
        """The client token depends on the request and the deleted copies, so repetition is safe."""
        name, tags = source.name, self._tags(source.name)
        parts = (source.id, region, name, repr(sorted(tags.items())), *sorted(deleted))
        return await self.calls.write(
            region,
            partial(
                self.calls.cloud.copy_image,
                region,
                source.id,
                source_region=source.region,
                name=name,
                tags=tags,
                client_token=hashlib.sha256("\x1f".join(parts).encode()).hexdigest(),
            ),
        )

    async def _begun_copy(self, region: str, image_id: str) -> AccountImage | None:
        """None for a deleted one. One that Ctrl-C leaves unlisted counts as created."""
        is_deleted = False
        try:
            image = await self._found(region, image_id=image_id)
            is_deleted = image is None
            return image
        finally:
            if not is_deleted:
                self.calls.emit(events.ResourceCreated(region=region, kind=ResourceKind.IMAGE, id=image_id))

    async def _listed(self, region: str, image_id: str) -> AccountImage:
        """As soon as AWS lists it. Raises CloudError after some minutes."""
        image = await self._found(region, image_id=image_id)
        if image is None:
            raise _never(region, f"AWS does not list {image_id}")
        return image

    async def _found(self, region: str, *, image_id: str = "", name: str = "") -> AccountImage | None:
        """By its id or its name, as soon as AWS lists it; None after some minutes."""
        deadline_s = self.calls.clock.monotonic_s() + _LISTED_S
        while True:
            for image in await self._images(region):
                if image.id == image_id or (name and image.name == name):
                    return image
            if self.calls.clock.monotonic_s() >= deadline_s:
                return None
            self.calls.emit(events.Waiting(region=region, message="completing the image", remaining=1))
            await self.calls.pause(_POLL_S)

    async def _completed(self, image: AccountImage) -> AccountImage:
        """Once it is available. Raises CloudError for an image that fails, or after an hour."""
        deadline_s = self.calls.clock.monotonic_s() + _AVAILABLE_S
        while image.state != AVAILABLE:
            if image.state != PENDING:
                raise _never(image.region, f"{image.id} is {image.state}")
            if self.calls.clock.monotonic_s() >= deadline_s:
                raise _never(image.region, f"{image.id} is {PENDING} after {_AVAILABLE_S / 60:.0f} minutes")
            self.calls.emit(events.Waiting(region=image.region, message="completing the image", remaining=1))
            await self.calls.pause(_POLL_S)
            image = await self._listed(image.region, image.id)
        self.calls.emit(events.ImageReady(region=image.region, id=image.id))
        return image

    async def _images(self, region: str) -> tuple[AccountImage, ...]:
        return await images_in(self.calls, self.spec.naming, region)

    def _tags(self, name: str) -> dict[str, str]:
        return image_tags(self.spec.naming, name=name, version=self.plan.version)

    def _name(self, instance_id: str) -> str:
        """Unique: AWS accepts a name once in a region, so that a repeated call makes no second image."""
        prefix = self.spec.naming.resource_prefix
        return f"{prefix}{self.plan.version}-{self.plan.arch}-{instance_id}"


def _failure(error: CloudError, region: str) -> ApiFailure:
    return replace(api_failure(error), region=region)


def _never(region: str, message: str) -> CloudError:
    return CloudError(IMAGE_NOT_AVAILABLE, message, operation="DescribeImages", region=region)
