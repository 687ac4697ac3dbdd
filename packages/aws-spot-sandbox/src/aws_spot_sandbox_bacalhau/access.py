"""Who may call the orchestrator's API.

Bacalhau 1.9, pkg/authz: users with an API key have capabilities such as `read:node`, or `*`; the longest matching path
determines the resource type; a path without one requires `write:node`.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Protocol

from aws_spot_sandbox_bacalhau.node_settings import NodeSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from aws_spot_sandbox.http_types import Call
    from aws_spot_sandbox.state import World

_OPEN = "open"
_RESOURCES: Mapping[str, str] = {
    "/auth": _OPEN,
    "/version": _OPEN,
    "/agent": "agent",
    "/agent/alive": _OPEN,
    "/agent/version": _OPEN,
    "/agent/authconfig": _OPEN,
    "/orchestrator/jobs": "job",
    "/orchestrator/nodes": "node",
}


@dataclass
class Refusal(Exception):  # noqa: N818 - reads better without a suffix
    """A Bacalhau error (bacerrors)."""

    status: int
    code: str
    message: str
    component: str
    hint: str = ""
    reason: str = ""


class Access(Protocol):
    """Raises Refusal for a call that its caller may not make."""

    def __call__(self, call: Call) -> None: ...


@dataclass(frozen=True)
class User:
    alias: str
    key: str
    actions: Sequence[str]

    def may(self, capability: str) -> bool:
        return "*" in self.actions or capability in self.actions


class KeyAccess:
    """`users`: read at each call, because the keys change with the orchestrator's start."""

    def __init__(self, users: Callable[[], Sequence[User]]) -> None:
        self._users = users

    def __call__(self, call: Call) -> None:
        resource = _resource(call.http.path)
        if resource == _OPEN:
            return
        given = call.http.headers.get("authorization", "")
        user = next((user for user in self._users() if given == f"Bearer {user.key}"), None)
        if user is None:
            raise unauthorized("invalid API key" if given else "Missing Authorization header")
        capability = "write:node"
        if resource:
            capability = f"{'read' if call.http.method == 'GET' else 'write'}:{resource}"
        if not user.may(capability):
            raise forbidden(user.alias, capability)


class SwitchAccess:
    """The switches `orchestrator_api_key` and `orchestrator_read_only`."""

    def __init__(self, world: World) -> None:
        self._world = world

    def __call__(self, call: Call) -> None:
        settings = self._world.settings_of(NodeSettings)
        key = settings.orchestrator_api_key
        resource = _resource(call.http.path)
        if key is None or resource == _OPEN:
            return
        given = call.http.headers.get("authorization", "")
        if given not in {f"Bearer {key}", f"Basic {base64.b64encode(key.encode()).decode()}"}:
            raise unauthorized(
                "unsupported authentication method" if given else "Missing Authorization header"
            )
        if settings.orchestrator_read_only and call.http.method != "GET":
            raise forbidden("sandbox", f"write:{resource or 'node'}")


def _resource(path: str) -> str:
    matches = [prefix for prefix in _RESOURCES if path.startswith(prefix)]
    return _RESOURCES[max(matches, key=len)] if matches else ""


def unauthorized(reason: str) -> Refusal:
    return Refusal(
        HTTPStatus.UNAUTHORIZED,
        "Unauthorized",
        "Request Unauthorized",
        "Authorizer",
        "Unauthorized principal. Event has been recorded.",
        reason,
    )


def forbidden(user: str, capability: str) -> Refusal:
    return Refusal(
        HTTPStatus.FORBIDDEN,
        "Forbidden",
        "Request Forbidden",
        "Authorizer",
        "Check if user have access to this resource. Event has been recorded.",
        f"user '{user}' does not have the required capability '{capability}'",
    )
