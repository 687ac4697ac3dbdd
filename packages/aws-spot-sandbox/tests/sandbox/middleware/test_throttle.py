"""Token buckets. AWS: EC2 Developer Guide, "Request throttling for the Amazon EC2 API"."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.middleware.errors import refusal

LIMIT = ("RequestLimitExceeded", 503)
NARROWED = {"Filters": [{"Name": "vpc-id", "Values": ["vpc-0"]}]}


@pytest.fixture
def ec2(sandbox: Any) -> Any:
    sandbox.settings.throttle = True
    return sandbox.client()


def passed(call: Any, times: int, **arguments: Any) -> int:
    """The number of simultaneous calls that are not throttled."""
    count = 0
    for _ in range(times):
        try:
            call(**arguments)
        except ClientError as error:
            if error.response["Error"]["Code"] == LIMIT[0]:
                continue
        count += 1
    return count


def test_off_unless_switched_on(sandbox: Any) -> None:
    """Off by default."""
    assert passed(sandbox.client().describe_subnets, 60) == 60


def test_reading_without_a_filter(sandbox: Any, ec2: Any) -> None:
    """50 unfiltered reads at once, then 10 per second."""
    assert passed(ec2.describe_subnets, 60) == 50
    sandbox.clock.advance(1)
    assert passed(ec2.describe_subnets, 15) == 10


def test_reading_with_a_filter(sandbox: Any, ec2: Any) -> None:
    """100 filtered reads at once, then 20 per second."""
    assert passed(ec2.describe_subnets, 110, **NARROWED) == 100
    sandbox.clock.advance(1)
    assert passed(ec2.describe_subnets, 25, **NARROWED) == 20


def test_writing(sandbox: Any, ec2: Any) -> None:
    """50 writes at once, then 5 per second, and never more than 50 saved up."""
    assert passed(ec2.delete_vpc, 55, VpcId="vpc-0") == 50
    sandbox.clock.advance(1)
    assert passed(ec2.delete_vpc, 10, VpcId="vpc-0") == 5
    sandbox.clock.advance(3600)
    assert passed(ec2.delete_vpc, 55, VpcId="vpc-0") == 50


def test_each_action_and_region_has_its_own(sandbox: Any, ec2: Any) -> None:
    """Each API is evaluated individually, per region."""
    assert passed(ec2.describe_subnets, 51) == 50
    assert passed(ec2.describe_vpcs, 1) == 1
    assert passed(sandbox.client("ec2", "eu-west-1").describe_subnets, 1) == 1


def test_running_instances(sandbox: Any, ec2: Any) -> None:
    """5 requests at once, then 2 per second."""
    bad = {"ImageId": "ami-00000000", "MinCount": 1, "MaxCount": 1}
    assert passed(ec2.run_instances, 8, **bad) == 5
    sandbox.clock.advance(1)
    assert passed(ec2.run_instances, 8, **bad) == 2


def test_instances_are_tokens_too(ec2: Any) -> None:
    """Resource rate limiting: 1,000 instances at once over all requests; a request gets all of its tokens or none."""
    bad = {"ImageId": "ami-00000000", "MinCount": 1}
    assert passed(ec2.run_instances, 1, MaxCount=900, **bad) == 1
    assert refusal(ec2.run_instances, MaxCount=101, **bad) == LIMIT
    assert passed(ec2.run_instances, 1, MaxCount=100, **bad) == 1


def test_other_services_have_other_limits(sandbox: Any, ec2: Any) -> None:
    """These buckets apply only to EC2."""
    assert passed(sandbox.client("sts").get_caller_identity, 110) == 110
