"""The connection to the sandbox, a separate distribution (extra `sandbox`), and its errors as UserError."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from bacalhau_spot.cli.runtime.environment import Runtime
from bacalhau_spot.cloud.connection import AwsConnection
from bacalhau_spot.errors import ExitCode, UserError
from bacalhau_spot.extras import install_command

_HINTS = {
    "NotRunning": "`bacalhau-spot sandbox start` starts one, and so does any command with --sandbox",
    "Refused": "`bacalhau-spot sandbox status` shows all switches and their values",
    "Restart": "`bacalhau-spot sandbox stop`, then the same command again",
}


@contextmanager
def sandbox_process() -> Iterator[ModuleType]:
    """`aws_spot_sandbox.process`. Raises UserError if it is not installed, and for each of its errors."""
    try:
        process = importlib.import_module("aws_spot_sandbox.process")
        errors = importlib.import_module("aws_spot_sandbox.errors")
    except ImportError as error:
        raise UserError(
            "the sandbox is not installed: this installation is without the extra `sandbox`",
            hint=f"`{install_command('sandbox')}` in the program's folder installs it; `uv run -s deploy_spot.py` includes it",
            exit_code=ExitCode.USAGE,
        ) from error
    try:
        yield process
    except errors.SandboxError as error:
        raise UserError(
            error.message,
            why=error.why,
            details=error.details,
            hint=_HINTS.get(error.code, error.hint),
            docs="docs/sandbox.md",
            exit_code=ExitCode.USAGE if error.usage else ExitCode.FAILED,
        ) from error


def connect_sandbox(runtime: Runtime) -> AwsConnection:
    """The connection to the sandbox, which is started if it is not running."""
    with sandbox_process() as process:
        endpoint = process.ensure_running(state_dir=runtime.state_dir)
    return AwsConnection(
        endpoint_url=endpoint.url,
        access_key_id=endpoint.access_key_id,
        secret_access_key=endpoint.secret_access_key,
        checkip_url=f"{endpoint.url}/_sandbox/address",
        advisor_url=f"{endpoint.url}/_sandbox/advisor",
        archive_url=f"{endpoint.url}/_sandbox/archive/{{version}}/{{arch}}",
        orchestrator_url=endpoint.plugged_in["orchestrator_url"],
        orchestrator_key=endpoint.plugged_in["orchestrator_key"],
    )


def sandbox_cache_dir(runtime: Runtime) -> Path:
    """The folder for data about the running sandbox; the next sandbox starts with an empty one."""
    with sandbox_process() as process:
        folder: Path = process.memory_dir(runtime.state_dir)
    return folder
