"""Validation of requests by AWS's published models, for any client."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from aws_spot_sandbox.http_types import AwsError, Call, Http, Reply
from aws_spot_sandbox.middleware.parameters import Parameters
from aws_spot_sandbox.state import World
from sandbox.ec2.clusters import refused

JSON = Http(headers={"x-amz-target": "AmazonSSM.GetParameters"})


def refusal(call: Call) -> tuple[str, str]:
    stage = Parameters(World(), lambda _: Reply(b""))
    with pytest.raises(AwsError) as caught:
        stage(call)
    return caught.value.code, caught.value.message


def accepted(call: Call) -> bool:
    return Parameters(World(), lambda _: Reply(b"yes"))(call).body == b"yes"


def ec2(action: str, **params: str) -> Call:
    return Call(
        "ec2", "us-east-1", action, {name.replace("__", "."): value for name, value in params.items()}
    )


def filtered(count: int, *, length: int = 1) -> Call:
    values = {f"Filter.1.Value.{number}": "x" * length for number in range(1, count + 1)}
    return Call("ec2", "us-east-1", "DescribeInstances", {"Filter.1.Name": "instance-id", **values})


def test_two_hundred_filter_values_and_no_more() -> None:
    """S1. AWS: "The maximum number of filter values specified on a single call is 200" (gossm#31, convox#2205)."""
    assert accepted(filtered(200))
    code, message = refusal(filtered(201))
    assert code == "FilterLimitExceeded"
    assert "200" in message


def test_filter_values_of_255_characters_and_no_more() -> None:
    """S1. AWS: "The maximum length for a filter value is 255 characters" (ansible amazon.aws#2393)."""
    assert accepted(filtered(1, length=255))
    assert refusal(filtered(1, length=256))[0] == "InvalidParameterValue"


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (ec2("DescribeInstances", Colour="red"), "UnknownParameter"),
        (ec2("CreateVpc", InstanceTenancy="shared", CidrBlock="10.0.0.0/16"), "InvalidParameterValue"),
        (ec2("DescribeSubnets", MaxResults="1001"), "InvalidParameterValue"),
        (ec2("DescribeInstances", MaxResults="4"), "InvalidParameterValue"),
        (ec2("DescribeInstances", MaxResults="lots"), "InvalidParameterValue"),
        (ec2("DescribeInstances", MaxResults="7.5"), "InvalidParameterValue"),
        (ec2("DescribeVpcs", MaxResults="nan"), "InvalidParameterValue"),
        (ec2("DescribeSpotPriceHistory", StartTime="yesterday"), "InvalidParameterValue"),
        (ec2("DescribeInstances", MaxResults="10", InstanceId__1="i-1"), "InvalidParameterCombination"),
        (ec2("DescribeVolumes", MaxResults="10", VolumeId__1="vol-1"), "InvalidParameterCombination"),
        (ec2("DescribeHosts", MaxResults="10", HostId__1="h-1"), "InvalidParameterCombination"),
        (ec2("CreateSubnet", VpcId__x="1"), "InvalidParameterValue"),
        (ec2("CreateLaunchTemplate", LaunchTemplateName="ab"), "MissingParameter"),
        (ec2("DescribeInstances", Filter__1__Name="colour", Filter__1__Value__1="red"), "InvalidParameterValue"),
        (ec2("DescribeInstances", DryRun="perhaps"), "InvalidParameterValue"),
        (Call("iam", "us-east-1", "CreateRole", {"RoleName": "a b", "AssumeRolePolicyDocument": "{}"}), "ValidationError"),
        (Call("ssm", "us-east-1", "GetParameters", body=b'{"Names": []}', http=JSON), "ValidationException"),
        (Call("ssm", "us-east-1", "GetParameters", body=b"{}", http=JSON), "ValidationException"),
        (Call("ssm", "us-east-1", "GetParameters", body=b'{"Names": "a"}', http=JSON), "SerializationException"),
        (Call("monitoring", "us-east-1", "DescribeAlarms", {"MaxRecords": "101"}), "ValidationError"),
        (Call("sns", "us-east-1", "CreateTopic"), "ValidationError"),
    ],
)  # fmt: skip
def test_what_the_models_exclude_is_refused(call: Call, code: str) -> None:
    """AWS: EC2 API reference, "Error codes"; the bounds, enumerations and members in its SDK's service models."""
    assert refusal(call)[0] == code


@pytest.mark.parametrize(
    ("service", "code"),
    [("ec2", "InvalidAction"), ("iam", "InvalidAction"), ("ssm", "UnknownOperationException")],
)
def test_what_is_no_action_is_refused_by_name(service: str, code: str) -> None:
    """AWS: "Common errors" of the query services (InvalidAction) and of the JSON services (UnknownOperationException)."""
    call = Call(service, "us-east-1", "DescribeColours", http=JSON if service == "ssm" else Http())
    assert refusal(call)[0] == code
    assert "DescribeColours" in refusal(call)[1]


def test_tags_are_filters_where_they_are_documented() -> None:
    """AWS: EC2 API reference, DescribeVpcs, DescribeCapacityReservations: the latter documents no tag filter."""
    tag = {"Filter__1__Name": "tag:owner", "Filter__1__Value__1": "me"}
    assert accepted(ec2("DescribeVpcs", **tag))
    assert refusal(ec2("DescribeCapacityReservations", **tag))[0] == "InvalidParameterValue"


def test_no_service_with_xml_answers_takes_a_control_character(sandbox: Any) -> None:
    """Auto Scaling API reference, Tag: the pattern of a value is XML's characters."""
    tag = {"ResourceId": "g", "ResourceType": "auto-scaling-group", "Key": "k", "PropagateAtLaunch": True}
    with refused("ValidationError"):
        sandbox.client("autoscaling").create_or_update_tags(Tags=[{**tag, "Value": "a\x01"}])
    with refused("ValidationError"):
        sandbox.client("iam").create_role(RoleName="r\x02", AssumeRolePolicyDocument="{}")


def test_an_error_that_quotes_one_can_be_read(sandbox: Any) -> None:
    with pytest.raises(ClientError) as caught:
        sandbox.client().describe_vpcs(Filters=[{"Name": "a\x01b", "Values": ["x"]}])
    assert caught.value.response["Error"]["Code"] == "InvalidParameterValue"
