"""The output of `env` for programs. It contains the secret, as the lines for a shell do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NotRequired, TypedDict, cast

if TYPE_CHECKING:
    from bacalhau_spot.core.orchestrator.client_environment import ClientEnvironment


class ClientOutput(TypedDict):
    """Bacalhau's client."""

    version: str | None
    """the orchestrator's version, or the configured one if the orchestrator does not answer"""
    download_url: str | None
    """the archive for this machine"""


class ClientVariablesOutput(TypedDict):
    """As Bacalhau's client reads them: a key, or a user and a password, or neither."""

    BACALHAU_API_HOST: str
    """the URL, with the port"""
    BACALHAU_API_TLS_USETLS: Literal["true", "false"]
    BACALHAU_API_TLS_CAFILE: NotRequired[str]
    """the file with the certificate authority of the API"""
    BACALHAU_API_KEY: NotRequired[str]
    BACALHAU_API_USERNAME: NotRequired[str]
    BACALHAU_API_PASSWORD: NotRequired[str]


class EnvOutput(TypedDict):
    orchestrator: str
    """the address of its API"""
    variables: ClientVariablesOutput
    """to set"""
    removed: list[str]
    """variables to remove, because the client would combine them with the others"""
    client: ClientOutput


def env_data(
    values: ClientEnvironment, *, orchestrator: str, version: str | None, download: str | None
) -> EnvOutput:
    return {
        "orchestrator": orchestrator,
        "variables": cast("ClientVariablesOutput", dict(values.values)),
        "removed": list(values.removed),
        "client": {"version": version, "download_url": download},
    }
