"""The common parts of finding and deleting: the protocols, and EC2's list and delete calls.

A listing filters by tag at AWS and again here on the live resource, because EC2's filters have wildcards and their
index lags.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from bacalhau_spot.cloud.cloud_error import CloudError
from bacalhau_spot.cloud.ec2_params import scope_filter, tags_of
from bacalhau_spot.cloud.port import Deletion, FailedDeletion
from bacalhau_spot.core.model import Resource
from bacalhau_spot.core.tags import NAME_KEY

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from datetime import datetime

    from bacalhau_spot.cloud.session import Session
    from bacalhau_spot.core.kinds import ResourceKind
    from bacalhau_spot.core.tags import Scope

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class FindRequest:
    """Parameters of a search in `scope`. `ids`: candidates, for resource types that AWS does not list by tag."""

    session: Session
    region: str
    scope: Scope
    ids: tuple[str, ...] = ()


class Find(Protocol):
    """All resources of the type within the scope. Raises CloudError."""

    def __call__(self, request: FindRequest, /) -> Awaitable[Sequence[Resource]]: ...


class Delete(Protocol):
    """Begin to delete. Raises CloudError for the whole batch; the result has the errors of single resources."""

    def __call__(
        self, session: Session, region: str, resources: Sequence[Resource], /
    ) -> Awaitable[Deletion]: ...


class Unprotect(Protocol):
    """Remove a resource's deletion protection. Raises CloudError."""

    def __call__(self, session: Session, region: str, resource: Resource, /) -> Awaitable[None]: ...


class DryRun(Protocol):
    """Ask AWS for permission to delete, without changes. Raises CloudError, with DryRunOperation if permitted."""

    def __call__(self, session: Session, region: str, resource: Resource, /) -> Awaitable[None]: ...


@dataclass(frozen=True, slots=True)
class Handler:
    """The operations on a resource type. `dry_run` is None outside EC2, which alone has DryRun."""

    find: Find
    delete: Delete
    unprotect: Unprotect | None = None
    dry_run: DryRun | None = None


@dataclass(frozen=True, slots=True)
class Ec2Listing:
    """An EC2 list call with a tag filter. `gone`: states of deleted resources that EC2 still lists."""

    kind: ResourceKind
    operation: str
    key: str
    id_key: str
    more: Callable[[Row], Mapping[str, Any]] = lambda _row: {}
    state: Callable[[Row], str] = lambda row: str(row.get("State", ""))
    created_at: Callable[[Row], datetime | None] = lambda row: row.get("CreateTime")
    tags_key: str = "Tags"
    gone: frozenset[str] = frozenset()
    parent: bool = False  # it launches instances, which may outlive it
    filters: str = "Filters"  # EC2 has two spellings; empty if the operation has no tag filter
    also: Mapping[str, Any] | None = None

    async def __call__(self, request: FindRequest) -> list[Resource]:
        by_tag = {self.filters: scope_filter(request.scope)} if self.filters else {}
        parameters = {**by_tag, **(self.also or {})}
        rows = await request.session.pages("ec2", request.region, self.operation, self.key, **parameters)
        return self.resources(rows, request)

    def resources(self, rows: Sequence[Row], request: FindRequest) -> list[Resource]:
        return [
            self.resource(row, request.region)
            for row in rows
            if request.scope.matches(self.tags(row)) and (self.parent or self.state(row) not in self.gone)
        ]

    def tags(self, row: Row) -> dict[str, str]:
        return tags_of({"Tags": row.get(self.tags_key) or ()})

    def resource(self, row: Row, region: str) -> Resource:
        tags = self.tags(row)
        return Resource(
            kind=self.kind.value,
            id=row[self.id_key],
            region=region,
            name=tags.get(NAME_KEY, ""),
            state=self.state(row),
            tags=tags,
            created_at=self.created_at(row),
            is_gone=self.state(row) in self.gone,
            **self.more(row),
        )


def request_id(reply: Mapping[str, Any]) -> str:
    return str(reply.get("ResponseMetadata", {}).get("RequestId", ""))


