"""What a tagged ARN is the ARN of."""

from __future__ import annotations

import pytest

from bacalhau_spot.cloud.cleanup.tag_index import kind_of
from bacalhau_spot.core.cleanup.deletion_order import is_known_kind

HERE = "us-east-1:000000000000"
KNOWN = {
    "arn:aws:s3:::bucket": ("bucket", "arn:aws:s3:::bucket"),
    f"arn:aws:sqs:{HERE}:queue": ("queue", f"arn:aws:sqs:{HERE}:queue"),
    f"arn:aws:sns:{HERE}:topic": ("topic", f"arn:aws:sns:{HERE}:topic"),
    f"arn:aws:ssm:{HERE}:parameter/a/b": ("parameter", "/a/b"),
    f"arn:aws:ssm:{HERE}:parameter/a": ("parameter", "a"),
    f"arn:aws:logs:{HERE}:log-group:/a/b": ("log-group", f"arn:aws:logs:{HERE}:log-group:/a/b"),
    f"arn:aws:cloudwatch:{HERE}:alarm:a/b": ("alarm", f"arn:aws:cloudwatch:{HERE}:alarm:a/b"),
    f"arn:aws:secretsmanager:{HERE}:secret:a/b-x": ("secret", f"arn:aws:secretsmanager:{HERE}:secret:a/b-x"),
    f"arn:aws:events:{HERE}:rule/bus/name": ("rule", f"arn:aws:events:{HERE}:rule/bus/name"),
    "arn:aws:iam::000000000000:role/path/name": ("role", "name"),
}
UNKNOWN = {
    f"arn:aws:s3:{HERE}:accesspoint/x": "s3:accesspoint",
    f"arn:aws:s3:{HERE}:storage-lens/x": "s3:storage-lens",
    f"arn:aws:s3:{HERE}:storage-lens-group/x": "s3:storage-lens-group",
    f"arn:aws:s3:{HERE}:job/x": "s3:job",
    "arn:aws:s3:::bucket/key": "s3:bucket",
    f"arn:aws:sns:{HERE}:topic:0a1b2c3d": "sns:topic",
    f"arn:aws:lambda:{HERE}:function:x": "lambda:function",
    "arn:aws:apigateway:us-east-1::/restapis/x": "apigateway",
    f"arn:aws:elasticloadbalancing:{HERE}:loadbalancer/app/x/y": "elasticloadbalancing:loadbalancer",
    "arn:aws:iam::000000000000:role": "iam",
    "arn:aws:iam::000000000000:role/": "iam:role",
    f"arn:aws:ssm:{HERE}:parameter": "ssm",
    "arn:aws:s3:::": "s3",
    "arn:aws:new": "new",
    "arn": "unknown",
    "": "unknown",
}


@pytest.mark.parametrize("arn", KNOWN)
def test_a_kind_that_we_know(arn: str) -> None:
    kind, resource_id = KNOWN[arn]
    assert kind_of(arn) == (type(kind_of(arn)))(kind=kind, id=resource_id)


@pytest.mark.parametrize("arn", UNKNOWN)
def test_any_other_form_is_an_unsupported_kind(arn: str) -> None:
    """F19: S3's access points and storage lenses were taken for buckets, and GetBucketTagging of one ended the look."""
    tagged = kind_of(arn)
    assert not is_known_kind(tagged.kind)
    assert (tagged.kind, tagged.id) == (UNKNOWN[arn], arn)
