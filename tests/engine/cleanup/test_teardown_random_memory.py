"""Random accounts, hundreds: what is ours is gone, or the receipt tells why not; nothing else has changed."""

from __future__ import annotations

import asyncio
from copy import deepcopy
from typing import cast

from hypothesis import given, settings
from hypothesis import strategies as st

from bacalhau_spot.cloud.port import Cloud
from bacalhau_spot.core.cleanup.deletion_order import is_known_kind
from bacalhau_spot.core.cleanup.deletion_result import DeletionResult, DeletionStatus
from bacalhau_spot.core.kinds import GLOBAL, ResourceKind
from bacalhau_spot.engine.aws_calls.caller import AwsCalls
from bacalhau_spot.engine.cleanup.nuke import nuke_resources
from bacalhau_spot.engine.cleanup.region_teardown import DeletionOptions
from bacalhau_spot.engine.cleanup.scan_result import ScanRequest
from bacalhau_spot.errors import ExitCode
from support.clock import FakeClock
from support.engine_clock import EngineClock
from support.in_memory_cloud import LAUNCHERS, InMemoryCloud, InMemoryResource
from support.long_tests import examples
from support.random_accounts import RandomAccount, random_account


class Breathless(EngineClock):
    """The toy has no threads to wait for."""

    breath_s = 0.0


def cleaned(account: RandomAccount) -> DeletionResult:
    calls = AwsCalls(
        cast("Cloud", account.toy),  # only the cleaning part of it is used
        clock=Breathless(account.toy.clock),
        emit=lambda _: None,
        api_s=60,
        jitter=lambda: 0.5,
        run_id="run",
    )
    terms = DeletionOptions(disable_protection=account.lift)
    return asyncio.run(
        nuke_resources(account.regions, True, calls=calls, search=ScanRequest(account.scope), options=terms)
    )


def own_ids(account: RandomAccount) -> set[str]:
    """What may go: what carries the tag, and what its launchers launched; with what dies with it."""
    things = account.toy.living()
    tagged = {thing.id for thing in things.values() if account.scope.matches(thing.tags)}
    children = {child for thing in things.values() if thing.id in tagged for child in thing.children}
    attached = {thing.id for thing in things.values() if thing.dies_with in tagged | children}
    return {
        resource_id
        for resource_id in tagged | children | attached
        if resource_id in things and not things[resource_id].retained_because
    }


def snapshot(things: dict[str, InMemoryResource], but: set[str]) -> dict[str, InMemoryResource]:
    """Default groups go with their VPC, and lose the rules that would keep ours."""
    return {
        key: resource for key, resource in things.items() if key not in but and resource.dies_with not in but
    }


def justified(account: RandomAccount, left: set[str], *, unreadable: bool) -> set[str]:
    """Which of what is left had to be left: refused, or held by what is not ours or is itself justified."""
    things = account.toy.living()
    fixed = {key for key in things if key not in left or things[key].retained_because}
    reasons = {
        key
        for key in left
        if (things[key].protection and not account.lift)
        or (things[key].region, things[key].kind) in account.toy.weather.denied
        or not is_known_kind(things[key].kind)
    }
    while True:
        holding = fixed | reasons
        more = {
            key
            for key in left - reasons
            if any(_keeps(things[other], things[key]) for other in holding if other != key)
        }
        if not more:
            break
        reasons |= more
    if unreadable or any(things[key].region != GLOBAL for key in left):
        reasons |= {key for key in left if things[key].region == GLOBAL}
    return reasons


def _keeps(other: InMemoryResource, resource: InMemoryResource) -> bool:
    """`other`, which stays, keeps `one`."""
    return (
        resource.id in other.uses
        or resource.id in other.rules
        or resource.dies_with == other.id
        or (
            resource.kind == ResourceKind.GATEWAY
            and other.id in resource.uses
            and other.kind == ResourceKind.VPC
        )
        or (other.kind in LAUNCHERS and other.relaunches and resource.id in other.children)
    )


@settings(max_examples=examples(160))
@given(st.integers(0, 2**32))
def test_whatever_the_account_looks_like(seed: int) -> None:
    account = random_account(seed, InMemoryCloud(FakeClock()))
    before = deepcopy(account.toy.living())
    deletable = own_ids(account)
    result = cleaned(account)
    left = own_ids(account) | (deletable & account.toy.living().keys())

    assert snapshot(account.toy.living(), deletable | left) == snapshot(before, deletable), (
        "something of others changed"
    )

    unknown = {resource.id for resource in result.unsupported}
    assert {resource.id for resource in result.remaining} | unknown == left - _attached(account, left)
    assert (result.exit_code is ExitCode.DONE) == (not left)
    unjustified = left - justified(account, left, unreadable=False)
    assert not unjustified, "it could have gone"

    fates = {outcome.resource.id: outcome for outcome in result.outcomes}
    for key in {resource.id for resource in result.remaining if resource.region != GLOBAL}:
        status = fates[key]
        assert status.status in {DeletionStatus.FAILED, DeletionStatus.BLOCKED}, (key, status.status)
        assert status.problem is not None


def _attached(account: RandomAccount, left: set[str]) -> set[str]:
    """What hangs untagged on something that is left: named by nobody, it goes when its owner goes."""
    things = account.toy.living()
    return {
        key for key in left if not account.scope.matches(things[key].tags) and things[key].dies_with in left
    }
