"""Replies that are well formed, and not in AWS's format."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from botocore.parsers import ResponseParserError

from bacalhau_spot.cloud import replies
from bacalhau_spot.cloud.connection import AwsConnection
from bacalhau_spot.cloud.credentials import core_session

CORE = core_session(AwsConnection(access_key_id="AKIAIOSFODNN7EXAMPLE", secret_access_key="x" * 40))
INSTANCES = """\
<DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>r</requestId><reservationSet>
<item><instancesSet><item><instanceId>i-1</instanceId><ebsOptimized>true</ebsOptimized>
<placement><availabilityZone>us-east-1a</availabilityZone></placement>%s</item></instancesSet></item>
</reservationSet></DescribeInstancesResponse>
"""


def instance(more: str) -> dict[str, Any]:
    model = CORE.get_service_model("ec2").operation_model("DescribeInstances")
    parser = CORE.get_component("response_parser_factory").create_parser("ec2")
    answer = {"status_code": 200, "headers": {}, "body": (INSTANCES % more).encode()}
    (found,) = parser.parse(answer, model.output_shape)["Reservations"][0]["Instances"]
    return dict(found)


def test_an_instance_is_read() -> None:
    found = instance("<tagSet><item><key>a</key><value>b</value></item></tagSet>")
    assert (found["InstanceId"], found["EbsOptimized"], found["Tags"]) == (
        "i-1",
        True,
        [{"Key": "a", "Value": "b"}],
    )


@pytest.mark.parametrize(
    "twice",
    [
        "<instanceId>i-2</instanceId>",  # a text
        "<ebsOptimized>true</ebsOptimized>",  # which botocore would read as false
        "<placement><availabilityZone>us-east-1b</availabilityZone></placement>",  # whose second one it would ignore
    ],
)
def test_an_element_that_occurs_twice_is_no_answer(twice: str) -> None:
    with pytest.raises(ResponseParserError, match="occurs 2 times"):
        instance(twice)


S3_PARSED = {"ResponseMetadata": {"RequestId": "r"}}


@pytest.mark.parametrize("body", [b"", b" \n", b'<?xml version="1.0"?>'])
@pytest.mark.parametrize("operation", ["GetBucketTagging", "ListObjectVersions", "ListBuckets"])
def test_an_answer_of_s3_without_a_document_is_no_empty_list(operation: str, body: bytes) -> None:
    """A bucket without tags is somebody else's, and one without objects may be deleted."""
    model = CORE.get_service_model("s3").operation_model(operation)
    answer = SimpleNamespace(status_code=200, content=body)
    with pytest.raises(ResponseParserError, match="no document"):
        replies._check(http_response=answer, parsed=S3_PARSED, model=model)
    answer.content = b"<Tagging><TagSet/></Tagging>"
    replies._check(http_response=answer, parsed=S3_PARSED, model=model)


@pytest.mark.parametrize("operation", ["PutBucketTagging", "DeleteBucket", "CreateBucket"])
def test_a_change_that_s3_answers_without_a_document_is_done(operation: str) -> None:
    model = CORE.get_service_model("s3").operation_model(operation)
    replies._check(http_response=SimpleNamespace(status_code=200, content=b""), parsed=S3_PARSED, model=model)
