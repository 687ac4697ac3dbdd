"""The injected environment: variables, folders, streams, clock, randomness. Tests use their own."""

from __future__ import annotations

import io
import os
import shlex
import sys
import uuid
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from bacalhau_spot.cli.runtime.invocation import Invocation
from bacalhau_spot.cli.runtime.redaction import environment_secrets, redacted
from bacalhau_spot.engine.aws_calls.clock import Clock, RealClock
from bacalhau_spot.files import UNKNOWN_HOME
from bacalhau_spot.ui.filtered import filtered
from bacalhau_spot.ui.progress.look_line import AFTER_S

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bacalhau_spot.cli.runtime.cancellation import Cancellation
    from bacalhau_spot.cli.state.audit_log.reader import LogIndex


def _jitter() -> float:
    import random  # noqa: PLC0415 - milliseconds, for retries alone

    return random.random()  # noqa: S311 - spreads calls over time


@dataclass(frozen=True)
class Runtime:
    """The environment of a command. All output to its streams is filtered."""

    environ: Mapping[str, str]
    cwd: Path
    home: Path
    stdin: TextIO
    stdout: TextIO
    stderr: TextIO
    clock: Clock = field(default_factory=RealClock)
    jitter: Callable[[], float] = _jitter
    run_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    invocation: Invocation = field(default_factory=Invocation)
    program: str = "bacalhau-spot"  # the command that the user types
    look_line_after_s: float = AFTER_S  # how long a look takes before its line appears
    host: str = field(default_factory=lambda: os.uname().nodename)
    cancellation: Cancellation | None = (
        None  # of a command in another program, which has no Ctrl-C of its own
    )
    secrets: set[str] = field(default_factory=set)  # secrets that this run has read and must not show
    signals: set[int] = field(default_factory=set)  # that have ended the work of this run
    # By file, account and cluster: the rows of a run's first reading need no second one.
    audit_indexes: dict[tuple[Path, str, str], LogIndex] = field(default_factory=dict)
    # Searched once: every text of the output is redacted.
    environment_secrets: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "environment_secrets", tuple(environment_secrets(self.environ)))
        hide = partial(redacted, runtime=self)
        object.__setattr__(self, "stdout", filtered(self.stdout, hide=hide))
        object.__setattr__(self, "stderr", filtered(self.stderr, hide=hide))

    @classmethod
    def real(cls) -> Runtime:
        return cls(
            environ=os.environ,
            cwd=_cwd(),
            home=_home(),
            stdin=sys.stdin,
            stdout=sys.stdout,
            stderr=sys.stderr,
            program=_program(sys.argv[0]),
        )

    @classmethod
    def embedded(cls, *, stdout: TextIO, stderr: TextIO, run_id: str, cancellation: Cancellation) -> Runtime:
        """Of a command in another program: nobody answers its questions, and nothing is printed."""
        return cls(
            environ=os.environ,
            cwd=_cwd(),
            home=_home(),
            stdin=io.StringIO(),
            stdout=stdout,
            stderr=stderr,
            run_id=run_id,
            cancellation=cancellation,
        )

    @property
    def state_dir(self) -> Path:
        """For logs, the cache, known hosts and the sandbox's address (XDG base directory specification)."""
        base = Path(self.environ.get("XDG_STATE_HOME", ""))
        if base.is_absolute():  # the specification: a relative path is invalid and is ignored
            return base / "bacalhau-spot"
        if self.home == UNKNOWN_HOME:
            return Path(self.environ.get("TMPDIR") or "/tmp") / f"bacalhau-spot-{os.getuid()}"  # noqa: S108 - used only if this user owns it
        return self.home / ".local" / "state" / "bacalhau-spot"

    def path(self, typed: Path) -> Path:
        """A path from the command line, which the shell may not have expanded (`--plot=~/prices.png`)."""
        return self.cwd / os.path.expanduser(typed)  # noqa: PTH111 - pathlib's raises if the home is unknown

    @property
    def interactive(self) -> bool:
        """Whether a user can answer questions."""
        return not self.no_answers

    @property
    def no_answers(self) -> str:
        """Why no question can be asked; empty if one can."""
        if self.invocation.common.no_input:
            return "--no-input is set"
        return "" if self.stdin.isatty() and self.stderr.isatty() else "there is no terminal"


def _program(script: str) -> str:
    """The command that runs this program again. uv cannot run a link, or a bare name from another folder."""
    own = os.path.realpath(script)
    if Path(own).name != "deploy_spot.py":
        return "bacalhau-spot"
    return f"uv run -s {shlex.quote(own if Path(script).is_symlink() else script)}"


def _cwd() -> Path:
    """The current folder; its former path, if it has been deleted."""
    try:
        return Path.cwd()
    except OSError:
        return Path(os.environ.get("PWD", os.sep))


def _home() -> Path:
    """The user's home, if known: a container may have an unknown uid and no HOME."""
    try:
        return Path.home()
    except RuntimeError:
        return UNKNOWN_HOME
