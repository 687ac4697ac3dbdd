"""Everything that reads what others wrote, as functions of bytes: any bytes must end in a value or in the error for a user.

tests/trust/test_bad_input.py gives them mutated examples; tests/trust/coverage_guided.py gives them to atheris.
A target raises AssertionError, or any exception that the program would call a mistake of its own.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from io import StringIO
from pathlib import Path

from bacalhau_spot import config as configuration
from bacalhau_spot.cli import run
from bacalhau_spot.cli.runtime import parsers
from bacalhau_spot.cli.runtime.completer import completion_lines
from bacalhau_spot.cli.runtime.environment import Runtime
from bacalhau_spot.cli.state.audit_log import reader
from bacalhau_spot.cli.state.nuke_plan_file import read_plan
from bacalhau_spot.cloud.advisor import parse_rates
from bacalhau_spot.core.health.boot_console import boot_lines_only, console_lines, new_output, parse_boot
from bacalhau_spot.core.logs.log_lines import console_log, journal_lines
from bacalhau_spot.core.model import Identity
from bacalhau_spot.core.sanitize import escaped, sanitized, without_sequences
from bacalhau_spot.core.ssh.host_keys import console_host_keys
from bacalhau_spot.core.tags import Scope
from bacalhau_spot.errors import UserError
from bacalhau_spot.orchestrator import parsing
from support.clock import FakeClock
from support.engine_clock import EngineClock
from support.internal_errors import check_no_internal_error

NOW = datetime(2026, 11, 25, 9, 30, tzinfo=UTC)
REFUSED = frozenset({"Cc", "Cf", "Zl", "Zp", "Cs"})
ACCOUNT = "123456789012"
SCOPE = Scope(key="bacalhau-cluster", value="bacalhau-aws-spot", creator="bacalhau-aws-spot-script")


@lru_cache
def _folder() -> Path:
    """One for each process, with a home that has nothing."""
    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
    (folder / "state" / "bacalhau-spot" / "cache").mkdir(parents=True)
    return folder


def _file(data: bytes, name: str) -> Path:
    path = _folder() / name
    path.write_bytes(data)
    return path


def check_screen(text: str) -> None:
    """No character that a terminal obeys or hides."""
    for letter in text:
        assert letter in "\n\t" or unicodedata.category(letter) not in REFUSED, (
            f"{letter!a} in {text[:200]!a}"
        )


def run_line(argv: list[str]) -> str:
    """A whole command line, without credentials and without AWS; returns what the screen shows."""
    stdout, stderr = StringIO(), StringIO()
    folder = _folder()
    runtime = Runtime(
        environ={"HOME": str(folder), "XDG_STATE_HOME": str(folder / "state"), "PATH": "/nonexistent"},
        cwd=folder, home=folder, stdin=StringIO(), stdout=stdout, stderr=stderr,
        clock=EngineClock(FakeClock()), jitter=lambda: 0.5, run_id="fuzz",
    )  # fmt: skip
    code = run(argv, runtime=runtime)
    shown = stdout.getvalue() + stderr.getvalue()
    assert code in {0, 1, 2, 3, 4, 5}, (argv, code)
    check_no_internal_error(shown, argv)
    check_screen(shown)
    return shown


def configuration_file(data: bytes) -> None:
    """The file, its check, and its printed form."""
    path = _file(data, "config.yaml")
    with contextlib.suppress(UserError):
        configuration.load(path, environ={}, home=_folder())
    run_line(["config", "show"])


def plan_file(data: bytes) -> None:
    with contextlib.suppress(UserError):
        read_plan(_file(data, "plan.json"), identity=Identity(ACCOUNT, "arn"), scope=SCOPE)


def audit_log(data: bytes) -> None:
    path = _file(data, "audit.jsonl")
    index = reader.LogIndex(path, account_id=ACCOUNT, cluster="bacalhau-aws-spot")
    assert index.content(NOW).rows == index.content(NOW).rows


def console_output(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    parse_boot(console_lines(text))
    console_host_keys(text)
    console_log("i-1", text)
    middle = len(text) // 2
    new_output(text[:middle], text[middle:])
    check_screen(without_sequences(boot_lines_only(text)))


def journal(data: bytes) -> None:
    for line in journal_lines("i-1", data.decode("utf-8", "replace")):
        check_screen(line.text)


def orchestrator_answer(data: bytes) -> None:
    """As orchestrator/http.py reads the body of an answer."""
    try:
        body = json.loads(data, parse_float=Decimal)
    except (ValueError, RecursionError, InvalidOperation):
        body = data.decode("utf-8", "replace")
    for parse in (
        parsing.parse_listing,
        parsing.parse_version,
        parsing.parse_submission,
        parsing.parse_jobs,
        parsing.parse_job,
    ):
        with contextlib.suppress(parsing.UnexpectedFormatError):
            parse(body)
    parsing.parse_message(body)
    parsing.is_unknown(body)
    parsing.has_ended(body)


def interruption_rates(data: bytes) -> None:
    with contextlib.suppress(ValueError, RecursionError):  # cloud/advisor.py takes them for a missing file
        content = json.loads(data)
        rates = parse_rates(content) or {}
        assert all(isinstance(band, int) for here in rates.values() for band in here.values())


def completion(data: bytes) -> None:
    """A line that a shell completes, with the same bytes as its caches."""
    state = _folder() / "state" / "bacalhau-spot"
    for name in ("known_nodes", "known_clusters"):
        (state / "cache" / f"{name}.json").write_bytes(data)
    text = data.decode("utf-8", "replace")
    environ = {"XDG_STATE_HOME": str(_folder() / "state"), "HOME": str(_folder())}
    for words in (["zsh", "ssh", ""], ["bash", f"bacalhau-spot {text}", ""], ["fish", *text.split()[:9], ""]):
        for line in completion_lines(words, environ=environ, cwd=str(_folder())):
            check_screen(line)


def command_line(data: bytes) -> None:
    """Words, one a line; nothing of a child or of AWS is reached without credentials."""
    (_folder() / "config.yaml").unlink(missing_ok=True)
    words = [os.fsdecode(word).replace("\0", "") for word in data.split(b"\n")][:8]
    if "sandbox" in words or "--sandbox" in words or any(word.startswith("--sandb") for word in words):
        return  # starts a process
    run_line(words)


def values(data: bytes) -> None:
    """Durations, times and amounts, as options have them."""
    text = data.decode("utf-8", "replace")
    for parse in (
        lambda: parsers.moment(text, flag="--since", now=NOW),
        lambda: parsers.end_time(text, flag="--until", now=NOW),
        lambda: parsers.lifetime(text, flag="--ttl"),
        lambda: parsers.amount(text, flag="--budget"),
    ):
        with contextlib.suppress(UserError):
            parse()


def screen(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    check_screen(sanitized(text))
    check_screen(without_sequences(text))
    written = escaped(json.dumps({"a": text}, ensure_ascii=False))
    check_screen(written)
    assert json.loads(written) == {"a": text}


TARGETS: dict[str, Callable[[bytes], None]] = {
    target.__name__: target
    for target in (
        configuration_file,
        plan_file,
        audit_log,
        console_output,
        journal,
        orchestrator_answer,
        interruption_rates,
        completion,
        command_line,
        values,
        screen,
    )
}
