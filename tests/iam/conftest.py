"""The program under a policy of its own."""

from cli.conftest import program
from support.sandbox import sandbox, sandbox_server

__all__ = ["program", "sandbox", "sandbox_server"]
