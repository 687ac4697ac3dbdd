"""DecodeAuthorizationMessage. Source: STS API reference; EC2 API reference, "Error codes", UnauthorizedOperation."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.middleware.errors import refusal_in_full


def encoded(sandbox: Any) -> str:
    _, _, message = refusal_in_full(sandbox.client().create_vpc, CidrBlock="10.0.0.0/16")
    match = re.search(r"Encoded authorization failure message: (\S+)$", message)
    assert match
    return match[1]


def test_a_refusal_explains_itself(sandbox: Any) -> None:
    """Action, resource, principal, and whether a policy denies it or none allows it."""
    sandbox.settings.deny = ["ec2:CreateVpc"]
    answer = sandbox.client("sts").decode_authorization_message(EncodedMessage=encoded(sandbox))
    decoded = json.loads(answer["DecodedMessage"])
    assert (decoded["allowed"], decoded["explicitDeny"]) == (False, False)
    assert decoded["context"]["action"] == "ec2:CreateVpc"
    assert decoded["context"]["resource"] == "arn:aws:ec2:us-east-1:000000000000:*/*"
    assert decoded["context"]["principal"]["arn"] == "arn:aws:iam::000000000000:user/sandbox"
    keys = {
        item["key"]: item["values"]["items"][0]["value"] for item in decoded["context"]["conditions"]["items"]
    }
    assert keys["aws:Region"] == "us-east-1"


def test_it_takes_permission_and_a_message_of_awss(sandbox: Any) -> None:
    """Decoding requires permission; a message that AWS has not encoded is InvalidAuthorizationMessageException."""
    sandbox.settings.deny = ["ec2:CreateVpc", "sts:DecodeAuthorizationMessage"]
    text = encoded(sandbox)
    sts = sandbox.client("sts")
    with pytest.raises(ClientError, match="AccessDenied"):
        sts.decode_authorization_message(EncodedMessage=text)
    sandbox.settings.deny = []
    for wrong in ("x", "AQAAAA", text[:-3]):
        with pytest.raises(ClientError, match="InvalidAuthorizationMessageException"):
            sts.decode_authorization_message(EncodedMessage=wrong)
