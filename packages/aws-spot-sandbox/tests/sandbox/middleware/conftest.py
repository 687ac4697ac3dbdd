from __future__ import annotations

import pytest

from sandbox.middleware.harness import Harness


@pytest.fixture
def harness(monkeypatch: pytest.MonkeyPatch) -> Harness:
    """Nothing here is signed: JSON calls have headers, and headers ask for a signature. test_signature.py is about those."""
    monkeypatch.setattr("aws_spot_sandbox.middleware.signature.is_ours", lambda _call: True)
    return Harness()
