"""The command line of the system's ssh for one node.

Rules:
1. A host is identified by its instance id, not by its address: AWS reuses addresses.
2. The host keys are known before the first connection, from the node's console output (host_keys.py); ssh refuses any other
   key, and learns none. Only an explicit choice of the user accepts the key of a node whose console does not show it.
3. Known hosts have a file for each node, so that the user's own file is not filled with terminated nodes.
4. The system's ssh does the rest: configuration, agent, passphrases and terminal are the user's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bacalhau_spot.core.model import Instance

INSTALL_OPENSSH = "install OpenSSH's client (on Debian and Ubuntu: `sudo apt-get install openssh-client`)"
# ssh's exit code for its own errors (ssh(1), "Exit status"); the remote command may use it too.
SSH_FAILED = 255
_CONNECT_S = 10


@dataclass(frozen=True, slots=True)
class SshOptions:
    """The ssh settings for a cluster's nodes. `key` None: ssh's own defaults."""

    user: str
    key: str | None


@dataclass(frozen=True, slots=True)
class KnownHosts:
    """The file with the host keys of a node. `accept_new`: ssh writes the key of a first connection into it."""

    path: str
    accept_new: bool = False


def ssh_address(instance: Instance) -> str | None:
    """The public address if there is one, else the private one, which may be reachable from the same network."""
    return instance.public_ip or instance.private_ip


def ssh_command(
    instance: Instance,
    ssh_options: SshOptions,
    known_hosts: KnownHosts,
    *,
    remote: Sequence[str] = (),
    unattended: bool = False,
) -> tuple[str, ...]:
    """`ssh …` for an instance with an address. `unattended`: without prompts and without input."""
    options = {
        "UserKnownHostsFile": _quoted(known_hosts.path),
        "StrictHostKeyChecking": "accept-new" if known_hosts.accept_new else "yes",
        # The user's own configuration may allow ssh to add keys that a host names.
        "UpdateHostKeys": "no",
        # A later run reads the accepted key under the instance's id.
        **({"HashKnownHosts": "no"} if known_hosts.accept_new else {}),
        "HostKeyAlias": instance.id,
        "ConnectTimeout": str(_CONNECT_S),
        **({"IdentitiesOnly": "yes"} if ssh_options.key else {}),
        # Else each node's first word is that its key was learnt.
        **({"BatchMode": "yes", "LogLevel": "ERROR"} if unattended else {}),
    }
    return (
        "ssh",
        *(("-i", ssh_options.key) if ssh_options.key else ()),
        *(part for name, value in options.items() for part in ("-o", f"{name}={value}")),
        *(("-n",) if unattended else ()),
        "-l",
        ssh_options.user,
        "--",
        ssh_address(instance) or "",
        *remote,
    )


def _quoted(path: str) -> str:
    """ssh_config(5) accepts several names, separated by blanks, and expands `%` and `~`."""
    return f'"{path.replace("%", "%%")}"'
