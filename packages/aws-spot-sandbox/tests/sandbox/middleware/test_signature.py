"""The secret is checked as by AWS: by recomputing the signature."""

from __future__ import annotations

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from aws_spot_sandbox.http_types import AwsError, Call, Http
from aws_spot_sandbox.middleware import build
from aws_spot_sandbox.protocol import take_apart
from aws_spot_sandbox.state import ACCESS_KEY_ID, SECRET_ACCESS_KEY, World
from sandbox.middleware.harness import xml

BODY = b"Action=DescribeVpcs&Version=2016-11-15&Filter.1.Name=tag%3Aa&Filter.1.Value.1=b+c"


def signed(secret: str, body: bytes = BODY) -> Call:
    headers = {"Host": "127.0.0.1:4000", "Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
    request = AWSRequest("POST", "http://127.0.0.1:4000/", data=BODY, headers=headers)
    SigV4Auth(Credentials(ACCESS_KEY_ID, secret), "ec2", "eu-west-1").add_auth(request)
    return take_apart(Http(headers={name.lower(): value for name, value in request.headers.items()}), body)


def test_a_request_signed_with_the_sandboxs_secret_passes() -> None:
    """IAM User Guide, "Create a signed AWS API request"."""
    world = World()
    build(world, lambda _call: xml(""))(signed(SECRET_ACCESS_KEY))
    assert world.calls == [("eu-west-1", "ec2:DescribeVpcs", "ok")]


@pytest.mark.parametrize(
    "call",
    [signed("somebody-elses"), signed(SECRET_ACCESS_KEY, BODY + b"&DryRun=true")],
    ids=["another secret", "changed on the way"],
)
def test_another_secret_and_a_changed_body_are_refused(call: Call) -> None:
    """EC2 API Reference, "Error codes": AuthFailure; IAM User Guide, "Troubleshoot signed requests"."""
    with pytest.raises(
        AwsError, match="AuthFailure: AWS was not able to validate the provided access credentials"
    ):
        build(World(), lambda _call: xml(""))(call)
