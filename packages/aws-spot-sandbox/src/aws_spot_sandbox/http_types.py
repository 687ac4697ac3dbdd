"""The sandbox's common types: a parsed AWS call, its reply, and AWS's errors."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Http:
    """The HTTP request of a call, for data that the call's fields lack: REST paths, protocols, signatures."""

    method: str = "POST"
    path: str = "/"  # as sent, percent-encoded
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)  # lower-case names; empty for internal calls


@dataclass(frozen=True)
class Call:
    """An AWS API call. `params` are the form fields of the query protocol, or the top-level JSON members."""

    service: str  # the signing name: ec2, sts, ssm, iam …
    region: str
    action: str  # DescribeInstances …
    params: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    access_key_id: str = ""
    http: Http = field(default_factory=Http)
    rest: str = ""  # the operation of a REST call, which has no action: CreateBucket

    @property
    def operation(self) -> str:
        return self.action or self.rest

    @property
    def name(self) -> str:
        """Service and operation: ec2:CreateVpc. In policies S3's actions have other names."""
        return f"{self.service}:{self.operation}"

    @property
    def mutates(self) -> bool:
        return not self.operation.startswith(("Describe", "Get", "List", "Search", "Decode", "Head"))


@dataclass(frozen=True)
class Reply:
    body: bytes
    status: int = 200
    content_type: str = "text/xml; charset=utf-8"
    headers: tuple[tuple[str, str], ...] = ()  # S3's results are partly in headers
    numbered: bool = True  # with a request id, which AWS's replies have and those of other servers do not


class AwsError(Exception):
    """An AWS error. The server formats it in the protocol of the called service. `details`: S3's further elements."""

    def __init__(
        self, code: str, message: str, *, status: int = 400, details: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
        self.details = dict(details or {})


class ConnectionLost(Exception):  # noqa: N818 - a simulated event, not an error
    """The connection is closed without a reply, whether or not the call was executed."""


class Handler(Protocol):
    """A stage that handles a call or passes it on."""

    def __call__(self, call: Call) -> Reply: ...