def deletion(*replies: Mapping[str, Any], refused: Sequence[FailedDeletion] = ()) -> Deletion:
    return Deletion(tuple(filter(None, map(request_id, replies))), tuple(refused))


@dataclass(frozen=True, slots=True)
class Ec2Delete:
    """An EC2 delete call for one id, or `many`; with `by_handle`, the handle replaces the id.

    `unsuccessful`: the key of the failures in a successful reply.
    """

    operation: str
    parameter: str
    many: bool = False
    by_handle: bool = False
    unsuccessful: str = ""
    extra: Mapping[str, Any] | None = None
    harmless: frozenset[str] = frozenset()  # codes in `unsuccessful` for resources that are already deleted

    async def __call__(self, session: Session, region: str, resources: Sequence[Resource]) -> Deletion:
        if not self.many:
            replies = [
                await session.call("ec2", region, self.operation, **self._asked([resource]))
                for resource in resources
            ]
            return deletion(*replies)
        reply = await session.call("ec2", region, self.operation, **self._asked(resources))
        rows = reply.get(self.unsuccessful, ()) if self.unsuccessful else ()
        fresh = [failed_deletion(row) for row in rows]
        return deletion(
            reply,
            refused=[
                failure
                for failure in fresh
                if not is_gone_code(failure.code) and failure.code not in self.harmless
            ],
        )

    async def dry_run(self, session: Session, region: str, resource: Resource) -> None:
        await session.call("ec2", region, self.operation, **self._asked([resource]), DryRun=True)

    def _asked(self, resources: Sequence[Resource]) -> dict[str, Any]:
        ids = [resource.handle if self.by_handle else resource.id for resource in resources]
        return {self.parameter: ids if self.many else ids[0], **(self.extra or {})}


def ec2(
    find: Find, delete: Ec2Delete, *, act: Delete | None = None, unprotect: Unprotect | None = None
) -> Handler:
    """A handler for an EC2 resource type. `act`: replaces the plain call, which is then used for the dry run only."""
    return Handler(find=find, delete=act or delete, unprotect=unprotect, dry_run=delete.dry_run)


def failed_deletion(row: Row) -> FailedDeletion:
    """A failure in a batch reply. Each service has its own name for the id."""
    code, message = _error(row)
    names = (value for key, value in row.items() if key.endswith("Id") and isinstance(value, str))
    return FailedDeletion(id=next(names, ""), code=code, message=message)


def _error(row: Row) -> tuple[str, str]:
    error = row.get("Error", {})
    return str(error.get("Code", "Unknown")), str(error.get("Message", ""))


_GONE_CODES = frozenset(
    {
        "AWS.SimpleQueueService.NonExistentQueue",
        "Gateway.NotAttached",
        "InvalidAMIID.Unavailable",
        "InvalidPlacementGroup.Unknown",
        "InvalidResourceId",  # SSM, for the tags of a parameter
        "InvalidSpotFleetRequestId",
        "NatGatewayNotFound",
        "NoSuchBucket",
        "NoSuchEntity",
        "NoSuchTagSet",
        "NotFoundException",
        "ParameterNotFound",
        "QueueDoesNotExist",
        "ResourceNotFoundException",
    }
)


# The caller lacks the permission.
DENIED = frozenset({"UnauthorizedOperation", "AccessDenied", "AccessDeniedException"})


def is_gone_code(code: str) -> bool:
    """Whether the resource does not exist, which is the goal of a deletion."""
    return code in _GONE_CODES or code.endswith((".NotFound", ".NotFoundException", "NotFound"))


def is_gone_error(error: CloudError) -> bool:
    # Auto Scaling has no code for it (Auto Scaling API reference, DeleteAutoScalingGroup).
    return is_gone_code(error.code) or (
        error.code == "ValidationError" and "not found" in error.message.lower()
    )


def plain_error(error: CloudError) -> CloudError:
    """The error with a specific code, if InvalidParameterValue means in use, which only the message shows."""
    if error.code == "InvalidParameterValue" and "currently in use" in error.message:
        return CloudError(
            "InvalidNetworkInterface.InUse",
            error.message,
            operation=error.operation,
            region=error.region,
            request_id=error.request_id,
        )
    return error
