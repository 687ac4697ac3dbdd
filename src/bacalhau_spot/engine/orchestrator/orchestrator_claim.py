"""One create at a time creates a managed orchestrator: it owns the launch template of the orchestrator's name.

The template's name is unique in the region, so one of two concurrent creates is refused, and waits for the other one's
instance. A create that was killed leaves the template. Then the next owner is the create that adds the next version: the
client token of the call names the version before, so of two such calls the second one is refused.
"""

from __future__ import annotations

import hashlib
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Final

from bacalhau_spot.cloud.cloud_error import CloudError
from bacalhau_spot.core.kinds import ResourceKind
from bacalhau_spot.core.launch import events
from bacalhau_spot.core.tags import orchestrator_name, orchestrator_tags
from bacalhau_spot.engine.aws_calls.consistency import LAG_S, once_listed
from bacalhau_spot.engine.iam.ownership import check_owner
from bacalhau_spot.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bacalhau_spot.cloud.port import FoundTemplate
    from bacalhau_spot.core.model import Naming
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls

# More than another create needs from its claim to the instance.
_OTHER_CREATE_S: Final = 60.0
_LOOK_PAUSE_S: Final = 5.0
_ROUNDS: Final = 3
_NAME_TAKEN: Final = "InvalidLaunchTemplateName.AlreadyExistsException"
_OTHER_OWNER: Final = frozenset({"IdempotentParameterMismatch", "InvalidIdempotencyToken"})


class Claim(StrEnum):
    """How a create may go on."""

    FIRST = "nothing existed before"
    TAKEN_OVER = "from a create that was killed"
    COMPLETED = "by another create"


class OrchestratorClaim:
    """The claim on the orchestrator's parts that two creates could create twice."""

    def __init__(self, calls: AwsCalls, region: str, naming: Naming) -> None:
        self._calls = calls
        self._region = region
        self._naming = naming
        self._name = orchestrator_name(naming)
        self._tags = orchestrator_tags(naming, self._name)

    async def take(self, is_complete: Callable[[], Awaitable[bool]]) -> Claim:
        """Wait for the claim, or until another create has created those parts. `is_complete` reads them again.

        Raises CloudError, Cancelled, UserError if other creates go on for minutes, and for a template of others.
        """
        age_s: float | None = None  # of the last claim; None: to be read
        for _ in range(_ROUNDS):
            if await self._create():
                return Claim.FIRST
            template = await self._template()
            if age_s is None:
                age_s = await self._claimed_for_s(template)
            if await self._is_completed_by_another(is_complete, age_s):
                return Claim.COMPLETED
            if template is not None and await self._take_over(template):
                return Claim.TAKEN_OVER
            age_s = 0.0 if template is not None else None  # another create was faster: it has just claimed
        raise UserError(
            f"another `bacalhau-spot create` is creating the orchestrator in {self._region}",
            hint="wait until it has ended, then run `bacalhau-spot create` again",
            docs="docs/orchestrator.md",
        )

    async def _create(self) -> bool:
        """Whether this create has created the template."""
        create = partial(
            self._calls.cloud.create_template,
            self._region,
            name=self._name,
            client_token=self._calls.run_token(self._region, self._name),
            tags=self._tags,
        )
        try:
            template_id = await self._calls.write(self._region, create)
        except CloudError as error:
            if error.code != _NAME_TAKEN:
                raise
            return False
        self._calls.emit(
            events.ResourceCreated(region=self._region, kind=ResourceKind.TEMPLATE, id=template_id)
        )
        return True

    async def _template(self) -> FoundTemplate | None:
        """The template of the other create, as soon as AWS lists it; None if it was deleted.

        A name alone proves nothing: a template has its tags from its creation on. Raises UserError for one of others.
        """
        look = partial(self._calls.cloud.template, self._region, self._name)
        found = await once_listed(self._calls, self._region, look, pause_s=_LOOK_PAUSE_S)
        if found is not None:
            check_owner(f"the launch template {self._name} in {self._region}", found.tags, self._naming)
        return found

    async def _claimed_for_s(self, template: FoundTemplate | None) -> float:
        """The time since the last claim. A claim that takes over is a further version."""
        if template is None:
            return 0.0
        if template.version == 1:
            return template.age.total_seconds()
        look = partial(self._calls.cloud.version_age, self._region, template.id, template.version)
        return (await self._calls.read(self._region, look)).total_seconds()

    async def _is_completed_by_another(
        self, is_complete: Callable[[], Awaitable[bool]], age_s: float
    ) -> bool:
        """Wait as long as another create may take, and until AWS's lists show it: not at all after an old claim."""
        deadline_s = self._calls.clock.monotonic_s() + _OTHER_CREATE_S + LAG_S - age_s
        is_told = False
        while not await is_complete():
            if self._calls.clock.monotonic_s() >= deadline_s:
                return False
            if not is_told:
                self._calls.emit(
                    events.OrchestratorChanged(region=self._region, message="waiting for another create")
                )
                is_told = True
            await self._calls.pause(_LOOK_PAUSE_S)
        return True

    async def _take_over(self, template: FoundTemplate) -> bool:
        """False if another create has taken over since `template` was read."""
        token = hashlib.sha256(f"{template.id}\x1f{template.version}".encode()).hexdigest()
        claim = partial(
            self._calls.cloud.claim_template,
            self._region,
            template.id,
            owner=self._calls.run_token(self._region, template.id),
            client_token=token,
        )
        try:
            await self._calls.write(self._region, claim)
        except CloudError as error:
            if error.code not in _OTHER_OWNER:
                raise
            return False
        return True
