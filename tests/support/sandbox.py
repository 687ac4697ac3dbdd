"""The sandbox as a fixture for every test folder."""

from sandbox.conftest import sandbox, sandbox_server

__all__ = ["sandbox", "sandbox_server"]
