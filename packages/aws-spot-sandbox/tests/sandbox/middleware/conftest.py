from __future__ import annotations

import pytest

from sandbox.middleware.harness import Harness


@pytest.fixture
def harness(monkeypatch: pytest.MonkeyPatch) -> Harness:
    """Skips signatures: calls with headers, such as JSON calls, would need one. test_signature.py tests them."""
    monkeypatch.setattr("aws_spot_sandbox.middleware.signature.is_ours", lambda _call: True)
    return Harness()
