"""What may be asked of an orchestrator. The docstrings are the contract.

Every verb is one request, waits for nothing, decides nothing and retries nothing. Every verb raises `OrchestratorError` and
nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from bacalhau_spot.core.orchestrator.orchestrator_nodes import OrchestratorNode


class OrchestratorError(Exception):
    """The orchestrator said no, or could not be reached.

    `code` is a row of core.error_catalog.classifier's table (`OrchestratorUnreachable`, `OrchestratorUnauthorized` …),
    `message` what it or the
    transport said, `address` whom we asked.
    """

    def __init__(self, code: str, message: str, *, address: str) -> None:
        super().__init__(f"{address}: {code}: {message}")
        self.code = code
        self.message = message
        self.address = address


class Orchestrator(Protocol):
    """One orchestrator's HTTP API."""

    @property
    def address(self) -> str:
        """Whom we ask, as people know it; never with a password in it."""

    async def nodes(self) -> tuple[OrchestratorNode, ...]:
        """Every compute node it knows, connected or not; nothing is forgotten there until it is removed."""

    async def remove(self, node_id: str) -> None:
        """Forget a node. One that still runs registers again at its next heartbeat. One that is not known is no error."""

    async def version(self) -> str:
        """Bacalhau's version there, such as v1.9.3; needs no key."""
