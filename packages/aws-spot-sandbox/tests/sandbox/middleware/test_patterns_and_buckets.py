"""The calls that a fault matches, and each bucket's size and refill. With EC2: test_faults.py, test_throttle.py."""

from __future__ import annotations

import contextlib

import pytest

from aws_spot_sandbox.http_types import AwsError
from sandbox.middleware.harness import Harness


@pytest.mark.parametrize("match", ["CreateVpc", "ec2:CreateVpc", "Create*", "ec2:*", "*"])
def test_a_fault_hits_what_its_pattern_names(harness: Harness, match: str) -> None:
    """Any action may fail with a server error (EC2 API Reference, "Error codes": server error codes)."""
    harness.settings.faults = [{"match": match, "code": "InternalError", "message": "oh", "status": 500}]
    error = harness.refusal("CreateVpc")
    assert (error.code, error.message, error.status) == ("InternalError", "oh", 500)
    assert not harness.reached


@pytest.mark.parametrize("match", ["CreateSubnet", "iam:CreateVpc", "sts:*", "createvpc"])
def test_a_fault_leaves_other_actions_and_services_alone(harness: Harness, match: str) -> None:
    """Names are the API's, case-sensitive (EC2 API Reference, "Actions")."""
    harness.settings.faults = [{"match": match, "code": "InternalError"}]
    harness.ask("CreateVpc")
    assert harness.outcomes == ["ok"]


def passed(harness: Harness, action: str, params: dict[str, str]) -> int:
    """The number of simultaneous calls that pass, up to the first error."""
    before = len(harness.reached)
    with contextlib.suppress(AwsError):
        while len(harness.reached) < before + 1000:
            harness.ask(action, params)
    refused = harness.refusal(action, params)
    assert (refused.code, refused.status) == ("RequestLimitExceeded", 503)
    return len(harness.reached) - before


@pytest.mark.parametrize(
    ("action", "params", "size", "per_s"),
    [
        ("DescribeVpcs", {"Filter.1.Name": "vpc-id", "Filter.1.Value.1": "vpc-1"}, 100, 20),
        ("DescribeVpcs", {"MaxResults": "5"}, 100, 20),
        ("DescribeVpcs", {"VpcId.1": "vpc-1"}, 100, 20),
        ("DescribeVpcs", {"Version": "2016-11-15"}, 50, 10),
        ("CreateVpc", {"CidrBlock": "10.0.0.0/16"}, 50, 5),
        ("RunInstances", {"MaxCount": "1"}, 5, 2),
        ("TerminateInstances", {"InstanceId.1": "i-1"}, 100, 5),
    ],
)
def test_a_bucket_has_a_size_and_a_refill(
    harness: Harness, action: str, params: dict[str, str], size: int, per_s: int
) -> None:
    """EC2 Developer Guide, "Request throttling for the Amazon EC2 API": bucket sizes and refill rates."""
    harness.settings.throttle = True
    assert passed(harness, action, params) == size
    harness.clock.advance(1)
    assert passed(harness, action, params) == per_s
    harness.clock.advance(3600)
    assert passed(harness, action, params) == size
