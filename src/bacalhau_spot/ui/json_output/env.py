"""The output of `env` for programs. It contains the secret, as the lines for a shell do."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from bacalhau_spot.core.orchestrator.client_environment import ClientEnvironment


class ClientOutput(TypedDict):
    """Bacalhau's client."""

    version: str | None
    """the orchestrator's version, or the configured one if the orchestrator does not answer"""
    download_url: str | None
    """the archive for this machine"""


class EnvOutput(TypedDict):
    orchestrator: str
    """the address of its API"""
    variables: dict[str, str]
    """to set; they include the API key, or the user and password"""
    removed: list[str]
    """variables to remove, because the client would combine them with the others"""
    client: ClientOutput


def env_data(
    values: ClientEnvironment, *, orchestrator: str, version: str | None, download: str | None
) -> EnvOutput:
    return {
        "orchestrator": orchestrator,
        "variables": dict(values.values),
        "removed": list(values.removed),
        "client": {"version": version, "download_url": download},
    }
