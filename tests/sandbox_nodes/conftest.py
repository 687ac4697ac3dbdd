"""The sandbox's own fixtures."""

from support.sandbox import sandbox, sandbox_server

__all__ = ["sandbox", "sandbox_server"]
