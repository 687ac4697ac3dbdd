"""The checkup as it stands on the screen: every sentence about this machine, and one of each form."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from syrupy.assertion import SnapshotAssertion

from bacalhau_spot.core.doctor import account_checks, local_checks
from bacalhau_spot.core.doctor.account_checks import AccountCheck, CheckStatus, Finding, SimulatedPermissions
from bacalhau_spot.core.model import Identity, Region, Secret
from bacalhau_spot.core.orchestrator.nats_check import NatsCheck, NatsStatus
from bacalhau_spot.core.problem import ApiFailure
from bacalhau_spot.errors import ExitCode
from bacalhau_spot.ui import json_output, views
from support.golden import golden, output_text
from support.rendering import rendered
from support.schemas import contract

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
REGIONS = (Region("us-east-1", enabled=True), Region("ap-east-1", enabled=False))
DENIED = ApiFailure("AccessDenied", "not authorized to perform: iam:GetRole", "GetRole", "")
FINDINGS = (
    Finding(AccountCheck.CONFIGURATION, CheckStatus.PASS, "config.yaml: 12 nodes, 2 regions"),
    account_checks.credentials(Identity("123456789012", "arn:aws:iam::123456789012:user/ada"), origin="sso"),
    account_checks.credentials(Identity("123456789012", "arn:aws:iam::123456789012:root"), origin=""),
    account_checks.clock(here=NOW + timedelta(seconds=400), at_aws=NOW),
    account_checks.clock(here=NOW - timedelta(seconds=90), at_aws=NOW),
    account_checks.regions(["us-east-1", "ap-east-1", "us-east-9"], REGIONS),
    account_checks.permissions(
        SimulatedPermissions(required=140, missing={"ec2:CreateVpc": "in us-east-1: UnauthorizedOperation"})
    ),
    account_checks.permissions(
        SimulatedPermissions(required=3, missing={}, unknown=("a:B", "c:D"), reason="InternalError")
    ),
    account_checks.spot_role(None),
    account_checks.failure_finding(AccountCheck.SPOT_ROLE, DENIED, blind="could not be checked"),
    account_checks.vpc_quota("us-east-1", count=5, ours=False, limit=5),
    local_checks.ssh_keys(public=None, private=None, open_to=True),
    local_checks.ssh_keys(
        public="ssh-ed25519 A", private=local_checks.KeyFile("/k", "x", 0o644), open_to=True
    ),
    local_checks.token(Secret("two words")),
    local_checks.orchestrator_address(
        NatsCheck("nats://10.0.0.1:4222", NatsStatus.UNREACHABLE, "connection refused")
    ),
    local_checks.no_orchestrator(),
    local_checks.orchestrator_api(None),
    local_checks.newest_version_check("0.1.0", package="bacalhau-spot", newest="0.2.0"),
    local_checks.newest_version_check("0.10.0", package="bacalhau-spot", newest="0.9.0"),
    local_checks.local_tools(ssh=False),
    *(
        account_checks.not_checked(check, why="needs the credentials first", fix="see credentials")
        for check in (AccountCheck.CLOCK, AccountCheck.REGIONS)
    ),
)


@pytest.mark.parametrize("width", [60, 120])
def test_what_is_read(width: int, snapshot: SnapshotAssertion) -> None:
    """A line a finding; commands are never folded."""
    findings = [finding for finding in FINDINGS if finding is not None]
    assert rendered(views.findings_view(findings), width=width) == snapshot


def test_what_failed_is_an_error(snapshot: SnapshotAssertion) -> None:
    """For those who see stderr alone."""
    findings = [finding for finding in FINDINGS if finding is not None]
    (error,) = views.doctor_errors(findings, exit_code=ExitCode.DENIED)
    assert rendered(views.error_view(error)) == snapshot
    assert views.doctor_errors(findings[:1], exit_code=ExitCode.DONE) == ()


def test_what_programs_get_is_published(snapshot: SnapshotAssertion) -> None:
    """Every finding, and how many of each mark."""
    data = json_output.doctor_data([finding for finding in FINDINGS if finding])
    assert output_text("doctor", data) == golden(snapshot)
    contract("doctor", data)
