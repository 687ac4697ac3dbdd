"""The environment variables of Bacalhau's own client, and the lines that set them in a shell.

Every variable of the client's connection is set or removed, so that none of an earlier connection remains: the client refuses a
key next to a user, and would send the key of one orchestrator to another.

Source: Bacalhau 1.9, cmd/util/api.go and cmd/util/auth; BACALHAU_API_HOST may be a URL without a path, which includes the port.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

HOST: Final = "BACALHAU_API_HOST"
PORT: Final = "BACALHAU_API_PORT"
USE_TLS: Final = "BACALHAU_API_TLS_USETLS"
CA_FILE: Final = "BACALHAU_API_TLS_CAFILE"
KEY: Final = "BACALHAU_API_KEY"
USER: Final = "BACALHAU_API_USERNAME"
PASSWORD: Final = "BACALHAU_API_PASSWORD"  # noqa: S105 - the variable's name
VARIABLES: Final = (HOST, PORT, USE_TLS, CA_FILE, KEY, USER, PASSWORD)
# PowerShell ends a text in single quotes at any of these (PowerShell language specification, "Verbatim string literals").
_SINGLE_QUOTES: Final = "'\u2018\u2019\u201a\u201b"


class Shell(StrEnum):
    """A shell whose syntax is known. `bash`: POSIX shells, and zsh."""

    BASH = "bash"
    FISH = "fish"
    POWERSHELL = "powershell"


# The command that makes a program of this folder known to the shell.
FIND_HERE: Final[Mapping[Shell, str]] = {
    Shell.BASH: 'export PATH="$PWD:$PATH"',
    Shell.FISH: "set -gx PATH $PWD $PATH",
    Shell.POWERSHELL: '$env:PATH = "$PWD$([IO.Path]::PathSeparator)$env:PATH"',
}
# The command that sets the variables in the shell that runs it.
USE: Final[Mapping[Shell, str]] = {
    Shell.BASH: 'eval "$(bacalhau-spot env)"',
    Shell.FISH: "bacalhau-spot env --shell fish | source",
    Shell.POWERSHELL: "bacalhau-spot env --shell powershell | Out-String | Invoke-Expression",
}


@dataclass(frozen=True, slots=True)
class ClientEnvironment:
    """`values`: the variables to set; the others of `VARIABLES` are to be removed."""

    values: Mapping[str, str]

    @property
    def removed(self) -> tuple[str, ...]:
        return tuple(name for name in VARIABLES if name not in self.values)


def client_environment(
    url: str,
    *,
    key: str | None = None,
    user: str | None = None,
    password: str | None = None,
    ca_file: str | None = None,
) -> ClientEnvironment:
    """The variables for an API at `url`, which has a scheme and a port and no path. A key precedes user and password."""
    secure = url.startswith("https:")
    values = {HOST: url, USE_TLS: "true" if secure else "false"}
    if secure and ca_file is not None:
        values[CA_FILE] = ca_file
    if key is not None:
        values[KEY] = key
    elif user is not None and password is not None:
        values |= {USER: user, PASSWORD: password}
    return ClientEnvironment(values)


def unprintable(environment: ClientEnvironment) -> tuple[str, ...]:
    """The variables whose value no shell can take from a text: it contains control characters."""
    return tuple(name for name, value in environment.values.items() if not value.isprintable())


def shell_of(path: str) -> Shell:
    """The shell at `path`, by its name."""
    name = path.replace("\\", "/").rpartition("/")[2].lower().removesuffix(".exe")
    if name == "fish":
        return Shell.FISH
    return Shell.POWERSHELL if name in {"pwsh", "powershell"} else Shell.BASH


def shell_lines(environment: ClientEnvironment, shell: Shell) -> str:
    """The commands for `shell`, one a line."""
    return "\n".join(_lines(environment, shell)) + "\n"


def _lines(environment: ClientEnvironment, shell: Shell) -> Iterator[str]:
    assign, remove = _SYNTAX[shell]
    for name, value in environment.values.items():
        yield assign(name, value)
    for name in environment.removed:
        yield remove(name)


def _fish(name: str, value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"set -gx {name} '{escaped}'"


def _powershell(name: str, value: str) -> str:
    doubled = "".join(letter * 2 if letter in _SINGLE_QUOTES else letter for letter in value)
    return f"$env:{name} = '{doubled}'"


# How a shell sets a variable, and how it removes one.
_SYNTAX: Final[Mapping[Shell, tuple[Callable[[str, str], str], Callable[[str], str]]]] = {
    Shell.BASH: (lambda name, value: f"export {name}={shlex.quote(value)}", "unset {}".format),
    Shell.FISH: (_fish, "set -e {}".format),
    Shell.POWERSHELL: (_powershell, "Remove-Item Env:{} -ErrorAction Ignore".format),
}
