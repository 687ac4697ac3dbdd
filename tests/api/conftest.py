"""The Python API against the sandbox, as `tests/cli` has it for the command line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from bacalhau_spot.cli.runtime import fact_sources
from bacalhau_spot.cli.runtime.environment import Runtime
from cli.conftest import few_regions, program
from support import cli_runner
from support.cli_runner import CliRunner
from support.sandbox import sandbox, sandbox_server

__all__ = ["few_regions", "program", "sandbox", "sandbox_server"]


@pytest.fixture
def user(program: CliRunner, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    """The user of `program`, whose Python programs have the same folder and clock."""
    real: Callable[..., Runtime] = Runtime.embedded

    def embedded(**streams: Any) -> Runtime:
        return replace(
            real(**streams),
            cwd=program.folder,
            home=program.folder,
            environ=program.environ,
            clock=program.clock,
            jitter=lambda: 0.5,
        )

    monkeypatch.setattr(Runtime, "embedded", embedded)
    monkeypatch.setattr(fact_sources, "probe_orchestrators", cli_runner._accepted)
    return program
