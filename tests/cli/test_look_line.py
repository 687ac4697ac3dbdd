"""Every command that asks regions shows it on a terminal while it takes long, and leaves no trace of it."""

from __future__ import annotations

import signal
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from bacalhau_spot.cli.runtime.context import CommandContext
from bacalhau_spot.cli.runtime.environment import Runtime
from bacalhau_spot.cli.runtime.shared_options import NO_OPTIONS
from bacalhau_spot.engine.aws_calls.caller import AwsCalls
from bacalhau_spot.ui import prompts
from support.cli_runner import CliRunner, Terminal
from support.screen import every_line

LOOKS = [
    "create --dry-run",
    "list",
    "status",
    "clusters",
    "cost",
    "history",
    "report",
    "offers",
    "prices",
    "doctor",
    "destroy --dry-run",
    "nuke --dry-run",
    "scale 3 --dry-run",
    "remove i-0123456789abcdef0 --dry-run",
    "extend 4h --dry-run",
    "console i-0123456789abcdef0",
    "reconcile",
]


@pytest.mark.parametrize("line", LOOKS)
def test_a_look_is_shown_and_goes_away(program: CliRunner, line: str) -> None:
    """Whatever the look finds: an empty account, in which some commands refuse."""
    program.look_line_after_s = 0.0
    if line == "doctor":  # it would ask the orchestrator
        program.folder.joinpath("config.yaml").write_text(
            "orchestrator: none\nregions: [us-east-1, eu-west-1]\nssh_cidrs: [192.0.2.0/24]\n"
        )
    result = program(*line.split(), answers="")
    assert "\x1b[2mlooking into " in result.stderr
    assert "regions: " in result.stderr
    assert result.stderr.count("\r\x1b[K") >= 2
    assert not [text for text in every_line(result.stderr) if "looking into" in text or "asking" in text]


@pytest.mark.parametrize("line", ["list", "nuke --dry-run"])
def test_a_pipe_gets_nothing_of_it(program: CliRunner, line: str) -> None:
    program.look_line_after_s = 0.0
    result = program(*line.split())
    assert "looking" not in result.stderr + result.stdout
    assert "\x1b" not in result.stderr + result.stdout


def test_a_short_look_shows_nothing(program: CliRunner) -> None:
    """The usual case: nothing flickers."""
    program.look_line_after_s = 3600.0
    assert "looking" not in program("list", answers="").stderr


def test_other_lines_on_the_terminal_come_without_it(program: CliRunner) -> None:
    """--debug writes a line for each call; a dumb terminal cannot remove a line."""
    program.look_line_after_s = 0.0
    assert "looking into" not in program("list", "--debug", answers="").stderr
    program.environ["TERM"] = "dumb"
    assert "looking into" not in program("list", answers="").stderr


def test_programs_get_the_same_output(program: CliRunner) -> None:
    """With JSON on stdout, somebody may still be waiting at the terminal of stderr."""
    program.look_line_after_s = 0.0
    shown = program("list", "-o", "json", answers="")
    assert shown.envelope["status"] == "ok"
    assert "looking into" in shown.stderr
    assert "".join(every_line(shown.stderr)) == ""


def test_ctrl_c_leaves_a_clean_line(program: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the middle of the look: the error is alone on its line."""
    program.look_line_after_s = 0.0
    read = AwsCalls.read
    asked = 0

    async def interrupted(calls: AwsCalls, region: str, *args: Any, **options: Any) -> Any:
        nonlocal asked
        asked += bool(region)
        if asked == 3:
            signal.raise_signal(signal.SIGINT)
        return await read(calls, region, *args, **options)

    monkeypatch.setattr(AwsCalls, "read", interrupted)
    result = program("list", answers="")
    assert result.code == 130
    assert "looking into" in result.stderr
    lines = every_line(result.stderr)
    assert not [text for text in lines if "looking into" in text]
    assert any(text.startswith("error: interrupted") for text in lines)


def test_a_question_in_a_look_has_the_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A one-time code, which AWS's library asks for at the first call."""
    stderr = Terminal()
    runtime = Runtime(
        environ={"TERM": "xterm"},
        cwd=tmp_path,
        home=tmp_path,
        stdin=Terminal("123456\n"),
        stdout=StringIO(),
        stderr=stderr,
        look_line_after_s=0.0,
    )
    context = CommandContext("list", NO_OPTIONS, runtime)
    prompt = context.connection.prompt
    assert prompt is not None and context._line is not None
    context._line.start()
    context._line.show("asking AWS")
    assert every_line(stderr.getvalue())[-1] == "asking AWS"

    def ask(question: str, **_: Any) -> str:
        assert context._line is not None
        context._line.show("looking into 4 regions: 1 answered")
        return f"{question} {every_line(stderr.getvalue())[-1]!r}"

    monkeypatch.setattr(prompts, "ask_secret", ask)
    assert prompt("code:") == "code: ''"
