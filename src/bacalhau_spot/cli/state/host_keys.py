"""The host keys of nodes that this machine knows: a file for each node, as ssh reads it.

`ID` has the keys from the node's console output, `ID.accepted` a key that the user accepted without it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from bacalhau_spot import files
from bacalhau_spot.core.ssh.host_keys import known_hosts_text, lists_key_of
from bacalhau_spot.core.ssh.ssh_command import KnownHosts
from bacalhau_spot.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bacalhau_spot.core.model import Instance
    from bacalhau_spot.core.ssh.host_keys import HostKey

FOLDER: Final = "host_keys"
_MAX_BYTES = 64 << 10
# AWS chooses the ids; a file's name takes none of another form.
_ID: Final = re.compile(r"i-[0-9a-f]{8,17}")


class HostKeyFiles:
    """Creates the folder. Raises UserError if that is impossible."""

    def __init__(self, state_dir: Path) -> None:
        self._folder = state_dir / FOLDER
        try:
            files.private_folder(state_dir)
            files.private_folder(self._folder)
        except OSError as error:
            raise _not_writable(self._folder, error) from error

    def known(self, node: Instance) -> KnownHosts | None:
        """The keys from the node's console output, if they were read before."""
        return self._file(node, "")

    def accepted(self, node: Instance) -> KnownHosts | None:
        """The key that the user accepted."""
        return self._file(node, ".accepted")

    def accept_next(self, node: Instance) -> KnownHosts:
        """Ssh writes the key of whoever answers."""
        return KnownHosts(str(self._path(node, ".accepted")), accept_new=True)

    def remember(self, node: Instance, keys: Sequence[HostKey]) -> KnownHosts:
        path = self._path(node, "")
        try:
            files.write(path, known_hosts_text(node, keys))
        except OSError as error:
            raise _not_writable(path, error) from error
        return KnownHosts(str(path))

    def _file(self, node: Instance, ending: str) -> KnownHosts | None:
        path = self._path(node, ending)
        try:
            text = files.read_text(path, max_bytes=_MAX_BYTES)
        except OSError:
            return None
        return KnownHosts(str(path)) if lists_key_of(node, text) else None

    def _path(self, node: Instance, ending: str) -> Path:
        if not _ID.fullmatch(node.id):
            raise UserError(
                f"AWS returned an instance id of an unknown form: {node.id}",
                hint="report this, with the output of `bacalhau-spot list`",
            )
        return self._folder / f"{node.id}{ending}"


def _not_writable(path: Path, error: OSError) -> UserError:
    return UserError(
        f"{path}, for the host keys of nodes, cannot be written",
        why=error.strerror or str(error),
        hint="set XDG_STATE_HOME to a folder that can be written to",
    )
