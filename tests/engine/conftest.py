"""The engine against the sandbox, with the sandbox's clock."""

from support.sandbox import sandbox, sandbox_server

__all__ = ["sandbox", "sandbox_server"]
