"""Where the sandbox is, for the commands that are to speak to it."""

from __future__ import annotations

from pathlib import Path

from bacalhau_spot.cli.runtime.environment import Runtime
from bacalhau_spot.cloud.connection import AwsConnection
from bacalhau_spot.sandbox import process


def connect_sandbox(runtime: Runtime) -> AwsConnection:
    """The way to the sandbox, which is started when it does not run."""
    endpoint = process.ensure_running(state_dir=runtime.state_dir)
    return AwsConnection(
        endpoint_url=endpoint.url,
        access_key_id=endpoint.access_key_id,
        secret_access_key=endpoint.secret_access_key,
        checkip_url=f"{endpoint.url}/_sandbox/address",
        advisor_url=f"{endpoint.url}/_sandbox/advisor",
        archive_url=f"{endpoint.url}/_sandbox/archive/{{version}}/{{arch}}",
        orchestrator_url=endpoint.orchestrator_url,
        orchestrator_key=endpoint.orchestrator_key,
    )


def sandbox_cache_dir(runtime: Runtime) -> Path:
    """Where is kept what is known of the sandbox that runs; the next one begins with an empty folder."""
    return process.memory_dir(runtime.state_dir)
