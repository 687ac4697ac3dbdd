"""Random accounts in the sandbox, dozens: ours is gone or the report says why not; nobody else's has changed by a byte."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Iterator
from typing import Any

import pytest

from bacalhau_spot.cloud.aws import Aws
from bacalhau_spot.core.cleanup.deletion_result import DeletionResult, DeletionStatus
from bacalhau_spot.engine.aws_calls.caller import AwsCalls
from bacalhau_spot.engine.cleanup.nuke import nuke_resources
from bacalhau_spot.engine.cleanup.region_teardown import DeletionOptions
from bacalhau_spot.engine.cleanup.scan_result import ScanRequest
from bacalhau_spot.errors import ExitCode
from support import aws_cli, busy_account
from support.account_snapshot import account_snapshot
from support.engine_clock import EngineClock
from support.foreign_dependencies import REGION
from support.long_tests import sample
from support.one_of_each import ResourceFixture
from support.random_sandbox_accounts import ACCOUNT, RandomSandboxAccount, clear, late, random_sandbox_account


@contextlib.contextmanager
def births(cloud: Aws, sandbox: Any, moments: list[int], *, where: str = REGION) -> Iterator[None]:
    """Something of ours appears right after our n-th change."""
    session = cloud._session
    straight, changes = session.call, 0

    async def call(service: str, region: str | None, operation: str, **kwargs: Any) -> dict[str, Any]:
        nonlocal changes
        reply = await straight(service, region, operation, **kwargs)
        # While the rest of the account goes, seconds after the last region: nobody can see what is made then.
        if region is not None and not operation.startswith(("describe_", "get_", "list_")):
            changes += 1
            for number, moment in enumerate(moments):
                if moment == changes:
                    late(sandbox, number, where)
        return reply

    session.call = call  # type: ignore[method-assign]  # the one way in and out
    try:
        yield
    finally:
        session.call = straight  # type: ignore[method-assign]  # as before


def nuked(
    cloud: Aws,
    sandbox: Any,
    account: RandomSandboxAccount,
    *,
    lift: bool,
    regions: tuple[str, ...] = (REGION,),
) -> DeletionResult:
    calls = AwsCalls(
        cloud,
        clock=EngineClock(sandbox.clock),
        emit=lambda _: None,
        api_s=60,
        jitter=lambda: 0.5,
        run_id="run",
    )
    terms = DeletionOptions(disable_protection=lift)
    return asyncio.run(
        nuke_resources(regions, True, calls=calls, search=ScanRequest(account.scope), options=terms)
    )


def tagged(account: RandomSandboxAccount, shown: dict[str, str]) -> set[str]:
    """Keys of resources with our tag."""
    keys = set()
    for key, text in shown.items():
        row = json.loads(text)
        rows = [
            entry for entry in (row if isinstance(row, list) else [row]) if isinstance(entry, (dict, list))
        ]
        tags = {
            tag["Key"]: tag["Value"]
            for row in rows
            for tag in (row if isinstance(row, list) else (row.get("Tags") or row.get("TagSet") or ()))
            if isinstance(tag, dict) and "Key" in tag and "Value" in tag
        }
        if account.scope.matches(tags):
            keys.add(key)
    return keys


def why_left(result: DeletionResult) -> list[tuple[str, ...]]:
    return [
        (
            outcome.resource.kind,
            outcome.resource.id,
            outcome.status,
            outcome.problem.code if outcome.problem else "",
            str(outcome.dependencies),
        )
        for outcome in result.outcomes
        if outcome.status not in {DeletionStatus.DELETED, DeletionStatus.NOT_FOUND, DeletionStatus.SKIPPED}
    ]


@pytest.mark.parametrize("seed", sample(range(24), every=8))
def test_whatever_the_account_looks_like(cloud: Aws, sandbox: Any, seed: int) -> None:
    account = random_sandbox_account(seed, sandbox)
    with births(cloud, sandbox, account.births):
        result = nuked(cloud, sandbox, account, lift=account.lift)
    clear(sandbox.settings)
    after = account_snapshot(sandbox.client, [REGION])

    left = {resource.id for resource in result.remaining}
    changed = {
        key for key, row in account.full.items() if key not in account.own_keys and after.get(key) != row
    }
    assert changed == set(), "something of others changed"
    assert (result.exit_code is ExitCode.DONE) == (not left), result.exit_code
    still = tagged(account, after)
    assert {key for key in still if not any(key.endswith(resource_id) for resource_id in left)} == set(), (
        "untold"
    )
    for outcome in result.outcomes:
        if outcome.resource.id in left and outcome.resource.region == REGION:
            assert outcome.problem is not None, outcome
            assert outcome.status in {DeletionStatus.BLOCKED, DeletionStatus.FAILED}, outcome

    for _ in range(4):
        if result.exit_code is ExitCode.DONE:
            break
        for command in dict.fromkeys(
            dependency.fix_command for outcome in result.outcomes for dependency in outcome.dependencies
        ):
            with contextlib.suppress(aws_cli.Gone):
                aws_cli.run(command, sandbox.client) if command else None
        sandbox.clock.advance(300)
        result = nuked(cloud, sandbox, account, lift=True)
    assert why_left(result) == []
    assert result.exit_code is ExitCode.DONE
    assert tagged(account, account_snapshot(sandbox.client, [REGION])) == set()


def test_what_is_born_where_nothing_was(cloud: Aws, sandbox: Any) -> None:
    """In a region that was clear when it was scanned, while another took its time: the last look is at all of them."""
    elsewhere = "us-west-1"
    resource_fixture = ResourceFixture(sandbox.client, REGION, busy_account.OURS, "ours")
    resource_fixture.network()
    sandbox.settings.terminate_s = 60.0
    resource_fixture.attachments()
    with births(cloud, sandbox, [1, 2, 3], where=elsewhere):
        result = nuked(
            cloud, sandbox, RandomSandboxAccount(ACCOUNT, lift=False), lift=False, regions=(REGION, elsewhere)
        )
    assert result.exit_code is ExitCode.DONE
    assert {
        (outcome.resource.kind, outcome.status)
        for outcome in result.outcomes
        if outcome.resource.region == elsewhere
    } == {
        ("vpc", "deleted"),
        ("volume", "deleted"),
        ("security-group", "deleted"),
    }
    assert (
        tagged(
            RandomSandboxAccount(ACCOUNT, lift=False), account_snapshot(sandbox.client, [REGION, elsewhere])
        )
        == set()
    )
