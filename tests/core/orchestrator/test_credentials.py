"""The parameter of a managed orchestrator's credentials."""

from __future__ import annotations

import json

import pytest

from bacalhau_spot.core.model import Secret
from bacalhau_spot.core.orchestrator.credentials import OrchestratorCredentials

CREDENTIALS = OrchestratorCredentials(
    host="203.0.113.7",
    token=Secret("node-token"),
    operator_key=Secret("operator"),
    tool_key=Secret("tool"),
    ca_pem="CA",
    ca_key=Secret("CA key"),
    server_pem="CERTIFICATE",
    server_key=Secret("KEY"),
)


def test_what_is_written_is_read() -> None:
    text = CREDENTIALS.to_json()
    read = OrchestratorCredentials.from_json(text)
    assert read == CREDENTIALS
    assert "node-token" not in repr(read) and "node-token" not in repr(text)
    assert json.loads(text.reveal())["token"] == "node-token"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"host": 1}', "not JSON"])
def test_another_format_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - json's own message, or the class's
        OrchestratorCredentials.from_json(Secret(text))


def test_a_missing_value_is_refused() -> None:
    data = json.loads(CREDENTIALS.to_json().reveal())
    del data["ca_key"]
    with pytest.raises(ValueError, match="does not contain"):
        OrchestratorCredentials.from_json(Secret(json.dumps(data)))
