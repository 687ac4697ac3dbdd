"""Each kind's own delete call goes wrong, in every way that AWS has: it is gone in the end, or told; nothing else suffers."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bacalhau_spot.cloud.aws import Aws
from bacalhau_spot.cloud.port import CloudError
from bacalhau_spot.core.receipt import Fate, TeardownReceipt
from bacalhau_spot.core.tags import Scope
from bacalhau_spot.core.teardown import ROWS, Kind
from bacalhau_spot.core.verdict import Fault, judge
from bacalhau_spot.engine.calls import Calls
from bacalhau_spot.engine.nuke import nuke_resources
from bacalhau_spot.engine.sights import Search
from bacalhau_spot.errors import ExitCode
from support import crowd
from support.bestiary import Beasts
from support.engine_clock import EngineClock
from support.survey import survey

REGION = "us-west-2"
SCOPE = Scope("bacalhau-cluster", "bacalhau-aws-spot", creator="bacalhau-aws-spot-script")
# The call that ends one of a kind; of those that are let go first, also that one.
ENDS: dict[Kind, str] = {
    Kind.SCALING_GROUP: "delete_auto_scaling_group",
    Kind.FLEET: "delete_fleets",
    Kind.SPOT_FLEET: "cancel_spot_fleet_requests",
    Kind.SPOT_REQUEST: "cancel_spot_instance_requests",
    Kind.INSTANCE: "terminate_instances",
    Kind.VOLUME: "delete_volume",
    Kind.IMAGE: "deregister_image",
    Kind.SNAPSHOT: "delete_snapshot",
    Kind.KEY_PAIR: "delete_key_pair",
    Kind.TEMPLATE: "delete_launch_template",
    Kind.PLACEMENT_GROUP: "delete_placement_group",
    Kind.RESERVATION: "cancel_capacity_reservation",
    Kind.FLOW_LOG: "delete_flow_logs",
    Kind.NAT_GATEWAY: "delete_nat_gateway",
    Kind.ENDPOINT: "delete_vpc_endpoints",
    Kind.CONNECT_ENDPOINT: "delete_instance_connect_endpoint",
    Kind.PEERING: "delete_vpc_peering_connection",
    Kind.INTERFACE: "delete_network_interface",
    Kind.ADDRESS: "release_address",
    Kind.GATEWAY: "delete_internet_gateway",
    Kind.EGRESS_GATEWAY: "delete_egress_only_internet_gateway",
    Kind.GROUP: "delete_security_group",
    Kind.SUBNET: "delete_subnet",
    Kind.ROUTE_TABLE: "delete_route_table",
    Kind.ACL: "delete_network_acl",
    Kind.VPC: "delete_vpc",
    Kind.DHCP_OPTIONS: "delete_dhcp_options",
    Kind.PARAMETER: "delete_parameters",
    Kind.SECRET: "delete_secret",
    Kind.RULE: "delete_rule",
    Kind.ALARM: "delete_alarms",
    Kind.QUEUE: "delete_queue",
    Kind.TOPIC: "delete_topic",
    Kind.BUCKET: "delete_bucket",
    Kind.LOG_GROUP: "delete_log_group",
    Kind.PROFILE: "delete_instance_profile",
    Kind.ROLE: "delete_role",
    Kind.POLICY: "delete_policy",
}
# What each service says when it is called too often.
THROTTLED = {
    "ec2": "RequestLimitExceeded",
    "autoscaling": "Throttling",
    "iam": "Throttling",
    "ssm": "ThrottlingException",
    "secretsmanager": "ThrottlingException",
    "events": "ThrottlingException",
    "cloudwatch": "Throttling",
    "sqs": "RequestThrottled",
    "sns": "Throttled",
    "logs": "ThrottlingException",
    "s3": "SlowDown",
}
DENIED = {"ec2": "UnauthorizedOperation", "sns": "AuthorizationError"}
# What each kind says while something still hangs on it, or is being done to it. The other kinds have no such answer.
BUSY = {
    Kind.SCALING_GROUP: "ScalingActivityInProgress",
    Kind.VOLUME: "VolumeInUse",
    Kind.SNAPSHOT: "InvalidSnapshot.InUse",
    Kind.PLACEMENT_GROUP: "InvalidPlacementGroup.InUse",
    Kind.INTERFACE: "InvalidParameterValue",
    Kind.ADDRESS: "InvalidIPAddress.InUse",
    Kind.GATEWAY: "DependencyViolation",
    Kind.GROUP: "DependencyViolation",
    Kind.SUBNET: "DependencyViolation",
    Kind.ROUTE_TABLE: "DependencyViolation",
    Kind.ACL: "DependencyViolation",
    Kind.VPC: "DependencyViolation",
    Kind.DHCP_OPTIONS: "DependencyViolation",
    Kind.INSTANCE: "IncorrectInstanceState",
    Kind.RULE: "ConcurrentModificationException",
    Kind.ALARM: "ResourceConflict",
    Kind.TOPIC: "ConcurrentAccess",
    Kind.LOG_GROUP: "OperationAbortedException",
    Kind.BUCKET: "BucketNotEmpty",
    Kind.PROFILE: "DeleteConflict",
    Kind.ROLE: "DeleteConflict",
    Kind.POLICY: "DeleteConflict",
}
# Whose answer is a success that says what was not done.
PARTIAL = {
    Kind.FLEET: ("UnsuccessfulFleetDeletions", "FleetId", "FleetIds"),
    Kind.SPOT_FLEET: ("UnsuccessfulFleetRequests", "SpotFleetRequestId", "SpotFleetRequestIds"),
    Kind.ENDPOINT: ("Unsuccessful", "ResourceId", "VpcEndpointIds"),
    Kind.FLOW_LOG: ("Unsuccessful", "ResourceId", "FlowLogIds"),
}

Reply = dict[str, Any]


class Killed(BaseException):
    """The process is gone: nothing catches this, as nothing catches SIGKILL."""


# Of a delete call: its kind, how often that was called, its arguments. Answers instead of AWS, or raises, or lets it pass.
Spoil = Callable[[Kind, int, dict[str, Any]], Reply | None]


@contextlib.contextmanager
def spoiled(cloud: Aws, spoil: Spoil, *, after: bool = False) -> Iterator[None]:
    """`after`: AWS has done it when `spoil` is asked."""
    session = cloud._session
    straight, kinds = session.call, {operation: kind for kind, operation in ENDS.items()}
    counts: dict[Kind, int] = {}

    async def call(service: str, region: str | None, operation: str, **kwargs: Any) -> Reply:
        kind = kinds.get(operation)
        if kind is None or "DryRun" in kwargs:
            return await straight(service, region, operation, **kwargs)
        counts[kind] = counts.get(kind, 0) + 1
        if after:
            reply = await straight(service, region, operation, **kwargs)
            return spoil(kind, counts[kind], kwargs) or reply
        return spoil(kind, counts[kind], kwargs) or await straight(service, region, operation, **kwargs)

    session.call = call  # type: ignore[method-assign]  # the one way in and out
    try:
        yield
    finally:
        session.call = straight  # type: ignore[method-assign]  # as before


@pytest.fixture
def others(sandbox: Any) -> dict[str, str]:
    """A bystander's things, as they read before there is one of every kind of ours beside them."""
    crowd.bystanders(sandbox, [REGION])
    before = survey(sandbox.client, [REGION])
    Beasts(sandbox.client, REGION, crowd.OURS, "beast").everything().identities()
    sandbox.clock.advance(10)
    return before


