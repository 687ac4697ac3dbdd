"""Asking: who may agree to what, and what silence means."""

from __future__ import annotations

import os
import pty
import select
from io import StringIO
from typing import TextIO

import pytest
from rich.console import Console

from bacalhau_spot.errors import ExitCode, UserError
from bacalhau_spot.ui.prompts import (
    FLAGS,
    Decision,
    Impact,
    ask_number,
    ask_text,
    confirmation_decision,
    require_confirmation,
    require_typed_confirmation,
)


def console() -> Console:
    return Console(file=StringIO(), width=100, markup=False)


@pytest.mark.parametrize(
    ("tty", "yes", "decision"),
    [
        (True, True, Decision.PROCEED),
        (False, True, Decision.PROCEED),
        (True, False, Decision.ASK),
        (False, False, Decision.REFUSE),
    ],
)
def test_whether_to_ask(tty: bool, yes: bool, decision: Decision) -> None:
    """The flag agrees beforehand; without it somebody must be there."""
    assert confirmation_decision(tty=tty, yes=yes) is decision


@pytest.mark.parametrize("answer", ["n\n", "\n", "yes please\n", "", "Y E S\n"])
def test_everything_but_yes_is_no(answer: str) -> None:
    """No is the default, and the end of input is no."""
    with pytest.raises(UserError) as caught:
        require_confirmation(
            Decision.ASK, impact=Impact.ADDS, question="Launch?", console=console(), stdin=StringIO(answer)
        )
    assert caught.value.exit_code is ExitCode.DECLINED


@pytest.mark.parametrize("answer", ["y\n", "YES\n", " yes \n"])
def test_yes_goes_on(answer: str) -> None:
    """In any case, with blanks around it."""
    require_confirmation(
        Decision.ASK, impact=Impact.ADDS, question="Launch?", console=console(), stdin=StringIO(answer)
    )


@pytest.mark.parametrize(
    ("danger", "flag"),
    [
        (Impact.ADDS, "--yes"),
        (Impact.REMOVES, "--allow-removal --yes"),
        (Impact.DESTROYS, "--yes"),
        (Impact.ERASES, "--force"),
    ],
)
def test_a_refusal_names_the_flag(danger: Impact, flag: str) -> None:
    """Whoever reads a build log must know what to add."""
    with pytest.raises(UserError) as caught:
        require_confirmation(
            Decision.REFUSE, impact=danger, question="?", console=console(), stdin=StringIO()
        )
    assert f"add {flag} to confirm" in caught.value.hint
    assert caught.value.exit_code is ExitCode.DECLINED


def test_every_danger_has_its_flag() -> None:
    """A script can agree to each."""
    assert set(FLAGS) == set(Impact)


ACCOUNT = "123456789012"


@pytest.mark.parametrize("answer", ["y\n", "yes\n", "\n", "", "12345678901\n", f"{ACCOUNT}0\n"])
def test_the_gravest_needs_its_word(answer: str) -> None:
    """Fingers type a y by themselves; an account's id they do not."""
    with pytest.raises(UserError, match="nothing was changed") as caught:
        typed(Decision.ASK, answer)
    assert caught.value.exit_code is ExitCode.DECLINED


def typed(decision: Decision, answer: str) -> None:
    require_typed_confirmation(
        decision,
        impact=Impact.ERASES,
        question="Delete 12 resources?",
        word=ACCOUNT,
        console=console(),
        stdin=StringIO(answer),
    )


def test_the_gravest_goes_on() -> None:
    """With its word, or with the flag; without a terminal it names the flag."""
    typed(Decision.ASK, f" {ACCOUNT} \n")
    typed(Decision.PROCEED, "")
    with pytest.raises(UserError) as caught:
        typed(Decision.REFUSE, f"{ACCOUNT}\n")
    assert "add --force" in caught.value.hint


class Interrupting(StringIO):
    """A terminal on which the user presses Ctrl-C."""

    def readline(self, *_: object) -> str:  # type: ignore[override]  # it never reads
        raise KeyboardInterrupt


