"""Requests one fleet, again after lag or an earlier launch's answer, and completes answers that may be incomplete.

Sources: EC2 developer guide, "Ensuring idempotency": a repeated token "completes without performing any further
actions", with the old answer; runs-on#251: AWS remembers the token of a fleet that launched nothing;
karpenter-provider-aws#3051, #5283: AWS adds UnfulfillableCapacity to the specific refusals.

After a remembered answer, the tokens contain a period of AWS's clock, so that the refusals of a period delay only launches in
it. The launch of a create that was killed in an earlier period is found by its instances: they are listed once, and shortly
after the begin of a period for longer than reads lag.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from bacalhau_spot.cloud.cloud_error import CloudError
from bacalhau_spot.cloud.port import FleetRequest, FleetResult, LaunchedInstance, PoolError
from bacalhau_spot.core.error_catalog.classifier import UNFULFILLABLE, Category, classify
from bacalhau_spot.core.launch import events
from bacalhau_spot.core.model import State

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from datetime import datetime

    from bacalhau_spot.core.model import Instance, Naming
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls

# New resources (a profile, a subnet, a group) are visible to EC2 within seconds, rarely a minute.
LAG_TRIES = 12
LAG_PAUSE_S = 5.0
# The tolerance for AWS's dates, which are whole seconds, and for differences between its clocks.
CLOCK_TOLERANCE = timedelta(seconds=10)
# The number of times the cluster's instances are listed when a token belongs to an earlier launch.
LOOKS_FOR_INSTANCES = 3
# Each failed attempt is the token of a launch that AWS remembers and that launched nothing, almost all of them from the
# present period; AWS discards them after about two days.
MAX_ATTEMPTS = 50
# A timer with one attempt a minute repeats at most ten refusals. Reads lag much less than BEGIN.
PERIOD = timedelta(minutes=10)
BEGIN = timedelta(minutes=1)

_MISMATCH = frozenset({"IdempotentParameterMismatch", "InvalidIdempotencyToken"})
# After these it is unknown whether AWS carried out the call.
_UNCERTAIN = frozenset({Category.NETWORK, Category.AWS})
_NO_FLEET = "InvalidFleetId.NotFound"
_ALIVE = frozenset({State.PENDING, State.RUNNING})


@dataclass(frozen=True, slots=True)
class FleetLaunch:
    """The launch in one region. `request` creates the request of the nth attempt, each with its own token; its second argument is
    the period, empty before the first remembered answer.

    `known`: the cluster's existing instances in the region. `repeatable`: an earlier run may have used these tokens.
    """

    region: str
    naming: Naming
    request: Callable[[int, str], FleetRequest]
    known: Collection[str] = ()
    repeatable: bool = True


async def request_fleet(calls: AwsCalls, launch: FleetLaunch) -> FleetResult:
    """AWS's answer to this launch, and not to an earlier one. Raises CloudError, Cancelled."""
    waits, period = 0, ""
    for attempt in range(1, MAX_ATTEMPTS + 1):
        begun_s = calls.clock.monotonic_s()
        result = await _response(calls, launch, launch.request(attempt, period))
        took = timedelta(seconds=calls.clock.monotonic_s() - begun_s)
        if result is None:
            continue
        if result.launched:
            result = await _without_dead(calls, launch, result, within=took + CLOCK_TOLERANCE)
            if result.launched:
                return result
        elif _is_lag(result) and waits < LAG_TRIES:
            waits += 1
            await _wait(calls, launch.region, code=_first_code(result), attempt=waits)
            continue
        elif not await _is_remembered(calls, launch.region, result, within=took + CLOCK_TOLERANCE):
            return result
        if not period:
            period, earlier = await _next_period(calls, launch, at=result.answered_at)
            if earlier is not None:
                return earlier
    return FleetResult(
        "",
        pool_errors=(PoolError("", "", UNFULFILLABLE, "every attempt returned an earlier attempt's answer"),),
    )


async def _next_period(
    calls: AwsCalls, launch: FleetLaunch, *, at: datetime | None
) -> tuple[str, FleetResult | None]:
    """The period for the next token, empty without AWS's time, and the instances of a launch of an earlier period.

    They are polled while they may not be listed yet; None without any.
    """
    if at is None:
        return "", None
    number, into_s = divmod(at.timestamp(), PERIOD.total_seconds())
    if into_s < BEGIN.total_seconds():
        return f"period {number:.0f}", await _earlier_launch(calls, launch, code=UNFULFILLABLE)
    launched = await _unexpected(calls, launch)
    return f"period {number:.0f}", FleetResult("", launched=launched) if launched else None


async def _response(calls: AwsCalls, launch: FleetLaunch, request: FleetRequest) -> FleetResult | None:
    """AWS's answer with every instance of the fleet; None if the token belongs to an earlier launch without instances."""
    sent = 0

    async def send() -> FleetResult:
        nonlocal sent
        sent += 1
        return await calls.cloud.launch(launch.region, request)

    try:
        result = await calls.write(launch.region, send)
    except CloudError as error:
        if error.code in _MISMATCH:
            return await _earlier_launch(calls, launch, code=error.code)
        if not sent or classify(error.code).category not in _UNCERTAIN:
            raise
        # AWS may have launched the fleet although its answer is missing (F10).
        earlier = await _earlier_launch(calls, launch, code=error.code)
        if earlier is None:
            raise
        return earlier
    if len(result.launched) < request.count and (sent > 1 or not result.pool_errors):
        members = await calls.read(
            launch.region, partial(calls.cloud.fleet_instances, launch.region, result.fleet_id)
        )
        result = _with_members(result, members)
    return result


