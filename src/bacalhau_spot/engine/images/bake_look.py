"""What exists before `image bake`: the images, machines of earlier runs, and the price of a machine."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from bacalhau_spot.core.images.bake_plan import bake_plan
from bacalhau_spot.core.model import IMAGE_ROLE, ROLE_KEY, State, arch_of_name
from bacalhau_spot.core.tags import VERSION_KEY
from bacalhau_spot.engine.aws_calls.discovery import in_all_regions, load_account, requested_regions
from bacalhau_spot.engine.images.image_builder import base_image
from bacalhau_spot.engine.placement.image_list import images_in
from bacalhau_spot.engine.pricing.prices import rates

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bacalhau_spot.core.images.account_image import AccountImage
    from bacalhau_spot.core.images.bake_plan import BakePlan
    from bacalhau_spot.core.model import Arch, ClusterSpec, Identity, Instance
    from bacalhau_spot.core.problem import ApiFailure
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls

_USABLE = frozenset({State.PENDING, State.RUNNING, State.STOPPING, State.STOPPED})


@dataclass(frozen=True, slots=True)
class BakeLook:
    """The plans by architecture. `failed_regions`: regions that could not be scanned."""

    identity: Identity
    plans: tuple[BakePlan, ...]
    failed_regions: tuple[ApiFailure, ...] = ()


async def look_before_bake(
    calls: AwsCalls,
    spec: ClusterSpec,
    *,
    regions: Sequence[str],
    types: Mapping[Arch, str],
    base: str,
    fresh: bool,
) -> BakeLook:
    """Two calls per region, and one or two for each machine of an earlier run.

    `types`: the machine's instance type by architecture; `base`: the image to start from.

    Raises CloudError, and UserError for a region that is not enabled.
    """
    account = await load_account(calls)
    wanted = requested_regions(account.regions, regions)
    answers, failed = await in_all_regions(wanted, partial(_look, calls, spec))
    images = [image for found, _ in answers.values() for image in found]
    builders = [builder for _, found in answers.values() for builder in found]
    completable = await _completable(calls, spec, builders, base)
    plans = [
        bake_plan(
            images,
            arch=arch,
            version=spec.bacalhau.version,
            regions=wanted,
            instance_type=instance_type,
            builders=[one for one in builders if arch_of_name(one.type) is arch],
            completable=completable,
            fresh=fresh,
        )
        for arch, instance_type in types.items()
    ]
    return BakeLook(account.identity, await _priced(calls, plans), failed)


async def _look(
    calls: AwsCalls, spec: ClusterSpec, region: str
) -> tuple[tuple[AccountImage, ...], tuple[Instance, ...]]:
    key, value = spec.naming.tag_key, spec.naming.tag_value
    images, instances = await asyncio.gather(
        images_in(calls, spec.naming, region),
        calls.read(region, partial(calls.cloud.instances, region, key=key, value=value)),
    )
    return images, tuple(
        instance
        for instance in instances
        if instance.tags.get(ROLE_KEY) == IMAGE_ROLE and instance.state in _USABLE
    )


async def _completable(
    calls: AwsCalls, spec: ClusterSpec, builders: Sequence[Instance], base: str
) -> frozenset[str]:
    """Ids of the machines that have been launched from this base, with this version of Bacalhau."""
    ids: set[str] = set()
    for builder in builders:
        image = await base_image(calls, spec, builder.region, base=base, arch=arch_of_name(builder.type))
        is_same_base = image is not None and image.id == builder.image_id
        if is_same_base and builder.tags.get(VERSION_KEY) == spec.bacalhau.version:
            ids.add(builder.id)
    return frozenset(ids)


async def _priced(calls: AwsCalls, plans: Sequence[BakePlan]) -> tuple[BakePlan, ...]:
    """With the on-demand prices of the machines to launch."""
    making = [plan for plan in plans if plan.makes]
    if not making:
        return tuple(plans)
    found, _ = await rates(
        calls, regions=[plan.home for plan in making], types=[plan.instance_type for plan in making]
    )
    return tuple(
        replace(plan, usd_per_hour=found.on_demand.get((plan.home, plan.instance_type)))
        if plan.makes
        else plan
        for plan in plans
    )
