"""The program against a sandbox full of things, ours and others'."""

from cli.conftest import program
from support.sandbox import sandbox, sandbox_server

__all__ = ["program", "sandbox", "sandbox_server"]
