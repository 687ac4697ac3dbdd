"""The results of a command on many nodes."""

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
    """The result of one node. `code` None: timed out. `truncated`: the output was longer than the limit."""

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
        """By ssh's exit code; the command may have the same one."""
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
    """Results with the same exit code and output, together; the largest group first."""
    groups: dict[tuple[int | None, str, str], list[CommandResult]] = {}
    for result in results:
        groups.setdefault((result.code, result.stdout, result.stderr), []).append(result)
    return tuple(sorted((tuple(group) for group in groups.values()), key=len, reverse=True))
