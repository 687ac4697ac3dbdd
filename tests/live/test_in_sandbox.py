"""The live suite itself, in the sandbox: that it works on the day when somebody has an account."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aws_spot_sandbox.ec2 import regions
from aws_spot_sandbox.state import ACCESS_KEY_ID, ACCOUNT_ID, SECRET_ACCESS_KEY
from cli.test_managed_life import SandboxClock
from sandbox.conftest import boto_session
from support import shared_clients
from support.live.journal import AS_ASSUMED, PASSED, Journal
from support.live.life import PROBES, STEPS, Life, Skipped, make_key
from support.live.place import Place
from support.live.program import Program
from support.live.questions import QUESTIONS, rows_of_the_page, whole
from support.live.rehearsal import CIDRS, stand_in_for_ssh
from support.live.run import close, opened
from support.live.settings import Settings, settings_from
from support.trust_figures import FULL

# They cost most of the time, and do nothing that the other steps do not: one command, its exit code, its result.
ONLY_WITH_TRUST = {
    "doctor",
    "create again",
    "status",
    "cost",
    "console",
    "extend",
    "scale",
    "replace",
    "prices of all types",
}
REGION = "us-west-1"  # it has two zones


@pytest.fixture
def settings() -> Settings:
    return settings_from({"LIVE_ACCOUNT": ACCOUNT_ID, "LIVE_REGION": REGION, "LIVE_SSH_CIDRS": CIDRS})


@pytest.fixture
def life(sandbox: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Settings) -> Iterator[Life]:
    """With the sandbox as AWS: an endpoint and credentials in the environment, no more."""
    monkeypatch.setattr(regions, "ENABLED_BY_DEFAULT", (REGION, "us-east-1"))
    for name, value in {
        "AWS_ENDPOINT_URL": sandbox.url,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY_ID,
        "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
        "AWS_CONFIG_FILE": shared_clients.NO_FILE,
        "AWS_SHARED_CREDENTIALS_FILE": shared_clients.NO_FILE,
    }.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    shared_clients.keep(monkeypatch)

    def sleep(seconds: float) -> None:
        sandbox.clock.advance(seconds)
        sandbox.server.settle()

    place = Place(REGION, dict(os.environ), clock=SandboxClock(sandbox), sleep=sleep, _session=boto_session())
    journal = Journal(place)
    environ = {"PATH": stand_in_for_ssh(tmp_path), "BACALHAU_SPOT_ADVISOR_URL": ""}
    run = tmp_path / "run"
    run.mkdir()
    with journal.recording():
        yield Life(place, Program(run, journal, quiet=True, environ=environ), journal, settings, run="run")


class Absent:
    """In place of the process that takes over; here it is asserted whether it would have."""

    def __init__(self) -> None:
        self.told = ""

    def release(self) -> None:
        self.told = "released"

    def call(self) -> None:
        self.told = "called"


def test_the_life_passes_in_the_sandbox(life: Life, sandbox: Any) -> None:
    """Steps and probes; nothing is left, and the report has no secret in it."""
    steps = {name: step for name, step in STEPS.items() if FULL or name not in ONLY_WITH_TRUST}
    assert STEPS.keys() >= ONLY_WITH_TRUST
    opened(life, key=make_key)
    assert sandbox.leftovers() == []
    guardian = Absent()
    try:
        for name, step in steps.items():
            with life.step(name):
                step(life)
    finally:
        left = close(life, guardian)  # type: ignore[arg-type]  # in its place
    assert (left, guardian.told, sandbox.leftovers()) == ([], "released", [])
    assert {record.name: record.outcome for record in life.journal.steps} == dict.fromkeys(steps, PASSED)
    assert {answer.outcome for answer in life.journal.answers} == {AS_ASSUMED}
    check_report(life.folder)


def check_report(folder: Path) -> None:
    text = (folder / "report.json").read_text() + (folder / "report.md").read_text()
    secrets = json.loads((folder / "report.json").read_text())
    assert secrets["left"] == []
    for hidden in (ACCESS_KEY_ID, SECRET_ACCESS_KEY, ACCOUNT_ID, os.uname().nodename, "52.94.76.1"):
        assert hidden not in text
    assert stat.S_IMODE((folder / "key").stat().st_mode) == 0o600


def test_the_questions_are_asked_without_a_cluster(life: Life) -> None:
    """A `create` that fails on AWS is the more reason to ask: on the default VPC."""
    for name in PROBES:
        if name not in {"the printed policy", "prices of all types"}:
            with life.step(name):
                STEPS[name](life)
    assert {answer.outcome for answer in life.journal.answers} == {AS_ASSUMED}
    with pytest.raises(Skipped, match="`create` did not succeed"), life.step("the printed policy"):
        STEPS["the printed policy"](life)


def test_every_open_question_has_a_probe_or_a_reason() -> None:
    """And every probe is a step."""
    assert sorted(map(whole, QUESTIONS)) == sorted(rows_of_the_page())
    assert [question.begins for question in QUESTIONS if bool(question.probe) == bool(question.reason)] == []
    assert {question.probe for question in QUESTIONS if question.probe} <= STEPS.keys()
