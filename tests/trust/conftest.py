"""The suite whose figures docs/promises.md has: the program against the sandbox, as in tests/cli."""

from __future__ import annotations

from cli.conftest import few_regions, program, sandbox, sandbox_server

__all__ = ["few_regions", "program", "sandbox", "sandbox_server"]
