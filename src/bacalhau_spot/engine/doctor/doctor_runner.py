"""One look of the checkup: it has an end, and what goes wrong in it is told in its place and stops no other."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from bacalhau_spot.cloud.port import CloudError
from bacalhau_spot.core.doctor import account_checks
from bacalhau_spot.engine.aws_calls.caller import api_failure

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from bacalhau_spot.core.doctor.account_checks import AccountCheck, Finding
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls

T = TypeVar("T")

# How long one look may take, whatever it waits for.
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
    """What `part` found out; or None, and the finding that says why it is not known. Never raises.

    `needed`: a `create` has to know it, too.
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
    """The findings of `part`, or why there are none. Only for what does not look in turn: its deadline would come first."""
    findings, why = await try_fetch(calls, check, part)
    return why if findings is None else tuple(findings)


async def run_checks_together(*looks: Awaitable[Sequence[Finding]]) -> tuple[Finding, ...]:
    """All of them at once, in their order."""
    return tuple(finding for group in await asyncio.gather(*looks) for finding in group)
