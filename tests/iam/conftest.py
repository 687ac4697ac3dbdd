"""The program under a policy of its own."""

from cli.conftest import program
from support.sandbox import sandbox, sandbox_server
from support.shared_clients import shared_clients

__all__ = ["program", "sandbox", "sandbox_server", "shared_clients"]
