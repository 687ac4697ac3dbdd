"""What this run was asked for, as the CLI library has read it."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from bacalhau_spot.cli.runtime.shared_options import NO_OPTIONS, CommonOptions

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Invocation:
    """Of a command line with a mistake, what could be read in spite of it."""

    argv: tuple[str, ...] = ()
    command: str = ""  # its first word; empty where none is named
    common: CommonOptions = NO_OPTIONS
    cluster: str | None = None
    page: bool = False  # a help page or the version is asked for

    def of_command(self, arguments: Mapping[str, Any]) -> Invocation:
        """The same, once the command's `arguments` are known."""
        return replace(
            self, common=arguments.get("common", NO_OPTIONS), cluster=arguments.get("cluster", self.cluster)
        )

    @property
    def context_flags(self) -> tuple[str, ...]:
        """The options that decide which cluster is meant, each with its value: the commands that we suggest need them too."""
        values = {
            "--config": self.common.config,
            "--profile": self.common.profile,
            "--cluster": self.cluster,
        }
        flags = (_flag(name, str(value)) for name, value in values.items() if value is not None)
        return ("--sandbox", *flags) if self.common.sandbox else tuple(flags)

    @property
    def remote_command(self) -> tuple[str, ...]:
        """The words behind `--`: somebody else's command, in which nothing is ours."""
        return self.argv[self.argv.index("--") + 1 :] if "--" in self.argv else ()


def _flag(name: str, value: str) -> str:
    """A value that looks like an option is taken for a value only behind `=`."""
    return f"{name}{'=' if value.startswith('-') else ' '}{shlex.quote(value)}"