def nuked(cloud: Aws, sandbox: Any) -> TeardownReceipt:
    calls = Calls(
        cloud,
        clock=EngineClock(sandbox.clock),
        emit=lambda _: None,
        api_s=60,
        jitter=lambda: 0.5,
        run_id="run",
    )
    return asyncio.run(nuke_resources([REGION], True, calls=calls, search=Search(SCOPE)))


def left(receipt: TeardownReceipt) -> list[tuple[str, str, str]]:
    return [
        (one.resource.kind, one.fate, f"{one.problem.code}: {one.problem.message}" if one.problem else "")
        for one in receipt.outcomes
        if one.fate not in {Fate.DELETED, Fate.GONE}
    ]


def error(code: str, kind: Kind, message: str = "not now") -> CloudError:
    return CloudError(code, message, operation=ENDS[kind], region=REGION)


def test_each_kind_has_its_call() -> None:
    assert set(ENDS) == set(Kind)
    assert {ROWS[kind].service for kind in Kind} == set(THROTTLED)


@pytest.mark.parametrize("way", ["throttled", "busy", "in part"])
def test_what_passes_is_waited_out(cloud: Aws, sandbox: Any, others: dict[str, str], way: str) -> None:
    """The first two answers of each kind's call refuse: nobody hears of it, and everything of ours goes."""
    kinds = {"throttled": set(Kind), "busy": set(BUSY), "in part": set(PARTIAL)}[way]
    met: set[Kind] = set()

    def spoil(kind: Kind, number: int, kwargs: dict[str, Any]) -> Reply | None:
        if kind not in kinds or number > 2:
            return None
        met.add(kind)
        if way == "in part":
            rows, own, asked = PARTIAL[kind]
            refusal = {"Code": "InternalError", "Message": "not now"}
            return {rows: [{own: one, "Error": refusal} for one in kwargs[asked]]}
        if way == "throttled":
            raise error(THROTTLED[ROWS[kind].service], kind)
        raise error(BUSY[kind], kind, "Network interface 'eni-1' is currently in use.")

    with spoiled(cloud, spoil):
        receipt = nuked(cloud, sandbox)
    assert met == kinds
    assert left(receipt) == []
    assert receipt.exit_code is ExitCode.DONE
    assert survey(sandbox.client, [REGION]) == others


