"""The local requirements of ssh: the program, the private key, and the environment."""

from __future__ import annotations

import shlex
import shutil
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from bacalhau_spot.child_environment import needed_variables
from bacalhau_spot.core.ssh.ssh_command import INSTALL_OPENSSH, SshOptions
from bacalhau_spot.errors import ExitCode, UserError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bacalhau_spot.cli.runtime.environment import Runtime
    from bacalhau_spot.core.model import ClusterSpec

# Permissions of other users: ssh refuses a key that has any of them (ssh(1), ~/.ssh/id_rsa).
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def program(runtime: Runtime) -> str:
    """The system's ssh. Raises UserError if there is none."""
    program_path = shutil.which("ssh", path=runtime.environ.get("PATH"))
    if program_path is None:
        raise UserError(
            "there is no ssh program on this machine",
            hint=INSTALL_OPENSSH,
        )
    return program_path


def ssh_options(spec: ClusterSpec) -> SshOptions:
    """The options for connections to the cluster's nodes. Raises UserError for a key that ssh would refuse."""
    if spec.private_ssh_key_path:
        check_key(Path(spec.private_ssh_key_path))
    return SshOptions(spec.username, spec.private_ssh_key_path)


def check_key(key: Path) -> None:
    """Raises UserError unless it is a file that only its owner may access."""
    try:
        mode = key.stat().st_mode
    except OSError as error:
        raise UserError(
            f"the private key {key} cannot be read",
            why=error.strerror or str(error),
            hint="correct `private_ssh_key_path`; the private half of `public_ssh_key_path`",
            exit_code=ExitCode.USAGE,
        ) from error
    if not stat.S_ISREG(mode):
        raise UserError(
            f"the private key {key} is not a file",
            hint="correct `private_ssh_key_path`",
            exit_code=ExitCode.USAGE,
        )
    if stat.S_IMODE(mode) & _OTHERS:
        raise UserError(
            f"other users can read the private key {key}",
            why=f"its mode is {stat.S_IMODE(mode):04o}, and ssh would refuse it",
            hint=f"chmod 600 {shlex.quote(str(key))}",
            exit_code=ExitCode.USAGE,
        )


# The variables for ssh, its agent, its password prompt and the terminal. Tokens and AWS keys are not passed on.
_SSH_NEEDS = frozenset(
    {
        "PATH", "HOME", "USER", "LOGNAME", "SHELL", "TERM", "COLORTERM", "LANG", "LANGUAGE", "TZ", "TMPDIR", "DISPLAY",
        "WAYLAND_DISPLAY", "XAUTHORITY", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS", "KRB5CCNAME", "GPG_TTY",
    }
)  # fmt: skip
_SSH_FAMILIES = ("SSH_", "LC_")


def environ_for_ssh(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that ssh gets."""
    return needed_variables(environ, _SSH_NEEDS, families=_SSH_FAMILIES)
