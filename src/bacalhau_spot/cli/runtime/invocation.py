"""The parsed command line of this run."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from bacalhau_spot.cli.runtime.shared_options import NO_OPTIONS, CommonOptions

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Invocation:
    """For an invalid command line, the parts that could be read."""

    argv: tuple[str, ...] = ()
    command: str = ""  # its first word; empty if none is given
    common: CommonOptions = NO_OPTIONS
    cluster: str | None = None
    page: bool = False  # a help page or the version is requested

    def of_command(self, arguments: Mapping[str, Any]) -> Invocation:
        """The same, once the command's `arguments` are known."""
        return replace(
            self, common=arguments.get("common", NO_OPTIONS), cluster=arguments.get("cluster", self.cluster)
        )

    @property
    def columns(self) -> tuple[str, ...]:
        """Of a command with a table."""
        return getattr(self.common, "columns", ())

    @property
    def context_flags(self) -> tuple[str, ...]:
        """The options that select the cluster, with their values: suggested commands need them too."""
        values = {
            "--config": self.common.config,
            "--profile": self.common.profile,
            "--cluster": self.cluster,
        }
        flags = (_flag(name, str(value)) for name, value in values.items() if value is not None)
        return ("--sandbox", *flags) if self.common.sandbox else tuple(flags)

    @property
    def remote_command(self) -> tuple[str, ...]:
        """The words after `--`: another program's command, which has no options of this program."""
        return self.argv[self.argv.index("--") + 1 :] if "--" in self.argv else ()


def _flag(name: str, value: str) -> str:
    """A value that looks like an option is accepted only after `=`."""
    return f"{name}{'=' if value.startswith('-') else ' '}{shlex.quote(value)}"
