"""What a command on many nodes came to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bacalhau_spot.core.ssh.ssh_command import SSH_FAILED
from bacalhau_spot.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bacalhau_spot.core.model import Instance


@dataclass(frozen=True, slots=True)
class CommandResult:
    """One node's part. `code` None: it was ended because its time was over. `truncated`: it said more than was kept."""

    instance: Instance
    code: int | None
    stdout: str = ""
    stderr: str = ""
    truncated: bool = False

    @property
    def succeeded(self) -> bool:
        return self.code == 0

    @property
    def unreachable(self) -> bool:
        """As far as ssh's own exit code tells; the command may have ended with the same."""
        return self.code == SSH_FAILED


@dataclass(frozen=True, slots=True)
class FanOutResult:
    """All nodes' parts, in the nodes' order."""

    command: tuple[str, ...]
    results: tuple[CommandResult, ...]

    @property
    def failed(self) -> tuple[CommandResult, ...]:
        return tuple(result for result in self.results if not result.succeeded)

    @property
    def exit_code(self) -> ExitCode:
        return ExitCode.FAILED if self.failed else ExitCode.DONE


def group_identical(results: Sequence[CommandResult]) -> tuple[tuple[CommandResult, ...], ...]:
    """Those that ended alike and said the same, together; the most first."""
    groups: dict[tuple[int | None, str, str], list[CommandResult]] = {}
    for result in results:
        groups.setdefault((result.code, result.stdout, result.stderr), []).append(result)
    return tuple(sorted((tuple(group) for group in groups.values()), key=len, reverse=True))
