"""What a command on many nodes came to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bacalhau_spot.core.shell import SSH_FAILED
from bacalhau_spot.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bacalhau_spot.core.model import Instance


@dataclass(frozen=True, slots=True)
class Ran:
    """One node's part. `code` None: it was ended because its time was over. `cut`: it said more than was kept."""

    instance: Instance
    code: int | None
    stdout: str = ""
    stderr: str = ""
    cut: bool = False

    @property
    def well(self) -> bool:
        return self.code == 0

    @property
    def unreached(self) -> bool:
        """As far as ssh's own exit code tells; the command may have ended with the same."""
        return self.code == SSH_FAILED


@dataclass(frozen=True, slots=True)
class Everywhere:
    """All nodes' parts, in the nodes' order."""

    command: tuple[str, ...]
    ran: tuple[Ran, ...]

    @property
    def failed(self) -> tuple[Ran, ...]:
        return tuple(one for one in self.ran if not one.well)

    @property
    def exit_code(self) -> ExitCode:
        return ExitCode.FAILED if self.failed else ExitCode.DONE


def alike(ran: Sequence[Ran]) -> tuple[tuple[Ran, ...], ...]:
    """Those that ended alike and said the same, together; the most first."""
    groups: dict[tuple[int | None, str, str], list[Ran]] = {}
    for one in ran:
        groups.setdefault((one.code, one.stdout, one.stderr), []).append(one)
    return tuple(sorted((tuple(group) for group in groups.values()), key=len, reverse=True))
