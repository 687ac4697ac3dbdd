"""The credentials of a managed orchestrator, stored together as one encrypted SSM parameter.

One parameter is written in one call, so that two concurrent creates cannot mix their values. A standard parameter holds 4,096
characters (SSM API reference, PutParameter); these take about 2,400 with elliptic-curve keys.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from bacalhau_spot.core.model import Secret


@dataclass(frozen=True, slots=True)
class OrchestratorCredentials:
    """`host`: the address that the server certificate is for. Keys and certificates are PEM."""

    host: str
    token: Secret  # of compute nodes, for NATS
    operator_key: Secret  # API key with all permissions, for Bacalhau's client
    tool_key: Secret  # API key of bacalhau-spot: reads and changes nodes
    ca_pem: str
    ca_key: Secret
    server_pem: str
    server_key: Secret

    def to_json(self) -> Secret:
        """The parameter's value. The program on the orchestrator's instance reads the same keys."""
        return Secret(
            json.dumps(
                {
                    name: value.reveal() if isinstance(value, Secret) else value
                    for name, value in ((name, getattr(self, name)) for name in _FIELDS)
                },
                separators=(",", ":"),
            )
        )

    @classmethod
    def from_json(cls, text: Secret) -> OrchestratorCredentials:
        """Raises ValueError if the parameter has another format."""
        data = json.loads(text.reveal())
        if not isinstance(data, dict) or not all(isinstance(data.get(name), str) for name in _FIELDS):
            raise ValueError("the parameter does not contain an orchestrator's credentials")
        return cls(
            host=data["host"],
            token=Secret(data["token"]),
            operator_key=Secret(data["operator_key"]),
            tool_key=Secret(data["tool_key"]),
            ca_pem=data["ca_pem"],
            ca_key=Secret(data["ca_key"]),
            server_pem=data["server_pem"],
            server_key=Secret(data["server_key"]),
        )


_FIELDS = ("host", "token", "operator_key", "tool_key", "ca_pem", "ca_key", "server_pem", "server_key")
