"""The program under a policy of its own."""

from cli.conftest import few_regions, program
from support.sandbox import sandbox, sandbox_server

__all__ = ["few_regions", "program", "sandbox", "sandbox_server"]
