"""A live run that may not begin: nothing is created, and the words name the remedy. And what a report hides."""

from __future__ import annotations

import json
import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from live.test_in_sandbox import life, settings
from support.live.life import STEPS, Life, Skipped, make_key
from support.live.rehearsal import PYTEST
from support.live.run import close, opened
from support.live.secrets import Secrets
from support.live.settings import CREATOR, TAG_KEY, Refused, Settings, price_of_run, settings_from
from support.sandbox import sandbox, sandbox_server

__all__ = ["life", "sandbox", "sandbox_server", "settings"]

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({}, "LIVE_ACCOUNT must be the id"),
        ({"LIVE_ACCOUNT": "my-account"}, "LIVE_ACCOUNT must be the id"),
        ({"LIVE_ACCOUNT": "1" * 12, "LIVE_BUDGET_USD": "5"}, "at most 1"),
        ({"LIVE_ACCOUNT": "1" * 12, "LIVE_BUDGET_USD": "cheap"}, "must be a number"),
        ({"LIVE_ACCOUNT": "1" * 12, "LIVE_BUDGET_USD": "0"}, "above 0"),
    ],
)
def test_the_environment_must_name_account_and_budget(environ: dict[str, str], words: str) -> None:
    with pytest.raises(Refused, match=words):
        settings_from(environ)


def test_the_region_is_that_of_the_aws_settings_unless_named() -> None:
    account = {"LIVE_ACCOUNT": "1" * 12}
    assert settings_from(account).region == "us-east-1"
    assert settings_from({**account, "AWS_REGION": "eu-west-1"}).region == "eu-west-1"
    assert (
        settings_from({**account, "AWS_REGION": "eu-west-1", "LIVE_REGION": "us-west-2"}).region
        == "us-west-2"
    )


def test_no_other_run_of_pytest_selects_it() -> None:
    """`make live` alone names the marker, and goes without the conftest.py that keeps all others from the network."""
    assert f"uv run pytest {' '.join(PYTEST)}\n" in (ROOT / "Makefile").read_text()
    options = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]["addopts"]
    assert "-m 'not firstboot and not live'" in options
    assert "pytestmark = pytest.mark.live\n" in (ROOT / "tests" / "live" / "test_live.py").read_text()


def test_missing_credentials_are_refused(life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    life.place._session = None
    with pytest.raises(Refused, match="get-caller-identity` must work: Unable to locate credentials"):
        opened(life, key=make_key)


def test_credentials_of_another_account_are_refused(life: Life, sandbox: Any) -> None:
    life.settings = Settings("123456789012", life.settings.region, Decimal(1))
    with pytest.raises(Refused, match="LIVE_ACCOUNT is 123456789012"):
        opened(life, key=make_key)
    assert {call[1] for call in sandbox.world.calls} == {"sts:GetCallerIdentity"}


def foreign_run(sandbox: Any) -> None:
    """A network with the suite's tag, in a region that this run does not use."""
    tags = [{"Key": TAG_KEY, "Value": "former"}, {"Key": "CreatedBy", "Value": CREATOR}]
    sandbox.client("ec2", "us-east-1").create_vpc(
        CidrBlock="10.0.0.0/16", TagSpecifications=[{"ResourceType": "vpc", "Tags": tags}]
    )


def test_remains_of_a_former_run_are_refused(life: Life, sandbox: Any) -> None:
    """Of any cluster under the suite's tag."""
    foreign_run(sandbox)
    with pytest.raises(Refused, match=r"1 resources with the tag bacalhau-live-test.*make live-clean"):
        opened(life, key=make_key)


def test_a_price_above_the_budget_is_refused(life: Life, sandbox: Any) -> None:
    """Prices as in a region that is dear today; nothing was created."""
    sandbox.settings.prices = [{"pool": "*", "at": 0, "usd": 0.2}]
    with pytest.raises(Refused, match="budget is 1 USD"):
        opened(life, key=make_key)
    assert sandbox.leftovers() == []


def test_an_unknown_price_is_refused() -> None:
    assert price_of_run({"estimate": {"total": None, "instances": None}, "launch": 2}) is None
    plan = {"estimate": {"total": {"high": 0.06}, "instances": {"high": 0.02}}, "launch": 2}
    assert price_of_run(plan) == Decimal("0.07") * 2 + Decimal("0.35")


class Absent:
    def __init__(self) -> None:
        self.told = ""

    def release(self) -> None:
        self.told = "released"

    def call(self) -> None:
        self.told = "called"


def test_everything_is_deleted_after_ctrl_c(life: Life, sandbox: Any) -> None:
    """In the middle of a step, with nodes running. Where AWS refuses a deletion, it is said, and the guardian goes on."""
    opened(life, key=make_key)

    def fail() -> None:
        with life.step("create"):
            life.program("create", "--yes", "--without-orchestrator", "--wait", "none").good()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    with pytest.raises(Skipped, match="`create` did not succeed"), life.step("status"):
        STEPS["status"](life)
    assert " instance i-" in " ".join(sandbox.leftovers())
    guardian = Absent()
    sandbox.settings.deny = ["ec2:DeleteVpc"]
    assert [row["kind"] for row in close(life, guardian)] == ["vpc"]  # type: ignore[arg-type]  # in its place
    assert guardian.told == "called"
    assert [row["kind"] for row in report(life)["left"]] == ["vpc"]

    sandbox.settings.deny = []
    assert close(life, guardian) == []  # type: ignore[arg-type]  # in its place
    assert (guardian.told, sandbox.leftovers()) == ("released", [])
    rows = [(row["name"], row["outcome"]) for row in report(life)["steps"]]
    assert rows == [("create", "failed"), ("status", "skipped")]


def report(life: Life) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((life.folder / "report.json").read_text())
    return loaded


def test_a_report_hides_what_is_secret_or_tells_whose_account_it_was() -> None:
    secrets = Secrets()
    secrets.learn("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
    secrets.learn_answer(
        "ssm", {"Parameter": {"Type": "SecureString", "Value": '{"token": "a-token-of-nodes", "port": 4222}'}}
    )
    secrets.learn_answer("sts", {"Credentials": {"SessionToken": "session-token-of-a-role"}})
    text = (
        "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY a-token-of-nodes session-token-of-a-role AKIAIOSFODNN7EXAMPLE 123456789012 "
        f"arn:aws:iam::123456789012:user/Ada 52.94.76.1 {'x' * 300}"
    )
    assert secrets.hide(text) == "SECRET SECRET SECRET KEY ACCOUNT IDENTITY ADDRESS ENCODED"


def test_a_report_keeps_what_a_maintainer_needs() -> None:
    text = "i-0123456789abcdef0 in us-east-1a, 10.0.0.4, v1.9.3, InsufficientInstanceCapacity, 2026-11-29T09:00:00, 127.0.0.1"
    assert Secrets().hide(text) == text


def test_calls_are_counted_with_their_errors(life: Life, sandbox: Any) -> None:
    sandbox.settings.deny = ["ec2:CreateVpc"]
    place, journal = life.place, life.journal
    with pytest.raises(Exception, match="UnauthorizedOperation"):
        place.client("ec2").create_vpc(CidrBlock="10.0.0.0/16")
    row = journal.document()["calls"]["ec2:CreateVpc"]
    assert (row["count"], row["errors"]) == (1, {"UnauthorizedOperation": 1})