def test_what_is_refused_is_told_and_left(cloud: Aws, sandbox: Any, others: dict[str, str]) -> None:
    """No kind may be deleted: each says so with AWS's code, and exit code 4; when it is allowed the next run finishes."""
    asked: set[Kind] = set()

    def spoil(kind: Kind, _number: int, _kwargs: dict[str, Any]) -> Reply | None:
        asked.add(kind)
        raise error(DENIED.get(ROWS[kind].service, "AccessDenied"), kind)

    full = survey(sandbox.client, [REGION])
    with spoiled(cloud, spoil):
        receipt = nuked(cloud, sandbox)
    assert receipt.exit_code is ExitCode.DENIED
    assert not receipt.deleted
    faults = {
        one.resource.kind: judge(one.problem.code).fault
        for one in receipt.outcomes
        if one.problem is not None
    }
    # What launched the instances is left, and so are they; these hang on what is ours and left.
    held = {Kind.ADDRESS, Kind.GATEWAY, Kind.ROUTE_TABLE}
    for kind in {kind for kind in Kind if not ROWS[kind].everywhere} - {Kind.INSTANCE}:
        assert faults.get(kind) is (Fault.BUSY if kind in held else Fault.PERMISSION), kind
        assert kind in held or kind in asked
    now = survey(sandbox.client, [REGION])
    assert now.keys() == full.keys()
    receipt = nuked(cloud, sandbox)
    assert left(receipt) == []
    assert receipt.exit_code is ExitCode.DONE
    assert survey(sandbox.client, [REGION]) == others


@pytest.mark.parametrize("answered", [False, True], ids=["before the call", "before its answer"])
def test_killed_at_each_kind(cloud: Aws, sandbox: Any, others: dict[str, str], answered: bool) -> None:
    """One run after the other dies at a kind that it had not met yet; the last one finishes."""
    died: set[Kind] = set()

    def spoil(kind: Kind, _number: int, _kwargs: dict[str, Any]) -> Reply | None:
        if kind in died:
            return None
        died.add(kind)
        raise Killed

    receipt = None
    with spoiled(cloud, spoil, after=answered):
        for _ in range(2 * len(Kind)):
            try:
                receipt = nuked(cloud, sandbox)
            except Killed:
                continue
            break
    assert receipt is not None
    assert died == set(Kind)
    assert left(receipt) == []
    assert receipt.exit_code is ExitCode.DONE
    assert survey(sandbox.client, [REGION]) == others
