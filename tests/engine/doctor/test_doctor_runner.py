"""One look of the checkup: whatever becomes of it, it is told in its place, and no other is lost."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any, cast

import pytest

from bacalhau_spot.cloud import archive
from bacalhau_spot.cloud.cloud_error import CloudError
from bacalhau_spot.cloud.port import Cloud
from bacalhau_spot.core.doctor.account_checks import AccountCheck, CheckStatus, Finding, doctor_exit_code
from bacalhau_spot.core.model import Identity
from bacalhau_spot.engine.aws_calls.caller import AwsCalls
from bacalhau_spot.engine.doctor import doctor_runner
from bacalhau_spot.engine.doctor.aws_checks import account_findings
from bacalhau_spot.engine.launch.archive_checksums import ArchiveSource
from bacalhau_spot.engine.launch.facts_gathering import FactSources
from bacalhau_spot.errors import ExitCode
from bacalhau_spot.ui.views import over_budget
from support.clock import FakeClock
from support.engine_clock import EngineClock


class Account:
    """An account in which one thing never answers, or answers amiss."""

    def __init__(self, amiss: BaseException | None = None, *, unreachable: bool = False) -> None:
        self._amiss = amiss
        self._unreachable = unreachable

    async def identity(self) -> Identity:
        if self._unreachable:
            raise CloudError("NameResolutionError", "no", operation="GetCallerIdentity", region="")
        return Identity("000000000000", "arn:aws:iam::000000000000:user/me")

    async def credentials_origin(self) -> str:
        return "env"

    async def role_arn(self, name: str) -> str:
        return f"arn:aws:iam::000000000000:role/{name}"

    async def time_at_aws(self) -> datetime:
        if self._amiss is not None:
            raise self._amiss
        await asyncio.Event().wait()
        raise AssertionError


NO_ARCHIVE = ArchiveSource(archive.digest)


def findings(account: Any) -> dict[AccountCheck, Finding]:
    calls = AwsCalls(
        cast("Cloud", account),
        clock=EngineClock(FakeClock()),
        emit=lambda _event: None,
        api_s=60,
        jitter=lambda: 0.5,
        run_id="run",
    )
    result = asyncio.run(
        account_findings(
            calls,
            None,
            sources=FactSources(NO_ARCHIVE),
            over_budget=over_budget,
        )
    )
    return {finding.check: finding for finding in result}


def test_what_never_answers_is_told_and_stops_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """The look that hangs comes to its own end: what was asked beside it is told as it is."""
    monkeypatch.setattr(doctor_runner, "DEADLINE_S", 0.01)
    by_check = findings(Account())
    assert (
        by_check[AccountCheck.CREDENTIALS].status
        is by_check[AccountCheck.SPOT_ROLE].status
        is CheckStatus.PASS
    )
    assert by_check[AccountCheck.CLOCK].status is CheckStatus.WARN
    assert "no answer within" in by_check[AccountCheck.CLOCK].message


@pytest.mark.parametrize(
    "amiss",
    [
        CloudError("AccessDenied", "no", operation="GetCallerIdentity", region=""),
        ZeroDivisionError("a mistake of ours"),
    ],
)
def test_a_refusal_or_a_mistake_is_told_and_stops_no_other(amiss: BaseException) -> None:
    by_check = findings(Account(amiss))
    assert by_check[AccountCheck.SPOT_ROLE].status is CheckStatus.PASS
    assert by_check[AccountCheck.CLOCK].status is CheckStatus.WARN
    assert by_check[AccountCheck.CLOCK].hint


def test_an_aws_that_cannot_be_reached_is_a_failure_and_no_question_of_permission() -> None:
    """No command will work, whoever asks; what was not asked is told as that."""
    by_check = findings(Account(unreachable=True))
    assert by_check[AccountCheck.CREDENTIALS].status is CheckStatus.FAIL
    assert {finding.status for finding in by_check.values()} == {CheckStatus.FAIL, CheckStatus.WARN}
    assert doctor_exit_code(list(by_check.values())) is ExitCode.FAILED
