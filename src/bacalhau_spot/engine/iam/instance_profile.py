"""An IAM role with one inline policy, and the instance profile that holds it. Names are fixed, so repetition is safe."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

from bacalhau_spot.cloud.cloud_error import CloudError
from bacalhau_spot.cloud.port import InstanceProfile
from bacalhau_spot.core.error_catalog.categories import AGAIN_IN_A_MINUTE
from bacalhau_spot.core.kinds import GLOBAL, ResourceKind
from bacalhau_spot.core.tags import has_tag
from bacalhau_spot.engine.aws_calls.creation import create_unless_exists
from bacalhau_spot.engine.iam.ownership import untagged_resource
from bacalhau_spot.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from bacalhau_spot.engine.aws_calls.caller import AwsCalls

T = TypeVar("T")

_LOOKS: Final = 5
_LOOK_PAUSE_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class ProfileRequest:
    """A role and a profile of the same name. `document`: the policy as JSON with sorted keys; `policy`: its name.

    `tag_key`: the tag that marks the cluster's resources, one of `tags`.
    """

    name: str
    path: str
    principal: str
    description: str
    policy: str
    document: str
    tags: Mapping[str, str]
    tag_key: str


@dataclass(frozen=True, slots=True)
class Profile:
    """An instance profile. `fresh`: created a moment ago, so EC2 may not recognize it yet."""

    name: str
    fresh: bool


@dataclass(frozen=True, slots=True)
class ExistingProfile:
    """The parts that IAM lists. `role_tags`, `document`, `profile`: None if they do not exist."""

    role_tags: Mapping[str, str] | None
    document: str | None
    profile: InstanceProfile | None


async def ensure_profile(
    calls: AwsCalls, request: ProfileRequest, found: ExistingProfile | None = None
) -> Profile:
    """Create the missing parts, and correct the policy. Raises CloudError, Cancelled, and UserError as `check_profile`.

    `found`: the result of `check_profile`; another create may have created parts since.
    """
    if found is None:
        found = await check_profile(calls, request)
    if found.role_tags is None:
        await _make_role(calls, request)
    if found.document != request.document:
        put = partial(
            calls.cloud.put_role_policy, request.name, policy=request.policy, document=request.document
        )
        await calls.write(GLOBAL, put)
    profile = found.profile or await _make_profile(calls, request)
    if not profile.roles:
        await _add_role(calls, request)
    return Profile(request.name, fresh=not profile.roles)


async def check_profile(calls: AwsCalls, request: ProfileRequest) -> ExistingProfile:
    """The existing parts. Raises UserError for a role or profile that is not the cluster's, before any change."""
    cloud, name = calls.cloud, request.name
    role_tags, document, profile = await asyncio.gather(
        calls.read(GLOBAL, partial(cloud.role_tags, name)),
        calls.read(GLOBAL, partial(cloud.role_policy, name, policy=request.policy)),
        calls.read(GLOBAL, partial(cloud.instance_profile, name)),
    )
    if role_tags is not None:
        _refuse_foreign(request, "role", role_tags)
    if profile is not None:
        _check_contents(request, profile)
    return ExistingProfile(role_tags, document, profile)


def _check_contents(request: ProfileRequest, profile: InstanceProfile) -> None:
    _refuse_foreign(request, "instance profile", profile.tags)
    if profile.roles not in {(), (request.name,)}:
        raise UserError(
            f"the instance profile {request.name} contains the role {profile.roles[0]} instead of {request.name}",
            hint=f"remove the role {profile.roles[0]} from the profile in IAM, then run `bacalhau-spot create` again",
        )


def _refuse_foreign(request: ProfileRequest, noun: str, tags: Mapping[str, str]) -> None:
    """A name proves nothing. Role and profile get their tags in the call that creates them."""
    value = request.tags[request.tag_key]
    if has_tag(tags, key=request.tag_key, value=value):
        return
    raise untagged_resource(f"the IAM {noun} {request.name}", key=request.tag_key, value=value)


async def _make_role(calls: AwsCalls, request: ProfileRequest) -> None:
    create = partial(
        calls.cloud.create_role,
        request.name,
        path=request.path,
        principal=request.principal,
        description=request.description,
        tags=request.tags,
    )
    if not await create_unless_exists(calls, GLOBAL, ResourceKind.ROLE, request.name, create):
        look = partial(calls.cloud.role_tags, request.name)
        _refuse_foreign(request, "role", await _listed(calls, look, f"role {request.name}"))


async def _make_profile(calls: AwsCalls, request: ProfileRequest) -> InstanceProfile:
    create = partial(calls.cloud.create_profile, request.name, path=request.path, tags=request.tags)
    if await create_unless_exists(calls, GLOBAL, ResourceKind.PROFILE, request.name, create):
        return InstanceProfile(roles=(), tags=request.tags)
    look = partial(calls.cloud.instance_profile, request.name)
    profile = await _listed(calls, look, f"instance profile {request.name}")
    _check_contents(request, profile)
    return profile


async def _add_role(calls: AwsCalls, request: ProfileRequest) -> None:
    """A profile holds one role; if it is full (LimitExceeded), another create has added the role."""
    name = request.name
    try:
        await calls.write(GLOBAL, partial(calls.cloud.add_role, name, role=name))
    except CloudError as error:
        if error.code != "LimitExceeded":
            raise
        _check_contents(
            request,
            await _listed(calls, partial(calls.cloud.instance_profile, name), f"instance profile {name}"),
        )


async def _listed(calls: AwsCalls, look: Callable[[], Awaitable[T | None]], noun: str) -> T:
    """A resource that exists, although IAM may not list it for some seconds."""
    for _ in range(_LOOKS):
        found = await calls.read(GLOBAL, look)
        if found is not None:
            return found
        await calls.pause(_LOOK_PAUSE_S)
    raise UserError(
        f"IAM reports that the {noun} exists, and does not return it",
        hint=AGAIN_IN_A_MINUTE,
    )
