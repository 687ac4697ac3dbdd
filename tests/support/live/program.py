"""The program as the live suite calls it: its command line, in this process, so that every AWS call is seen."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

from bacalhau_spot.cli import run
from bacalhau_spot.cli.runtime.environment import Runtime
from bacalhau_spot.errors import ExitCode
from support.live.journal import Command, Journal

_STOPPED = {ExitCode.INTERRUPTED, ExitCode.TERMINATED}


class Shown(StringIO):
    """Kept, and shown to the operator at once."""

    def write(self, text: str, /) -> int:
        sys.__stderr__.write(text)  # type: ignore[union-attr]  # pytest keeps it
        sys.__stderr__.flush()  # type: ignore[union-attr]
        return super().write(text)


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    words: str
    code: int
    stdout: str
    stderr: str

    @property
    def data(self) -> Any:
        return json.loads(self.stdout)["data"]

    def good(self) -> Any:
        """Its data. Raises AssertionError unless the exit code is 0."""
        assert self.code == 0, f"`{self.words}` ended with {self.code}: {self.why()}"
        return self.data

    def why(self) -> str:
        try:
            errors = json.loads(self.stdout)["errors"]
        except (ValueError, KeyError):
            return f"{self.stdout[-500:]} {self.stderr[-1500:]}"
        return json.dumps(errors)[:3000]


@dataclass
class Program:
    """`folder`: has config.yaml, and gets the program's own files."""

    folder: Path
    journal: Journal
    quiet: bool = False
    environ: dict[str, str] = field(default_factory=dict)

    def __call__(self, *argv: str) -> Ended:
        """Run one command line with `-o json`. Raises KeyboardInterrupt if Ctrl-C ended it."""
        place = self.journal.place
        began, calls = place.clock.monotonic_s(), len(self.journal.calls)
        stdout, stderr = StringIO(), StringIO() if self.quiet else Shown()
        runtime = Runtime(
            environ={**place.environ, **self.environ, "XDG_STATE_HOME": str(self.folder / "state")},
            cwd=self.folder,
            home=Path.home(),
            stdin=StringIO(),
            stdout=stdout,
            stderr=stderr,
            clock=place.clock,
        )
        if not self.quiet:
            stderr.write(f"\n$ bacalhau-spot {' '.join(argv)}\n")
        code = run(_as_json(argv), runtime=runtime)
        spent_s = place.clock.monotonic_s() - began
        words = " ".join(argv)
        self.journal.commands.append(Command(words, code, spent_s, len(self.journal.calls) - calls))
        if code in _STOPPED:
            raise KeyboardInterrupt(f"`{words}` was interrupted")
        return Ended(words, int(code), stdout.getvalue(), stderr.getvalue())


def _as_json(argv: tuple[str, ...]) -> list[str]:
    """The words behind `--` are a command on the nodes."""
    end = argv.index("--") if "--" in argv else len(argv)
    return [*argv[:end], "-o", "json", *argv[end:]]