def test_ctrl_c_at_a_question_changes_nothing() -> None:
    """It is a no, told as one."""
    with pytest.raises(UserError, match="nothing was changed"):
        require_confirmation(
            Decision.ASK, impact=Impact.ADDS, question="?", console=console(), stdin=Interrupting()
        )


class InterruptedScreen(StringIO):
    """A screen whose user presses Ctrl-C once, when the prompt has appeared, before the program reads."""

    pressed = False

    def flush(self) -> None:
        if not self.pressed:
            self.pressed = True
            raise KeyboardInterrupt


def test_ctrl_c_before_the_read_starts_changes_nothing() -> None:
    """The answer does not depend on the moment: the prompt is visible, so the question is asked."""
    screen = Console(file=InterruptedScreen(), width=100, markup=False)
    with pytest.raises(UserError, match="nothing was changed") as caught:
        ask_text("Key", default="a", console=screen, stdin=StringIO(), check=lambda _: None)
    assert caught.value.exit_code == ExitCode.DECLINED


def test_a_text_is_asked_for_until_it_is_good() -> None:
    """What is wrong is said, and the default is offered again."""
    talk = console()
    answer = ask_text(
        "Key",
        default="good",
        console=talk,
        stdin=StringIO("bad\n\n"),
        check=lambda text: "that is bad" if text == "bad" else None,
    )
    assert answer == "good"
    assert talk.file.getvalue() == "Key [good]:   that is bad\nKey [good]: "  # type: ignore[attr-defined]  # a StringIO


class Late(StringIO):
    """A screen before which somebody types when a question has been shown, and not before."""

    def __init__(self, terminal: int, keys: str) -> None:
        super().__init__()
        self._terminal = terminal
        self._keys = keys

    def write(self, text: str) -> int:
        if text.rstrip().endswith((":", "]")):
            os.write(self._terminal, self._keys.encode())
        return super().write(text)


@pytest.mark.parametrize("question", ["yes", "word", "text", "number"])
def test_what_was_typed_before_a_question_is_not_its_answer(question: str) -> None:
    """A1: on a pseudo-terminal, with a line waiting there; every kind of question."""
    own_end, theirs = pty.openpty()
    with os.fdopen(theirs) as stdin:
        os.write(own_end, b"y\n")
        select.select([theirs], [], [], 10)
        keys = {"yes": "n\n", "word": "no\n", "text": "late\n", "number": "2\n"}[question]
        screen = Console(file=Late(own_end, keys), width=100, markup=False)
        if question == "text":
            assert ask_text("Key", default="d", console=screen, stdin=stdin, check=lambda _: None) == "late"
        elif question == "number":
            assert ask_number("Which?", at_most=3, console=screen, stdin=stdin) == 2
        else:
            with pytest.raises(UserError, match="nothing was changed"):
                _settled(question, screen, stdin)
    os.close(own_end)


def test_what_was_typed_ahead_is_the_answer_until_a_problem() -> None:
    """Answers to a series of questions may be pasted; what follows an invalid one was meant for the next question."""
    own_end, theirs = pty.openpty()
    with os.fdopen(theirs) as stdin:
        os.write(own_end, b"first\nbad\nthird\n")
        select.select([theirs], [], [], 10)

        def answer(screen: Console) -> str:
            return ask_text(
                "Key",
                default="d",
                console=screen,
                stdin=stdin,
                check=lambda text: "no" if text == "bad" else None,
                typed_ahead=True,
            )

        assert answer(console()) == "first"
        screen = Console(file=AfterProblem(own_end, "late\n"), width=100, markup=False)
        assert answer(screen) == "late"
    os.close(own_end)


class AfterProblem(Late):
    """As `Late`, but somebody types only at the second prompt."""

    def write(self, text: str) -> int:
        self._prompts = getattr(self, "_prompts", 0) + text.count("Key")
        return super().write(text) if self._prompts > 1 else StringIO.write(self, text)


def _settled(question: str, screen: Console, stdin: TextIO) -> None:
    if question == "yes":
        require_confirmation(
            Decision.ASK, impact=Impact.ADDS, question="Launch?", console=screen, stdin=stdin
        )
    else:
        require_typed_confirmation(
            Decision.ASK, impact=Impact.ERASES, question="Delete?", word="y", console=screen, stdin=stdin
        )
