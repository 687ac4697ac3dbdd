"""What passes between the parts of the sandbox: an AWS call taken apart, its answer, and AWS's way of saying no."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Http:
    """The request a call came in, for what the call's other fields do not say: REST paths, protocols, signatures."""

    method: str = "POST"
    path: str = "/"  # as sent: not unquoted
    query: str = ""
    headers: Mapping[str, str] = field(
        default_factory=dict
    )  # names in lower case; empty: made inside the sandbox


@dataclass(frozen=True)
class Call:
    """One AWS API call. `params` are the form fields of the query protocol, or the top-level JSON members as they came."""

    service: str  # ec2, sts, ssm, iam …: the signing name
    region: str
    action: str  # DescribeInstances …
    params: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    access_key_id: str = ""
    http: Http = field(default_factory=Http)

    @property
    def name(self) -> str:
        """As policies spell it: ec2:CreateVpc."""
        return f"{self.service}:{self.action}"

    @property
    def mutates(self) -> bool:
        return not self.action.startswith(("Describe", "Get", "List", "Search", "Decode"))


@dataclass(frozen=True)
class Reply:
    """What goes back over the wire."""

    body: bytes
    status: int = 200
    content_type: str = "text/xml; charset=utf-8"
    numbered: bool = True  # AWS gives each of its replies a request id; what answers in its place does not


class AwsError(Exception):
    """AWS says no. The server writes it in the protocol of the service that was called."""

    def __init__(self, code: str, message: str, *, status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status


class ConnectionLost(Exception):  # noqa: N818 - it happens, it is not raised in anger
    """The connection ends without an answer, whatever has been done by then."""


class Handler(Protocol):
    """A stage that answers a call, or hands it on."""

    def __call__(self, call: Call) -> Reply: ...