async def _earlier_launch(calls: AwsCalls, launch: FleetLaunch, *, code: str) -> FleetResult | None:
    """The instances of an earlier launch with the same token, polled for longer than reads lag; None without any."""
    for look in range(1, LOOKS_FOR_INSTANCES + 1):
        await _wait(calls, launch.region, code=code, attempt=look)
        launched = await _unexpected(calls, launch)
        if launched:
            return FleetResult("", launched=launched)
    return None


async def _unexpected(calls: AwsCalls, launch: FleetLaunch) -> tuple[LaunchedInstance, ...]:
    """Running or pending instances of the cluster outside `known`: an earlier launch with the token created them."""
    key, value = launch.naming.tag_key, launch.naming.tag_value
    instances = await calls.read(
        launch.region, lambda: calls.cloud.instances(launch.region, key=key, value=value)
    )
    return launched_of(instance for instance in instances if instance.id not in launch.known)


async def _without_dead(
    calls: AwsCalls, launch: FleetLaunch, result: FleetResult, *, within: timedelta
) -> FleetResult:
    """An earlier launch's answer may list instances terminated days ago: only running or pending ones count."""
    # Without a fleet id, the instances were listed as running or pending a moment ago.
    if not launch.repeatable or not result.fleet_id:
        return result
    if not await _is_earlier(calls, launch.region, result, within=within):
        return result
    for look in range(1, LOOKS_FOR_INSTANCES + 1):
        members = await calls.read(
            launch.region, partial(calls.cloud.fleet_instances, launch.region, result.fleet_id)
        )
        if living := launched_of(members):
            return replace(result, launched=living)
        if look < LOOKS_FOR_INSTANCES:
            await _wait(calls, launch.region, code=_NO_FLEET, attempt=look)
    return replace(result, launched=())


async def _is_earlier(calls: AwsCalls, region: str, result: FleetResult, *, within: timedelta) -> bool:
    """Whether the fleet is older than this call, or is not listed for longer than reads lag.

    AWS stops listing a fleet about two days after its end (runs-on#217).
    """
    for look in range(1, LOOKS_FOR_INSTANCES + 1):
        fleet = await calls.read(region, partial(calls.cloud.fleet, region, result.fleet_id))
        if fleet is not None:
            return result.answered_at is not None and fleet.created_at < result.answered_at - within
        await _wait(calls, region, code=_NO_FLEET, attempt=look)
    return True


def _with_members(result: FleetResult, members: Iterable[Instance]) -> FleetResult:
    """The answer to a repeated call may omit instances of the first call; they carry AWS's own fleet tag."""
    named = {instance.id for instance in result.launched}
    others = launched_of(instance for instance in members if instance.id not in named)
    return replace(result, launched=(*result.launched, *others))


def launched_of(instances: Iterable[Instance]) -> tuple[LaunchedInstance, ...]:
    """The running and pending nodes, in the format of a fleet's answer."""
    return tuple(
        LaunchedInstance(id=instance.id, type=instance.type, zone=instance.zone)
        for instance in instances
        if instance.state in _ALIVE and instance.is_node
    )


def _first_code(result: FleetResult) -> str:
    return result.pool_errors[0].code if result.pool_errors else UNFULFILLABLE


def _is_lag(result: FleetResult) -> bool:
    """Whether AWS refused because new resources are not visible yet, or gave no reason at all."""
    pool_errors = [pool_error for pool_error in result.pool_errors if pool_error.code != UNFULFILLABLE]
    if not result.pool_errors:
        return True
    return any(map(_unknown_profile, pool_errors)) or (
        bool(pool_errors)
        and all(classify(pool_error.code).category is Category.LAG for pool_error in pool_errors)
    )


def _unknown_profile(pool_error: PoolError) -> bool:
    # AWS has no separate code for this (IAM user guide, "Troubleshoot IAM roles": changes are not always immediately
    # visible).
    return pool_error.code == "InvalidParameterValue" and "iam instance profile" in pool_error.message.lower()


async def _is_remembered(calls: AwsCalls, region: str, result: FleetResult, *, within: timedelta) -> bool:
    """Whether AWS repeats the refusal of an earlier launch without an attempt: its fleet is older than this call."""
    fleet = await calls.read(region, partial(calls.cloud.fleet, region, result.fleet_id))
    return (
        fleet is not None
        and result.answered_at is not None
        and fleet.created_at < result.answered_at - within
    )


async def _wait(calls: AwsCalls, region: str, *, code: str, attempt: int) -> None:
    calls.emit(
        events.Retrying(
            region=region, operation="CreateFleet", code=code, attempt=attempt, wait_s=LAG_PAUSE_S
        )
    )
    await calls.pause(LAG_PAUSE_S)
