"""The program against a sandbox full of things, ours and others'."""

import pytest

from aws_spot_sandbox.ec2 import regions
from cli.conftest import program
from support import busy_account
from support.sandbox import sandbox, sandbox_server

__all__ = ["program", "sandbox", "sandbox_server"]


@pytest.fixture
def few_regions(monkeypatch: pytest.MonkeyPatch) -> None:
    """The ten regions in which the crowd lives."""
    monkeypatch.setattr(regions, "ENABLED_BY_DEFAULT", busy_account.REGIONS)
