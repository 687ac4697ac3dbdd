"""`env`: the environment variables of Bacalhau's client. The only command that prints a secret of the configuration."""

from __future__ import annotations

import asyncio
import platform
import re
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from bacalhau_spot import files
from bacalhau_spot.cli.runtime.context import CommandContext
from bacalhau_spot.cli.runtime.environment import Runtime
from bacalhau_spot.cli.runtime.result import Result
from bacalhau_spot.cli.runtime.shared_options import NO_OPTIONS, CommonOptions
from bacalhau_spot.core.orchestrator.client_environment import (
    ClientEnvironment,
    Shell,
    client_environment,
    shell_lines,
    shell_of,
    unprintable,
)
from bacalhau_spot.core.tags import slug
from bacalhau_spot.errors import ExitCode, UserError
from bacalhau_spot.instance.user_data import client_download_url
from bacalhau_spot.orchestrator.http import base_url
from bacalhau_spot.orchestrator.port import OrchestratorError
from bacalhau_spot.ui import json_output, views

if TYPE_CHECKING:
    from pathlib import Path

    from bacalhau_spot.core.model import BacalhauSpec

_RELEASE = re.compile(r"v\d+\.\d+\.\d+")
# Bacalhau's spelling of the names that `uname -m` prints.
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def env(
    *,
    shell: Annotated[Shell | None, Parameter(name="--shell", metavar="SHELL")] = None,
    client_url: Annotated[bool, Parameter(name="--client-url", negative="")] = False,
    common: CommonOptions = NO_OPTIONS,
    runtime: Annotated[Runtime, Parameter(parse=False)],
) -> Result:
    """Print the environment variables of Bacalhau's client for this cluster's orchestrator.

    `eval "$(bacalhau-spot env)"` sets them in bash, `bacalhau-spot env --shell fish | source` in fish. The output contains the
    API key or password. The certificate authority of the API is written to a file that only you can read. On a terminal, the
    command also explains its use and the installation of the client.

    Parameters
    ----------
    shell
        The shell that reads the lines. Default: the shell in $SHELL, otherwise bash; bash also stands for sh and zsh.
    client_url
        Print only the address of the archive with Bacalhau's client, for this machine and in the orchestrator's version.
    """
    context = CommandContext("env", common, runtime)
    api = context.operator_api()
    url = base_url(api.api_host or "")
    chosen = shell or shell_of(runtime.environ.get("SHELL", ""))
    values = _values(context, api, url)
    _check_printable(values)
    # `eval` waits for no answer of the orchestrator.
    reading = not context.for_people or runtime.stdout.isatty()
    version = _client_version(context, api) if reading or client_url else None
    if reading and not client_url:
        context.print_status(views.env_help_view(chosen, version=version, download=_download(version)))
    return Result(
        "env",
        view=views.raw(_download(version) or "" if client_url else shell_lines(values, chosen)),
        data=json_output.env_data(values, orchestrator=url, version=version, download=_download(version)),
        unredacted=True,
    )


def _values(context: CommandContext, api: BacalhauSpec, url: str) -> ClientEnvironment:
    return client_environment(
        url,
        key=api.api_key.reveal() if api.api_key else None,
        user=api.api_user,
        password=api.api_password.reveal() if api.api_password else None,
        ca_file=str(_ca_file(context, api)) if api.api_ca_pem else None,
    )


def _ca_file(context: CommandContext, api: BacalhauSpec) -> Path:
    """The file with the API's certificate authority, written now. One for each cluster, so that open shells stay valid."""
    path = context.cache_dir / "ca" / f"{slug(context.naming())}.pem"
    try:
        files.private_folder(path.parent)
        files.write(path, api.api_ca_pem or "")
    except OSError as error:
        raise UserError(
            f"the API's certificate authority cannot be written to {path}",
            why=error.strerror or str(error),
            hint="correct the folder, or select another one with the environment variable XDG_STATE_HOME",
        ) from error
    return path


def _check_printable(values: ClientEnvironment) -> None:
    names = unprintable(values)
    if names:
        raise UserError(
            f"{names[0]} contains characters that cannot be printed for a shell",
            hint="replace the key or password by one of printable characters, at the orchestrator and here",
            exit_code=ExitCode.USAGE,
        )


def _client_version(context: CommandContext, api: BacalhauSpec) -> str:
    """The orchestrator's version; the configured one if the orchestrator does not answer or runs no release."""
    client = context.api_client(api)
    found = ""
    if client is not None:
        try:
            found = asyncio.run(client.version())
        except OrchestratorError as error:
            context.print_status(
                views.note("note", f"the orchestrator does not answer: {error.code}: {error.message}")
            )
    return found if _RELEASE.fullmatch(found) else context.spec().bacalhau.version


def _download(version: str | None) -> str | None:
    if version is None:
        return None
    machine = platform.machine().lower()
    return client_download_url(
        version, system=platform.system().lower(), arch=_ARCHITECTURES.get(machine, machine)
    )
