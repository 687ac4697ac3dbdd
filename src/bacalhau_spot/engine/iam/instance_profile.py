"""An IAM role with one inline policy, and the instance profile that holds it. Names are fixed, so repetition is safe."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from bacalhau_spot.cloud.port import CloudError
from bacalhau_spot.core.error_catalog.classifier import Category, classify
from bacalhau_spot.core.kinds import GLOBAL, ResourceKind
from bacalhau_spot.core.launch import events

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from bacalhau_spot.engine.aws_calls.caller import AwsCalls


@dataclass(frozen=True, slots=True)
class ProfileRequest:
    """A role and a profile of the same name. `document`: the policy as JSON with sorted keys; `policy`: its name."""

    name: str
    path: str
    principal: str
    description: str
    policy: str
    document: str
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Profile:
    """An instance profile. `fresh`: created a moment ago, so EC2 may not recognize it yet."""

    name: str
    fresh: bool


async def ensure_profile(calls: AwsCalls, request: ProfileRequest) -> Profile:
    """Create the missing parts, and correct the policy. Raises CloudError, Cancelled."""
    cloud, name = calls.cloud, request.name
    document, roles = await asyncio.gather(
        calls.read(GLOBAL, partial(cloud.role_policy, name, policy=request.policy)),
        calls.read(GLOBAL, partial(cloud.profile_roles, name)),
    )
    if document != request.document:
        if document is None:
            role = partial(
                cloud.create_role,
                name,
                path=request.path,
                principal=request.principal,
                description=request.description,
                tags=request.tags,
            )
            await create_unless_exists(calls, GLOBAL, ResourceKind.ROLE, name, role)
        put = partial(cloud.put_role_policy, name, policy=request.policy, document=request.document)
        await calls.write(GLOBAL, put)
    if roles is None:
        profile = partial(cloud.create_profile, name, path=request.path, tags=request.tags)
        await create_unless_exists(calls, GLOBAL, ResourceKind.PROFILE, name, profile)
    if not roles:
        await _add_role(calls, name)
    return Profile(name, fresh=not roles)


async def _add_role(calls: AwsCalls, name: str) -> None:
    """A profile holds one role; if it is full (LimitExceeded), another create has added the role."""
    try:
        await calls.write(GLOBAL, partial(calls.cloud.add_role, name, role=name))
    except CloudError as error:
        if error.code != "LimitExceeded":
            raise


async def create_unless_exists(
    calls: AwsCalls, region: str, kind: ResourceKind, name: str, call: Callable[[], Awaitable[None]]
) -> bool:
    """Whether this call created it; False if it existed already, or another create was faster."""
    try:
        await calls.write(region, call)
    except CloudError as error:
        if classify(error.code).category is not Category.EXISTS:
            raise
        return False
    calls.emit(events.ResourceCreated(region=region, kind=kind, id=name))
    return True
