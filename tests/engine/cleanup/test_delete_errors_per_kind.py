"""Each kind's own delete call goes wrong, in every way that AWS has: it is gone in the end, or told; nothing else suffers."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bacalhau_spot.cloud.aws import Aws
from bacalhau_spot.cloud.cloud_error import CloudError
from bacalhau_spot.core.cleanup.deletion_order import SPEC_BY_KIND
from bacalhau_spot.core.cleanup.deletion_result import DeletionResult, DeletionStatus
from bacalhau_spot.core.error_catalog.classifier import Category, classify
from bacalhau_spot.core.kinds import ResourceKind
from bacalhau_spot.core.tags import Scope
from bacalhau_spot.engine.aws_calls.caller import AwsCalls
from bacalhau_spot.engine.cleanup.nuke import nuke_resources
from bacalhau_spot.engine.cleanup.scan_result import ScanRequest
from bacalhau_spot.errors import ExitCode
from support import busy_account
from support.account_snapshot import account_snapshot
from support.engine_clock import EngineClock
from support.killed_process import Killed
from support.long_tests import sample
from support.one_of_each import ResourceFixture

REGION = "us-west-2"
SCOPE = Scope("bacalhau-cluster", "bacalhau-aws-spot", creator="bacalhau-aws-spot-script")
# The call that ends one of a kind; of those that are let go first, also that one.
ENDS: dict[ResourceKind, str] = {
    ResourceKind.SCALING_GROUP: "delete_auto_scaling_group",
    ResourceKind.FLEET: "delete_fleets",
    ResourceKind.SPOT_FLEET: "cancel_spot_fleet_requests",
    ResourceKind.SPOT_REQUEST: "cancel_spot_instance_requests",
    ResourceKind.INSTANCE: "terminate_instances",
    ResourceKind.VOLUME: "delete_volume",
    ResourceKind.IMAGE: "deregister_image",
    ResourceKind.SNAPSHOT: "delete_snapshot",
    ResourceKind.KEY_PAIR: "delete_key_pair",
    ResourceKind.TEMPLATE: "delete_launch_template",
    ResourceKind.PLACEMENT_GROUP: "delete_placement_group",
    ResourceKind.RESERVATION: "cancel_capacity_reservation",
    ResourceKind.FLOW_LOG: "delete_flow_logs",
    ResourceKind.NAT_GATEWAY: "delete_nat_gateway",
    ResourceKind.ENDPOINT: "delete_vpc_endpoints",
    ResourceKind.CONNECT_ENDPOINT: "delete_instance_connect_endpoint",
    ResourceKind.PEERING: "delete_vpc_peering_connection",
    ResourceKind.INTERFACE: "delete_network_interface",
    ResourceKind.ADDRESS: "release_address",
    ResourceKind.GATEWAY: "delete_internet_gateway",
    ResourceKind.EGRESS_GATEWAY: "delete_egress_only_internet_gateway",
    ResourceKind.GROUP: "delete_security_group",
    ResourceKind.SUBNET: "delete_subnet",
    ResourceKind.ROUTE_TABLE: "delete_route_table",
    ResourceKind.ACL: "delete_network_acl",
    ResourceKind.VPC: "delete_vpc",
    ResourceKind.DHCP_OPTIONS: "delete_dhcp_options",
    ResourceKind.PARAMETER: "delete_parameters",
    ResourceKind.SECRET: "delete_secret",
    ResourceKind.RULE: "delete_rule",
    ResourceKind.ALARM: "delete_alarms",
    ResourceKind.QUEUE: "delete_queue",
    ResourceKind.TOPIC: "delete_topic",
    ResourceKind.BUCKET: "delete_bucket",
    ResourceKind.LOG_GROUP: "delete_log_group",
    ResourceKind.PROFILE: "delete_instance_profile",
    ResourceKind.ROLE: "delete_role",
    ResourceKind.POLICY: "delete_policy",
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
    ResourceKind.SCALING_GROUP: "ScalingActivityInProgress",
    ResourceKind.VOLUME: "VolumeInUse",
    ResourceKind.SNAPSHOT: "InvalidSnapshot.InUse",
    ResourceKind.PLACEMENT_GROUP: "InvalidPlacementGroup.InUse",
    ResourceKind.INTERFACE: "InvalidParameterValue",
    ResourceKind.ADDRESS: "InvalidIPAddress.InUse",
    ResourceKind.GATEWAY: "DependencyViolation",
    ResourceKind.GROUP: "DependencyViolation",
    ResourceKind.SUBNET: "DependencyViolation",
    ResourceKind.ROUTE_TABLE: "DependencyViolation",
    ResourceKind.ACL: "DependencyViolation",
    ResourceKind.VPC: "DependencyViolation",
    ResourceKind.DHCP_OPTIONS: "DependencyViolation",
    ResourceKind.INSTANCE: "IncorrectInstanceState",
    ResourceKind.RULE: "ConcurrentModificationException",
    ResourceKind.ALARM: "ResourceConflict",
    ResourceKind.TOPIC: "ConcurrentAccess",
    ResourceKind.LOG_GROUP: "OperationAbortedException",
    ResourceKind.BUCKET: "BucketNotEmpty",
    ResourceKind.PROFILE: "DeleteConflict",
    ResourceKind.ROLE: "DeleteConflict",
    ResourceKind.POLICY: "DeleteConflict",
}
# Whose answer is a success that says what was not done.
PARTIAL = {
    ResourceKind.FLEET: ("UnsuccessfulFleetDeletions", "FleetId", "FleetIds"),
    ResourceKind.SPOT_FLEET: ("UnsuccessfulFleetRequests", "SpotFleetRequestId", "SpotFleetRequestIds"),
    ResourceKind.ENDPOINT: ("Unsuccessful", "ResourceId", "VpcEndpointIds"),
    ResourceKind.FLOW_LOG: ("Unsuccessful", "ResourceId", "FlowLogIds"),
}

Reply = dict[str, Any]


# Of a delete call: its kind, how often that was called, its arguments. Answers instead of AWS, or raises, or lets it pass.
Spoil = Callable[[ResourceKind, int, dict[str, Any]], Reply | None]


@contextlib.contextmanager
def spoiled(cloud: Aws, spoil: Spoil, *, after: bool = False) -> Iterator[None]:
    """`after`: AWS has done it when `spoil` is asked."""
    session = cloud._session
    straight, kinds = session.call, {operation: kind for kind, operation in ENDS.items()}
    counts: dict[ResourceKind, int] = {}

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
    busy_account.bystanders(sandbox, [REGION])
    before = account_snapshot(sandbox.client, [REGION])
    ResourceFixture(sandbox.client, REGION, busy_account.OURS, "beast").everything().identities()
    sandbox.clock.advance(10)
    return before


def nuked(cloud: Aws, sandbox: Any) -> DeletionResult:
    calls = AwsCalls(
        cloud,
        clock=EngineClock(sandbox.clock),
        emit=lambda _: None,
        api_s=60,
        jitter=lambda: 0.5,
        run_id="run",
    )
    return asyncio.run(nuke_resources([REGION], True, calls=calls, search=ScanRequest(SCOPE)))


def left(result: DeletionResult) -> list[tuple[str, str, str]]:
    return [
        (
            outcome.resource.kind,
            outcome.status,
            f"{outcome.problem.code}: {outcome.problem.message}" if outcome.problem else "",
        )
        for outcome in result.outcomes
        if outcome.status not in {DeletionStatus.DELETED, DeletionStatus.NOT_FOUND}
    ]


def error(code: str, kind: ResourceKind, message: str = "not now") -> CloudError:
    return CloudError(code, message, operation=ENDS[kind], region=REGION)


def test_each_kind_has_its_call() -> None:
    assert set(ENDS) == set(ResourceKind)
    assert {SPEC_BY_KIND[kind].service for kind in ResourceKind} == set(THROTTLED)


@pytest.mark.parametrize("way", sample(["throttled", "busy", "in part"], every=2))
def test_what_passes_is_waited_out(cloud: Aws, sandbox: Any, others: dict[str, str], way: str) -> None:
    """The first two answers of each kind's call refuse: nobody hears of it, and everything of ours goes."""
    kinds = {"throttled": set(ResourceKind), "busy": set(BUSY), "in part": set(PARTIAL)}[way]
    met: set[ResourceKind] = set()

    def spoil(kind: ResourceKind, number: int, kwargs: dict[str, Any]) -> Reply | None:
        if kind not in kinds or number > 2:
            return None
        met.add(kind)
        if way == "in part":
            rows, own, parameter = PARTIAL[kind]
            refusal = {"Code": "InternalError", "Message": "not now"}
            return {rows: [{own: resource_id, "Error": refusal} for resource_id in kwargs[parameter]]}
        if way == "throttled":
            raise error(THROTTLED[SPEC_BY_KIND[kind].service], kind)
        raise error(BUSY[kind], kind, "Network interface 'eni-1' is currently in use.")

    with spoiled(cloud, spoil):
        result = nuked(cloud, sandbox)
    assert met == kinds
    assert left(result) == []
    assert result.exit_code is ExitCode.DONE
    assert account_snapshot(sandbox.client, [REGION]) == others


