"""Injected faults: AWS's codes, at a time set by the test."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ConnectionClosedError

from sandbox.middleware.errors import refusal, refusal_in_full

CIDR = {"CidrBlock": "10.0.0.0/16"}


def count_vpcs(ec2: Any) -> int:
    return len(ec2.describe_vpcs()["Vpcs"])


def test_a_fault_is_what_was_ordered(sandbox: Any) -> None:
    """Code, status and message as configured, and nothing is executed. AWS: EC2 API Reference, "Server error codes"."""
    ec2 = sandbox.client()
    before = count_vpcs(ec2)
    sandbox.settings.faults = [
        {"match": "CreateVpc", "code": "InternalError", "status": 500, "message": "An internal error"}
    ]
    assert refusal_in_full(ec2.create_vpc, **CIDR) == ("InternalError", 500, "An internal error")
    assert refusal(ec2.create_vpc, **CIDR) == ("InternalError", 500)
    assert count_vpcs(ec2) == before


def test_a_fault_that_passes(sandbox: Any) -> None:
    """The second and third calls fail, the others do not, as retries expect."""
    ec2 = sandbox.client()
    sandbox.settings.faults = [
        {"match": "ec2:Describe*", "code": "Unavailable", "status": 503, "after": 1, "count": 2}
    ]
    ec2.describe_vpcs()
    assert refusal(ec2.describe_vpcs) == ("Unavailable", 503)
    assert refusal(ec2.describe_subnets) == ("Unavailable", 503)
    ec2.describe_vpcs()


def test_a_fault_in_one_region(sandbox: Any) -> None:
    """A fault in one region does not affect another."""
    sandbox.settings.faults = [{"match": "*", "region": "us-east-1", "code": "Unavailable", "status": 503}]
    assert refusal(sandbox.client().describe_vpcs) == ("Unavailable", 503)
    sandbox.client("ec2", "eu-west-1").describe_vpcs()


def test_a_lost_answer(sandbox: Any) -> None:
    """The connection drops after the execution: the client cannot know, and without a token a retry creates a second
    one.

    AWS: EC2 API Reference, "Ensuring idempotency in Amazon EC2 API requests".
    """
    ec2 = sandbox.client()
    before = count_vpcs(ec2)
    sandbox.settings.faults = [{"match": "CreateVpc", "code": "ConnectionReset", "when": "after", "count": 1}]
    with pytest.raises(ConnectionClosedError):
        ec2.create_vpc(**CIDR)
    assert count_vpcs(ec2) == before + 1
    ec2.create_vpc(**CIDR)
    assert count_vpcs(ec2) == before + 2


def test_a_lost_question(sandbox: Any) -> None:
    """The connection drops before the execution: nothing is executed, and the next call can connect again."""
    ec2 = sandbox.client()
    before = count_vpcs(ec2)
    sandbox.settings.faults = [{"match": "CreateVpc", "code": "ConnectionReset", "count": 1}]
    with pytest.raises(ConnectionClosedError):
        ec2.create_vpc(**CIDR)
    assert count_vpcs(ec2) == before


def test_a_refusal_after_the_deed(sandbox: Any) -> None:
    """AWS may return 5xx although it executed the call. AWS: EC2 API Reference, "Server error codes"."""
    ec2 = sandbox.client()
    before = count_vpcs(ec2)
    sandbox.settings.faults = [
        {"match": "CreateVpc", "code": "InternalError", "status": 500, "when": "after", "count": 1}
    ]
    assert refusal(ec2.create_vpc, **CIDR) == ("InternalError", 500)
    assert count_vpcs(ec2) == before + 1
