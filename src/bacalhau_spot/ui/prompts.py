"""Asking before acting: how grave an action is, who may agree to it, and the questions themselves."""

from __future__ import annotations

import contextlib
import io
import termios
from enum import Enum
from getpass import getpass
from typing import TYPE_CHECKING, TextIO, cast

from bacalhau_spot.errors import ExitCode, UserError
from bacalhau_spot.ui.views.blocks import Paragraph

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console


class Impact(Enum):
    """The effect of an action on existing resources."""

    ADDS = "adds"
    REMOVES = "removes"
    DESTROYS = "destroys"
    ERASES = "erases"  # everything, of whichever cluster


# The flags with which a script agrees beforehand.
FLAGS = {
    Impact.ADDS: "--yes",
    Impact.REMOVES: "--allow-removal --yes",
    Impact.DESTROYS: "--yes",
    Impact.ERASES: "--force",
}


class Decision(Enum):
    """The decision on a question."""

    PROCEED = "proceed"
    ASK = "ask"
    REFUSE = "refuse"


def confirmation_decision(*, tty: bool, yes: bool) -> Decision:
    """Whether to go on, to ask, or, without a terminal, to refuse."""
    if yes:
        return Decision.PROCEED
    return Decision.ASK if tty else Decision.REFUSE


def require_confirmation(
    decision: Decision, *, impact: Impact, question: str, console: Console, stdin: TextIO, reason: str = ""
) -> None:
    """Returns when the answer is yes; raises UserError (exit code 3) when it is not."""
    if _agreed_before(decision, impact, reason):
        return
    answer = _line(f"{question} [y/N] ", console=console, stdin=stdin)
    if answer.strip().lower() not in {"y", "yes"}:
        raise UserError("nothing was changed", exit_code=ExitCode.DECLINED)


def require_typed_confirmation(
    decision: Decision,
    *,
    impact: Impact,
    question: str,
    word: str,
    console: Console,
    stdin: TextIO,
    name: str = "",
    reason: str = "",
) -> None:
    """Like `require_confirmation`, but the user types `word`, such as an account's id, and so has to read it.

    `name`: the description of the word ("the cluster's name"), where the question contains the word itself.
    """
    if _agreed_before(decision, impact, reason):
        return
    answer = _line(f"{question} Type {name or word} to go on: ", console=console, stdin=stdin).strip()
    if answer != word:
        raise UserError(
            "nothing was changed",
            why=f"{answer} is not {word}" if answer else "",
            exit_code=ExitCode.DECLINED,
        )


def _agreed_before(decision: Decision, impact: Impact, reason: str) -> bool:
    """Whether the flag has answered. Raises UserError if nobody can be asked; `reason`: why."""
    if decision is Decision.REFUSE:
        raise UserError(
            f"nothing was changed: it needs a confirmation, and {reason or 'there is no terminal'}",
            hint=f"add {FLAGS[impact]} to confirm in advance, or --dry-run to preview",
            exit_code=ExitCode.DECLINED,
        )
    return decision is Decision.PROCEED


def ask_text(
    question: str,
    *,
    default: str,
    console: Console,
    stdin: TextIO,
    check: Callable[[str], str | None],
    typed_ahead: bool = False,
) -> str:
    """A line of text; an empty one is the default. Asks again while `check` returns a problem.

    `typed_ahead`: input from before the prompt is the answer, as with pasted answers to a series of questions. After a
    problem it is discarded: it was meant for the next question.
    """
    prompt = f"{question} [{default}]: " if default else f"{question}: "
    while True:
        answer = _line(prompt, console=console, stdin=stdin, typed_ahead=typed_ahead).strip() or default
        problem = check(answer)
        if problem is None:
            return answer
        typed_ahead = False
        console.print(Paragraph(f"  {problem}"))


def ask_number(question: str, *, at_most: int, console: Console, stdin: TextIO) -> int:
    """A number from 1 on. Asks again for other input; an empty line and Ctrl-C cancel."""
    while True:
        answer = _line(f"{question} [1-{at_most}]: ", console=console, stdin=stdin).strip()
        if not answer:
            raise UserError("nothing was changed", exit_code=ExitCode.DECLINED)
        if answer.isdecimal() and 1 <= int(answer) <= at_most:
            return int(answer)
        console.print(f"  a number from 1 to {at_most}, or Enter to cancel")


def ask_secret(question: str, *, console: Console, stdin: TextIO) -> str:
    """A line that is not echoed. Raises EOFError at the end of input, as botocore expects of its prompter."""
    _ask(question, console=console, stdin=stdin)
    return getpass("", stream=cast("TextIO", console.file))


def _line(prompt: str, *, console: Console, stdin: TextIO, typed_ahead: bool = False) -> str:
    """One line from the user. The end of input and Ctrl-C cancel. `typed_ahead`: input from before the prompt counts."""
    try:  # from the first character of the prompt on: a user who reads it may press Ctrl-C before the read starts
        _ask(prompt, console=console, stdin=stdin, typed_ahead=typed_ahead)
        answer = stdin.readline()
    except KeyboardInterrupt:
        answer = ""
    if not answer:
        console.print()
        raise UserError("nothing was changed", exit_code=ExitCode.DECLINED)
    return answer


def _ask(prompt: str, *, console: Console, stdin: TextIO, typed_ahead: bool = False) -> None:
    """Shows a question. Input typed before it is discarded, unless `typed_ahead`."""
    if not typed_ahead:
        _discard_input(stdin)
    console.print(prompt, end="", soft_wrap=True)


def _discard_input(stdin: TextIO) -> None:
    # Not every stream has a descriptor, and only a terminal has input of its own to be thrown away.
    with contextlib.suppress(io.UnsupportedOperation, termios.error):
        termios.tcflush(stdin.fileno(), termios.TCIFLUSH)