def test_what_is_refused_is_told_and_left(cloud: Aws, sandbox: Any, others: dict[str, str]) -> None:
    """No kind may be deleted: each says so with AWS's code, and exit code 4; when it is allowed the next run finishes."""
    kinds: set[ResourceKind] = set()

    def spoil(kind: ResourceKind, _number: int, _kwargs: dict[str, Any]) -> Reply | None:
        kinds.add(kind)
        raise error(DENIED.get(SPEC_BY_KIND[kind].service, "AccessDenied"), kind)

    full = account_snapshot(sandbox.client, [REGION])
    with spoiled(cloud, spoil):
        result = nuked(cloud, sandbox)
    assert result.exit_code is ExitCode.DENIED
    assert not result.deleted
    faults = {
        outcome.resource.kind: classify(outcome.problem.code).category
        for outcome in result.outcomes
        if outcome.problem is not None
    }
    # What launched the instances is left, and so are they; these hang on what is ours and left.
    in_use = {ResourceKind.ADDRESS, ResourceKind.GATEWAY, ResourceKind.ROUTE_TABLE}
    for kind in {kind for kind in ResourceKind if not SPEC_BY_KIND[kind].is_global} - {ResourceKind.INSTANCE}:
        assert faults.get(kind) is (Category.BUSY if kind in in_use else Category.PERMISSION), kind
        assert kind in in_use or kind in kinds
    now = account_snapshot(sandbox.client, [REGION])
    assert now.keys() == full.keys()
    result = nuked(cloud, sandbox)
    assert left(result) == []
    assert result.exit_code is ExitCode.DONE
    assert account_snapshot(sandbox.client, [REGION]) == others


@pytest.mark.parametrize("answered", sample([True, False], every=2))
def test_killed_at_each_kind(cloud: Aws, sandbox: Any, others: dict[str, str], answered: bool) -> None:
    """One run after the other dies at a kind that it had not met yet; the last one finishes."""
    died: set[ResourceKind] = set()

    def spoil(kind: ResourceKind, _number: int, _kwargs: dict[str, Any]) -> Reply | None:
        if kind in died:
            return None
        died.add(kind)
        raise Killed

    receipt = None
    with spoiled(cloud, spoil, after=answered):
        for _ in range(2 * len(ResourceKind)):
            try:
                receipt = nuked(cloud, sandbox)
            except Killed:
                continue
            break
    assert receipt is not None
    assert died == set(ResourceKind)
    assert left(receipt) == []
    assert receipt.exit_code is ExitCode.DONE
    assert account_snapshot(sandbox.client, [REGION]) == others
