"""Runs one check of `doctor` with a timeout. Its failure becomes a finding and does not stop the other checks."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from bacalhau_spot.cloud.cloud_error import CloudError
from bacalhau_spot.core.doctor import account_checks
from bacalhau_spot.engine.aws_calls.caller import api_failure

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from bacalhau_spot.core.doctor.account_checks import AccountCheck, Finding
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls

T = TypeVar("T")

# The timeout of one check.
DEADLINE_S = 30.0
_NOT_CHECKED = "could not be checked"


async def try_fetch(
    calls: AwsCalls,
    check: AccountCheck,
    part: Awaitable[T],
    *,
    blind: str = _NOT_CHECKED,
    needed: bool = False,
) -> tuple[T | None, tuple[Finding, ...]]:
    """The result of `part`; or None and a finding with the reason for the failure. Never raises.

    `needed`: a `create` needs the result too.
    """
    try:
        return await asyncio.wait_for(part, DEADLINE_S), ()
    except TimeoutError:
        why = f"no answer within {DEADLINE_S:.0f} seconds"
        return None, (account_checks.not_checked(check, why=why, fix="run `bacalhau-spot doctor` again"),)
    except CloudError as error:
        failure = api_failure(error)
        return None, (
            account_checks.failure_finding(check, failure, blind=blind, needed=needed, profile=calls.profile),
        )
    except Exception as error:  # noqa: BLE001 - the boundary of a look: our own mistake in one must not lose the others
        return None, (
            account_checks.failure_finding(check, calls.internal_error(error, region=""), blind=blind),
        )


async def run_check(
    calls: AwsCalls, check: AccountCheck, part: Awaitable[Sequence[Finding]]
) -> tuple[Finding, ...]:
    """The findings of `part`, or a finding with the reason for the failure. Not for parts that contain checks of their
    own: this timeout would expire before theirs.
    """
    findings, why = await try_fetch(calls, check, part)
    return why if findings is None else tuple(findings)


async def run_checks_together(*looks: Awaitable[Sequence[Finding]]) -> tuple[Finding, ...]:
    """All groups of checks in parallel; the findings are in the order of the arguments."""
    return tuple(finding for group in await asyncio.gather(*looks) for finding in group)
