"""Every call is logged, and takes the configured time."""

from __future__ import annotations

import pytest

from aws_spot_sandbox.http_types import AwsError, ConnectionLost, Reply
from sandbox.middleware.harness import Harness


def test_calls_are_recorded_in_order_with_region_name_and_outcome(harness: Harness) -> None:
    """As AWS's CloudTrail does (CloudTrail User Guide, "CloudTrail record contents": errorCode)."""
    harness.ask("CreateVpc")
    harness.settings.deny = ["ec2:CreateSubnet"]
    harness.refusal("CreateSubnet", region="eu-west-1")
    assert harness.world.calls == [
        ("us-east-1", "ec2:CreateVpc", "ok"),
        ("eu-west-1", "ec2:CreateSubnet", "UnauthorizedOperation"),
    ]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (
            b"<Response><Errors><Error><Code>InvalidVpcID.NotFound</Code></Error></Errors></Response>",
            "InvalidVpcID.NotFound",
        ),
        (b'{"__type": "ParameterNotFound"}', "ParameterNotFound"),
        (b'{"__type":"com.amazonaws#ParameterNotFound"}', "ParameterNotFound"),
        (b"gone", "400"),
    ],
)
def test_the_code_of_an_error_that_a_service_wrote_is_its_outcome(
    harness: Harness, body: bytes, code: str
) -> None:
    """AWS formats errors in the protocol of the service (EC2 API Reference, "Error codes": error response)."""
    harness.services = lambda _call: Reply(body, 400)
    harness.ask("DeleteVpc")
    assert harness.outcomes == [code]


def test_errors_raised_below_and_lost_connections_are_recorded(harness: Harness) -> None:
    """Calls are logged whatever their outcome (CloudTrail User Guide, "CloudTrail record contents")."""

    def refuse(_call: object) -> Reply:
        raise AwsError("DependencyViolation", "in use")

    harness.services = refuse
    harness.refusal("DeleteVpc")
    harness.settings.faults = [{"match": "*", "code": "ConnectionReset"}]
    with pytest.raises(ConnectionLost):
        harness.ask("DeleteVpc")
    assert harness.outcomes == ["DependencyViolation", "ConnectionReset"]


def test_latency_is_slept_for_every_call_refused_or_not(harness: Harness) -> None:
    """A round trip takes time whatever the reply; a switch of the sandbox."""
    start = harness.clock.now()
    harness.ask("DescribeVpcs")
    assert harness.clock.now() == start
    harness.settings.latency_s = 0.08
    harness.settings.deny = ["ec2:CreateVpc"]
    harness.ask("DescribeVpcs")
    harness.refusal("CreateVpc")
    assert harness.clock.now() - start == pytest.approx(0.16)
