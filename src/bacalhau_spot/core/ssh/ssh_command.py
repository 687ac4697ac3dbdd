"""The command line of the system's ssh for one node.

Rules:
1. A host is known by its instance's id, not by its address: AWS gives addresses to the next one who asks.
2. What is new is learnt, what has changed is refused (`accept-new`): a node's key is made at its first boot and never changes.
3. Known hosts are kept per cluster, so that the user's own file is neither read nor filled with machines that are gone.
4. The system's ssh does the rest: its configuration, agent, passphrases and terminal are the user's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bacalhau_spot.core.model import Instance

INSTALL_OPENSSH = "install OpenSSH's client (on Debian and Ubuntu: `sudo apt-get install openssh-client`)"
# What ssh itself ends with when it cannot do what it is for (ssh(1), "Exit status"); the remote command may use it too.
SSH_FAILED = 255
_CONNECT_S = 10


@dataclass(frozen=True, slots=True)
class SshOptions:
    """How nodes of a cluster are reached. `key` None: whatever ssh tries by itself."""

    user: str
    key: str | None
    known_hosts: str


def ssh_address(instance: Instance) -> str | None:
    """Public where there is one, else private: somebody in the same network may well reach that."""
    return instance.public_ip or instance.private_ip


def ssh_command(
    instance: Instance, ssh_options: SshOptions, *, remote: Sequence[str] = (), unattended: bool = False
) -> tuple[str, ...]:
    """`ssh …` for an instance that has an address. `unattended`: nobody is there to be asked, and nothing is read."""
    options = {
        "UserKnownHostsFile": _quoted(ssh_options.known_hosts),
        "StrictHostKeyChecking": "accept-new",
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
    """ssh_config(5) takes several names, divided by blanks, and knows `%` and `~`."""
    return f'"{path.replace("%", "%%")}"'
