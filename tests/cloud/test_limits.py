"""What EC2 takes in one call, and what becomes of a question that is longer."""

from __future__ import annotations

import pytest
from botocore.session import Session

from bacalhau_spot.cloud.limits import MAX_FILTER_VALUES, page_size, within_filter_limit, without_duplicates

EC2 = Session().get_service_model("ec2")


def test_a_short_filter_is_one_call() -> None:
    parameters = {"Filters": [{"Name": "instance-type", "Values": ["a", "b"]}]}
    assert list(within_filter_limit(parameters)) == [parameters]


def test_a_long_filter_is_split_and_no_value_is_lost() -> None:
    """F2, F4: FilterLimitExceeded at more than 200 values a call, over all filters (gossm#31, flintrock#193)."""
    values = [f"i-{number:017x}" for number in range(450)]
    state = {"Name": "instance-state-name", "Values": ["running", "pending"]}
    parts = list(
        within_filter_limit({"Filters": [{"Name": "instance-id", "Values": values}, state], "DryRun": False})
    )
    assert all(state in part["Filters"] and part["DryRun"] is False for part in parts)
    assert all(
        sum(len(condition["Values"]) for condition in part["Filters"]) <= MAX_FILTER_VALUES for part in parts
    )
    filter_parts = [
        value
        for part in parts
        for entry in part["Filters"]
        if entry["Name"] == "instance-id"
        for value in entry["Values"]
    ]
    assert filter_parts == values


def test_two_long_filters_are_a_mistake_and_not_a_wrong_answer() -> None:
    long = [str(number) for number in range(250)]
    with pytest.raises(ValueError, match="more than one filter"):
        list(within_filter_limit({"Filters": [{"Name": name, "Values": long} for name in ("a", "b")]}))


def test_what_answers_to_two_parts_is_one_item() -> None:
    row = {"GroupId": "sg-1", "Tags": [{"Key": "a", "Value": "b"}]}
    assert without_duplicates([row, dict(row), {"GroupId": "sg-2"}]) == [row, {"GroupId": "sg-2"}]


@pytest.mark.parametrize(
    ("operation", "parameters", "size"),
    [
        ("DescribeInstances", {}, 1000),
        ("DescribeInstances", {"InstanceIds": ["i-1"]}, None),
        ("DescribeInstanceTypes", {"Filters": []}, 100),
        ("DescribeRouteTables", {}, 100),
        ("DescribeEgressOnlyInternetGateways", {}, 255),
        ("DescribeVpcEndpoints", {}, 1000),
        ("DescribeLaunchTemplates", {"LaunchTemplateNames": ["x"]}, None),
        ("DescribeAddresses", {}, None),
        ("DescribeTags", {"Filters": []}, 1000),
    ],
)
def test_pages_are_asked_for_wherever_aws_has_them(
    operation: str, parameters: dict[str, object], size: int | None
) -> None:
    """F9: unpaginated calls are throttled, or blocked in large accounts (amazon-vpc-resource-controller-k8s#188)."""
    assert page_size(EC2.operation_model(operation), parameters) == size
