"""The operations of an orchestrator. The docstrings are the contract.

Each method sends one request, without waiting, deciding or retrying. Each raises `OrchestratorError` and nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bacalhau_spot.core.orchestrator.jobs import Job
    from bacalhau_spot.core.orchestrator.orchestrator_nodes import NodeListing, OrchestratorNode


class OrchestratorError(Exception):
    """The orchestrator returned an error, or could not be reached.

    `code` is a row of core.error_catalog.classifier's table (`OrchestratorUnreachable`, `OrchestratorUnauthorized` …),
    `message` the text of the server or the transport, `address` the orchestrator's address.
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
        """The configured address, without a password."""

    async def listing(self) -> NodeListing:
        """All compute nodes, connected or not, and the orchestrator's own entry. It keeps nodes until they are removed."""

    async def nodes(self) -> tuple[OrchestratorNode, ...]:
        """The nodes of `listing`."""

    async def remove(self, node_id: str) -> None:
        """Remove a node. A running one registers again at its next heartbeat. An unknown one is not an error."""

    async def version(self) -> str:
        """Bacalhau's version, such as v1.9.3; needs no key."""


class JobClient(Protocol):
    """The part of the API that is about jobs. Its key or user needs the actions read:job and write:job."""

    @property
    def address(self) -> str:
        """As `Orchestrator.address`."""

    async def submit(self, job: Mapping[str, Any]) -> str:
        """Submit a job in the format of a job file; returns its id. A job with the name of another is its next version."""

    async def job(self, job_id: str) -> Job:
        """A job with its executions."""

    async def stop_job(self, job_id: str, *, reason: str) -> None:
        """Stop a job. One that has ended, or that does not exist, is not an error."""


class JobLister(Protocol):
    """The list of all jobs. Its key or user needs the action read:job."""

    async def all_jobs(self) -> tuple[Job, ...]:
        """All jobs of all namespaces that the orchestrator keeps, in any state, without their executions."""
